"""Update: in place, by replacement, of tags, of nothing; and rollbacks."""

from typing import Any

import pytest

from local.appfabric import Fault, Outcome
from tests.conftest import Logs
from tests.support.custom_resource import CustomResource
from tests.support.properties import BUNDLE, INGESTION, OTHER_INGESTION, processing, properties, to_bucket, to_stream

MADE_UP = "audit-logs-Destination-1A2B3C4D5E6F"
A1 = f"{INGESTION}/ingestiondestination/44444444-4444-4444-8444-444444444444"
REPLACING = {
    "schema": {"ProcessingConfiguration": processing("raw", "json")},
    "format": {"ProcessingConfiguration": processing("ocsf", "parquet")},
    "ingestion": {"IngestionIdentifier": OTHER_INGESTION},
}


@pytest.mark.parametrize(
    "to",
    [to_bucket("other-bucket", prefix="saas"), to_bucket("audit-logs"), to_bucket("audit-logs", "p"), to_stream("abc")],
    ids=["bucket", "prefix removed", "prefix changed", "stream"],
)
def test_another_bucket_or_stream_is_updated_in_place(resource: CustomResource, to: dict[str, Any]) -> None:
    created = resource.create()
    resource.forget_calls()
    resource.time.sleep(60)
    response = resource.update(created.id, properties(DestinationConfiguration=to))
    assert (response.status, response.id) == ("SUCCESS", created.id)
    assert resource.mutations() == ["UpdateIngestionDestination"]
    (call,) = resource.calls("UpdateIngestionDestination")
    assert call.parameters["appBundleIdentifier"] == BUNDLE
    assert call.parameters["ingestionIdentifier"] == INGESTION
    assert call.parameters["ingestionDestinationIdentifier"] == created.id
    assert set(response.data) == set(created.data)
    assert response.data["CreatedAt"] == "2026-11-22T12:00:00Z"
    assert response.data["UpdatedAt"] == "2026-11-22T12:01:00Z"


@pytest.mark.parametrize(
    "same",
    [
        {"ServiceTimeout": "300"},
        {"ServiceToken": "arn:aws:lambda:us-east-1:111122223333:function:moved"},
        {"AppBundleIdentifier": None, "AppBundleArn": BUNDLE[-36:]},
        {"IngestionIdentifier": INGESTION[-36:]},
        {"Tags": [{"Key": "b", "Value": "2"}, {"Key": "a", "Value": 1}]},
    ],
)
def test_equivalent_properties_change_nothing(resource: CustomResource, same: dict[str, Any]) -> None:
    tags = [{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "2"}]
    created = resource.create(properties(Tags=tags))
    resource.forget_calls()
    response = resource.update(created.id, properties(**{"Tags": tags, **same}), properties(Tags=tags))
    assert (response.status, response.id, response.data) == ("SUCCESS", created.id, created.data)
    assert not resource.mutations()


@pytest.mark.parametrize("what", REPLACING)
def test_a_create_only_property_replaces_and_leaves_the_old_destination(resource: CustomResource, what: str) -> None:
    created = resource.create()
    resource.forget_calls()
    new = properties(**REPLACING[what])
    event = resource.event(
        "Update", PhysicalResourceId=created.id, ResourceProperties=new, OldResourceProperties=properties()
    )
    response = resource.send(event)
    assert response.status == "SUCCESS"
    assert set(resource.appfabric.destinations) == {created.id, response.id}
    assert response.id != created.id
    assert resource.mutations() == ["CreateIngestionDestination"]
    (call,) = resource.calls("CreateIngestionDestination")
    assert call.parameters["clientToken"] == event["RequestId"]
    resource.delete(created.id)
    assert set(resource.appfabric.destinations) == {response.id}


def test_the_ingestion_stays_enabled_until_the_old_destination_is_deleted(resource: CustomResource) -> None:
    """AppFabric's model says that deleting a destination may disable an enabled ingestion."""
    created = resource.create()
    resource.appfabric.enabled.add(INGESTION)
    new = properties(**REPLACING["schema"])
    replaced = resource.update(created.id, new, properties())
    assert resource.appfabric.enabled == {INGESTION}
    assert resource.appfabric.destinations[replaced.id].status == "Active"
    resource.delete(created.id)
    assert not resource.appfabric.enabled


