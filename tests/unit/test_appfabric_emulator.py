"""The AppFabric emulator against botocore: its model, its serializer, its parser and its client."""

import http.client
import json
import signal
import socket
import subprocess
import sys
import threading
import uuid
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import boto3
import pytest
from botocore import xform_name
from botocore.config import Config
from botocore.exceptions import ClientError, ConnectionClosedError, ReadTimeoutError
from botocore.loaders import create_loader
from botocore.model import ServiceModel
from botocore.serialize import create_serializer
from botocore.validate import ParamValidator
from hypothesis import given, settings
from hypothesis import strategies as st

from local.appfabric import AppFabricEmulator, Call, Fault, Outcome, RateLimit, attach, serve
from local.appfabric.model import errors_of, parameters, route
from local.appfabric.transport import HttpRequest

ROOT = Path(__file__).parents[2]
BUNDLE = "0a0a0a0a-1111-4222-8333-444444444444"
INGESTION = "0b0b0b0b-1111-4222-8333-444444444444"
DESTINATION = "0c0c0c0c-1111-4222-8333-444444444444"
TOKEN = "0d0d0d0d-1111-4222-8333-444444444444"
BUNDLE_ARN = f"arn:aws:appfabric:us-east-1:111122223333:appbundle/{BUNDLE}"
INGESTION_ARN = f"{BUNDLE_ARN}/ingestion/{INGESTION}"
DESTINATION_ARN = f"{INGESTION_ARN}/ingestiondestination/{DESTINATION}"
PARENTS = {"appBundleIdentifier": BUNDLE, "ingestionIdentifier": INGESTION}
PROCESSING = {"auditLog": {"schema": "ocsf", "format": "json"}}
S3 = {"auditLog": {"destination": {"s3Bucket": {"bucketName": "logs", "prefix": "ocsf"}}}}
FIREHOSE = {"auditLog": {"destination": {"firehoseStream": {"streamName": "logs"}}}}
NEW = {**PARENTS, "processingConfiguration": PROCESSING, "destinationConfiguration": S3}
STARTED = datetime(2026, 11, 22, 12, 0, 0, 123000, tzinfo=UTC)

MODEL_DATA: dict[str, Any] = create_loader().load_service_model("appfabric", "service-2")
MODEL = ServiceModel(MODEL_DATA, "appfabric")
OPERATIONS = [
    "CreateIngestionDestination",
    "GetIngestionDestination",
    "UpdateIngestionDestination",
    "DeleteIngestionDestination",
    "ListIngestionDestinations",
    "TagResource",
    "UntagResource",
    "ListTagsForResource",
]
# One valid request for each operation; each of its constraints is then broken in turn.
CORRECT: dict[str, dict[str, Any]] = {
    "CreateIngestionDestination": {**NEW, "clientToken": TOKEN, "tags": [{"key": "team", "value": "audit"}]},
    "GetIngestionDestination": {**PARENTS, "ingestionDestinationIdentifier": DESTINATION},
    "UpdateIngestionDestination": {
        **PARENTS,
        "ingestionDestinationIdentifier": DESTINATION,
        "destinationConfiguration": S3,
    },
    "DeleteIngestionDestination": {**PARENTS, "ingestionDestinationIdentifier": DESTINATION},
    "ListIngestionDestinations": {**PARENTS, "maxResults": 10},
    "TagResource": {"resourceArn": DESTINATION_ARN, "tags": [{"key": "team", "value": "audit"}]},
    "UntagResource": {"resourceArn": DESTINATION_ARN, "tagKeys": ["team"]},
    "ListTagsForResource": {"resourceArn": DESTINATION_ARN},
}


class Clock:
    """A clock that only `sleep` advances."""

    def __init__(self) -> None:
        self.passed = 0.0

    def now(self) -> datetime:
        return STARTED + timedelta(seconds=self.passed)

    def sleep(self, seconds: float) -> None:
        self.passed += seconds


class NoConnection:
    """The connection of a call to which no fault may apply."""

    def wait(self, seconds: float) -> None:
        pytest.fail("no fault was injected")

    def hang(self, seconds: float) -> Any:
        pytest.fail("no fault was injected")

    def cut(self) -> Any:
        pytest.fail("no fault was injected")


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def service(clock: Clock) -> AppFabricEmulator:
    return AppFabricEmulator(now=clock.now, sleep=clock.sleep)


@pytest.fixture(scope="session")
def session() -> boto3.Session:
    return boto3.Session(aws_access_key_id="test", aws_secret_access_key="test", region_name="us-east-1")


@pytest.fixture
def local(service: AppFabricEmulator, session: boto3.Session) -> Any:
    """A client attached in-process that does not retry."""
    client = session.client("appfabric", config=Config(retries={"total_max_attempts": 1}, read_timeout=10))
    attach(client, service)
    return client


@pytest.fixture
def url(service: AppFabricEmulator) -> Iterator[str]:
    with serve(service) as url:
        yield url


@pytest.fixture
def remote(url: str, session: boto3.Session) -> Iterator[Any]:
    """A client over HTTP that does not retry."""
    config = Config(retries={"total_max_attempts": 1}, read_timeout=10)
    client = session.client("appfabric", endpoint_url=url, config=config)
    yield client
    client.close()


@pytest.fixture(params=["local", "remote"])
def client(request: pytest.FixtureRequest) -> Any:
    """Either client: in-process or over HTTP."""
    return request.getfixturevalue(request.param)


def refusal(call: Any, **request: Any) -> dict[str, Any]:
    with pytest.raises(ClientError) as raised:
        call(**request)
    return raised.value.response


def code(response: dict[str, Any]) -> tuple[int, str]:
    return response["ResponseMetadata"]["HTTPStatusCode"], response["Error"]["Code"]


def create(client: Any, **changes: Any) -> str:
    return client.create_ingestion_destination(**{**NEW, **changes})["ingestionDestination"]["arn"]


def get(client: Any, arn: str) -> dict[str, Any]:
    return client.get_ingestion_destination(**PARENTS, ingestionDestinationIdentifier=arn)["ingestionDestination"]


