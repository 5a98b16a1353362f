"""Create: what is sent to AppFabric, and what CloudFormation gets in response."""

import json
import uuid

import pytest

from local.appfabric import Fault, Outcome
from tests.support.custom_resource import CustomResource
from tests.support.properties import BUNDLE, INGESTION, STACK_ID, properties, to_bucket, to_stream

PREFIX = "custom-appfabric-ingestion-destination:"


def test_every_property_of_a_bucket_is_sent(resource: CustomResource) -> None:
    event = resource.event("Create")
    response = resource.send(event)
    (call,) = resource.calls()
    assert call.parameters == {
        "appBundleIdentifier": BUNDLE,
        "ingestionIdentifier": INGESTION,
        "processingConfiguration": {"auditLog": {"schema": "ocsf", "format": "json"}},
        "destinationConfiguration": {
            "auditLog": {"destination": {"s3Bucket": {"bucketName": "audit-logs", "prefix": "saas"}}}
        },
        "clientToken": event["RequestId"],
        "tags": [
            {"key": f"{PREFIX}LogicalResourceId", "value": "Destination"},
            {"key": f"{PREFIX}Replaces", "value": "none"},
            {"key": f"{PREFIX}Request", "value": f"{event['RequestId']}@20261122T120000Z"},
            {"key": f"{PREFIX}StackId", "value": STACK_ID},
        ],
    }
    assert response.status == "SUCCESS"
    assert response.id in resource.appfabric.destinations
    assert response.data == {
        "Arn": response.id,
        "AppBundleArn": BUNDLE,
        "IngestionArn": INGESTION,
        "Status": "Active",
        "StatusReason": "",
        "CreatedAt": "2026-11-22T12:00:00Z",
        "UpdatedAt": "2026-11-22T12:00:00Z",
    }


def test_a_stream_is_sent_without_a_bucket(resource: CustomResource) -> None:
    response = resource.create(properties(DestinationConfiguration=to_stream("audit-logs")))
    assert response.status == "SUCCESS"
    (call,) = resource.calls()
    assert call.parameters["destinationConfiguration"] == {
        "auditLog": {"destination": {"firehoseStream": {"streamName": "audit-logs"}}}
    }


def test_an_absent_prefix_is_not_sent(resource: CustomResource) -> None:
    resource.create(properties(DestinationConfiguration=to_bucket("audit-logs")))
    (call,) = resource.calls()
    assert call.parameters["destinationConfiguration"] == {
        "auditLog": {"destination": {"s3Bucket": {"bucketName": "audit-logs"}}}
    }


def test_native_property_names_and_uuids_are_accepted(resource: CustomResource) -> None:
    response = resource.create(
        properties(
            AppBundleIdentifier=None,
            IngestionIdentifier=None,
            AppBundleArn=BUNDLE[-36:],
            IngestionArn=INGESTION[-36:],
        )
    )
    assert response.status == "SUCCESS"
    assert response.data["AppBundleArn"] == BUNDLE
    assert response.data["IngestionArn"] == INGESTION


def test_tags_are_sent_as_strings_with_the_ownership_tags(resource: CustomResource) -> None:
    tags = [{"Key": "team", "Value": "security"}, {"Key": "cost", "Value": 14}, {"Key": "é😀", "Value": ""}]
    response = resource.create(properties(Tags=tags))
    assert resource.tags_of(response.id) == {"team": "security", "cost": "14", "é😀": ""}


def test_46_tags_fit_beside_the_ownership_tags(resource: CustomResource) -> None:
    tags = [{"Key": f"key-{i}", "Value": "value"} for i in range(46)]
    assert resource.create(properties(Tags=tags)).status == "SUCCESS"
    assert resource.create(properties(Tags=[*tags, {"Key": "one-more", "Value": ""}])).reason.startswith(
        "InvalidRequest: Tags must have at most 46 items (has 47)"
    )


def test_a_retried_create_creates_nothing_else(resource: CustomResource) -> None:
    event = resource.event("Create")
    first = resource.send(event)
    # Lambda's own retry, in a new container, with the keys in another order
    resource.cold_start()
    again = resource.send(json.loads(json.dumps(event, sort_keys=True)))
    assert again.id == first.id
    assert again.data == first.data
    assert len(resource.appfabric.destinations) == 1
    one, two = resource.calls("CreateIngestionDestination")
    assert one.parameters == two.parameters