@pytest.mark.parametrize(
    "what", [{"DestinationConfiguration": to_stream("abc")}, {"Tags": [{"Key": "a", "Value": "1"}]}]
)
def test_an_update_in_place_leaves_the_ingestion_enabled(resource: CustomResource, what: dict[str, Any]) -> None:
    created = resource.create()
    resource.appfabric.enabled.add(INGESTION)
    assert resource.update(created.id, properties(**what), properties()).id == created.id
    assert resource.appfabric.enabled == {INGESTION}


def test_a_retried_replacement_creates_nothing_else(resource: CustomResource) -> None:
    created = resource.create()
    event = resource.event(
        "Update",
        PhysicalResourceId=created.id,
        ResourceProperties=properties(**REPLACING["schema"]),
        OldResourceProperties=properties(),
    )
    assert resource.send(event).id == resource.send(event).id
    assert len(resource.appfabric.destinations) == 2


@pytest.mark.parametrize(
    ("error", "says"),
    [
        ("ConflictException", "created before the old destination"),
        ("ServiceQuotaExceededException", "five destinations"),
    ],
)
def test_a_replacement_that_cannot_coexist_with_the_old_destination_is_explained(
    resource: CustomResource, error: str, says: str
) -> None:
    created = resource.create()
    resource.appfabric.inject(Fault(operation="CreateIngestionDestination", error=error))
    response = resource.update(created.id, properties(**REPLACING["schema"]))
    assert (response.status, response.id) == ("FAILED", created.id)
    assert response.reason.startswith(f"{error}: ")
    assert says in response.reason
    assert list(resource.appfabric.destinations) == [created.id]


@pytest.mark.parametrize(
    "outcome",
    [{"status": "Failed", "status_reason": "Bucket is full"}, {"pending_gets": 9999}, {"hidden_gets": 9999}],
    ids=str,
)
def test_a_replacement_that_does_not_become_active_is_deleted(
    impatient: CustomResource, outcome: dict[str, Any]
) -> None:
    created = impatient.create()
    impatient.appfabric.inject(Outcome(operation="CreateIngestionDestination", **{"pending_gets": 1, **outcome}))
    response = impatient.update(created.id, properties(**REPLACING["schema"]))
    assert (response.status, response.id) == ("FAILED", created.id)
    assert response.reason.startswith(("NotStabilized: ", "NotFound: "))
    assert list(impatient.appfabric.destinations) == [created.id]


@pytest.mark.parametrize("fault", [{"cut": True}, {"hang": 600}, {"error": "InternalServerException"}], ids=str)
def test_a_replacement_created_without_a_response_is_found(impatient: CustomResource, fault: dict[str, Any]) -> None:
    created = impatient.create()
    impatient.appfabric.inject(Fault(operation="CreateIngestionDestination", after=True, times=99, **fault))
    response = impatient.update(created.id, properties(**REPLACING["schema"]))
    assert response.status == "SUCCESS"
    assert set(impatient.appfabric.destinations) == {created.id, response.id}
    assert len(impatient.calls("CreateIngestionDestination")) == 2


def test_a_failed_rollback_is_reported_once_and_counted(impatient: CustomResource, logs: Logs) -> None:
    created = impatient.create()
    impatient.appfabric.inject(Outcome(operation="CreateIngestionDestination", status="Failed"))
    impatient.appfabric.inject(Fault(operation="DeleteIngestionDestination", error="ThrottlingException", times=999))
    response = impatient.update(created.id, properties(**REPLACING["schema"]))
    assert (response.status, response.id) == ("FAILED", created.id)
    (orphan,) = set(impatient.appfabric.destinations) - {created.id}
    assert [line["arn"] for line in logs.errors() if "arn" in line] == [orphan]
    assert logs.counted("PossibleOrphans") == 1