def send(service: AppFabricEmulator, operation: str, request: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    """Send parameters that a client might not send or serialize."""
    members = MODEL_DATA["shapes"][MODEL_DATA["operations"][operation]["input"]["shape"]]["members"]
    outside = {name: value for name, value in request.items() if "location" in members[name]}
    body = {name: value for name, value in request.items() if name not in outside}
    sent = replace(serialized(operation, outside), body=json.dumps(body).encode())
    response = service.handle(sent, NoConnection())
    return response.status, json.loads(response.body or b"{}")


def serialized(operation: str, request: dict[str, Any]) -> HttpRequest:
    made = create_serializer("rest-json", include_validation=False).serialize_to_request(
        request, MODEL.operation_model(operation)
    )
    pairs = made["query_string"]
    pairs = list(pairs.items()) if isinstance(pairs, dict) else pairs
    query = "&".join(
        f"{quote(str(name), safe='')}={quote(str(value), safe='')}"
        for name, values in pairs
        for value in (values if isinstance(values, list) else [values])
    )
    return HttpRequest(
        method=made["method"],
        target=made["url_path"] + (f"?{query}" if query else ""),
        body=made["body"] or b"",
    )


def placed(service: AppFabricEmulator, **changes: Any) -> str:
    fields = {"arn": DESTINATION_ARN, "processing": PROCESSING, "destination": S3, **changes}
    return service.place(**fields).arn


# Create, read, update and delete


def test_a_created_destination_is_returned_as_modeled_and_documented(client: Any) -> None:
    response = client.create_ingestion_destination(**NEW, tags=[{"key": "team", "value": "audit"}])

    arn = response["ingestionDestination"].pop("arn")
    assert response["ResponseMetadata"]["HTTPStatusCode"] == 201
    assert response["ResponseMetadata"]["RequestId"]
    assert arn.startswith(f"{INGESTION_ARN}/ingestiondestination/")
    assert response["ingestionDestination"] == {
        "ingestionArn": INGESTION_ARN,
        "processingConfiguration": PROCESSING,
        "destinationConfiguration": S3,
        "status": "Active",
        "createdAt": STARTED,
        "updatedAt": STARTED,
    }


def test_an_update_replaces_the_destination_configuration_and_nothing_else(client: Any, clock: Clock) -> None:
    arn = create(client, tags=[{"key": "team", "value": "audit"}])
    before = get(client, arn)
    clock.sleep(5)

    client.update_ingestion_destination(
        **PARENTS, ingestionDestinationIdentifier=arn, destinationConfiguration=FIREHOSE
    )

    assert get(client, arn) == {
        **before,
        "destinationConfiguration": FIREHOSE,
        "updatedAt": STARTED + timedelta(seconds=5),
    }
    assert client.list_tags_for_resource(resourceArn=arn)["tags"] == [{"key": "team", "value": "audit"}]


def test_a_deleted_destination_is_gone(client: Any) -> None:
    arn = create(client)

    response = client.delete_ingestion_destination(**PARENTS, ingestionDestinationIdentifier=arn)

    assert response["ResponseMetadata"]["HTTPStatusCode"] == 204
    assert code(refusal(get, client=client, arn=arn)) == (404, "ResourceNotFoundException")
    again = refusal(client.delete_ingestion_destination, **PARENTS, ingestionDestinationIdentifier=arn)
    assert code(again) == (404, "ResourceNotFoundException")


@pytest.mark.parametrize("bundle", [BUNDLE, BUNDLE_ARN])
@pytest.mark.parametrize("ingestion", [INGESTION, INGESTION_ARN])
def test_each_identifier_may_be_an_arn_or_a_uuid(client: Any, bundle: str, ingestion: str) -> None:
    parents = {"appBundleIdentifier": bundle, "ingestionIdentifier": ingestion}
    arn = create(client, **parents)

    for identifier in (arn, arn.rpartition("/")[2]):
        found = client.get_ingestion_destination(**parents, ingestionDestinationIdentifier=identifier)
        assert found["ingestionDestination"]["arn"] == arn
    assert client.list_ingestion_destinations(**parents)["ingestionDestinations"] == [{"arn": arn}]


def test_a_new_arn_has_the_partition_and_account_of_its_parents(service: AppFabricEmulator, local: Any) -> None:
    bundle = f"arn:aws-us-gov:appfabric:us-east-1:999988887777:appbundle/{BUNDLE}"

    assert create(local, appBundleIdentifier=bundle).startswith(f"{bundle}/ingestion/{INGESTION}/")


@pytest.mark.parametrize(
    "parents",
    [
        {"appBundleIdentifier": BUNDLE_ARN.replace("us-east-1", "eu-west-1")},
        {"appBundleIdentifier": INGESTION_ARN},
        {"appBundleIdentifier": "arn:aws:s3:::bucket"},
        {
            "appBundleIdentifier": BUNDLE_ARN.replace("111122223333", "999988887777"),
            "ingestionIdentifier": INGESTION_ARN,
        },
        {"ingestionIdentifier": BUNDLE_ARN},
        {"ingestionIdentifier": DESTINATION_ARN},
        {"ingestionIdentifier": INGESTION_ARN.replace(BUNDLE, TOKEN)},
        {"ingestionIdentifier": INGESTION_ARN.replace("us-east-1", "eu-west-1")},
        {"ingestionIdentifier": INGESTION_ARN.upper().replace("ARN", "arn", 1)},
    ],
)
def test_parents_of_another_region_or_shape_do_not_exist(
    service: AppFabricEmulator, local: Any, parents: dict[str, str]
) -> None:
    placed(service)
    refused = refusal(local.create_ingestion_destination, **{**NEW, **parents})
    unlisted = refusal(local.list_ingestion_destinations, **{**PARENTS, **parents})
    unfound = refusal(
        local.get_ingestion_destination, **{**PARENTS, **parents}, ingestionDestinationIdentifier=DESTINATION
    )

    assert code(refused) == (400, "ValidationException")
    assert refused["Error"]["Message"] == "The specified ingestion does not exist"
    assert refused["reason"] == "other"
    assert code(unlisted) == code(unfound) == (404, "ResourceNotFoundException")


@pytest.mark.parametrize("missing", [BUNDLE, INGESTION])
def test_nothing_exists_in_a_missing_app_bundle_or_ingestion(
    service: AppFabricEmulator, local: Any, missing: str
) -> None:
    placed(service)
    service.missing.add(missing)

    for operation in OPERATIONS:
        expected = 400 if operation == "CreateIngestionDestination" else 404
        status, _ = send(service, operation, CORRECT[operation])
        assert (operation, status) == (operation, expected)


def test_a_destination_is_found_only_in_its_own_ingestion(service: AppFabricEmulator, local: Any) -> None:
    placed(service)

    refused = refusal(
        local.get_ingestion_destination,
        appBundleIdentifier=BUNDLE,
        ingestionIdentifier=TOKEN,
        ingestionDestinationIdentifier=DESTINATION,
    )

    assert code(refused) == (404, "ResourceNotFoundException")
    assert refused["resourceId"] == DESTINATION
    assert refused["resourceType"] == "IngestionDestination"


# The client token


def test_the_same_token_and_parameters_give_the_same_destination(client: Any, service: AppFabricEmulator) -> None:
    first = client.create_ingestion_destination(**NEW, clientToken=TOKEN)
    again = client.create_ingestion_destination(**NEW, clientToken=TOKEN)

    assert again["ingestionDestination"] == first["ingestionDestination"]
    assert again["ResponseMetadata"]["HTTPStatusCode"] == 201
    assert len(service.destinations) == 1


@pytest.mark.parametrize("change", [{"destinationConfiguration": FIREHOSE}, {"tags": [{"key": "a", "value": "b"}]}])
def test_the_same_token_with_other_parameters_is_rejected(local: Any, change: dict[str, Any]) -> None:
    create(local, clientToken=TOKEN)

    refused = refusal(local.create_ingestion_destination, **{**NEW, **change, "clientToken": TOKEN})

    assert code(refused) == (400, "IdempotentParameterMismatch")


def test_a_token_whose_destination_was_deleted_creates_a_new_one(local: Any) -> None:
    first = create(local, clientToken=TOKEN)
    local.delete_ingestion_destination(**PARENTS, ingestionDestinationIdentifier=first)

    assert create(local, clientToken=TOKEN) != first


def test_each_call_without_a_token_creates_a_destination(service: AppFabricEmulator) -> None:
    for _ in range(2):
        send(service, "CreateIngestionDestination", NEW)

    assert len(service.destinations) == 2


def test_a_token_is_recognized_although_the_ingestion_is_full(local: Any) -> None:
    first = create(local, clientToken=TOKEN)
    for _ in range(4):
        create(local)

    assert create(local, clientToken=TOKEN) == first


# Limits


def test_a_sixth_destination_on_one_ingestion_exceeds_the_quota(client: Any) -> None:
    for _ in range(5):
        create(client)

    refused = refusal(client.create_ingestion_destination, **NEW)

    assert code(refused) == (402, "ServiceQuotaExceededException")
    assert refused["resourceId"] == INGESTION_ARN
    assert refused["serviceCode"] == "appfabric"
    assert refused["quotaCode"]
    create(client, ingestionIdentifier=TOKEN)


def test_a_firehose_stream_does_not_accept_parquet(local: Any, service: AppFabricEmulator) -> None:
    parquet = {"auditLog": {"schema": "ocsf", "format": "parquet"}}
    arn = create(local, processingConfiguration=parquet)
    update = {**PARENTS, "ingestionDestinationIdentifier": arn, "destinationConfiguration": FIREHOSE}
    new = {**NEW, "processingConfiguration": parquet, "destinationConfiguration": FIREHOSE}

    assert code(refusal(local.create_ingestion_destination, **new)) == (400, "ValidationException")
    assert code(refusal(local.update_ingestion_destination, **update)) == (400, "ValidationException")
    assert service.destinations[arn].destination == S3


# Tags


def test_tags_are_overwritten_added_and_removed(client: Any) -> None:
    arn = create(client, tags=[{"key": "a", "value": "1"}, {"key": "b", "value": "1"}, {"key": "c", "value": ""}])

    client.tag_resource(resourceArn=arn, tags=[{"key": "b", "value": "2"}, {"key": "d &+=%/é", "value": "2"}])
    client.untag_resource(resourceArn=arn, tagKeys=["a", "d &+=%/é", "never"])

    tags = client.list_tags_for_resource(resourceArn=arn)["tags"]
    assert tags == [{"key": "b", "value": "2"}, {"key": "c", "value": ""}]


def test_a_resource_has_at_most_fifty_tags(local: Any, service: AppFabricEmulator) -> None:
    arn = create(local, tags=[{"key": f"k{number}", "value": ""} for number in range(50)])

    local.tag_resource(resourceArn=arn, tags=[{"key": "k0", "value": "changed"}])
    refused = refusal(local.tag_resource, resourceArn=arn, tags=[{"key": "one more", "value": ""}])

    assert code(refused) == (400, "ValidationException")
    assert len(service.destinations[arn].tags) == 50
    assert service.destinations[arn].tags["k0"] == "changed"


@pytest.mark.parametrize("key", ["aws:cloudformation:stack-id", "AWS:x"])
def test_reserved_tag_keys_are_rejected(local: Any, service: AppFabricEmulator, key: str) -> None:
    tags = [{"key": key, "value": ""}]
    placed(service)

    assert code(refusal(local.create_ingestion_destination, **NEW, tags=tags)) == (400, "ValidationException")
    assert code(refusal(local.tag_resource, resourceArn=DESTINATION_ARN, tags=tags)) == (400, "ValidationException")


# Listing


def test_a_list_is_paginated_and_contains_arns(client: Any, service: AppFabricEmulator) -> None:
    service.page_size = 2
    arns = {create(client) for _ in range(5)}
    create(client, ingestionIdentifier=TOKEN)

    pages = list(client.get_paginator("list_ingestion_destinations").paginate(**PARENTS))

    assert [len(page["ingestionDestinations"]) for page in pages] == [2, 2, 1]
    assert {entry["arn"] for page in pages for entry in page["ingestionDestinations"]} == arns
    assert all(entry.keys() == {"arn"} for page in pages for entry in page["ingestionDestinations"])


def test_max_results_can_only_make_a_page_smaller(local: Any, service: AppFabricEmulator) -> None:
    service.page_size = 3
    for _ in range(5):
        create(local)

    assert len(local.list_ingestion_destinations(**PARENTS, maxResults=1)["ingestionDestinations"]) == 1
    assert len(local.list_ingestion_destinations(**PARENTS, maxResults=100)["ingestionDestinations"]) == 3


def test_a_list_continues_after_a_deleted_destination(local: Any, service: AppFabricEmulator) -> None:
    service.page_size = 1
    for _ in range(3):
        create(local)
    page = local.list_ingestion_destinations(**PARENTS)
    first, second, _ = sorted(service.destinations)
    del service.destinations[first]

    following = local.list_ingestion_destinations(**PARENTS, nextToken=page["nextToken"])

    assert following["ingestionDestinations"] == [{"arn": second}]


def test_a_page_token_is_valid_only_for_its_own_list(local: Any, service: AppFabricEmulator) -> None:
    service.page_size = 1
    create(local)
    create(local)
    token = local.list_ingestion_destinations(**PARENTS)["nextToken"]

    made_up = refusal(local.list_ingestion_destinations, **PARENTS, nextToken="made up")
    of_another = refusal(
        local.list_ingestion_destinations, appBundleIdentifier=BUNDLE, ingestionIdentifier=TOKEN, nextToken=token
    )

    assert code(made_up) == code(of_another) == (400, "ValidationException")


# Validation by the model


def walk(shape_name: str, path: tuple[str | int, ...] = ()) -> Iterator[tuple[tuple[str | int, ...], dict[str, Any]]]:
    """Yield every path in a request with its shape, read from the raw model."""
    shape = MODEL_DATA["shapes"][shape_name]
    yield path, shape
    for name, member in shape.get("members", {}).items():
        yield from walk(member["shape"], (*path, name))
    if shape["type"] == "list":
        yield from walk(shape["member"]["shape"], (*path, 0))


def replaced(value: Any, path: tuple[str | int, ...], new: Any) -> Any:
    """Return `value` with `new` at `path`; None removes the member."""
    if not path:
        return new
    head, *rest = path
    if isinstance(head, int):
        return [replaced(value[head], tuple(rest), new)]
    changed = replaced(value.get(head, {}), tuple(rest), new)
    others = {name: member for name, member in value.items() if name != head}
    return others if changed is None else {**others, head: changed}


def at(value: Any, path: tuple[str | int, ...]) -> Any:
    for step in path:
        value = value[step] if isinstance(step, int) else value.get(step, {})
    return value


def wrong(shape: dict[str, Any], location: str | None) -> Iterator[tuple[str, Any]]:
    """Yield values that break one constraint of a shape, each with a word for what is wrong with it."""
    kind = shape["type"]
    if kind == "integer":
        yield from (("text", "text"), ("below", shape["min"] - 1), ("above", shape["max"] + 1))
        return
    if location is None:  # in a path or query everything is text
        yield from (("number", 7), ("truth", True), ("text", "text") if kind != "string" else ("object", {}))
    if kind == "string" and shape.get("min") and location != "uri":  # an empty segment has no route
        yield "short", "x" * (shape["min"] - 1)
    if kind == "string" and "max" in shape:
        yield "long", f"arn:{'x' * (shape['max'] - 3)}"
    if "pattern" in shape:
        yield from (("foreign", "not-this"), ("upper case", TOKEN.upper()), ("more", f"{TOKEN}0\n"))
    if "enum" in shape:
        yield from (("foreign", "not-this"), ("upper case", shape["enum"][0].upper()))
    if shape.get("union"):
        yield "none", {}


def breaches(operation: str) -> Iterator[Any]:
    """Yield requests that break one constraint each, with the path of the invalid member."""
    input_name = MODEL_DATA["operations"][operation]["input"]["shape"]
    for path, shape in walk(input_name):
        request = CORRECT[operation]
        if "firehoseStream" in path:
            request = {**request, "destinationConfiguration": FIREHOSE}
        member = MODEL_DATA["shapes"][input_name]["members"][path[0]] if path else {}
        cases = [("", what, value) for what, value in (wrong(shape, member.get("location")) if path else ())]
        for required in shape.get("required", []):
            if shape["members"][required].get("location") != "uri":
                cases.append((required, "absent", None))
        if shape["type"] == "list":
            cases.append(("", "long", at(request, path)[:1] * (shape["max"] + 1)))
        if "s3Bucket" in shape.get("members", {}):
            cases.append(("", "both", {**at(S3, path[1:]), **at(FIREHOSE, path[1:])}))
        for below, what, value in cases:
            to = (*path, below) if below else path
            blamed = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in to)[1:]
            yield pytest.param(operation, replaced(request, to, value), blamed, id=f"{operation}-{blamed}-{what}")