def test_a_request_id_that_is_not_a_uuid_still_gives_a_stable_token(resource: CustomResource) -> None:
    event = resource.event("Create", RequestId="unique id for this create request")
    assert resource.send(event).id == resource.send(event).id
    one, two = (call.parameters["clientToken"] for call in resource.calls("CreateIngestionDestination"))
    assert one == two == str(uuid.UUID(one))


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (Fault(error="ConflictException", message="There is one like this."), "ConflictException"),
        (Fault(error="ValidationException"), "ValidationException"),
        (Fault(error="AccessDeniedException", times=99), "AccessDeniedException"),
        (Fault(error="ServiceQuotaExceededException"), "ServiceQuotaExceededException"),
        (Fault(error="SomethingNew", http_status=418), "SomethingNew"),
    ],
)
def test_a_rejected_create_is_reported_with_its_code_first_and_leaves_nothing(
    resource: CustomResource, error: Fault, code: str
) -> None:
    resource.time.sleep(61)  # the container is no longer new, so it does not wait for its role
    resource.appfabric.inject(error)
    event = resource.event("Create")
    response = resource.send(event)
    assert response.status == "FAILED"
    assert response.reason.startswith(f"{code}: ")
    # A conflict may be one with a duplicate of this very request.
    marker = "unconfirmed" if code == "ConflictException" else "not-created"
    assert response.id == f"{marker}:{event['RequestId']}"
    assert response.data == {}
    assert resource.mutations() == ["CreateIngestionDestination"]
    assert not resource.appfabric.destinations


def test_a_missing_ingestion_is_reported_in_appfabrics_words(resource: CustomResource) -> None:
    resource.appfabric.missing.add(INGESTION[-36:])
    assert resource.create().reason == "ValidationException: The specified ingestion does not exist"


def test_a_sixth_destination_exceeds_the_quota(resource: CustomResource) -> None:
    for _ in range(5):
        resource.create()
    response = resource.create()
    assert response.reason.startswith("ServiceQuotaExceededException: ")
    assert "five destinations" in response.reason


def test_a_throttled_create_is_retried_with_the_same_token(resource: CustomResource) -> None:
    resource.appfabric.inject(Fault(error="ThrottlingException", retry_after=7, times=20))
    response = resource.create()
    assert response.status == "SUCCESS"
    calls = resource.calls("CreateIngestionDestination")
    assert len(calls) == 21
    assert len({call.parameters["clientToken"] for call in calls}) == 1
    assert response.seconds >= 20 * 7


def test_persistent_throttling_is_reported_before_lambdas_timeout(impatient: CustomResource) -> None:
    impatient.appfabric.inject(Fault(error="ThrottlingException", message="Rate exceeded", times=9999))
    event = impatient.event("Create")
    response = impatient.send(event)
    assert response.reason == "ThrottlingException: Rate exceeded"
    assert response.id == f"not-created:{event['RequestId']}"
    assert 5 < response.seconds < 14


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize(
    "fault", [{"error": "InternalServerException"}, {"cut": True}, {"hang": 600}, {"error": "Odd", "http_status": 503}]
)
def test_a_transient_fault_leaves_one_destination(
    resource: CustomResource, fault: dict[str, object], after: bool
) -> None:
    resource.appfabric.inject(Fault(operation="CreateIngestionDestination", after=after, **fault))
    response = resource.create()
    assert response.status == "SUCCESS"
    assert list(resource.appfabric.destinations) == [response.id]


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        ({"cut": True}, "NetworkFailure"),
        ({"hang": 600}, "NetworkFailure"),
        ({"error": "InternalServerException"}, "Int"),
    ],
)
def test_a_create_without_a_response_is_searched_for_by_its_delete(
    impatient: CustomResource, fault: dict[str, object], code: str
) -> None:
    """When the invocation itself cannot search for what its call created."""
    impatient.time.sleep(61)
    impatient.appfabric.inject(Fault(operation="CreateIngestionDestination", after=True, times=99, **fault))
    impatient.appfabric.inject(Fault(operation="ListIngestionDestinations", error="AccessDeniedException", times=99))
    event = impatient.event("Create")
    response = impatient.send(event)
    assert response.reason.startswith(code)
    assert response.id == f"unconfirmed:{event['RequestId']}"
    assert len(impatient.appfabric.destinations) == 1
    impatient.appfabric.clear_injections()
    assert impatient.delete(response.id).status == "SUCCESS"
    assert not impatient.appfabric.destinations