@pytest.mark.parametrize("error", ["AccessDeniedException", "ValidationException", "InternalServerException"])
@pytest.mark.parametrize("operation", ["GetIngestionDestination", "UpdateIngestionDestination", "TagResource"])
def test_a_failed_update_keeps_the_physical_id(impatient: CustomResource, operation: str, error: str) -> None:
    created = impatient.create()
    impatient.appfabric.inject(Fault(operation=operation, error=error, times=999))
    new = properties(DestinationConfiguration=to_stream("abc"), Tags=[{"Key": "a", "Value": "1"}])
    response = impatient.update(created.id, new)
    assert (response.status, response.id) == ("FAILED", created.id)
    assert response.reason.startswith(f"{error}: ")


def test_invalid_properties_keep_the_physical_id_without_a_call(resource: CustomResource) -> None:
    created = resource.create()
    resource.forget_calls()
    response = resource.update(created.id, properties(Tagz="x"))
    assert (response.status, response.id) == ("FAILED", created.id)
    assert not resource.calls()


def test_a_destination_that_fails_after_an_update_in_place_is_reported(resource: CustomResource) -> None:
    created = resource.create()
    resource.appfabric.inject(
        Outcome(operation="UpdateIngestionDestination", status="Failed", status_reason="No such stream")
    )
    response = resource.update(created.id, properties(DestinationConfiguration=to_stream("abc")))
    assert (response.status, response.id) == ("FAILED", created.id)
    assert response.reason == "NotStabilized: the destination is Failed: No such stream"


def test_an_earlier_failure_of_the_destination_does_not_block_a_tag_update(resource: CustomResource) -> None:
    created = resource.create()
    live = resource.appfabric.destinations[created.id]
    live.status, live.status_reason = "Failed", "The bucket is full"
    response = resource.update(created.id, properties(Tags=[{"Key": "a", "Value": "1"}]))
    assert response.status == "SUCCESS"
    assert (response.data["Status"], response.data["StatusReason"]) == ("Failed", "The bucket is full")


def test_the_templates_tags_are_updated_and_others_stay(resource: CustomResource) -> None:
    old = [{"Key": "gone", "Value": "1"}, {"Key": "same", "Value": "1"}, {"Key": "changed", "Value": "1"}]
    new = [{"Key": "same", "Value": "1"}, {"Key": "changed", "Value": "2"}, {"Key": "new", "Value": "1"}]
    created = resource.create(properties(Tags=old))
    resource.appfabric.destinations[created.id].tags["by-hand"] = "stays"
    resource.forget_calls()
    response = resource.update(created.id, properties(Tags=new), properties(Tags=old))
    assert (response.status, response.id) == ("SUCCESS", created.id)
    assert resource.tags_of(created.id) == {
        "same": "1",
        "changed": "2",
        "new": "1",
        "by-hand": "stays",
    }
    tag, untag = resource.calls("UntagResource", "TagResource")
    assert untag.parameters["tagKeys"] == ["gone"]
    assert {each["key"] for each in tag.parameters["tags"]} == {"changed", "new"}


def test_a_tag_that_cannot_be_set_costs_none_that_the_rollback_would_have_to_set(resource: CustomResource) -> None:
    """The role may remove tags only."""
    old, new = (properties(Tags=[{"Key": key, "Value": "1"}]) for key in "ab")
    created = resource.create(old)
    resource.time.sleep(100)
    resource.appfabric.inject(Fault(operation="TagResource", error="AccessDeniedException", times=99))
    assert resource.update(created.id, new, old).status == "FAILED"
    assert resource.update(created.id, old, new).status == "SUCCESS"
    assert resource.tags_of(created.id) == {"a": "1"}


def test_all_of_the_tags_that_appfabric_takes_can_be_exchanged(resource: CustomResource) -> None:
    old, new = ([{"Key": f"{key}{number}", "Value": "1"} for number in range(46)] for key in "ab")
    created = resource.create(properties(Tags=old))
    assert resource.update(created.id, properties(Tags=new), properties(Tags=old)).status == "SUCCESS"
    assert resource.tags_of(created.id).keys() == {f"b{number}" for number in range(46)}


def test_a_destination_without_ownership_tags_can_be_updated(resource: CustomResource) -> None:
    resource.place(A1)
    assert resource.update(A1, properties()).status == "SUCCESS"
    assert not resource.mutations()