@pytest.mark.parametrize(
    ("operation", "request_", "blamed"), [case for operation in OPERATIONS for case in breaches(operation)]
)
def test_each_constraint_of_the_model_is_validated(operation: str, request_: dict[str, Any], blamed: str) -> None:
    service = AppFabricEmulator()
    placed(service)
    before = dict(service.destinations)

    status, body = send(service, operation, request_)

    assert status == 400
    assert body["reason"] == "fieldValidationFailed"
    assert {field["name"] for field in body["fieldList"]} == {blamed}
    assert blamed in body["message"]
    assert service.destinations == before
    assert service.calls[-1].error == "ValidationException"


@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_valid_request_gets_the_modeled_status_and_members(operation: str) -> None:
    service = AppFabricEmulator()
    placed(service, tags={"team": "audit"})
    shape = MODEL.operation_model(operation).output_shape

    response = service.handle(serialized(operation, CORRECT[operation]), NoConnection())

    assert response.status == MODEL_DATA["operations"][operation]["http"]["responseCode"]
    body = json.loads(response.body or b"{}")
    assert body.keys() <= shape.members.keys()
    if "ingestionDestination" in body:
        described = body["ingestionDestination"]
        assert described.keys() <= MODEL.shape_for("IngestionDestination").members.keys()
        datetime.strptime(described["createdAt"], "%Y-%m-%dT%H:%M:%S.%fZ")
    assert not ParamValidator().validate(body, shape).has_errors()


