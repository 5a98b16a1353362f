"""Invalid properties get one response that names their paths, invalid events get none; neither leads to a call."""

from typing import Any

import pytest

from ingestion_destination.cloudformation.request import NotARequest
from tests.conftest import Logs
from tests.support.custom_resource import Context, CustomResource
from tests.support.properties import BUNDLE, processing, properties, to_bucket, to_stream

SECRET = "s3cr3t-value"


def destination(value: Any) -> dict[str, Any]:
    return {"AuditLog": {"Destination": value}}


WRONG = {
    "no app bundle": ({"AppBundleIdentifier": None}, "exactly one of AppBundleIdentifier, AppBundleArn (has none)"),
    "both names of the app bundle": (
        {"AppBundleArn": BUNDLE},
        "exactly one of AppBundleIdentifier, AppBundleArn (has AppBundleIdentifier and AppBundleArn)",
    ),
    "no ingestion": ({"IngestionIdentifier": None}, "exactly one of IngestionIdentifier, IngestionArn (has none)"),
    "upper-case UUID": (
        {"IngestionIdentifier": "22222222-2222-4222-8222-22222222222A"},
        "IngestionIdentifier must be the ARN of an ingestion",
    ),
    "a list for a string": ({"IngestionIdentifier": [SECRET]}, "IngestionIdentifier must be a string"),
    "an empty identifier": ({"IngestionIdentifier": ""}, "IngestionIdentifier must be the ARN of an ingestion"),
    "no processing": ({"ProcessingConfiguration": None}, "ProcessingConfiguration is required"),
    "empty processing": ({"ProcessingConfiguration": {}}, "ProcessingConfiguration.AuditLog is required"),
    "no schema": (
        {"ProcessingConfiguration": {"AuditLog": {"Format": "json"}}},
        "ProcessingConfiguration.AuditLog.Schema is required",
    ),
    "wrong case": (
        {"ProcessingConfiguration": processing("OCSF", "json")},
        "ProcessingConfiguration.AuditLog.Schema must be one of ocsf, raw",
    ),
    "wrong format": (
        {"ProcessingConfiguration": processing("raw", "xml")},
        "ProcessingConfiguration.AuditLog.Format must be one of json, parquet",
    ),
    "a string for an object": ({"ProcessingConfiguration": SECRET}, "ProcessingConfiguration must be an object"),
    "no destination": ({"DestinationConfiguration": None}, "DestinationConfiguration is required"),
    "neither": (
        {"DestinationConfiguration": destination({})},
        "DestinationConfiguration.AuditLog.Destination must have exactly one of S3Bucket, FirehoseStream (has none)",
    ),
    "both": (
        {
            "DestinationConfiguration": destination(
                {"S3Bucket": {"BucketName": "abc"}, "FirehoseStream": {"StreamName": "abc"}}
            )
        },
        "DestinationConfiguration.AuditLog.Destination must have exactly one of S3Bucket, FirehoseStream "
        "(has S3Bucket and FirehoseStream)",
    ),
    "a list for an object": (
        {"DestinationConfiguration": destination([{"S3Bucket": {"BucketName": SECRET}}])},
        "DestinationConfiguration.AuditLog.Destination must be an object",
    ),
    "a typo": (
        {"DestinationConfiguration": destination({"S3Bucket": {"BukcetName": SECRET}})},
        "DestinationConfiguration.AuditLog.Destination.S3Bucket.BukcetName is unknown, did you mean BucketName?",
    ),
    "short bucket": (
        {"DestinationConfiguration": to_bucket("ab")},
        "S3Bucket.BucketName must have 3 to 63 characters (has 2)",
    ),
    "long bucket": (
        {"DestinationConfiguration": to_bucket("a" * 64)},
        "S3Bucket.BucketName must have 3 to 63 characters (has 64)",
    ),
    "long prefix": (
        {"DestinationConfiguration": to_bucket("abc", prefix="p" * 121)},
        "S3Bucket.Prefix must have 1 to 120 characters (has 121)",
    ),
    "empty prefix": (
        {"DestinationConfiguration": destination({"S3Bucket": {"BucketName": "abc", "Prefix": ""}})},
        "S3Bucket.Prefix must have 1 to 120 characters (has 0)",
    ),
    "long stream": (
        {"DestinationConfiguration": to_stream("s" * 65)},
        "FirehoseStream.StreamName must have 3 to 64 characters (has 65)",
    ),
    "parquet to a stream": (
        {
            "DestinationConfiguration": to_stream("abc"),
            "ProcessingConfiguration": processing("ocsf", "parquet"),
        },
        "ProcessingConfiguration.AuditLog.Format must be json when the destination is a FirehoseStream",
    ),
    "tags as a map": ({"Tags": {"team": SECRET}}, "Tags must be a list"),
    "a tag without value": ({"Tags": [{"Key": "team"}]}, "Tags[0].Value is required"),
    "a tag without key": ({"Tags": [{"Value": SECRET}]}, "Tags[0].Key is required"),
    "a long tag": ({"Tags": [{"Key": "k" * 129, "Value": "v" * 257}]}, "Tags[0].Value must have 0 to 256 characters"),
    "an AWS tag": ({"Tags": [{"Key": "AWS:x", "Value": ""}]}, "Tags[0].Key must not begin with aws:"),
    "an ownership tag": (
        {"Tags": [{"Key": "custom-appfabric-ingestion-destination:StackId", "Value": ""}]},
        "Tags[0].Key is reserved: the provider uses it to record ownership",
    ),
    "a duplicate tag": (
        {"Tags": [{"Key": "a", "Value": "1"}, {"Key": "a", "Value": "2"}]},
        "Tags[1].Key is a duplicate of an earlier tag key",
    ),
    "an unknown property": ({"Prefix": SECRET}, "Prefix is unknown"),
}