def test_removing_all_tags_keeps_the_ownership_tags(resource: CustomResource) -> None:
    old = [{"Key": "gone", "Value": "1"}]
    created = resource.create(properties(Tags=old))
    resource.update(created.id, properties(), properties(Tags=old))
    assert resource.tags_of(created.id) == {}
    assert len(resource.appfabric.destinations[created.id].tags) == 4


def test_invalid_old_tags_are_ignored(resource: CustomResource) -> None:
    created = resource.create()
    for old in ("text", [None, "x", {"Value": "no key"}], {"a": "b"}):
        assert resource.update(created.id, properties(), properties(Tags=old)).status == "SUCCESS"


def test_an_update_does_not_believe_a_single_reading_that_what_was_changed_by_hand_is_gone(
    resource: CustomResource,
) -> None:
    before, after = (properties(Tags=[{"Key": "a", "Value": value}]) for value in "12")
    created = resource.create(before)
    resource.time.sleep(100)
    resource.appfabric.destinations[created.id].tags["a"] = "by hand"
    gone = Fault(operation="GetIngestionDestination", error="ResourceNotFoundException", skip=1)
    resource.appfabric.inject(gone)
    listed = Fault(operation="ListIngestionDestinations", error="ResourceNotFoundException", times=2)
    resource.appfabric.inject(listed)
    assert resource.update(created.id, after, before).id == created.id


def test_an_update_does_not_need_old_properties(resource: CustomResource) -> None:
    created = resource.create()
    event = resource.event(
        "Update",
        PhysicalResourceId=created.id,
        ResourceProperties=properties(DestinationConfiguration=to_stream("abc")),
    )
    assert resource.send(event).id == created.id
    assert resource.send(event).status == "SUCCESS"
    assert len(resource.calls("UpdateIngestionDestination")) == 1


@pytest.mark.parametrize("error", ["ResourceNotFoundException", "ValidationException"])
def test_an_update_leaves_an_ingestion_that_is_gone(resource: CustomResource, error: str) -> None:
    created = resource.create()
    resource.time.sleep(60)
    resource.appfabric.destinations.clear()
    resource.appfabric.inject(Fault(operation="GetIngestionDestination", error=error, times=2))
    resource.appfabric.inject(Fault(operation="ListIngestionDestinations", error=error, times=4))
    response = resource.update(created.id, properties(IngestionIdentifier=OTHER_INGESTION), properties())
    assert (response.status, [response.id]) == ("SUCCESS", list(resource.appfabric.destinations))


def test_the_next_replacement_needs_no_ingestion_that_is_gone(resource: CustomResource) -> None:
    """Within the hour it looks whether it is a rollback."""
    created = resource.create()
    resource.time.sleep(60)
    elsewhere = properties(IngestionIdentifier=OTHER_INGESTION)
    replaced = resource.update(created.id, elsewhere, properties())
    resource.delete(created.id)
    resource.time.sleep(60)
    gone = Fault(operation="GetIngestionDestination", error="ValidationException", skip=1, times=2)
    resource.appfabric.inject(gone)
    new = {**elsewhere, "ProcessingConfiguration": processing("raw", "json")}
    assert resource.update(replaced.id, new, elsewhere).status == "SUCCESS"


def test_a_destination_deleted_by_hand_is_re_created(resource: CustomResource) -> None:
    created = resource.create()
    resource.appfabric.destinations.clear()
    response = resource.update(created.id, properties())
    assert response.status == "SUCCESS"
    assert response.id != created.id
    assert list(resource.appfabric.destinations) == [response.id]


@pytest.mark.parametrize("id", ["not-created:7f3c", "unconfirmed:7f3c", MADE_UP])
def test_an_update_of_a_marker_creates_a_destination_that_its_delete_leaves(resource: CustomResource, id: str) -> None:
    response = resource.update(id, properties())
    assert response.status == "SUCCESS"
    assert list(resource.appfabric.destinations) == [response.id]
    # CloudFormation deletes the id that was replaced.
    resource.delete(id)
    assert list(resource.appfabric.destinations) == [response.id]
    # The destination belongs to this resource from then on.
    assert resource.update(response.id, properties(Tags=[{"Key": "a", "Value": "1"}])).id == response.id
    replaced = resource.update(response.id, properties(**REPLACING["schema"]))
    assert resource.update(replaced.id, properties(), properties(**REPLACING["schema"])).id == response.id