def test_all_validation_errors_are_reported_at_once(client: Any) -> None:
    refused = refusal(
        client.create_ingestion_destination,
        appBundleIdentifier="bundle",
        ingestionIdentifier=INGESTION,
        processingConfiguration={"auditLog": {"schema": "cef", "format": "csv"}},
        destinationConfiguration={"auditLog": {"destination": {"s3Bucket": {"bucketName": "b" * 64}}}},
        clientToken="t1",
    )

    assert code(refused) == (400, "ValidationException")
    assert refused["reason"] == "fieldValidationFailed"
    assert [field["name"] for field in refused["fieldList"]] == [
        "appBundleIdentifier",
        "processingConfiguration.auditLog.schema",
        "processingConfiguration.auditLog.format",
        "destinationConfiguration.auditLog.destination.s3Bucket.bucketName",
        "clientToken",
    ]


def texts(**limits: int) -> st.SearchStrategy[str]:
    return st.text(st.characters(exclude_categories=["Cs"]), **limits)


def values(shape_name: str) -> st.SearchStrategy[Any]:
    """Return anything that botocore can serialize as a shape, valid or not."""
    shape = MODEL_DATA["shapes"][shape_name]
    match shape["type"]:
        case "structure":
            members = {name: values(member["shape"]) for name, member in shape["members"].items()}
            if shape.get("union"):
                return st.one_of([st.fixed_dictionaries({name: member}) for name, member in members.items()])
            return st.fixed_dictionaries(members)
        case "list":
            return st.lists(values(shape["member"]["shape"]), min_size=1, max_size=4)
        case "integer":
            return st.integers(-5, 500)
        case _:
            return texts(min_size=1, max_size=40)


@pytest.mark.parametrize("operation", OPERATIONS)
def test_parameters_are_decoded_as_botocore_serialized_them(operation: str) -> None:
    @settings(deadline=None)
    @given(values(MODEL_DATA["operations"][operation]["input"]["shape"]))
    def arrive(request: dict[str, Any]) -> None:
        sent = serialized(operation, request)
        assert route(sent).name == operation
        assert parameters(MODEL.operation_model(operation), sent) == request

    arrive()


@settings(deadline=None)
@given(st.binary(max_size=60))
def test_no_body_breaks_the_service(body: bytes) -> None:
    target = serialized("CreateIngestionDestination", NEW).target

    response = AppFabricEmulator().handle(HttpRequest(method="POST", target=target, body=body), NoConnection())

    assert response.status == 400
    assert response.headers["x-amzn-ErrorType"] == "ValidationException"


@pytest.mark.parametrize("body", [b"{", b"[]", b'"text"', b"\xff", b"[" * 100_000])
def test_a_body_that_is_not_a_json_object_cannot_be_parsed(service: AppFabricEmulator, body: bytes) -> None:
    target = serialized("CreateIngestionDestination", NEW).target

    response = service.handle(HttpRequest(method="POST", target=target, body=body), NoConnection())

    assert response.status == 400
    assert json.loads(response.body)["reason"] == "cannotParse"
    assert service.calls[0].operation == "CreateIngestionDestination"


