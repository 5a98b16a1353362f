"""Ownership: orphans are deleted; retained, adopted, later and others' destinations are not."""

from datetime import timedelta
from typing import Any

import pytest

from ingestion_destination.cloudformation.delivery import Undelivered
from local.appfabric import Call, Fault, Outcome
from tests.conftest import Logs
from tests.support.custom_resource import Context, CustomResource
from tests.support.properties import INGESTION, OTHER_INGESTION, STACK_ID, processing, properties, to_bucket, to_stream

RAW = properties(ProcessingConfiguration=processing("raw", "json"))
MADE_UP = "audit-logs-Destination-1A2B3C4D5E6F"
OTHERS = f"{INGESTION}/ingestiondestination/ffffffff-4444-4444-8444-444444444444"
PREFIX = "custom-appfabric-ingestion-destination:"
TAGGED = [{"Key": "a", "Value": "1"}]
HOUR = 3600


def update(resource: CustomResource, id: str, new: dict[str, Any], old: dict[str, Any]) -> dict[str, Any]:
    return resource.event("Update", PhysicalResourceId=id, ResourceProperties=new, OldResourceProperties=old)


def send_and_lose_response(resource: CustomResource, event: dict[str, Any], *, refused: bool = False) -> None:
    resource.mailbox.refuse.append(Undelivered("TimeoutError", refused=refused))
    with pytest.raises(Undelivered):
        resource.provider(event, Context(resource.time, 300))


def replace_and_go_back(resource: CustomResource) -> tuple[str, str]:
    """The ids of a destination that was used again, and of what had replaced it, which is still there."""
    current = resource.create().id
    resource.time.sleep(60)
    replacement = resource.update(current, RAW, properties()).id
    resource.time.sleep(60)
    assert resource.update(replacement, properties(), RAW).id == current
    return current, replacement


def reported(logs: Logs) -> set[str]:
    return {line["arn"] for line in logs.errors() if line.get("arn")}


# What a Create records


def test_a_create_records_its_resource_and_request(resource: CustomResource) -> None:
    event = resource.event("Create")
    response = resource.send(event)
    assert resource.appfabric.destinations[response.id].tags == resource.ownership_tags(event["RequestId"])


def test_a_replacement_records_what_it_replaces(resource: CustomResource) -> None:
    replaced = resource.create()
    event = update(resource, replaced.id, RAW, properties())
    response = resource.send(event)
    tags = resource.appfabric.destinations[response.id].tags
    assert tags == resource.ownership_tags(event["RequestId"], replaces=replaced.id)


def test_every_invocation_of_a_request_sends_the_same_tags(resource: CustomResource) -> None:
    event = resource.event("Create")
    resource.appfabric.inject(Fault(operation="CreateIngestionDestination", error="ThrottlingException", times=3))
    resource.send(event)
    resource.send(event)
    assert len({str(call.parameters) for call in resource.calls("CreateIngestionDestination")}) == 1


# Retained destinations


@pytest.mark.parametrize("wanted", [RAW, properties(Tags=TAGGED)], ids=["schema", "tags"])
@pytest.mark.parametrize("id", ["unconfirmed:7f3c", MADE_UP])
def test_the_delete_of_a_canceled_create_leaves_a_retained_destination_that_differs(
    resource: CustomResource, id: str, wanted: dict[str, Any]
) -> None:
    retained = resource.create()
    resource.time.sleep(HOUR)
    assert resource.delete(id, wanted).status == "SUCCESS"
    assert list(resource.appfabric.destinations) == [retained.id]


@pytest.mark.parametrize("how", ["Delete", "Update"])
def test_the_end_of_a_canceled_adoption_leaves_the_tags_of_what_was_created_and_retained(
    resource: CustomResource, how: str
) -> None:
    """Nothing was adopted yet when the Create was canceled."""
    retained = resource.create()
    resource.place(OTHERS)
    resource.time.sleep(HOUR)
    before = str(resource.appfabric.destinations[retained.id])
    if how == "Delete":
        ended = resource.delete(MADE_UP, properties(AdoptArn=retained.id))
    else:
        ended = resource.update(MADE_UP, properties(AdoptArn=OTHERS), properties(AdoptArn=retained.id))
    assert ended.status == "SUCCESS"
    assert str(resource.appfabric.destinations[retained.id]) == before


def test_a_sweep_does_not_release_what_was_never_adopted_in_place_of_a_destination(resource: CustomResource) -> None:
    """AdoptArn may name the resource's own destination, which is then replaced and retained."""
    first = resource.create()
    resource.time.sleep(60)
    second = resource.update(first.id, RAW, properties())
    named = {"AdoptArn": second.id}
    resource.time.sleep(60)
    assert resource.update(second.id, {**RAW, **named}, RAW).id == second.id
    resource.time.sleep(60)
    assert resource.update(second.id, properties(**named), {**RAW, **named}).id == first.id
    before = str(resource.appfabric.destinations[second.id])
    resource.time.sleep(60)
    elsewhere = properties(DestinationConfiguration=to_bucket("elsewhere"))
    assert resource.update(first.id, elsewhere, properties(**named)).status == "SUCCESS"
    assert str(resource.appfabric.destinations[second.id]) == before


def test_a_replacement_does_not_reuse_a_retained_destination(resource: CustomResource) -> None:
    retained = resource.create(properties(DestinationConfiguration=to_bucket("now-somebody-elses")))
    resource.time.sleep(90 * 24 * HOUR)
    current = resource.create(RAW)
    replaced = resource.update(current.id, properties(DestinationConfiguration=to_bucket("other")), RAW)
    assert replaced.id not in {retained.id, current.id}
    assert "now-somebody-elses" in str(resource.appfabric.destinations[retained.id].destination)


def test_an_update_that_arrives_late_does_not_reuse_a_retained_destination(resource: CustomResource) -> None:
    retained = resource.create()
    resource.time.sleep(60)
    current = resource.update(retained.id, RAW, properties())
    resource.time.sleep(2 * HOUR)
    del resource.appfabric.destinations[current.id]  # by hand
    late = update(resource, current.id, properties(), RAW)
    resource.time.sleep(20)
    assert resource.send(late).id not in {retained.id, current.id}