@pytest.mark.parametrize("id", ["unconfirmed", MADE_UP])
def test_the_orphan_of_a_lost_create_is_deleted_with_its_marker(resource: CustomResource, id: str) -> None:
    event = resource.event("Create")
    orphan = resource.send(event)
    if id == "unconfirmed":
        id = f"unconfirmed:{event['RequestId']}"
    resource.time.sleep(60)
    response = resource.update(id, properties(DestinationConfiguration=to_stream("abc")))
    assert response.status == "SUCCESS"
    assert set(resource.appfabric.destinations) == {orphan.id, response.id}
    resource.delete(id)
    assert list(resource.appfabric.destinations) == [response.id]


def test_any_other_id_is_rejected_without_a_call(resource: CustomResource) -> None:
    response = resource.update("legacy-id", properties())
    assert (response.status, response.id) == ("FAILED", "legacy-id")
    assert not resource.calls()


# Rollbacks


def test_a_target_of_a_kind_that_is_not_known_is_not_restored_and_that_is_said(
    resource: CustomResource, logs: Logs
) -> None:
    current = resource.create()

    def of_another_kind(response_dict: dict[str, Any], **_: object) -> None:
        response_dict["body"] = response_dict["body"].replace(b'"s3Bucket"', b'"s3Table"')

    events = resource.provider.client().meta.events
    events.register("before-parse.appfabric.GetIngestionDestination", of_another_kind)
    resource.appfabric.inject(Outcome(operation="UpdateIngestionDestination", status="Failed"))
    response = resource.update(current.id, properties(DestinationConfiguration=to_bucket("new-bucket")))
    assert response.status == "FAILED"
    (line,) = [line for line in logs.errors() if line["message"] == "could not restore the destination"]
    assert line["destination"] == current.id
    assert "kind" in str(line["reason"])


def test_the_rollback_of_a_failed_update_in_place_restores(resource: CustomResource) -> None:
    created = resource.create()
    new = properties(DestinationConfiguration=to_stream("abc"))
    resource.appfabric.inject(Outcome(operation="UpdateIngestionDestination", status="Failed"))
    assert resource.update(created.id, new).status == "FAILED"
    resource.appfabric.inject(Outcome(operation="UpdateIngestionDestination", status="Active"))
    response = resource.update(created.id, properties(), new)
    assert (response.status, response.id) == ("SUCCESS", created.id)
    assert "s3Bucket" in str(resource.appfabric.destinations[created.id].destination)


def test_the_rollback_of_an_update_that_never_took_effect_changes_nothing(resource: CustomResource) -> None:
    created = resource.create()
    resource.forget_calls()
    for what in REPLACING.values():
        response = resource.update(created.id, properties(), properties(**what))
        assert (response.status, response.id) == ("SUCCESS", created.id)
    assert not resource.mutations()


def test_the_rollback_of_a_replacement_returns_to_the_old_destination(resource: CustomResource) -> None:
    created = resource.create()
    new = properties(**REPLACING["ingestion"], Tags=[{"Key": "new", "Value": "1"}])
    replaced = resource.update(created.id, new)
    response = resource.update(replaced.id, properties(), new)
    assert (response.status, response.id) == ("SUCCESS", created.id)
    resource.delete(replaced.id)
    assert list(resource.appfabric.destinations) == [created.id]


@pytest.mark.parametrize("skip", [1, 2], ids=["first reading", "second reading"])
def test_a_rollback_does_not_believe_a_single_reading_that_the_old_destination_is_gone(
    resource: CustomResource, skip: int
) -> None:
    created = resource.create()
    resource.time.sleep(60)
    replaced = resource.update(created.id, properties(**REPLACING["schema"]), properties())
    gone = Fault(operation="GetIngestionDestination", error="ResourceNotFoundException", skip=skip)
    resource.appfabric.inject(gone)
    listed = Fault(operation="ListIngestionDestinations", error="ResourceNotFoundException", times=2)
    resource.appfabric.inject(listed)
    resource.time.sleep(60)
    assert resource.update(replaced.id, properties(), properties(**REPLACING["schema"])).id == created.id