def test_null_is_absent_and_unknown_members_are_ignored(service: AppFabricEmulator) -> None:
    target = serialized("CreateIngestionDestination", NEW).target
    body = {**NEW, "tags": None, "new": 1, "processingConfiguration": {**PROCESSING, "new": 1}}

    response = service.handle(HttpRequest(method="POST", target=target, body=json.dumps(body).encode()), NoConnection())

    assert response.status == 201
    (destination,) = service.destinations.values()
    assert destination.processing == PROCESSING


def test_an_ingestion_is_disabled_until_it_is_started_and_when_a_destination_is_deleted(client: Any) -> None:
    def state() -> Any:
        return client.get_ingestion(**PARENTS)["ingestion"]["state"]

    created = client.create_ingestion_destination(**NEW)["ingestionDestination"]["arn"]
    assert state() == "disabled"
    client.start_ingestion(**PARENTS)
    assert state() == "enabled"
    client.stop_ingestion(**PARENTS)
    assert state() == "disabled"
    client.start_ingestion(**PARENTS)
    client.delete_ingestion_destination(**PARENTS, ingestionDestinationIdentifier=created)
    assert state() == "disabled"


def test_the_ingestion_whose_uuid_is_all_zeros_does_not_exist(client: Any) -> None:
    nowhere = {**PARENTS, "ingestionIdentifier": "00000000-0000-0000-0000-000000000000"}
    assert code(refusal(client.get_ingestion, **nowhere)) == (404, "ResourceNotFoundException")
    assert code(refusal(client.create_ingestion_destination, **{**NEW, **nowhere})) == (400, "ValidationException")


def test_an_operation_that_is_not_emulated_fails_with_one_of_its_own_errors(client: Any) -> None:
    refused = refusal(client.get_app_bundle, appBundleIdentifier=BUNDLE)
    assert code(refused) == (400, "ValidationException")
    assert refused["reason"] == "unknownOperation"
    assert refused["Error"]["Message"] == "GetAppBundle is not emulated"


# Errors


@pytest.mark.parametrize("error", [shape.name for shape in MODEL.error_shapes])
def test_every_modeled_error_reaches_the_client_with_all_its_members(
    client: Any, service: AppFabricEmulator, error: str
) -> None:
    shape = MODEL.shape_for(error)
    operation = next(name for name in CORRECT if error in errors_of(name))
    service.inject(Fault(operation=operation, error=error, retry_after=7))

    with pytest.raises(getattr(client.exceptions, error)) as raised:
        getattr(client, xform_name(operation))(**CORRECT[operation])

    response = raised.value.response
    assert code(response) == (shape.metadata["error"]["httpStatusCode"], error)
    assert response["Error"]["Message"] in shape.documentation
    assert response["ResponseMetadata"]["HTTPHeaders"]["x-amzn-errortype"] == error
    assert all(response[member] for member in shape.required_members if member != "message")
    assert response.get("retryAfterSeconds") == (7 if "retryAfterSeconds" in shape.members else None)


def test_an_injected_error_has_its_message_and_members(client: Any, service: AppFabricEmulator) -> None:
    service.inject(
        Fault(
            operation="CreateIngestionDestination",
            error="ConflictException",
            message="busy",
            members={"resourceId": "this one", "resourceType": "X"},
        )
    )

    refused = refusal(client.create_ingestion_destination, **NEW)

    assert code(refused) == (409, "ConflictException")
    assert refused["Error"]["Message"] == "busy"
    assert (refused["resourceId"], refused["resourceType"]) == ("this one", "X")


def test_an_unmodeled_error_has_the_given_status(client: Any, service: AppFabricEmulator) -> None:
    service.inject(Fault(error="ServiceUnavailable", http_status=503, message="later", retry_after=2))

    refused = refusal(client.list_ingestion_destinations, **PARENTS)

    assert code(refused) == (503, "ServiceUnavailable")
    assert refused["ResponseMetadata"]["HTTPHeaders"]["retry-after"] == "2"