def test_a_conflict_with_what_an_earlier_attempt_created_succeeds(resource: CustomResource) -> None:
    resource.appfabric.inject(Fault(operation="CreateIngestionDestination", cut=True, after=True))
    resource.appfabric.inject(Fault(operation="CreateIngestionDestination", error="ConflictException"))
    response = resource.create()
    assert response.status == "SUCCESS"
    assert list(resource.appfabric.destinations) == [response.id]


def test_a_failed_destination_is_reported_with_its_reason_and_id(resource: CustomResource) -> None:
    resource.appfabric.inject(
        Outcome(operation="CreateIngestionDestination", status="Failed", status_reason="The bucket is full.")
    )
    response = resource.create()
    assert response.status == "FAILED"
    assert response.reason == "NotStabilized: the destination is Failed: The bucket is full."
    assert response.id in resource.appfabric.destinations
    assert response.seconds < 1
    resource.delete(response.id)
    assert not resource.appfabric.destinations


def test_a_pending_destination_is_waited_for(resource: CustomResource) -> None:
    resource.appfabric.inject(Outcome(operation="CreateIngestionDestination", pending_gets=5, hidden_gets=3))
    response = resource.create()
    assert response.status == "SUCCESS"
    assert response.data["Status"] == "Active"


def test_a_destination_that_stays_pending_times_out_with_its_arn(impatient: CustomResource) -> None:
    impatient.appfabric.inject(Outcome(operation="CreateIngestionDestination", pending_gets=9999))
    response = impatient.create()
    assert response.reason.startswith("NotStabilized: ")
    assert response.id in impatient.appfabric.destinations


def test_a_destination_deleted_while_pending_is_not_re_created(resource: CustomResource) -> None:
    resource.appfabric.inject(Outcome(operation="CreateIngestionDestination", pending_gets=9999))

    def disappear(_call: object) -> None:
        if len(resource.calls("GetIngestionDestination")) == 3:
            resource.appfabric.destinations.clear()

    resource.appfabric.subscribe(disappear)
    response = resource.create()
    assert response.reason.startswith("NotFound: ")
    assert resource.mutations() == ["CreateIngestionDestination"]


def test_a_create_response_without_an_arn_fails_and_is_unconfirmed(
    resource: CustomResource, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = resource.provider.client()
    monkeypatch.setattr(client, "create_ingestion_destination", lambda **_: {"ingestionDestination": {}})
    event = resource.event("Create")
    response = resource.send(event)
    assert response.reason.startswith("ServiceInternalError: the response to CreateIngestionDestination cannot be read")
    assert response.id == f"unconfirmed:{event['RequestId']}"


def test_a_physical_id_in_a_create_is_ignored(resource: CustomResource) -> None:
    response = resource.create(PhysicalResourceId="somebody-elses")
    assert response.id in resource.appfabric.destinations


def test_no_create_call_begins_270_s_after_the_request(resource: CustomResource) -> None:
    event = resource.event("Create")
    resource.time.sleep(271)
    response = resource.send(event)
    assert response.reason.startswith("NotStabilized: ")
    assert response.id == f"unconfirmed:{event['RequestId']}"
    assert not resource.mutations()


def test_a_new_container_waits_until_its_role_takes_effect(resource: CustomResource) -> None:
    resource.appfabric.inject(Fault(error="AccessDeniedException", times=4))
    assert resource.create().status == "SUCCESS"


def test_a_new_container_waits_20_s_for_a_role_that_never_takes_effect(resource: CustomResource) -> None:
    resource.appfabric.inject(Fault(error="AccessDeniedException", times=9999))
    response = resource.create()
    assert response.reason.startswith("AccessDeniedException: ")
    assert 10 < response.seconds <= 20


def test_the_wait_for_a_role_takes_at_most_a_third_of_the_time(impatient: CustomResource) -> None:
    impatient.appfabric.inject(Fault(error="AccessDeniedException", times=9999))
    assert impatient.create().seconds <= 5


def test_a_conflict_is_reported_even_if_the_search_fails(resource: CustomResource) -> None:
    resource.time.sleep(61)
    resource.appfabric.inject(Fault(operation="CreateIngestionDestination", error="ConflictException"))
    resource.appfabric.inject(Fault(operation="ListIngestionDestinations", error="AccessDeniedException"))
    assert resource.create().reason.startswith("ConflictException: ")
