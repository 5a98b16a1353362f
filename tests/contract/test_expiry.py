"""No call begins or is in flight once CloudFormation has stopped waiting for the request."""

from typing import Any

import pytest

from local.appfabric import Fault
from tests.support.custom_resource import MUTATING, CustomResource
from tests.support.properties import processing, properties, to_bucket

MADE_UP = "audit-logs-Destination-1A2B3C4D5E6F"


def short(**changed: Any) -> dict[str, Any]:
    return properties(ServiceTimeout="120", **changed)


MOVED = short(DestinationConfiguration=to_bucket("of-the-failed-update"))
RAW = short(ProcessingConfiguration=processing("raw", "json"))


def late(resource: CustomResource, kind: str, **changed: Any) -> dict[str, Any]:
    """Return a request that is 121 seconds old."""
    event = resource.event(kind, **changed)
    resource.time.sleep(121)
    return event


@pytest.mark.parametrize("new", [MOVED, RAW, short(Tags=[{"Key": "a", "Value": "1"}])], ids=["move", "replace", "tag"])
def test_an_expired_update_changes_nothing(resource: CustomResource, new: dict[str, Any]) -> None:
    current = resource.create(short())
    resource.time.sleep(600)
    resource.forget_calls()
    event = late(
        resource, "Update", PhysicalResourceId=current.id, ResourceProperties=new, OldResourceProperties=short()
    )
    response = resource.send(event)
    assert (response.status, response.id) == ("FAILED", current.id)
    assert not resource.calls()


def test_an_expired_create_creates_nothing_and_is_unconfirmed(
    resource: CustomResource,
) -> None:
    event = late(resource, "Create", ResourceProperties=short())
    response = resource.send(event)
    assert response.id == f"unconfirmed:{event['RequestId']}"
    assert not resource.calls()


def test_an_expired_request_of_an_unknown_type_has_time_for_its_response(resource: CustomResource) -> None:
    response = resource.send(late(resource, "Read", ResourceProperties=short()))
    assert response.reason.startswith("InvalidRequest: RequestType must be one of")


def test_an_expired_delete_leaves_the_successor(resource: CustomResource) -> None:
    event = late(resource, "Delete", PhysicalResourceId=MADE_UP, ResourceProperties=short())
    successor = resource.create(short())
    resource.time.sleep(30)
    resource.send(event)
    assert list(resource.appfabric.destinations) == [successor.id]


def test_an_update_of_the_service_timeout_expires_by_the_shorter_one(resource: CustomResource) -> None:
    current = resource.create(short())
    resource.time.sleep(600)
    event = late(
        resource,
        "Update",
        PhysicalResourceId=current.id,
        ResourceProperties=properties(DestinationConfiguration=to_bucket("other")),
        OldResourceProperties=short(),
    )
    resource.forget_calls()
    assert resource.send(event).status == "FAILED"
    assert not resource.calls()


def test_a_service_timeout_that_is_too_short_can_be_rolled_back(resource: CustomResource) -> None:
    created = resource.create()
    mistaken = properties(ServiceTimeout="1", DestinationConfiguration=to_bucket("other"))
    for new, old, status in [(mistaken, properties(), "FAILED"), (properties(), mistaken, "SUCCESS")]:
        resource.time.sleep(60)
        event = resource.event(
            "Update", PhysicalResourceId=created.id, ResourceProperties=new, OldResourceProperties=old
        )
        resource.time.sleep(1.5)  # as a cold start takes
        assert resource.send(event).status == status


@pytest.mark.parametrize(
    "fault",
    [{"hang": 600}, {"error": "ThrottlingException"}, {"error": "InternalServerException"}, {"cut": True}],
    ids=str,
)
@pytest.mark.parametrize("operation", ["CreateIngestionDestination", "UpdateIngestionDestination"])
@pytest.mark.parametrize("seconds", [60, 120, 300])
def test_a_first_invocation_ends_before_its_service_timeout(
    resource: CustomResource, operation: str, seconds: int, fault: dict[str, Any]
) -> None:
    timeout = {"ServiceTimeout": str(seconds)}
    current = resource.create(properties(**timeout))
    resource.time.sleep(600)
    resource.forget_calls()
    resource.appfabric.inject(Fault(operation=operation, times=999, **fault))
    began = resource.time.now()
    if operation == "CreateIngestionDestination":
        response = resource.create(properties(**timeout))
    else:
        new = properties(**timeout, DestinationConfiguration=to_bucket("other"))
        response = resource.update(current.id, new, properties(**timeout))
    assert response.status == "FAILED"
    assert response.seconds <= seconds - 5
    assert all((call.at - began).total_seconds() < seconds - 5 for call in resource.calls(*MUTATING))


def test_a_create_with_a_short_service_timeout_ends_before_its_delete_stops_searching(
    resource: CustomResource,
) -> None:
    """The Delete of a canceled Create searches for 65 s; Lambda retries the Create after that."""
    event = resource.event("Create", ResourceProperties=short())
    resource.time.sleep(2)
    assert resource.delete(MADE_UP, short()).status == "SUCCESS"
    assert resource.send(event).status == "FAILED"
    assert not resource.appfabric.destinations


@pytest.mark.parametrize("value", ["0", "3601", "1e3", "-1", "", " 60", "9" * 400, "٣", None, True, 60.5, {"a": 1}])
def test_an_invalid_service_timeout_means_cloudformations_default(resource: CustomResource, value: Any) -> None:
    response = resource.delete(MADE_UP, properties(ServiceTimeout=value))
    assert response.status == "SUCCESS"
    assert response.seconds == pytest.approx(275)