def test_a_rollback_waits_for_the_tags_of_what_was_created_just_now(
    resource: CustomResource, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A tag list may be as old as anything else that is read."""
    created = resource.create()
    resource.time.sleep(60)
    replaced = resource.update(created.id, properties(**REPLACING["schema"]), properties())
    resource.time.sleep(1)
    client, visible_at = resource.provider.client(), resource.time.passed + 2
    list_tags = client.list_tags_for_resource

    def list_tags_as_they_were(**parameters: Any) -> Any:
        returned = list_tags(**parameters)
        if parameters["resourceArn"] == replaced.id and resource.time.passed < visible_at:
            returned["tags"] = []
        return returned

    monkeypatch.setattr(client, "list_tags_for_resource", list_tags_as_they_were)
    assert resource.update(replaced.id, properties(), properties(**REPLACING["schema"])).id == created.id


def test_a_rollback_returns_to_an_old_destination_that_has_failed_since(resource: CustomResource) -> None:
    created = resource.create()
    resource.time.sleep(3600)
    replaced = resource.update(created.id, properties(**REPLACING["schema"]))
    resource.appfabric.destinations[created.id].status = "Failed"
    response = resource.update(replaced.id, properties(), properties(**REPLACING["schema"]))
    assert (response.status, response.id, response.data["Status"]) == ("SUCCESS", created.id, "Failed")


def test_the_rollback_of_a_replacement_re_creates_a_deleted_destination(resource: CustomResource) -> None:
    created = resource.create()
    replaced = resource.update(created.id, properties(**REPLACING["schema"]))
    resource.delete(created.id)
    response = resource.update(replaced.id, properties(), properties(**REPLACING["schema"]))
    assert response.status == "SUCCESS"
    resource.delete(replaced.id)
    assert list(resource.appfabric.destinations) == [response.id]


def test_the_rollback_of_a_replacement_whose_response_was_lost_deletes_it(resource: CustomResource) -> None:
    created = resource.create()
    kept = CustomResource(logical_id="Other")
    kept.appfabric = resource.appfabric
    kept.cold_start()
    others = kept.create(properties(**REPLACING["schema"]))
    resource.time.sleep(60)
    lost = resource.update(created.id, properties(**REPLACING["schema"]))
    assert lost.id in resource.appfabric.destinations
    # CloudFormation never got that response.
    resource.time.sleep(60)
    response = resource.update(created.id, properties(), properties(**REPLACING["schema"]))
    assert (response.status, response.id) == ("SUCCESS", created.id)
    assert set(resource.appfabric.destinations) == {created.id, others.id}


def test_a_failed_cleanup_does_not_fail_the_rollback(impatient: CustomResource, logs: Logs) -> None:
    created = impatient.create()
    impatient.time.sleep(60)
    lost = impatient.update(created.id, properties(**REPLACING["schema"]))
    impatient.time.sleep(60)
    impatient.appfabric.inject(Fault(operation="DeleteIngestionDestination", error="AccessDeniedException", times=99))
    response = impatient.update(created.id, properties(), properties(**REPLACING["schema"]))
    assert (response.status, response.id) == ("SUCCESS", created.id)
    assert lost.id in impatient.appfabric.destinations
    assert logs.counted("PossibleOrphans") == 1
    assert lost.id in [line["arn"] for line in logs.errors()]


def test_a_replacement_created_by_an_earlier_invocation_must_be_active(resource: CustomResource) -> None:
    created = resource.create()
    resource.time.sleep(1)  # by CloudFormation's times, which are whole seconds
    event = resource.event(
        "Update",
        PhysicalResourceId=created.id,
        ResourceProperties=properties(**REPLACING["schema"]),
        OldResourceProperties=properties(),
    )
    resource.time.sleep(5)
    earlier = resource.send(event)
    resource.appfabric.destinations[earlier.id].status = "Failed"
    resource.time.sleep(60)
    response = resource.send(event)
    assert (response.status, response.id) == ("FAILED", created.id)
    resource.update(created.id, properties(), properties(**REPLACING["schema"]))
    assert list(resource.appfabric.destinations) == [created.id]