@pytest.mark.parametrize("wrong", WRONG, ids=str)
def test_an_invalid_property_is_reported_by_its_path_without_a_call(resource: CustomResource, wrong: str) -> None:
    changed, problem = WRONG[wrong]
    event = resource.event("Create", ResourceProperties=properties(**changed))
    response = resource.send(event)
    assert response.reason.startswith("InvalidRequest: ")
    assert problem in response.reason
    assert SECRET not in response.reason
    assert response.id == f"not-created:{event['RequestId']}"
    assert not resource.calls()


def test_all_mistakes_are_reported_at_once(resource: CustomResource) -> None:
    response = resource.create(
        properties(ProcessingConfiguration=processing("xml", "json"), DestinationConfiguration=destination({}))
    )
    assert response.reason == (
        "InvalidRequest: ProcessingConfiguration.AuditLog.Schema must be one of ocsf, raw; "
        "DestinationConfiguration.AuditLog.Destination must have exactly one of S3Bucket, FirehoseStream (has none)"
    )


def test_mistakes_that_do_not_fit_in_the_reason_are_counted(resource: CustomResource) -> None:
    response = resource.create(properties(**{f"Unknown{i}": "" for i in range(100)}))
    shown, _, more = response.reason.rpartition("; … and ")
    assert len(response.reason) <= 1000
    assert more == f"{100 - shown.count('is unknown')} more"
    assert 20 < shown.count("is unknown") < 100


def test_a_single_long_mistake_is_truncated(resource: CustomResource) -> None:
    response = resource.create(properties(**{"é😀" * 3000: ""}))
    assert response.reason.startswith("InvalidRequest: é😀")
    assert len(response.reason) <= 1000


def test_numbers_and_booleans_are_sent_as_cloudformations_strings(
    resource: CustomResource,
) -> None:
    resource.create(properties(DestinationConfiguration=to_bucket(12345), Tags=[{"Key": "a", "Value": True}]))  # type: ignore[arg-type]
    (call,) = resource.calls()
    assert call.parameters["destinationConfiguration"]["auditLog"]["destination"]["s3Bucket"]["bucketName"] == "12345"
    assert {"key": "a", "value": "true"} in call.parameters["tags"]


@pytest.mark.parametrize("absent", [{"ResourceProperties": None}, {"ResourceProperties": "text"}])
def test_missing_properties_fail_a_create_but_not_a_delete(resource: CustomResource, absent: dict[str, Any]) -> None:
    created = resource.create()
    event = resource.event("Create")
    assert resource.send({**event, **absent}).reason.startswith("InvalidRequest: ")
    event = resource.event("Delete", PhysicalResourceId=created.id)
    assert resource.send({**event, **absent}).status == "SUCCESS"
    assert not resource.appfabric.destinations


@pytest.mark.parametrize("request_type", [None, "create", "Foo", 5, "", ["Create"]])
def test_an_unknown_request_type_fails(resource: CustomResource, request_type: object) -> None:
    event = {**resource.event("Create", PhysicalResourceId="an-id"), "RequestType": request_type}
    response = resource.send(event)
    assert response.reason == "InvalidRequest: RequestType must be one of Create, Update, Delete"
    assert response.id == "an-id"
    assert not resource.calls()


NOT_REQUESTS: dict[str, Any] = {
    "null": None,
    "a list": [],
    "a string": "Create",
    "empty": {},
    "a crhelper poll": {"CrHelperPoll": True},
    "no ResponseURL": {"ResponseURL": None},
    "an empty ResponseURL": {"ResponseURL": ""},
    "plain http": {"ResponseURL": "http://responses.example/x"},
    "a file": {"ResponseURL": "file:///etc/passwd"},
    "no host": {"ResponseURL": "https:///x"},
    "no port": {"ResponseURL": "https://host:port/x"},
    "a ResponseURL that is a list": {"ResponseURL": ["https://responses.example/x"]},
    "no stack": {"StackId": None},
    "no request id": {"RequestId": ""},
    "no logical id": {"LogicalResourceId": 5},
}


@pytest.mark.parametrize("wrong", NOT_REQUESTS, ids=str)
@pytest.mark.parametrize("warm", [False, True])
def test_an_event_that_is_not_a_request_is_rejected_without_a_response(
    resource: CustomResource, wrong: str, warm: bool, logs: Logs
) -> None:
    if warm:
        resource.create()
    resource.forget_calls()
    resource.mailbox.received.clear()
    changed = NOT_REQUESTS[wrong]
    event = {**resource.event("Create"), **changed} if isinstance(changed, dict) and changed else changed
    with pytest.raises(NotARequest) as refusal:
        resource.provider(event, Context(resource.time, 300))
    assert not resource.mailbox.received
    assert not resource.calls()
    assert "Signature" not in str(refusal.value)
    (line,) = logs.errors()
    assert "StackId" not in line  # of the previous request