def test_a_client_with_default_settings_retries_throttling(
    service: AppFabricEmulator, session: boto3.Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("botocore.endpoint.time.sleep", lambda _: None)
    client = session.client("appfabric")
    attach(client, service)
    service.inject(Fault(operation="ListIngestionDestinations", error="ThrottlingException", times=2))

    client.list_ingestion_destinations(**PARENTS)

    assert [call.status for call in service.calls] == [429, 429, 200]


# Faults


def test_a_fault_skips_calls_applies_and_ends(local: Any, service: AppFabricEmulator) -> None:
    service.inject(Fault(operation="ListIngestionDestinations", error="InternalServerException", skip=1, times=2))
    create(local)

    for _ in range(4):
        send(service, "ListIngestionDestinations", PARENTS)

    assert [call.status for call in service.calls] == [201, 200, 500, 500, 200]


def test_faults_apply_in_the_order_injected(service: AppFabricEmulator) -> None:
    service.inject(Fault(error="ThrottlingException", times=2))
    service.inject(Fault(operation="ListIngestionDestinations", error="InternalServerException"))

    for _ in range(4):
        send(service, "ListIngestionDestinations", PARENTS)

    assert [call.status for call in service.calls] == [429, 429, 500, 200]


def test_the_next_fault_can_apply_to_a_skipped_call(service: AppFabricEmulator) -> None:
    service.inject(Fault(error="ThrottlingException", skip=1))
    service.inject(Fault(error="InternalServerException"))

    for _ in range(3):
        send(service, "ListIngestionDestinations", PARENTS)

    assert [call.status for call in service.calls] == [500, 429, 200]


@pytest.mark.parametrize(("after", "made"), [(False, 0), (True, 1)])
@pytest.mark.parametrize(
    ("fault", "raised", "recorded"),
    [
        ({"error": "InternalServerException"}, ClientError, (500, "InternalServerException")),
        ({"cut": True}, ConnectionClosedError, (None, "cut")),
    ],
)
def test_a_fault_applies_before_or_after_the_effect(
    client: Any,
    service: AppFabricEmulator,
    fault: dict[str, Any],
    *,
    raised: type[Exception],
    recorded: tuple[int | None, str],
    after: bool,
    made: int,
) -> None:
    service.inject(Fault(operation="CreateIngestionDestination", after=after, **fault))

    with pytest.raises(raised):
        create(client)

    assert len(service.destinations) == made
    assert [(call.status, call.error) for call in service.calls] == [recorded]


def test_a_connection_cut_after_the_effect_hides_an_error_too(local: Any, service: AppFabricEmulator) -> None:
    service.inject(Fault(operation="GetIngestionDestination", cut=True, after=True))

    with pytest.raises(ConnectionClosedError):
        get(local, DESTINATION)


@pytest.mark.parametrize(("after", "made"), [(False, 0), (True, 1)])
def test_a_hang_in_process_takes_the_given_seconds(
    local: Any, service: AppFabricEmulator, clock: Clock, after: bool, made: int
) -> None:
    service.inject(Fault(hang=3, after=after))

    with pytest.raises(ReadTimeoutError):
        create(local)

    assert clock.passed == 3
    assert len(service.destinations) == made
    assert [(call.status, call.error) for call in service.calls] == [(None, "hang")]


def test_a_hang_in_process_takes_no_longer_than_the_client_waits(
    local: Any, service: AppFabricEmulator, clock: Clock
) -> None:
    service.inject(Fault(hang=600))

    with pytest.raises(ReadTimeoutError):
        create(local)

    assert clock.passed == 10


@pytest.mark.parametrize(("after", "made_at"), [(False, 4), (True, 0)])
def test_a_delay_applies_before_or_after_the_effect(
    local: Any, service: AppFabricEmulator, clock: Clock, after: bool, made_at: int
) -> None:
    service.inject(Fault(delay=4, after=after))

    arn = create(local)

    assert service.destinations[arn].created_at == STARTED + timedelta(seconds=made_at)
    assert clock.passed == 4


def test_a_call_delayed_past_the_read_timeout_still_takes_effect(
    local: Any, service: AppFabricEmulator, clock: Clock
) -> None:
    service.inject(Fault(delay=11))

    with pytest.raises(ReadTimeoutError):
        create(local)

    assert clock.passed == 10
    assert len(service.destinations) == 1
    assert service.calls[0].status == 201


def test_a_delay_over_http_is_real_time(remote: Any, service: AppFabricEmulator) -> None:
    service.inject(Fault(delay=0.001))

    assert create(remote) in service.destinations


def test_a_dripping_response_arrives_complete(client: Any, service: AppFabricEmulator) -> None:
    service.inject(Fault(drip=0.0))

    assert create(client) in service.destinations


def test_a_dripping_response_takes_its_time(local: Any, service: AppFabricEmulator, clock: Clock) -> None:
    service.inject(Fault(drip=0.5))

    create(local)

    assert clock.passed > 0.5 * len(json.dumps(S3))


@pytest.mark.parametrize(
    "fault",
    [
        {},
        {"cut": True, "hang": 1.0},
        {"error": "ThrottlingException", "delay": 1.0},
        {"error": "NoSuchException"},
        {"operation": "CreateIngestionDestinations", "cut": True},
    ],
)
def test_an_inconsistent_fault_is_rejected(fault: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"fault is exactly one|not in the service model|no operation"):
        Fault(**fault)


def test_injected_faults_can_be_cleared(local: Any, service: AppFabricEmulator) -> None:
    service.inject(Fault(cut=True))
    service.inject(Outcome(operation="CreateIngestionDestination", status="Failed"))

    service.clear_injections()

    assert get(local, create(local))["status"] == "Active"


def test_a_rate_limit_throttles_with_retry_after(local: Any, service: AppFabricEmulator, clock: Clock) -> None:
    service.rate_limit = RateLimit(rate=0.5, burst=2)

    for _ in range(2):
        local.list_ingestion_destinations(**PARENTS)
    refused = refusal(local.list_ingestion_destinations, **PARENTS)
    clock.sleep(refused["retryAfterSeconds"])
    local.list_ingestion_destinations(**PARENTS)

    assert code(refused) == (429, "ThrottlingException")
    assert refused["retryAfterSeconds"] == 2
    assert [call.status for call in service.calls] == [200, 200, 429, 200]


# Outcomes


def test_a_status_may_be_absent_at_first(client: Any, service: AppFabricEmulator) -> None:
    service.inject(Outcome(operation="CreateIngestionDestination", pending_gets=2))

    created = client.create_ingestion_destination(**NEW)["ingestionDestination"]

    statuses = [get(client, created["arn"]).get("status") for _ in range(3)]
    assert [created.get("status"), *statuses] == [None, None, None, "Active"]


def test_a_destination_may_fail_with_a_reason(client: Any, service: AppFabricEmulator) -> None:
    service.inject(
        Outcome(
            operation="CreateIngestionDestination", status="Failed", status_reason="storage is full", pending_gets=1
        )
    )

    arn = create(client)

    assert "statusReason" not in get(client, arn)
    assert get(client, arn)["statusReason"] == "storage is full"
    assert get(client, create(client))["status"] == "Active"


def test_an_update_may_make_a_destination_fail_and_recover(local: Any, service: AppFabricEmulator) -> None:
    update = {**PARENTS, "ingestionDestinationIdentifier": placed(service), "destinationConfiguration": FIREHOSE}
    service.inject(Outcome(operation="UpdateIngestionDestination", status="Failed", status_reason="no such stream"))
    service.inject(Outcome(operation="UpdateIngestionDestination", skip=1, status="Active"))

    updates = [local.update_ingestion_destination(**update)["ingestionDestination"] for _ in range(3)]

    assert [(update["status"], update.get("statusReason")) for update in updates] == [
        ("Failed", "no such stream"),
        ("Failed", "no such stream"),
        ("Active", None),
    ]


def test_a_created_destination_may_be_hidden_from_the_first_gets(local: Any, service: AppFabricEmulator) -> None:
    service.inject(Outcome(operation="CreateIngestionDestination", hidden_gets=2))

    arn = create(local)

    for _ in range(2):
        assert code(refusal(get, client=local, arn=arn)) == (404, "ResourceNotFoundException")
    assert get(local, arn)["arn"] == arn


def test_a_deleted_destination_may_linger(local: Any, service: AppFabricEmulator) -> None:
    arn = placed(service)
    service.inject(Outcome(operation="DeleteIngestionDestination", lingering_gets=2))

    local.delete_ingestion_destination(**PARENTS, ingestionDestinationIdentifier=arn)

    assert not service.destinations
    assert [get(local, arn)["arn"] for _ in range(2)] == [arn, arn]
    assert code(refusal(get, client=local, arn=arn)) == (404, "ResourceNotFoundException")


def test_a_rejected_create_does_not_use_up_an_outcome(local: Any, service: AppFabricEmulator) -> None:
    service.inject(Outcome(operation="CreateIngestionDestination", status="Failed"))
    service.missing.add(INGESTION)
    refusal(local.create_ingestion_destination, **NEW)
    service.missing.clear()

    assert get(local, create(local))["status"] == "Failed"


# Observation and state


def test_calls_are_recorded_in_order_with_their_decoded_parameters(client: Any, service: AppFabricEmulator) -> None:
    arn = create(client, appBundleIdentifier=BUNDLE_ARN, clientToken=TOKEN)
    refusal(client.untag_resource, resourceArn=DESTINATION_ARN, tagKeys=["a", "b"])

    assert service.calls == [
        Call(
            operation="CreateIngestionDestination",
            parameters={**NEW, "appBundleIdentifier": BUNDLE_ARN, "clientToken": TOKEN},
            status=201,
            at=STARTED,
        ),
        Call(
            operation="UntagResource",
            parameters={"resourceArn": DESTINATION_ARN, "tagKeys": ["a", "b"]},
            status=404,
            error="ResourceNotFoundException",
            at=STARTED,
        ),
    ]
    assert arn in service.destinations


def test_subscribers_see_each_call_once_after_its_outcome(local: Any, service: AppFabricEmulator) -> None:
    seen: list[tuple[str, int | None, str | None]] = []
    service.subscribe(lambda call: seen.append((call.operation, call.status, call.error)))
    service.inject(Fault(operation="GetIngestionDestination", cut=True))

    arn = create(local)
    with pytest.raises(ConnectionClosedError):
        get(local, arn)

    assert seen == [("CreateIngestionDestination", 201, None), ("GetIngestionDestination", None, "cut")]


def test_a_destination_is_placed_as_given(client: Any, service: AppFabricEmulator) -> None:
    created_at = STARTED - timedelta(days=7)
    placed(service, status=None, tags={"a": "1"}, created_at=created_at)

    assert get(client, DESTINATION) == {
        "arn": DESTINATION_ARN,
        "ingestionArn": INGESTION_ARN,
        "processingConfiguration": PROCESSING,
        "destinationConfiguration": S3,
        "createdAt": created_at,
        "updatedAt": created_at,
    }
    assert service.destinations[DESTINATION_ARN].tags == {"a": "1"}


@pytest.mark.parametrize("arn", [INGESTION_ARN, "arn:aws:s3:::bucket", DESTINATION])
def test_only_a_destination_can_be_placed(service: AppFabricEmulator, arn: str) -> None:
    with pytest.raises(ValueError, match="is not the ARN of an ingestion destination"):
        placed(service, arn=arn)


def test_a_reset_clears_everything(local: Any, service: AppFabricEmulator) -> None:
    first = create(local, clientToken=TOKEN)
    service.inject(Fault(cut=True))
    service.missing.add(BUNDLE)

    service.reset()

    assert not service.calls
    assert not service.destinations
    assert create(local, clientToken=TOKEN) != first


def test_concurrent_clients_create_no_more_than_the_quota(service: AppFabricEmulator) -> None:
    start = threading.Barrier(12)

    def call() -> None:
        start.wait()
        send(service, "CreateIngestionDestination", NEW)

    threads = [threading.Thread(target=call) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(call.status for call in service.calls if call.status) == [201] * 5 + [402] * 7


# HTTP


def ask(url: str, method: str, target: str, body: Any = None) -> tuple[int, Any]:
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=10)
    try:
        connection.request(method, target, body=None if body is None else json.dumps(body))
        response = connection.getresponse()
        return response.status, json.loads(response.read() or b"null")
    finally:
        connection.close()


@pytest.mark.parametrize("separators", [("%2F", "%3A"), ("%2f", "%3a"), ("%2F", ":")])
def test_an_arn_is_one_encoded_segment_of_the_path(
    url: str, service: AppFabricEmulator, separators: tuple[str, str]
) -> None:
    placed(service, tags={"a": "1"})
    arn = DESTINATION_ARN.replace("/", separators[0]).replace(":", separators[1])

    assert ask(url, "GET", f"/tags/{arn}") == (200, {"tags": [{"key": "a", "value": "1"}]})


@pytest.mark.parametrize(
    ("method", "target"),
    [
        ("GET", f"/tags/{DESTINATION_ARN}"),
        ("PUT", f"/tags/{quote(DESTINATION_ARN, safe='')}"),
        ("GET", f"/appbundles/{BUNDLE}/ingestions//ingestiondestinations"),
        ("GET", "/"),
    ],
)
def test_a_path_without_a_route_is_an_unknown_operation(
    url: str, service: AppFabricEmulator, method: str, target: str
) -> None:
    status, body = ask(url, method, target)

    assert (status, body["reason"]) == (400, "unknownOperation")
    assert service.calls[0].operation == f"{method} {target}"


def test_a_path_that_cannot_be_decoded_cannot_be_parsed(url: str) -> None:
    status, body = ask(url, "GET", "/tags/%FF")

    assert (status, body["reason"]) == (400, "cannotParse")


def test_tag_keys_are_a_repeated_query_parameter(url: str, service: AppFabricEmulator) -> None:
    placed(service, tags={"a": "1", "b c": "2", "d": "3"})

    status, _ = ask(url, "DELETE", f"/tags/{quote(DESTINATION_ARN, safe='')}?tagKeys=a&tagKeys=b%20c")

    assert status == 200
    assert service.destinations[DESTINATION_ARN].tags == {"d": "3"}


def test_a_connection_is_reused_for_the_next_call(url: str, service: AppFabricEmulator) -> None:
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=10)
    delete = serialized("DeleteIngestionDestination", CORRECT["DeleteIngestionDestination"])
    placed(service)
    connection.request(delete.method, delete.target)
    first = connection.getresponse()
    first.read()
    used = connection.sock
    connection.request(delete.method, delete.target)
    second = connection.getresponse()
    second.read()

    assert (first.status, second.status) == (204, 404)
    assert connection.sock is used
    assert "Content-Length" not in first.headers
    connection.close()