def test_a_destination_retained_by_update_replace_policy_is_not_reused_a_month_later(resource: CustomResource) -> None:
    retained = resource.create()
    current = resource.update(retained.id, RAW, properties())
    resource.time.sleep(30 * 24 * HOUR)
    new = properties(DestinationConfiguration=to_bucket("other"))
    assert resource.update(current.id, new, RAW).id != retained.id
    assert "audit-logs" in str(resource.appfabric.destinations[retained.id].destination)


@pytest.mark.parametrize("how", ["an Update that goes back to it", "an adoption"])
def test_a_rollback_leaves_what_was_retained_before_its_own_destination_was_used_again(
    resource: CustomResource, logs: Logs, how: str
) -> None:
    """It was created in place of this very destination, but CloudFormation knew it."""
    first = resource.create(RAW)
    resource.time.sleep(60)
    retained = resource.update(first.id, properties(), RAW)
    resource.time.sleep(60)
    if how == "an adoption":  # what the stack had was retained, and the resource taken out of the template
        adopts = {**RAW, "AdoptArn": first.id}
        again = resource.create(adopts)
    else:
        adopts = RAW
        again = resource.update(retained.id, RAW, properties())
    assert again.id == first.id
    resource.time.sleep(60)
    rolled_back = resource.update(first.id, adopts, properties())
    assert (rolled_back.status, rolled_back.id) == ("SUCCESS", first.id)
    assert list(resource.appfabric.destinations) == [first.id, retained.id]
    assert retained.id in reported(logs)


def test_an_update_that_goes_back_to_a_destination_records_when(resource: CustomResource) -> None:
    event = resource.event("Create", ResourceProperties=RAW)
    first = resource.send(event)
    resource.time.sleep(60)
    second = resource.update(first.id, properties(), RAW)
    resource.time.sleep(60)
    back = resource.time.now()
    resource.update(second.id, RAW, properties())
    tags = resource.appfabric.destinations[first.id].tags
    how = f"/returned={back:%Y%m%dT%H%M%SZ}"
    assert tags == resource.ownership_tags(event["RequestId"], requested_at=resource.time.began, how=how)


def test_the_retry_of_an_update_that_went_back_leaves_what_was_adopted_since(resource: CustomResource) -> None:
    first = resource.create(RAW)
    resource.time.sleep(60)
    second = resource.update(first.id, properties(), RAW)
    resource.time.sleep(60)
    back = update(resource, second.id, RAW, properties())
    assert resource.send(back).id == first.id
    resource.time.sleep(60)  # the resource is taken out of the template, and comes back; both were retained
    assert resource.create({**RAW, "AdoptArn": first.id}).status == "SUCCESS"
    before = str(resource.appfabric.destinations)
    assert resource.send(back).reason.startswith("ResourceConflict: superseded by a later request")
    assert str(resource.appfabric.destinations) == before


def test_a_rollback_to_a_destination_does_not_fail_when_that_cannot_be_recorded(
    resource: CustomResource, logs: Logs
) -> None:
    first = resource.create(RAW)
    resource.time.sleep(60)
    second = resource.update(first.id, properties(), RAW)
    resource.appfabric.inject(Fault(operation="TagResource", error="AccessDeniedException", times=99))
    rolled_back = resource.update(second.id, RAW, properties())
    assert (rolled_back.status, rolled_back.id) == ("SUCCESS", first.id)
    assert "the return to a destination could not be recorded" in {line["message"] for line in logs.lines}


@pytest.mark.parametrize("error", ["ThrottlingException", "ResourceNotFoundException"])
def test_a_return_is_not_recorded_on_what_was_released_meanwhile(
    resource: CustomResource, monkeypatch: pytest.MonkeyPatch, error: str
) -> None:
    """A duplicate of the rollback is refused for a moment: until it asks again, nobody owns the destination."""
    first = resource.create(RAW)
    resource.time.sleep(60)
    second = resource.update(first.id, properties(), RAW)
    resource.time.sleep(60)
    back, released = update(resource, second.id, RAW, properties()), resource.appfabric.destinations[first.id]
    sleep, throttled = resource.time.sleep, len(resource.calls("TagResource")) + 1
    resource.appfabric.inject(Fault(operation="TagResource", error=error))

    def release_and_sleep(seconds: float) -> None:
        if len(resource.calls("TagResource")) == throttled:
            released.tags = {}
        sleep(seconds)

    monkeypatch.setattr(resource.time, "sleep", release_and_sleep)
    resource.cold_start()
    resource.send(back)
    assert released.tags == {}