@pytest.mark.parametrize("fault", [{"hang": 60.0}, {"hang": 60.0, "after": True}, {"delay": 3600.0}, {"drip": 3600.0}])
def test_the_server_closes_promptly_during_a_call(fault: dict[str, Any]) -> None:
    arrived = threading.Event()

    def now() -> datetime:
        arrived.set()
        return STARTED

    service = AppFabricEmulator(now=now)
    service.inject(Fault(**fault))
    sent = serialized("DeleteIngestionDestination", CORRECT["DeleteIngestionDestination"])
    with serve(service) as url:
        connection = socket.create_connection(("127.0.0.1", urlsplit(url).port or 0), timeout=10)
        connection.sendall(f"{sent.method} {sent.target} HTTP/1.1\r\n\r\n".encode())
        assert arrived.wait(10)

    with connection:
        assert len(b"".join(iter(lambda: connection.recv(100), b""))) <= 1


def test_a_client_that_abandons_a_hanging_call_can_call_again(
    url: str, remote: Any, service: AppFabricEmulator, session: boto3.Session
) -> None:
    hung = threading.Event()
    service.subscribe(lambda call: hung.set())
    service.inject(Fault(hang=60, after=True))
    impatient = session.client(
        "appfabric",
        endpoint_url=url,
        config=Config(retries={"total_max_attempts": 1}, read_timeout=0.1),
    )

    with pytest.raises(ReadTimeoutError):
        create(impatient, clientToken=TOKEN)
    impatient.close()
    assert hung.wait(10)

    assert create(remote, clientToken=TOKEN) in service.destinations
    assert len(service.destinations) == 1
    assert [(call.status, call.error) for call in service.calls] == [(None, "hang"), (201, None)]