def test_a_return_is_not_recorded_on_what_was_released_before_the_call(
    resource: CustomResource, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As above, but it is the removal of a tag, just before, that is throttled."""
    tagged = properties(Tags=[{"Key": "a", "Value": "1"}])
    first = resource.create(RAW)
    released = resource.appfabric.destinations[first.id]
    released.tags["a"] = "1"  # by hand
    resource.time.sleep(60)
    second = resource.update(first.id, tagged, RAW)
    resource.time.sleep(60)
    sleep = resource.time.sleep
    resource.appfabric.inject(Fault(operation="UntagResource", error="ThrottlingException"))

    def release_and_sleep(seconds: float) -> None:
        if resource.calls("UntagResource"):
            released.tags = {}
        sleep(seconds)

    monkeypatch.setattr(resource.time, "sleep", release_and_sleep)
    resource.cold_start()
    resource.update(second.id, RAW, tagged)
    assert released.tags == {}


def test_a_duplicate_of_a_rollback_finds_what_it_went_back_to(resource: CustomResource) -> None:
    """CloudFormation has deleted the replacement since, so that nothing else says what to go back to."""
    first = resource.create()
    resource.time.sleep(60)
    second = resource.update(first.id, RAW, properties())
    resource.time.sleep(60)
    back = update(resource, second.id, properties(), RAW)
    assert resource.send(back).id == first.id
    resource.delete(second.id, RAW)
    resource.time.sleep(60)
    assert resource.send(back).id == first.id
    assert list(resource.appfabric.destinations) == [first.id]


def test_a_duplicate_of_a_rollback_that_is_over_reports_nothing(resource: CustomResource, logs: Logs) -> None:
    """It changes nothing, and certainly creates nothing."""
    first = resource.create()
    resource.time.sleep(60)
    second = resource.update(first.id, RAW, properties())
    resource.time.sleep(60)
    back = update(resource, second.id, properties(), RAW)
    resource.send(back)
    resource.delete(second.id, RAW)
    resource.time.sleep(60)
    third = resource.update(first.id, RAW, properties())
    assert resource.send(back).reason.startswith("ResourceConflict: superseded by a later request")
    assert set(resource.appfabric.destinations) == {first.id, third.id}
    assert logs.counted("PossibleOrphans") == 0


def test_recording_a_return_does_not_delay_the_response(resource: CustomResource) -> None:
    first = resource.create(RAW)
    resource.time.sleep(60)
    second = resource.update(first.id, properties(), RAW)
    resource.appfabric.inject(Fault(operation="TagResource", hang=60, times=99))
    rolled_back = resource.update(second.id, RAW, properties())
    assert (rolled_back.status, rolled_back.id) == ("SUCCESS", first.id)
    assert rolled_back.seconds < 30


def test_a_return_does_not_make_a_replacement_recent(resource: CustomResource) -> None:
    """What was replaced more than an hour ago was retained, whatever has become of its replacement since."""
    retained, parquet = resource.create(), properties(ProcessingConfiguration=processing("ocsf", "parquet"))
    resource.time.sleep(60)
    current = resource.update(retained.id, RAW, properties())
    resource.time.sleep(50 * 60)
    failed = resource.update(current.id, parquet, RAW)
    resource.time.sleep(60)
    assert resource.update(failed.id, RAW, parquet).id == current.id
    resource.time.sleep(50 * 60)
    assert resource.update(current.id, properties(), RAW).id not in {retained.id, current.id, failed.id}


def test_the_retry_of_a_delete_leaves_what_an_update_went_back_to_since(resource: CustomResource) -> None:
    """The first one failed, in the clean-up after an update, and CloudFormation left the destination."""
    first = resource.create(RAW)
    resource.time.sleep(60)
    second = resource.update(first.id, properties(), RAW)
    clean_up = resource.event("Delete", PhysicalResourceId=first.id, ResourceProperties=RAW)
    resource.appfabric.inject(Fault(operation="DeleteIngestionDestination", error="AccessDeniedException", times=99))
    assert resource.send(clean_up).status == "FAILED"
    resource.appfabric.clear_injections()
    resource.time.sleep(60)
    assert resource.update(second.id, RAW, properties()).id == first.id
    assert resource.send(clean_up).status == "SUCCESS"
    assert first.id in resource.appfabric.destinations


def test_the_retry_of_an_update_leaves_what_was_adopted_since(resource: CustomResource) -> None:
    first, tagged = resource.create(), properties(Tags=[{"Key": "a", "Value": "1"}])
    tagging = update(resource, first.id, tagged, properties())
    send_and_lose_response(resource, tagging)
    resource.time.sleep(60)
    resource.update(first.id, properties(), tagged)
    resource.time.sleep(60)  # retained, and taken out of the template for a while
    assert resource.create(properties(AdoptArn=first.id)).status == "SUCCESS"
    before = str(resource.appfabric.destinations)
    assert resource.send(tagging).reason.startswith("ResourceConflict: superseded by a later request")
    assert str(resource.appfabric.destinations) == before


def test_the_delete_of_a_canceled_create_leaves_what_updates_created_since(resource: CustomResource) -> None:
    """After --disable-rollback the made-up id is deleted when an update has succeeded, perhaps after several."""
    resource.time.sleep(60)
    first = resource.update(MADE_UP, RAW, properties())
    resource.time.sleep(60)
    live = resource.update(first.id, properties(), RAW)
    resource.time.sleep(1)
    assert resource.delete(MADE_UP, properties()).status == "SUCCESS"
    assert live.id in resource.appfabric.destinations


def test_destinations_of_several_requests_are_reported_and_not_deleted(resource: CustomResource, logs: Logs) -> None:
    """An id made up by CloudFormation does not say which of them its Create created."""
    both = {resource.create().id, resource.create().id}
    assert resource.delete(MADE_UP).status == "SUCCESS"
    assert set(resource.appfabric.destinations) == both
    assert reported(logs) == both


# Retried requests


@pytest.mark.parametrize("id", ["unconfirmed:7f3c", MADE_UP])
def test_a_retried_delete_leaves_the_successor(resource: CustomResource, id: str) -> None:
    event = resource.event("Delete", PhysicalResourceId=id)
    resource.send(event)
    successor = resource.create()
    resource.send(event)
    assert list(resource.appfabric.destinations) == [successor.id]


def test_a_retried_rollback_leaves_the_next_replacement(resource: CustomResource) -> None:
    current = resource.create()
    resource.time.sleep(60)
    rollback = update(resource, current.id, properties(), RAW)
    resource.send(rollback)
    resource.time.sleep(20)
    replacement = resource.update(current.id, RAW, properties())
    resource.send(rollback)
    assert replacement.id in resource.appfabric.destinations


def test_a_retried_rollback_leaves_the_tags_of_what_it_went_back_to(resource: CustomResource) -> None:
    """What it went back from could not be deleted. Since then the template has the tag that the rollback dropped."""
    first = resource.create()
    resource.time.sleep(60)
    tagged = {**RAW, "Tags": TAGGED}
    second = resource.update(first.id, tagged, properties())
    resource.time.sleep(60)
    rollback = update(resource, second.id, properties(), tagged)
    assert resource.send(rollback).id == first.id
    resource.time.sleep(60)
    assert resource.update(first.id, properties(Tags=TAGGED), properties()).status == "SUCCESS"
    resource.time.sleep(60)
    assert resource.send(rollback).id == first.id
    assert resource.tags_of(first.id) == {"a": "1"}


@pytest.mark.parametrize("refused", [True, False])
def test_a_retried_create_whose_response_is_lost_leaves_the_live_destination(
    resource: CustomResource, refused: bool
) -> None:
    event = resource.event("Create")
    live = resource.send(event)
    resource.time.sleep(70)
    send_and_lose_response(resource, event, refused=refused)
    assert list(resource.appfabric.destinations) == [live.id]


def test_the_retry_of_a_failed_update_fails(resource: CustomResource) -> None:
    current = resource.create()
    resource.time.sleep(60)
    resource.appfabric.inject(Outcome(operation="UpdateIngestionDestination", status="Failed", status_reason="Full"))
    event = update(resource, current.id, properties(DestinationConfiguration=to_stream("abc")), properties())
    send_and_lose_response(resource, event)
    resource.time.sleep(60)
    assert resource.send(event).status == "FAILED"
    assert "audit-logs" in str(resource.appfabric.destinations[current.id].destination)


def test_an_update_retried_after_a_later_one_changes_nothing(resource: CustomResource) -> None:
    current = resource.create()
    resource.time.sleep(60)
    late = update(resource, current.id, properties(DestinationConfiguration=to_bucket("first")), properties())
    resource.time.sleep(20)
    new = properties(DestinationConfiguration=to_bucket("second"))
    assert resource.update(current.id, new, properties()).status == "SUCCESS"
    resource.time.sleep(40)
    response = resource.send(late)
    assert (response.status, response.id) == ("FAILED", current.id)
    assert "second" in str(resource.appfabric.destinations[current.id].destination)


def test_the_retry_of_an_update_whose_container_died_waits_for_active(resource: CustomResource) -> None:
    current = resource.create()
    resource.time.sleep(60)
    event = update(resource, current.id, properties(DestinationConfiguration=to_stream("abc")), properties())
    live = resource.appfabric.destinations[current.id]
    live.destination = {"auditLog": {"destination": {"firehoseStream": {"streamName": "abc"}}}}
    live.updated_at, live.status, live.status_reason = resource.time.now(), "Failed", "The stream is gone"
    resource.time.sleep(60)
    assert resource.send(event).reason == "NotStabilized: the destination is Failed: The stream is gone"


def test_a_create_retried_after_a_later_one_creates_nothing(resource: CustomResource) -> None:
    late = resource.event("Create")
    resource.time.sleep(30)
    current = resource.create()
    resource.time.sleep(30)
    assert resource.send(late).status == "FAILED"
    assert list(resource.appfabric.destinations) == [current.id]


@pytest.mark.parametrize("behind", [0, 2])
def test_a_create_whose_response_was_lost_is_found_by_the_next_invocation(
    resource: CustomResource, behind: float
) -> None:
    """Even if AppFabric has forgotten the client token, and whatever its clock says."""
    event = resource.event("Create")
    send_and_lose_response(resource, event)
    (first,) = resource.appfabric.destinations.values()
    first.created_at = first.created_at.replace(second=58 if behind else 0)
    resource.appfabric.created_by.clear()
    resource.time.sleep(60)
    response = resource.send(event)
    assert (response.status, [response.id]) == ("SUCCESS", list(resource.appfabric.destinations))


def test_a_conflict_with_a_duplicate_invocation_leaves_nothing(resource: CustomResource) -> None:
    event = resource.event("Create")
    resource.appfabric.inject(Fault(operation="CreateIngestionDestination", error="ConflictException"))
    second = resource.send(event)
    assert second.id == f"unconfirmed:{event['RequestId']}"
    first = resource.send(event)
    assert first.status == "SUCCESS"
    resource.delete(second.id)
    assert not resource.appfabric.destinations


def test_what_a_late_create_creates_is_reported(resource: CustomResource, logs: Logs) -> None:
    event = resource.event("Create")
    first = resource.send(event)
    resource.delete(first.id)
    resource.appfabric.created_by.clear()
    resource.time.sleep(60)
    again = resource.send(event)
    assert reported(logs) == {again.id}
    assert logs.counted("PossibleOrphans") == 1


# Replacements whose response was lost


@pytest.mark.parametrize(
    "drift",
    [{"destination": {"auditLog": {"destination": {"s3Bucket": {"bucketName": "by-hand"}}}}}, {"tags": {"a": "2"}}, {}],
    ids=["moved by hand", "tagged by hand", "as it was"],
)
def test_a_replacement_whose_response_was_lost_is_deleted_despite_drift(
    resource: CustomResource, drift: dict[str, Any]
) -> None:
    tagged = {"Tags": [{"Key": "a", "Value": "1"}]}
    current = resource.create(properties(**tagged))
    resource.time.sleep(HOUR)
    live = resource.appfabric.destinations[current.id]
    live.destination = drift.get("destination", live.destination)
    live.tags = {**live.tags, **drift.get("tags", {})}
    new = {**RAW, **tagged}
    send_and_lose_response(resource, update(resource, current.id, new, properties(**tagged)))
    resource.time.sleep(720)
    assert resource.update(current.id, properties(**tagged), new).id == current.id
    assert list(resource.appfabric.destinations) == [current.id]
    assert "audit-logs" in str(live.destination)
    assert resource.tags_of(current.id) == {"a": "1"}


@pytest.mark.parametrize("id", ["gone", "not-created:x", "unconfirmed:x", MADE_UP])
def test_a_replacement_of_no_destination_whose_response_was_lost_is_deleted(resource: CustomResource, id: str) -> None:
    if id == "gone":
        id = resource.create().id
        resource.appfabric.destinations.clear()
    resource.time.sleep(60)
    send_and_lose_response(resource, update(resource, id, RAW, properties()))
    resource.time.sleep(720)
    rolled_back = resource.update(id, properties(), RAW)
    resource.delete(id, RAW)
    assert list(resource.appfabric.destinations) == [rolled_back.id]


def test_an_orphan_without_the_tags_of_the_old_properties_is_reported(resource: CustomResource, logs: Logs) -> None:
    """A rollback has retained it, perhaps: what was deleted by hand was created again with other tags."""
    first = resource.create()
    resource.time.sleep(60)
    resource.appfabric.destinations.clear()
    retained = resource.update(first.id, properties(), properties())
    resource.time.sleep(60)
    tagged = properties(Tags=TAGGED)
    assert resource.update(first.id, properties(), tagged).status == "SUCCESS"
    assert retained.id in resource.appfabric.destinations
    assert retained.id in reported(logs)


# The invalid ones are those of an update that failed because of them, after another one that CloudFormation canceled.
@pytest.mark.parametrize(
    "old", [properties(ProcessingConfiguration=processing("ocsf", "parquet")), properties(Tags="x")]
)
def test_an_orphan_that_differs_from_the_old_properties_is_reported(
    resource: CustomResource, logs: Logs, old: dict[str, Any]
) -> None:
    current = resource.create()
    resource.time.sleep(60)
    send_and_lose_response(resource, update(resource, current.id, RAW, properties()))
    (orphan,) = set(resource.appfabric.destinations) - {current.id}
    resource.time.sleep(720)
    assert resource.update(current.id, properties(), old).status == "SUCCESS"
    assert orphan in resource.appfabric.destinations
    assert orphan in reported(logs)
    assert logs.counted("PossibleOrphans") == 1


def test_a_replacement_that_may_have_been_created_is_reported(resource: CustomResource, logs: Logs) -> None:
    current = resource.create()
    resource.time.sleep(61)
    resource.appfabric.inject(Fault(operation="CreateIngestionDestination", cut=True, times=999))
    response = resource.update(current.id, RAW, properties())
    assert (response.status, response.id) == ("FAILED", current.id)
    assert logs.counted("PossibleOrphans") == 1


def test_a_replacement_that_cannot_be_read_is_left_to_the_rollback(resource: CustomResource, logs: Logs) -> None:
    """A duplicate may have seen that it is Active, and responded with it."""
    current = resource.create()
    resource.time.sleep(60)
    resource.appfabric.inject(Outcome(operation="CreateIngestionDestination", pending_gets=1))
    resource.appfabric.inject(Fault(operation="GetIngestionDestination", hang=60, skip=2, times=999))
    response = resource.update(current.id, RAW, properties())
    assert (response.status, response.id) == ("FAILED", current.id)
    (replacement,) = set(resource.appfabric.destinations) - {current.id}
    assert replacement in reported(logs)
    resource.appfabric.clear_injections()
    assert resource.update(current.id, properties(), RAW).status == "SUCCESS"
    assert list(resource.appfabric.destinations) == [current.id]


def test_what_cannot_be_read_is_deleted_when_no_rollback_would_find_it_in_time(resource: CustomResource) -> None:
    """The rollback would create another one first, for which there may be no room."""
    deleted = resource.create().id
    resource.appfabric.destinations.clear()  # by hand
    resource.time.sleep(60)
    resource.appfabric.inject(Outcome(operation="CreateIngestionDestination", pending_gets=1))
    resource.appfabric.inject(Fault(operation="GetIngestionDestination", hang=60, skip=3, times=999))
    assert resource.update(deleted, properties(), RAW).status == "FAILED"
    assert resource.appfabric.destinations == {}


def test_a_replacement_is_deleted_whatever_is_raised_after_its_creation(
    resource: CustomResource, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ingestion_destination.appfabric.client import AppFabric

    def fail(*_: object) -> None:
        raise SystemExit

    current = resource.create()
    monkeypatch.setattr(AppFabric, "stabilize", fail)
    response = resource.update(current.id, RAW, properties())
    assert (response.status, response.id) == ("FAILED", current.id)
    assert list(resource.appfabric.destinations) == [current.id]


# Moves that fail


def test_a_move_that_does_not_become_active_is_restored_before_the_response(resource: CustomResource) -> None:
    """So that the rollback has nothing to do, even if the old bucket is broken as well."""
    current = resource.create()
    resource.time.sleep(60)
    resource.appfabric.inject(Outcome(operation="UpdateIngestionDestination", status="Failed", status_reason="Full"))
    new = properties(DestinationConfiguration=to_stream("abc"))
    assert resource.update(current.id, new, properties()).status == "FAILED"
    assert "audit-logs" in str(resource.appfabric.destinations[current.id].destination)
    resource.appfabric.inject(Outcome(operation="UpdateIngestionDestination", status="Failed", status_reason="Broken"))
    resource.forget_calls()
    resource.time.sleep(1)
    assert resource.update(current.id, properties(), new).status == "SUCCESS"
    assert not resource.mutations()


def test_the_rollback_of_a_restored_move_does_not_wait_for_an_update_in_progress(resource: CustomResource) -> None:
    current = resource.create()
    resource.time.sleep(60)
    moved = properties(DestinationConfiguration=to_stream("audit-logs"))
    resource.appfabric.inject(Outcome(operation="UpdateIngestionDestination", status="Failed"))
    assert resource.update(current.id, moved, properties()).status == "FAILED"
    rolled_back = resource.update(current.id, properties(), moved)
    assert rolled_back.status == "SUCCESS"
    assert rolled_back.seconds < 5


def test_a_move_is_restored_when_tagging_fails(resource: CustomResource) -> None:
    current = resource.create()
    resource.time.sleep(61)
    resource.appfabric.inject(Fault(operation="TagResource", error="ValidationException"))
    new = properties(DestinationConfiguration=to_stream("abc"), Tags=[{"Key": "a", "Value": "1"}])
    assert resource.update(current.id, new, properties()).reason.startswith("ValidationException")
    assert "audit-logs" in str(resource.appfabric.destinations[current.id].destination)


@pytest.mark.parametrize("fault", [{"hang": 60}, {"error": "InternalServerException"}], ids=str)
def test_a_move_is_restored_though_the_destination_cannot_be_read(
    resource: CustomResource, fault: dict[str, Any]
) -> None:
    current = resource.create()
    before = str(resource.appfabric.destinations[current.id].destination)
    resource.time.sleep(60)
    outcome = Outcome(operation="UpdateIngestionDestination", status="Active", pending_gets=3)
    resource.appfabric.inject(outcome)
    resource.appfabric.inject(Fault(operation="GetIngestionDestination", skip=1, times=9999, **fault))
    resource.appfabric.inject(Fault(operation="UpdateIngestionDestination", skip=1, delay=2))
    moved = properties(DestinationConfiguration=to_bucket("moved"))
    assert resource.update(current.id, moved, properties()).status == "FAILED"
    assert str(resource.appfabric.destinations[current.id].destination) == before


def test_a_move_in_doubt_is_restored_though_a_false_404_and_a_refusal_follow(resource: CustomResource) -> None:
    current = resource.create()
    before = str(resource.appfabric.destinations[current.id].destination)
    resource.time.sleep(60)
    for fault in (
        Fault(operation="UpdateIngestionDestination", error="InternalServerException", after=True),
        Fault(operation="UpdateIngestionDestination", error="ResourceNotFoundException"),
        Fault(operation="UpdateIngestionDestination", error="ServiceQuotaExceededException"),
    ):
        resource.appfabric.inject(fault)
    moved = properties(DestinationConfiguration=to_bucket("moved"))
    assert resource.update(current.id, moved, properties()).status == "FAILED"
    assert str(resource.appfabric.destinations[current.id].destination) == before


def test_a_move_is_restored_though_one_reading_shows_an_even_earlier_target(
    resource: CustomResource, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = (properties(DestinationConfiguration=to_bucket(name)) for name in ("one", "two"))
    current = resource.create()
    resource.time.sleep(60)
    client = resource.provider.client()
    get = client.get_ingestion_destination
    parts = {"appBundleIdentifier": current.data["AppBundleArn"], "ingestionIdentifier": current.data["IngestionArn"]}
    old = [get(**parts, ingestionDestinationIdentifier=current.id)]
    assert resource.update(current.id, one, properties()).status == "SUCCESS"
    resource.time.sleep(1)

    def get_as_it_was_once(**parameters: Any) -> Any:
        return old.pop() if old and len(resource.calls("UpdateIngestionDestination")) == 2 else get(**parameters)

    monkeypatch.setattr(client, "get_ingestion_destination", get_as_it_was_once)
    failed = Outcome(operation="UpdateIngestionDestination", status="Failed")
    resource.appfabric.inject(failed)
    assert resource.update(current.id, two, one).status == "FAILED"
    assert "one" in str(resource.appfabric.destinations[current.id].destination)


def test_what_a_later_update_pointed_elsewhere_is_not_restored(resource: CustomResource) -> None:
    """The first update is canceled while it waits for Active, and fails after a rollback and another update."""
    current = resource.create()
    resource.time.sleep(60)
    one, two = (properties(DestinationConfiguration=to_bucket(name)) for name in ("one", "two"))
    canceled = update(resource, current.id, one, properties())
    outcome = Outcome(operation="UpdateIngestionDestination", status="Active", pending_gets=6)
    resource.appfabric.inject(outcome)
    another = CustomResource()
    another.time, another.appfabric, another.mailbox.time = resource.time, resource.appfabric, resource.time
    another.cold_start()
    waits: list[Call] = []

    def meanwhile(call: Call) -> None:
        if call.operation == "GetIngestionDestination":
            waits.append(call)
        if len(waits) == 5:
            waits.append(call)
            another.time.sleep(1)
            assert another.update(current.id, properties(), one).status == "SUCCESS"
            another.time.sleep(1)
            assert another.update(current.id, two, properties()).status == "SUCCESS"
            resource.appfabric.destinations[current.id].status = "Failed"

    resource.appfabric.subscribe(meanwhile)
    assert resource.send(canceled).status == "FAILED"
    assert "two" in str(resource.appfabric.destinations[current.id].destination)


# False alarms


def test_the_replacement_of_what_was_changed_by_hand_is_no_alarm(resource: CustomResource, logs: Logs) -> None:
    current = resource.create(properties(Tags=TAGGED))
    resource.time.sleep(HOUR)
    resource.appfabric.destinations[current.id].tags["a"] = "by hand"
    assert resource.update(current.id, RAW, properties(Tags=TAGGED)).status == "SUCCESS"
    assert not logs.errors()


def test_what_lies_in_an_ingestion_that_was_not_searched_is_not_taken_for_deleted(
    resource: CustomResource, logs: Logs
) -> None:
    """The old properties are those of an update that failed."""
    current = resource.create()
    resource.time.sleep(HOUR)
    elsewhere = properties(IngestionIdentifier=OTHER_INGESTION)
    mistaken = {**elsewhere, "DestinationConfiguration": to_bucket("mistaken")}
    assert resource.update(current.id, elsewhere, mistaken).status == "SUCCESS"
    assert not logs.errors()


def test_what_was_retained_before_its_predecessor_was_used_again_is_not_reported_for_ever(
    resource: CustomResource, logs: Logs
) -> None:
    current, _retained = replace_and_go_back(resource)
    resource.time.sleep(24 * HOUR)
    assert resource.update(current, properties(Tags=TAGGED), properties()).status == "SUCCESS"
    assert not logs.errors()


def test_what_was_created_after_its_predecessor_was_used_again_is_reported_however_old(
    resource: CustomResource, logs: Logs
) -> None:
    """CloudFormation never had a response, and knows nothing of it."""
    current, replacement = replace_and_go_back(resource)
    resource.delete(replacement, RAW)
    resource.time.sleep(HOUR)
    send_and_lose_response(resource, update(resource, current, RAW, properties()))
    (lost,) = set(resource.appfabric.destinations) - {current}
    resource.time.sleep(4 * HOUR)
    assert resource.update(current, properties(Tags=TAGGED), RAW).id == current
    assert [line["arn"] for line in logs.errors() if line["message"].startswith("possible orphan")] == [lost]


def test_another_spelling_of_the_ingestion_does_not_lead_elsewhere(resource: CustomResource, logs: Logs) -> None:
    by_uuid = properties(IngestionIdentifier=INGESTION[-36:])
    assert resource.update(MADE_UP, by_uuid, properties()).status == "SUCCESS"
    assert not logs.errors()


def test_what_an_earlier_update_created_is_reported_once_though_it_is_like_the_replacement(
    resource: CustomResource, logs: Logs
) -> None:
    current = resource.create()
    resource.time.sleep(60)
    send_and_lose_response(resource, update(resource, current.id, RAW, properties()))
    resource.time.sleep(4 * HOUR)
    assert resource.update(current.id, RAW, properties()).status == "SUCCESS"
    assert logs.counted("PossibleOrphans") == 1


# Rollbacks that come too late to go back


@pytest.mark.parametrize("why", ["late", "tagged by hand", "pointed elsewhere by hand", "replacement deleted by hand"])
def test_what_a_rollback_does_not_go_back_to_is_reported(resource: CustomResource, logs: Logs, why: str) -> None:
    """The new one is equal to it, and CloudFormation may not delete it."""
    old = properties(Tags=TAGGED)
    first = resource.create(old)
    resource.time.sleep(60)
    second = resource.update(first.id, RAW, old)
    if why == "late":
        resource.time.sleep(2 * HOUR)
    elif why == "tagged by hand":
        resource.appfabric.destinations[first.id].tags["a"] = "by hand"
    elif why == "pointed elsewhere by hand":
        resource.appfabric.destinations[first.id].destination = {
            "auditLog": {"destination": {"s3Bucket": {"bucketName": "by-hand"}}}
        }
    else:
        del resource.appfabric.destinations[second.id]
    rolled_back = resource.update(second.id, old, RAW)
    assert rolled_back.status == "SUCCESS"
    assert rolled_back.id != first.id
    assert first.id in reported(logs)


# Tags that others set


@pytest.mark.parametrize("tried", [{"Typo": "x"}, {"Tags": [{"Key": "CostCenter", "Value": "42"}, {"Value": "x"}]}])
def test_the_rollback_of_an_update_that_never_took_effect_removes_no_tag(
    resource: CustomResource, tried: dict[str, Any]
) -> None:
    current = resource.create()
    resource.appfabric.destinations[current.id].tags["CostCenter"] = "42"
    new = properties(**{"Tags": [{"Key": "CostCenter", "Value": "42"}], **tried})
    assert resource.update(current.id, new, properties()).status == "FAILED"
    resource.update(current.id, properties(), new)
    assert resource.tags_of(current.id) == {"CostCenter": "42"}


def test_a_removed_tag_that_others_changed_stays(resource: CustomResource) -> None:
    old = properties(Tags=[{"Key": "a", "Value": "1"}])
    current = resource.create(old)
    resource.appfabric.destinations[current.id].tags["a"] = "by hand"
    assert resource.update(current.id, properties(), old).status == "SUCCESS"
    assert resource.tags_of(current.id) == {"a": "by hand"}


def test_the_destination_of_another_resource_is_neither_changed_nor_deleted(
    resource: CustomResource, logs: Logs
) -> None:
    current = resource.create()
    resource.appfabric.destinations[current.id].tags[f"{PREFIX}LogicalResourceId"] = "Other"
    response = resource.update(current.id, properties(DestinationConfiguration=to_stream("abc")), properties())
    assert "the destination's tags name another owner" in response.reason
    assert (response.status, response.id) == ("FAILED", current.id)
    assert resource.delete(current.id).status == "SUCCESS"
    assert list(resource.appfabric.destinations) == [current.id]
    assert reported(logs) == {current.id}


def test_switching_back_within_the_hour_with_another_tag_is_not_a_rollback(resource: CustomResource) -> None:
    """The replaced destination lacks the tag, and a rollback changes nothing."""
    first = resource.create()
    replaced = resource.update(first.id, RAW, properties())
    tagged = properties(Tags=[{"Key": "a", "Value": "1"}])
    response = resource.update(replaced.id, tagged, RAW)
    assert response.id not in {first.id, replaced.id}
    assert resource.tags_of(response.id) == {"a": "1"}


def test_an_update_superseded_by_a_later_request_deletes_nothing(resource: CustomResource, logs: Logs) -> None:
    """It may be a duplicate whose other invocation has already responded with the destination."""
    current = resource.create()
    later = resource.time.now() + timedelta(seconds=5)
    successor = resource.ownership_tags("a-later-request", replaces=current.id, requested_at=later)
    resource.place(OTHERS, tags=successor)
    response = resource.update(current.id, RAW, properties())
    assert (response.status, response.id) == ("FAILED", current.id)
    (created,) = resource.appfabric.destinations.keys() - {current.id, OTHERS}
    assert created in {error.get("arn") for error in logs.errors()}
    assert "DeleteIngestionDestination" not in resource.mutations()


# One odd response is not trusted


@pytest.mark.parametrize(
    "operation",
    [
        "GetIngestionDestination",
        "ListTagsForResource",
        "UpdateIngestionDestination",
        "TagResource",
        "UntagResource",
        "DeleteIngestionDestination",
    ],
)
def test_a_listed_destination_is_not_taken_for_deleted(resource: CustomResource, operation: str) -> None:
    old = properties(Tags=[{"Key": "b", "Value": "1"}])
    current = resource.create(old)
    resource.appfabric.inject(Fault(operation=operation, error="ResourceNotFoundException", times=2))
    new = properties(Tags=[{"Key": "a", "Value": "1"}], DestinationConfiguration=to_bucket("other"))
    response = resource.update(current.id, new, old)
    assert (response.status, response.id) == ("SUCCESS", current.id)
    assert resource.delete(current.id).status == "SUCCESS"
    assert not resource.appfabric.destinations


@pytest.mark.parametrize(
    ("operation", "error"),
    [
        ("ListTagsForResource", "ResourceNotFoundException"),
        ("ListTagsForResource", "ValidationException"),
        ("GetIngestionDestination", "AccessDeniedException"),
    ],
)
def test_what_an_earlier_invocation_created_is_not_created_again_when_it_cannot_be_read(
    resource: CustomResource, operation: str, error: str
) -> None:
    event = resource.event("Create")
    send_and_lose_response(resource, event)
    (created,) = resource.appfabric.destinations
    resource.appfabric.created_by.clear()
    resource.time.sleep(60)
    resource.appfabric.inject(Fault(operation=operation, error=error, times=99))
    response = resource.send(event)
    assert (response.status, response.id) == ("FAILED", f"unconfirmed:{event['RequestId']}")
    assert list(resource.appfabric.destinations) == [created]


@pytest.mark.parametrize(
    "fault",
    [
        {"operation": "ListTagsForResource", "error": "ResourceNotFoundException", "skip": 2, "times": 2},
        {"operation": "ListIngestionDestinations", "error": "ResourceNotFoundException"},
        {"operation": "ListIngestionDestinations", "error": "ValidationException"},
    ],
    ids=str,
)
def test_a_false_404_does_not_hide_an_orphan_from_the_sweep(resource: CustomResource, fault: dict[str, Any]) -> None:
    current = resource.create()
    resource.time.sleep(60)
    send_and_lose_response(resource, update(resource, current.id, RAW, properties()))
    resource.time.sleep(720)
    resource.appfabric.inject(Fault(**fault))
    assert resource.update(current.id, properties(), RAW).id == current.id
    assert list(resource.appfabric.destinations) == [current.id]


@pytest.mark.parametrize("error", ["ResourceNotFoundException", "ValidationException"])
def test_a_list_that_fails_once_does_not_hide_what_an_earlier_invocation_created(
    resource: CustomResource, error: str
) -> None:
    event = resource.event("Create")
    send_and_lose_response(resource, event)
    resource.appfabric.created_by.clear()
    resource.time.sleep(60)
    resource.appfabric.inject(Fault(operation="ListIngestionDestinations", error=error))
    assert [resource.send(event).id] == list(resource.appfabric.destinations)


def test_a_page_that_is_refused_does_not_end_the_list(resource: CustomResource) -> None:
    event = resource.event("Create")
    for number in range(3):
        resource.place(OTHERS[:-1] + str(number))
    send_and_lose_response(resource, event)
    resource.appfabric.page_size = 1
    resource.appfabric.created_by.clear()
    resource.time.sleep(60)
    refused = Fault(operation="ListIngestionDestinations", error="ValidationException", skip=1, times=99)
    resource.appfabric.inject(refused)
    assert resource.send(event).id == f"unconfirmed:{event['RequestId']}"
    assert resource.mutations() == ["CreateIngestionDestination"]


def test_a_false_404_does_not_make_others_destinations_deletable(resource: CustomResource, logs: Logs) -> None:
    other = CustomResource(logical_id="Other")
    resource.place(OTHERS, tags=other.ownership_tags("x"))
    resource.appfabric.inject(Fault(operation="ListTagsForResource", error="ResourceNotFoundException"))
    assert resource.delete(OTHERS).status == "SUCCESS"
    assert list(resource.appfabric.destinations) == [OTHERS]
    assert reported(logs) == {OTHERS}


def test_tags_that_seem_to_be_gone_do_not_make_others_destinations_deletable(
    resource: CustomResource, logs: Logs
) -> None:
    other = CustomResource(logical_id="Other")
    resource.place(OTHERS, tags=other.ownership_tags("x"))
    resource.appfabric.inject(Fault(operation="ListTagsForResource", error="ResourceNotFoundException"))
    listed = Fault(operation="ListIngestionDestinations", error="ResourceNotFoundException", times=2)
    resource.appfabric.inject(listed)
    assert resource.delete(OTHERS).status == "SUCCESS"
    assert list(resource.appfabric.destinations) == [OTHERS]
    assert reported(logs) == {OTHERS}


@pytest.mark.parametrize(
    ("operation", "body"),
    [
        *[("GetIngestionDestination", body) for body in (b"[]", b"null", b'"x"', b'{"ingestionDestination": 7}')],
        ("GetIngestionDestination", b'{"ingestionDestination": {"createdAt": "yesterday"}}'),
        *[("ListTagsForResource", body) for body in (b"[]", b'{"tags": 7}', b'{"tags": [1]}', b'{"tags": [{}]}')],
        *[("ListIngestionDestinations", body) for body in (b"[]", b'{"ingestionDestinations": [1]}', b"{}")],
    ],
    ids=str,
)
def test_a_response_of_another_shape_is_requested_again(resource: CustomResource, operation: str, body: bytes) -> None:
    current = resource.create()
    mangled: list[bytes] = []

    def mangle(response_dict: dict[str, Any], **_: Any) -> None:
        if not mangled:
            mangled.append(response_dict["body"])
            response_dict["body"] = body

    resource.provider.client().meta.events.register(f"before-parse.appfabric.{operation}", mangle)
    response = resource.update(current.id, properties(Tags=[{"Key": "a", "Value": "1"}]), properties())
    assert mangled
    assert (response.status, response.id) == ("SUCCESS", current.id)
    assert resource.tags_of(current.id) == {"a": "1"}


def test_a_404_with_another_code_does_not_mean_deleted(resource: CustomResource) -> None:
    current = resource.create()
    fault = Fault(operation="DeleteIngestionDestination", error="UnknownOperationException", http_status=404)
    resource.appfabric.inject(fault)
    response = resource.delete(current.id)
    assert (response.status, response.id) == ("FAILED", current.id)


def test_others_destinations_that_the_role_must_not_read_block_nothing_and_are_not_reported(
    resource: CustomResource, logs: Logs
) -> None:
    resource.place(OTHERS)
    orphan = resource.create()
    resource.time.sleep(100)
    tags_of = resource.provider.client().list_tags_for_resource

    def list_tags(**parameters: Any) -> Any:
        if parameters["resourceArn"] == OTHERS:
            resource.appfabric.inject(Fault(operation="ListTagsForResource", error="AccessDeniedException"))
        return tags_of(**parameters)

    resource.provider.client().list_tags_for_resource = list_tags
    assert resource.delete(MADE_UP).status == "SUCCESS"
    assert list(resource.appfabric.destinations) == [OTHERS]
    current = resource.create()
    assert resource.update(current.id, RAW, properties()).status == "SUCCESS"
    assert orphan.id not in resource.appfabric.destinations
    assert not logs.errors()
    late = resource.event("Create")
    resource.time.sleep(60)
    assert resource.send(late).status == "SUCCESS"


def test_a_delete_that_finds_nothing_but_cannot_read_everything_fails(resource: CustomResource) -> None:
    resource.place(OTHERS)
    resource.time.sleep(100)
    resource.appfabric.inject(Fault(operation="ListTagsForResource", error="AccessDeniedException", times=999))
    response = resource.delete(MADE_UP)
    assert (response.status, response.id) == ("FAILED", MADE_UP)
    assert response.reason.startswith("AccessDeniedException")


# A StackId that is not an ARN


def test_without_unique_stack_ids_no_destination_is_taken_for_this_resources(resource: CustomResource) -> None:
    """Pulumi's emulator of custom resources sends the same one for every program."""
    other = CustomResource()
    other.time, other.appfabric, other.mailbox.time = resource.time, resource.appfabric, resource.time
    other.cold_start()
    others = other.create(StackId="dev")
    resource.time.sleep(60)
    assert resource.delete("dev-Destination-1A2B3C4D5E6F", StackId="dev").status == "SUCCESS"
    event = resource.event("Create", StackId="dev")
    send_and_lose_response(resource, event)
    (mine,) = set(resource.appfabric.destinations) - {others.id}
    assert resource.delete(f"unconfirmed:{event['RequestId']}", StackId="dev").status == "SUCCESS"
    assert mine not in resource.appfabric.destinations
    assert others.id in resource.appfabric.destinations


def test_without_unique_stack_ids_what_carries_ownership_tags_is_not_adopted(resource: CustomResource) -> None:
    """Another program's resource may have the same name."""
    current = resource.create(StackId="dev")
    tags = dict(resource.appfabric.destinations[current.id].tags)
    resource.time.sleep(HOUR)
    adopting = properties(AdoptArn=current.id)
    response = resource.create(adopting, StackId="dev")
    assert response.reason.startswith("InvalidRequest: AdoptArn: the destination belongs to another resource")
    assert resource.delete(response.id, adopting, StackId="dev").status == "SUCCESS"
    assert resource.appfabric.destinations[current.id].tags == tags


def test_these_tests_use_a_real_stack_id() -> None:
    assert STACK_ID.startswith("arn:aws:cloudformation:")