def test_faults_are_injected_and_cleared_over_http(remote: Any, url: str) -> None:
    fault = {"operation": "ListIngestionDestinations", "error": "ThrottlingException", "retry_after": 3, "times": 9}

    assert ask(url, "POST", "/_emulator/faults", [fault]) == (200, {})
    refused = refusal(remote.list_ingestion_destinations, **PARENTS)
    assert ask(url, "DELETE", "/_emulator/faults") == (200, {})

    assert refused["retryAfterSeconds"] == 3
    remote.list_ingestion_destinations(**PARENTS)


def test_outcomes_are_injected_over_http(remote: Any, url: str) -> None:
    outcome = {"operation": "CreateIngestionDestination", "status": "Failed", "status_reason": "full"}

    assert ask(url, "POST", "/_emulator/outcomes", [outcome]) == (200, {})

    assert get(remote, create(remote))["statusReason"] == "full"


def test_calls_are_listed_over_http(remote: Any, url: str) -> None:
    remote.list_ingestion_destinations(**PARENTS)

    assert ask(url, "GET", "/_emulator/calls") == (
        200,
        [
            {
                "operation": "ListIngestionDestinations",
                "parameters": PARENTS,
                "status": 200,
                "error": None,
                "at": STARTED.isoformat(),
            }
        ],
    )


def test_destinations_are_placed_and_listed_over_http(url: str, service: AppFabricEmulator) -> None:
    placing = {
        "arn": DESTINATION_ARN,
        "processingConfiguration": PROCESSING,
        "destinationConfiguration": S3,
        "tags": [{"key": "a", "value": "1"}],
        "status": "Failed",
        "statusReason": "full",
        "createdAt": "2026-11-01T00:00:00.000Z",
    }
    shown = {**placing, "ingestionArn": INGESTION_ARN, "updatedAt": "2026-11-01T00:00:00.000Z"}

    assert ask(url, "POST", "/_emulator/destinations", placing) == (200, shown)
    assert ask(url, "GET", "/_emulator/destinations") == (200, [shown])
    assert not service.calls


def test_a_reset_over_http_clears_everything(url: str, service: AppFabricEmulator) -> None:
    placed(service)

    assert ask(url, "POST", "/_emulator/reset") == (200, {})

    assert not service.destinations


@pytest.mark.parametrize(
    ("method", "target", "body"),
    [
        ("POST", "/_emulator/faults", [{"cut": True}, {"eror": "ThrottlingException"}]),
        ("POST", "/_emulator/faults", {"cut": True}),
        ("POST", "/_emulator/destinations", {"arn": DESTINATION_ARN}),
        ("POST", "/_emulator/destinations", []),
        ("GET", "/_emulator/nothing", None),
        ("DELETE", "/_emulator/calls", None),
    ],
)
def test_an_invalid_injection_over_http_is_rejected_and_changes_nothing(
    url: str, remote: Any, service: AppFabricEmulator, *, method: str, target: str, body: Any
) -> None:
    status, said = ask(url, method, target, body)

    assert status == 400
    assert said["message"]
    assert not service.destinations
    remote.list_ingestion_destinations(**PARENTS)


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM])
def test_it_runs_standalone_and_exits_cleanly(ending: signal.Signals) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "local.appfabric", "--port", "0"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout
        lines = [process.stdout.readline() for _ in range(4)]
        url = lines[1].split("=")[1].strip()
        status, _ = ask(url, "GET", f"/tags/{quote(DESTINATION_ARN, safe='')}")
        printed = process.stdout.readline()
    finally:
        process.send_signal(ending)
        output, errors = process.communicate(timeout=10)

    assert lines[1].startswith("  export AWS_ENDPOINT_URL_APPFABRIC=http://127.0.0.1:")
    assert "aws appfabric list-ingestion-destinations" in lines[3]
    assert status == 404
    assert printed.endswith("ListTagsForResource 404 ResourceNotFoundException\n")
    assert (process.returncode, output, errors) == (0, "", "")


def test_a_port_in_use_is_reported_in_one_line(url: str) -> None:
    process = subprocess.run(
        [sys.executable, "-m", "local.appfabric", "--port", str(urlsplit(url).port)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )

    assert process.returncode == 1
    assert process.stderr.count("\n") == 1
    assert "in use" in process.stderr


def test_new_ids_are_uuids(local: Any) -> None:
    assert uuid.UUID(create(local).rpartition("/")[2])


# Errors that an operation can have


@pytest.mark.parametrize(
    ("operation", "error"),
    [
        ("GetIngestionDestination", "ConflictException"),
        ("CreateIngestionDestination", "ResourceNotFoundException"),
        ("TagResource", "ServiceQuotaExceededException"),
    ],
)
def test_an_error_that_is_not_the_operations_cannot_be_injected(operation: str, error: str) -> None:
    with pytest.raises(ValueError, match=f"{error} is no error of"):
        Fault(operation=operation, error=error)


def test_an_error_for_any_operation_applies_to_the_first_that_can_have_it(
    client: Any, service: AppFabricEmulator
) -> None:
    service.inject(Fault(error="ConflictException"))
    client.list_ingestion_destinations(**PARENTS)
    assert code(refusal(client.create_ingestion_destination, **NEW)) == (409, "ConflictException")


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_every_error_is_modeled_or_documented_for_its_operation(data: st.DataObject) -> None:
    """Whatever is sent. The errors of clientToken and of nextToken are documented, though not modeled."""
    service = AppFabricEmulator()
    placed(service)
    service.created_by[TOKEN] = ({}, DESTINATION_ARN)
    operation = data.draw(st.sampled_from(sorted(CORRECT)))
    request = dict(CORRECT[operation])
    members = MODEL_DATA["shapes"][MODEL_DATA["operations"][operation]["input"]["shape"]]["members"]
    for name in data.draw(st.sets(st.sampled_from(sorted(request)))):
        odd: list[Any] = ["x", BUNDLE, INGESTION_ARN, DESTINATION_ARN, TOKEN]
        if "location" not in members[name]:
            odd += [None, "", 7, [], {}]
        request[name] = data.draw(st.sampled_from(odd))
    status, body = send(service, operation, request)
    if status >= 400:
        (call,) = service.calls
        documented = {"CreateIngestionDestination": {"IdempotentParameterMismatch"}}.get(operation, set())
        modeled = {shape.name for shape in MODEL.operation_model(operation).error_shapes}
        assert call.error in modeled | documented, body


def test_a_page_token_expires_after_a_day(client: Any, service: AppFabricEmulator, clock: Clock) -> None:
    service.page_size = 1
    for _ in range(2):
        create(client)
    token = client.list_ingestion_destinations(**PARENTS)["nextToken"]
    clock.sleep(24 * 3600)
    assert client.list_ingestion_destinations(**PARENTS, nextToken=token)["ingestionDestinations"]
    clock.sleep(1)
    assert code(refusal(client.list_ingestion_destinations, **PARENTS, nextToken=token)) == (400, "InvalidToken")
