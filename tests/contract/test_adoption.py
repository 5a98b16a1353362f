"""AdoptArn: a destination created elsewhere is adopted unchanged, released, and never lost."""

from datetime import timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from ingestion_destination.cloudformation.delivery import Undelivered
from ingestion_destination.ownership import Ownership
from local.appfabric import Call, Fault
from tests.conftest import Logs
from tests.support.custom_resource import Context, CustomResource
from tests.support.properties import INGESTION, OTHER_INGESTION, STACK_ID, processing, properties, to_stream

EXISTING = f"{INGESTION}/ingestiondestination/44444444-4444-4444-8444-444444444444"
MADE_UP = "audit-logs-Destination-1A2B3C4D5E6F"
AGE = timedelta(seconds=100_000)
TAGS = {"by": "the console", "team": "before"}
PREFIX = "custom-appfabric-ingestion-destination:"
SAME = {"Tags": [{"Key": "team", "Value": "before"}]}
RAW = {"ProcessingConfiguration": processing("raw", "json")}
HOUR = 3600
ELSEWHERE = {"DestinationConfiguration": to_stream("audit-logs")}


def adopting(**changed: Any) -> dict[str, Any]:
    return properties(AdoptArn=EXISTING, **changed)


@pytest.fixture
def adopter(resource: CustomResource) -> CustomResource:
    """A resource that can adopt a destination created in the console long ago."""
    return with_existing(resource)


def with_existing(resource: CustomResource) -> CustomResource:
    resource.place(EXISTING, tags=dict(TAGS))
    resource.time.sleep(AGE.total_seconds())
    return resource


def state(resource: CustomResource) -> tuple[Any, Any]:
    destination = resource.appfabric.destinations[EXISTING]
    return destination.destination, destination.tags


def test_a_destination_as_described_is_adopted_unchanged(adopter: CustomResource) -> None:
    before, _ = state(adopter)
    event = adopter.event("Create", ResourceProperties=adopting(**SAME))
    response = adopter.send(event)
    assert (response.status, response.id) == ("SUCCESS", EXISTING)
    assert list(adopter.appfabric.destinations) == [EXISTING]
    destination, tags = state(adopter)
    assert destination == before
    assert tags == {
        **TAGS,
        **adopter.ownership_tags(event["RequestId"], requested_at=adopter.time.began + AGE, how="/adopted"),
    }
    assert set(response.data) == set(adopter.update(EXISTING, adopting(**SAME), adopting(**SAME)).data)


def test_a_retried_adoption_changes_nothing(adopter: CustomResource) -> None:
    event = adopter.event("Create", ResourceProperties=adopting(**SAME))
    adopter.send(event)
    adopter.forget_calls()
    assert adopter.send(event).id == EXISTING
    assert not adopter.mutations()


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"ProcessingConfiguration": processing("raw", "json")}, "differs from the template in Processing"),
        (ELSEWHERE, "differs from the template in DestinationConfiguration.AuditLog.Destination: make the template"),
        ({"Tags": [{"Key": "team", "Value": "security"}]}, "differs from the template in the tag team"),
        ({"Tags": [{"Key": "new", "Value": "1"}]}, "differs from the template in the tag new"),
        ({"IngestionIdentifier": OTHER_INGESTION}, "AdoptArn must belong to the ingestion"),
        ({"AdoptArn": "arn:aws:s3:::bucket"}, "AdoptArn must be the ARN of an ingestion destination"),
        ({"AdoptArn": EXISTING.replace("4444", "5555")}, "the destination does not exist"),
    ],
)
def test_a_destination_that_differs_is_rejected_before_anything_changes(
    adopter: CustomResource, changed: dict[str, Any], says: str
) -> None:
    before = str(state(adopter))
    response = adopter.create({**adopting(**SAME), **changed})
    assert response.reason.startswith("InvalidRequest: ")
    assert says in response.reason
    assert response.id.startswith("not-created:")
    assert not adopter.mutations()
    assert str(state(adopter)) == before


def test_the_destination_of_another_resource_is_rejected_with_the_remedy(adopter: CustomResource) -> None:
    other = CustomResource(logical_id="Other")
    adopter.appfabric.destinations[EXISTING].tags.update(other.ownership_tags("7f3c"))
    response = adopter.create(adopting(**SAME))
    assert response.reason.startswith("InvalidRequest: AdoptArn: the destination belongs to another resource")
    assert f"aws appfabric untag-resource --resource-arn {EXISTING} --tag-keys custom-appfabric" in response.reason
    for key in other.ownership_tags("7f3c"):
        assert key in response.reason
    assert not adopter.mutations()


def test_a_destination_that_this_resource_retained_can_be_adopted(adopter: CustomResource) -> None:
    adopter.appfabric.destinations[EXISTING].tags.update(adopter.ownership_tags("7f3c"))
    event = adopter.event("Create", ResourceProperties=adopting())
    assert adopter.send(event).id == EXISTING
    assert event["RequestId"] in str(adopter.appfabric.destinations[EXISTING].tags)


@pytest.mark.parametrize(("others", "fits"), [(45, True), (46, False)])
def test_an_adoption_needs_room_for_the_claim_and_the_ownership_tags(
    adopter: CustomResource, others: int, fits: bool
) -> None:
    adopter.appfabric.destinations[EXISTING].tags = {f"key-{i}": "x" for i in range(others)}
    response = adopter.create(adopting())
    assert (response.status == "SUCCESS") == fits
    assert fits or "needs room for five more" in response.reason
    assert fits or not adopter.mutations()


def test_tags_of_aws_need_no_room(adopter: CustomResource) -> None:
    """The native type leaves three of CloudFormation's."""
    tags = {f"key-{i}": "x" for i in range(45)} | {f"aws:cloudformation:{i}": "x" for i in range(3)}
    adopter.appfabric.destinations[EXISTING].tags = tags
    assert adopter.create(adopting()).status == "SUCCESS"


@pytest.mark.parametrize(
    "order",
    [
        Fault(operation="TagResource", error="AccessDeniedException", times=9),
        Fault(operation="TagResource", error="InternalServerException", after=True, times=99),
        Fault(operation="TagResource", error="AccessDeniedException", skip=1, times=9),
        Fault(operation="UntagResource", error="AccessDeniedException", times=9),
        Fault(operation="ListTagsForResource", error="AccessDeniedException", skip=1, times=9),
    ],
    ids=str,
)
def test_a_failed_adoption_is_released_by_the_delete_that_follows(impatient: CustomResource, order: Any) -> None:
    resource = with_existing(impatient)
    before = str(state(resource))
    resource.appfabric.inject(order)
    event = resource.event("Create", ResourceProperties=adopting(**SAME))
    response = resource.send(event)
    assert (response.status, response.id) == ("FAILED", f"unconfirmed:{event['RequestId']}")
    resource.appfabric.clear_injections()
    assert resource.delete(response.id, adopting(**SAME)).status == "SUCCESS"
    assert str(state(resource)) == before


def test_a_conflict_after_the_tagging_does_not_deny_the_adoption(
    adopter: CustomResource, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not an error of UntagResource, by the model."""
    client, before = adopter.provider.client(), str(state(adopter))
    untag, conflicts = client.untag_resource, [{"Error": {"Code": "ConflictException", "Message": ""}}]

    def conflicts_once(**parameters: Any) -> Any:
        if conflicts:
            raise ClientError({**conflicts.pop(), "ResponseMetadata": {"HTTPStatusCode": 409}}, "UntagResource")
        return untag(**parameters)

    monkeypatch.setattr(client, "untag_resource", conflicts_once)
    response = adopter.create(adopting(**SAME))
    assert (response.status, response.id[:12]) == ("FAILED", "unconfirmed:")
    adopter.delete(response.id, adopting(**SAME))
    assert str(state(adopter)) == before


def test_an_adoption_that_is_ended_drops_its_claim(adopter: CustomResource, monkeypatch: pytest.MonkeyPatch) -> None:
    """`sys.exit` is no HandlerError, and nor is a defect."""
    client = adopter.provider.client()
    tags_of = client.list_tags_for_resource

    def exits_once_claimed(**parameters: Any) -> Any:
        returned = tags_of(**parameters)
        if any("Claim" in tag["key"] for tag in returned["tags"]):
            raise SystemExit
        return returned

    monkeypatch.setattr(client, "list_tags_for_resource", exits_once_claimed)
    before = str(state(adopter))
    assert adopter.create(adopting(**SAME)).reason.startswith("InternalFailure: SystemExit")
    assert adopter.mutations() == ["TagResource", "UntagResource"]
    assert str(state(adopter)) == before


@pytest.mark.parametrize("id", [MADE_UP, "unconfirmed"])
def test_an_adoption_whose_response_was_lost_is_released(adopter: CustomResource, id: str) -> None:
    before = str(state(adopter))
    adopter.mailbox.refuse.append(Undelivered("HTTP 403", refused=True))
    event = adopter.event("Create", ResourceProperties=adopting(**SAME))
    with pytest.raises(Undelivered):
        adopter.provider(event, Context(adopter.time, 300))
    assert str(state(adopter)) != before
    adopter.time.sleep(60)
    id = f"unconfirmed:{event['RequestId']}" if id == "unconfirmed" else id
    assert adopter.delete(id, adopting(**SAME)).status == "SUCCESS"
    assert str(state(adopter)) == before
    # When the stack is deployed again, as another stack, it can adopt the destination.
    again = adopter.event("Create", ResourceProperties=adopting(**SAME), StackId=STACK_ID[:-4] + "ffff")
    assert adopter.send(again).status == "SUCCESS"


def test_at_most_one_of_two_concurrent_adoptions_succeeds(adopter: CustomResource) -> None:
    other = CustomResource(logical_id="Other")
    other.time, other.appfabric, other.mailbox.time = adopter.time, adopter.appfabric, adopter.time
    other.cold_start()
    for moment in range(1, 9):
        adopter.appfabric.destinations[EXISTING].tags = dict(TAGS)
        adopter.forget_calls()
        responses: list[str] = []

        def between(_call: object, moment: int = moment, responses: list[str] = responses) -> None:
            if len(adopter.calls()) == moment:
                responses.append(other.create(adopting(**SAME)).status)

        adopter.appfabric.subscribe(between)
        responses.append(adopter.create(adopting(**SAME)).status)
        assert responses.count("SUCCESS") <= 1, moment
        assert len(responses) == 2, moment


@pytest.mark.parametrize("moment", range(4))
def test_a_canceled_create_leaves_what_a_later_update_adopted(adopter: CustomResource, moment: int) -> None:
    """CloudFormation kept the failed resource (--disable-rollback), and the Create goes on."""
    create = adopter.event("Create", ResourceProperties=adopting(**SAME))
    adopter.time.sleep(1)
    another = CustomResource()
    another.time, another.appfabric, another.mailbox.time = adopter.time, adopter.appfabric, adopter.time
    another.cold_start()
    same = {"ResourceProperties": adopting(**SAME), "OldResourceProperties": adopting(**SAME)}
    update = adopter.event("Update", PhysicalResourceId=MADE_UP, **same)
    responses: list[str] = []

    def go_on(_call: object = None) -> None:
        if len(adopter.calls()) == moment:
            responses.append(another.send(update).status)

    if moment == 0:
        go_on()
    adopter.appfabric.subscribe(go_on)
    canceled = adopter.send(create)
    assert (canceled.status, responses) == ("FAILED", ["SUCCESS"])
    adopter.delete(MADE_UP, adopting(**SAME))
    _, tags = state(adopter)
    assert [key for key in tags if "Claim" in key] == []
    assert tags[f"{PREFIX}Request"].startswith(update["RequestId"])


def test_a_delete_with_adopt_arn_releases_the_destination(adopter: CustomResource) -> None:
    adopter.create(adopting(**SAME))
    response = adopter.delete(EXISTING, adopting(**SAME))
    assert (response.status, response.id) == ("SUCCESS", EXISTING)
    _, tags = state(adopter)
    assert tags == TAGS


def test_a_retried_delete_leaves_a_destination_that_was_adopted_again(adopter: CustomResource) -> None:
    adopter.create(adopting())
    event = adopter.event("Delete", PhysicalResourceId=EXISTING, ResourceProperties=adopting())
    adopter.send(event)
    adopter.time.sleep(1)
    adopter.create(adopting())
    before = str(state(adopter))
    assert adopter.send(event).status == "SUCCESS"
    assert str(state(adopter)) == before


def test_a_delete_with_adopt_arn_succeeds_when_the_destination_is_gone(adopter: CustomResource) -> None:
    adopter.create(adopting())
    adopter.appfabric.destinations.clear()
    assert adopter.delete(EXISTING, adopting()).status == "SUCCESS"


@pytest.mark.parametrize("id", ["unconfirmed:x", "something-else", "not-created:x"])
def test_a_delete_of_an_unrelated_id_leaves_the_adopted_destination(adopter: CustomResource, id: str) -> None:
    adopter.create(adopting())
    adopter.forget_calls()
    assert adopter.delete(id, adopting()).status == "SUCCESS"
    assert adopter.delete(id, properties(AdoptArn="not even an ARN")).status == "SUCCESS"
    assert not adopter.mutations()


def test_once_adopt_arn_is_removed_a_delete_deletes_the_destination(adopter: CustomResource) -> None:
    adopter.create(adopting())
    adopter.forget_calls()
    updated = adopter.update(EXISTING, properties(), adopting())
    assert (updated.status, updated.id) == ("SUCCESS", EXISTING)
    assert adopter.mutations() == ["TagResource"]
    adopter.delete(EXISTING)
    assert not adopter.appfabric.destinations


def test_a_delete_releases_an_adopted_destination_whatever_properties_it_comes_with(
    adopter: CustomResource, logs: Logs
) -> None:
    """CloudFormation may send those of an update that failed, or of one that replaced the destination."""
    adopter.create(adopting())
    adopter.appfabric.inject(Fault(operation="UpdateIngestionDestination", error="AccessDeniedException", times=99))
    adopter.time.sleep(61)
    without = properties(**ELSEWHERE)
    assert adopter.update(EXISTING, without, adopting()).status == "FAILED"
    assert adopter.delete(EXISTING, without).status == "SUCCESS"
    _, tags = state(adopter)
    assert tags == TAGS
    assert "not deleted but released" in logs.text


def test_a_retried_delete_leaves_what_its_first_invocation_released(adopter: CustomResource) -> None:
    """It comes with the properties of an update that failed, and the tags name no owner any more."""
    adopter.create(adopting())
    adopter.time.sleep(60)
    event = adopter.event("Delete", PhysicalResourceId=EXISTING, ResourceProperties=properties())
    adopter.mailbox.refuse.append(Undelivered("TimeoutError"))
    with pytest.raises(Undelivered):
        adopter.provider(event, Context(adopter.time, 300))
    before = str(state(adopter))
    adopter.time.sleep(60)
    assert adopter.send(event).status == "SUCCESS"
    assert str(state(adopter)) == before


def test_a_rolled_back_removal_of_adopt_arn_leaves_the_destination_adopted(adopter: CustomResource) -> None:
    adopter.create(adopting())
    assert adopter.update(EXISTING, properties(), adopting()).status == "SUCCESS"
    adopter.time.sleep(60)
    assert adopter.update(EXISTING, adopting(), properties()).status == "SUCCESS"
    adopter.delete(EXISTING, properties())
    _, tags = state(adopter)
    assert tags == TAGS


def test_the_replacement_of_an_adopted_destination_is_created_and_deleted(adopter: CustomResource) -> None:
    adopter.create(adopting())
    new = adopting(ProcessingConfiguration=processing("raw", "json"))
    replaced = adopter.update(EXISTING, new, adopting())
    assert replaced.status == "SUCCESS"
    adopter.delete(EXISTING, adopting())
    adopter.delete(replaced.id, new)
    assert list(adopter.appfabric.destinations) == [EXISTING]


def test_the_rollback_of_a_replacement_returns_to_the_adopted_destination(adopter: CustomResource) -> None:
    adopter.create(adopting())
    new = properties(ProcessingConfiguration=processing("raw", "json"))
    replaced = adopter.update(EXISTING, new, adopting())
    response = adopter.update(replaced.id, adopting(), new)
    assert (response.status, response.id) == ("SUCCESS", EXISTING)


@pytest.mark.parametrize("since", ["more than an hour", "changed by hand", "deleted by hand"])
def test_the_rollback_of_a_replacement_of_an_adopted_destination_creates_one_when_it_cannot_return(
    adopter: CustomResource, since: str
) -> None:
    adopter.create(adopting(**SAME))
    new = properties(IngestionIdentifier=OTHER_INGESTION)
    replaced = adopter.update(EXISTING, new, adopting(**SAME))
    if since == "more than an hour":
        adopter.delete(EXISTING, adopting(**SAME))
        adopter.time.sleep(2 * HOUR)
    elif since == "changed by hand":
        adopter.appfabric.destinations[EXISTING].tags["team"] = "after"
    else:
        del adopter.appfabric.destinations[EXISTING]
    response = adopter.update(replaced.id, adopting(**SAME), new)
    assert response.status == "SUCCESS"
    assert response.id not in {EXISTING, replaced.id}
    again = adopter.update(response.id, adopting(), adopting(**SAME))
    assert (again.status, again.id) == ("SUCCESS", response.id)


@pytest.mark.parametrize("only", [None, 1, 2, 3])
def test_a_rollback_of_adopt_arn_taken_out_does_not_believe_old_tags(adopter: CustomResource, only: int) -> None:
    adopter.create(adopting())
    adopter.time.sleep(60)
    adopter.delay_tags(3, only=only)
    assert adopter.update(EXISTING, properties(), adopting()).status == "SUCCESS"
    adopter.time.sleep(1)
    assert adopter.update(EXISTING, adopting(), properties()).status == "SUCCESS"
    adopter.time.sleep(60)
    adopter.delete(EXISTING, properties())  # as after an update that failed
    assert EXISTING in adopter.appfabric.destinations


@pytest.mark.parametrize("only", [None, 1, 2, 3])
def test_a_rollback_of_adopt_arn_put_in_does_not_believe_old_tags(adopter: CustomResource, only: int) -> None:
    created = adopter.create()
    adopter.time.sleep(60)
    adopter.delay_tags(3, only=only)
    named = properties(AdoptArn=created.id)
    assert adopter.update(created.id, named, properties()).status == "SUCCESS"
    adopter.time.sleep(1)
    assert adopter.update(created.id, properties(), named).status == "SUCCESS"
    adopter.time.sleep(60)
    adopter.delete(created.id, properties())
    assert created.id not in adopter.appfabric.destinations


def test_a_delete_does_not_believe_tags_from_before_adopt_arn_was_taken_out(adopter: CustomResource) -> None:
    adopter.create(adopting())
    adopter.time.sleep(60)
    adopter.delay_tags(3)
    assert adopter.update(EXISTING, properties(), adopting()).status == "SUCCESS"
    adopter.time.sleep(1)
    assert adopter.delete(EXISTING, properties()).status == "SUCCESS"
    assert EXISTING not in adopter.appfabric.destinations


def test_a_delete_does_not_believe_tags_from_before_an_adoption(adopter: CustomResource) -> None:
    """It comes a second later, with properties without AdoptArn."""
    adopter.delay_tags(3)
    assert adopter.update(MADE_UP, adopting(), properties()).id == EXISTING
    adopter.time.sleep(1)
    assert adopter.delete(EXISTING, properties()).status == "SUCCESS"
    assert EXISTING in adopter.appfabric.destinations


def test_what_is_gone_back_to_without_adopt_arn_is_deleted_with_the_resource(adopter: CustomResource) -> None:
    """The adopted one was retained when an update replaced it and took AdoptArn out."""
    adopter.create(adopting())
    replaced = adopter.update(EXISTING, properties(**RAW), adopting())
    adopter.time.sleep(60)
    assert adopter.update(replaced.id, properties(), properties(**RAW)).id == EXISTING
    adopter.time.sleep(60)
    assert adopter.delete(EXISTING, properties()).status == "SUCCESS"
    assert EXISTING not in adopter.appfabric.destinations


def test_a_rollback_returns_to_what_adopt_arn_names_however_late(adopter: CustomResource) -> None:
    """It may not be released yet: CloudFormation does that at the end of the update."""
    adopter.create(adopting())
    replaced = adopter.update(EXISTING, adopting(**RAW), adopting())
    adopter.time.sleep(2 * HOUR)
    assert adopter.update(replaced.id, adopting(), adopting(**RAW)).id == EXISTING


@pytest.mark.parametrize("further", [[], ["raw"]], ids=["replaced", "replaced twice"])
@pytest.mark.parametrize("other", ["", EXISTING.replace("4444", "5555")], ids=["removed", "another"])
def test_a_rollback_may_name_an_adopted_destination_that_was_replaced_long_ago(
    adopter: CustomResource, further: list[str], other: str
) -> None:
    adopter.create(adopting())
    old, id = adopting(), EXISTING
    for schema, format in [("ocsf", "parquet"), *((schema, "json") for schema in further)]:
        new = adopting(ProcessingConfiguration=processing(schema, format))
        replaced = adopter.update(id, new, old)
        adopter.delete(id, old)
        old, id = new, replaced.id
        adopter.time.sleep(2 * HOUR)
    changed = {**old, "AdoptArn": other}
    assert adopter.update(id, changed, old).status == ("FAILED" if other else "SUCCESS")
    adopter.time.sleep(60)
    response = adopter.update(id, old, changed)
    assert (response.status, response.id) == ("SUCCESS", id)


def test_the_rollback_of_a_destination_created_in_place_of_an_adopted_one_that_was_deleted_by_hand(
    adopter: CustomResource,
) -> None:
    adopter.create(adopting())
    adopter.appfabric.destinations.clear()
    created = adopter.update(EXISTING, properties(**ELSEWHERE), adopting())
    adopter.time.sleep(60)
    response = adopter.update(created.id, adopting(), properties(**ELSEWHERE))
    assert (response.status, response.id) == ("SUCCESS", created.id)


@pytest.mark.parametrize("mistaken", [True, False], ids=["after a mistake", "at once"])
def test_what_adopt_arn_names_may_change_with_a_replacement(adopter: CustomResource, mistaken: bool) -> None:
    """After --disable-rollback the old properties are perhaps those of the mistake."""
    adopter.create(adopting())
    replaced = adopter.update(EXISTING, adopting(**RAW), adopting())
    adopter.time.sleep(2 * HOUR)
    old = adopting(**RAW)
    if mistaken:
        old = {**old, "AdoptArn": EXISTING.replace("4444", "5555")}
        assert adopter.update(replaced.id, old, adopting(**RAW)).status == "FAILED"
    parquet = processing("ocsf", "parquet")
    new = adopting(ProcessingConfiguration=parquet) | ({} if mistaken else {"AdoptArn": replaced.id})
    third = adopter.update(replaced.id, new, old)
    adopter.time.sleep(2 * HOUR)
    tagged = {**new, **SAME}
    assert adopter.update(third.id, tagged, new).status == "SUCCESS"
    adopter.time.sleep(60)
    assert adopter.update(third.id, new, tagged).status == "SUCCESS"


def test_several_updates_may_be_rolled_back_to_what_adopt_arn_named(adopter: CustomResource) -> None:
    """After --disable-rollback, by rollback-stack: AdoptArn was taken out first, and the format changed then."""
    adopter.create(adopting())
    replaced = adopter.update(EXISTING, adopting(**RAW), adopting())
    adopter.time.sleep(2 * HOUR)
    assert adopter.update(replaced.id, properties(**RAW), adopting(**RAW)).status == "SUCCESS"
    parquet = properties(ProcessingConfiguration=processing("ocsf", "parquet"))
    third = adopter.update(replaced.id, parquet, properties(**RAW))
    adopter.time.sleep(2 * HOUR)
    assert adopter.update(third.id, adopting(**RAW), parquet).status == "SUCCESS"


def test_a_late_duplicate_keeps_what_was_recorded_of_a_replacement_since(adopter: CustomResource) -> None:
    """It finds what its first invocation created, and which an update has gone back to since."""
    adopter.create(adopting())
    event = adopter.event(
        "Update",
        PhysicalResourceId=EXISTING,
        ResourceProperties=adopting(**RAW),
        OldResourceProperties=adopting(),
    )
    replaced = adopter.send(event)
    adopter.time.sleep(60)
    parquet = adopting(ProcessingConfiguration=processing("ocsf", "parquet"))
    third = adopter.update(replaced.id, parquet, adopting(**RAW))
    adopter.time.sleep(60)
    assert adopter.update(third.id, adopting(**RAW), parquet).id == replaced.id
    assert "/returned=" in str(adopter.appfabric.destinations[replaced.id].tags)
    adopter.forget_calls()
    adopter.time.sleep(60)
    adopter.send(event)
    assert not adopter.mutations()


def test_adopt_arn_may_change_at_once_to_the_replacement(adopter: CustomResource) -> None:
    """Its record of what AdoptArn named may not be listed yet."""
    adopter.create(adopting())
    adopter.time.sleep(60)
    adopter.delay_tags(3)
    replaced = adopter.update(EXISTING, adopting(**RAW), adopting())
    adopter.time.sleep(1)
    named = {**RAW, "AdoptArn": replaced.id}
    assert adopter.update(replaced.id, properties(**named), adopting(**RAW)).status == "SUCCESS"
    adopter.time.sleep(60)
    assert adopter.update(replaced.id, adopting(**RAW), properties(**named)).status == "SUCCESS"


def test_adopt_arn_may_go_on_naming_what_was_replaced_though_somebody_removed_the_tags(adopter: CustomResource) -> None:
    adopter.create(adopting())
    replaced = adopter.update(EXISTING, adopting(**RAW), adopting())
    adopter.appfabric.destinations[replaced.id].tags.clear()
    adopter.time.sleep(60)
    assert adopter.update(replaced.id, adopting(**RAW, **SAME), adopting(**RAW)).status == "SUCCESS"


def test_an_update_may_go_back_to_a_retained_destination_and_name_it(adopter: CustomResource) -> None:
    created = adopter.create()
    replaced = adopter.update(created.id, properties(**RAW), properties())
    adopter.time.sleep(60)
    assert adopter.update(replaced.id, properties(AdoptArn=created.id), properties(**RAW)).id == created.id
    adopter.delete(created.id, properties())
    assert created.id in adopter.appfabric.destinations


def test_others_destinations_that_cannot_be_read_do_not_fail_the_delete_of_an_adoption(
    adopter: CustomResource,
) -> None:
    adopter.place(EXISTING.replace("4444", "5555"))
    list_tags = adopter.client.list_tags_for_resource

    def list_own_tags(**parameters: Any) -> Any:
        if parameters["resourceArn"] != EXISTING:
            raise ClientError({"Error": {"Code": "AccessDeniedException"}}, "ListTagsForResource")
        return list_tags(**parameters)

    adopter.client.list_tags_for_resource = list_own_tags
    assert adopter.delete(MADE_UP, adopting()).status == "SUCCESS"


@pytest.mark.parametrize("new", [properties(**RAW), adopting(**RAW)], ids=["taken out", "kept"])
def test_a_rollback_that_follows_at_once_waits_for_what_is_recorded(
    adopter: CustomResource, new: dict[str, Any]
) -> None:
    """It has to create one, because somebody changed the adopted one."""
    adopter.create(adopting(**SAME))
    adopter.appfabric.destinations[EXISTING].tags["team"] = "by hand"
    adopter.time.sleep(60)
    adopter.delay_tags(3)
    replaced = adopter.update(EXISTING, new, adopting(**SAME))
    adopter.time.sleep(1)
    assert adopter.update(replaced.id, adopting(**SAME), new).status == "SUCCESS"


def test_a_destination_that_is_not_listed_yet_does_not_fail_a_replacement(adopter: CustomResource) -> None:
    adopter.create(adopting())
    adopter.time.sleep(60)
    created_at, tag = [], adopter.client.tag_resource

    def tag_what_is_known(**parameters: Any) -> Any:
        created_at[:] = created_at or [adopter.time.passed]
        if adopter.time.passed < created_at[0] + 3:
            raise ClientError({"Error": {"Code": "ResourceNotFoundException"}}, "TagResource")
        return tag(**parameters)

    def note_creation(call: Call) -> None:
        if call.operation == "CreateIngestionDestination":
            created_at.append(adopter.time.passed)

    adopter.appfabric.subscribe(note_creation)
    adopter.client.tag_resource = tag_what_is_known
    listed = Fault(operation="ListIngestionDestinations", error="ResourceNotFoundException", times=2)
    adopter.appfabric.inject(listed)
    assert adopter.update(EXISTING, adopting(**RAW), adopting()).status == "SUCCESS"


def test_of_what_adopt_arn_named_the_latest_is_recorded() -> None:
    ownership = Ownership.read({f"{PREFIX}StackId": "s", f"{PREFIX}LogicalResourceId": "l"})
    assert ownership
    named = ownership.naming("a", "b", "c").naming("d", "a", "e")
    assert named.named == ("c", "d", "a", "e")
    assert Ownership.read(named.tags) == named
    assert named.is_held_as(ownership)


def test_a_refused_adoption_stays_refused_after_a_replacement(adopter: CustomResource, logs: Logs) -> None:
    created = adopter.create()
    assert adopter.update(created.id, adopting(), properties()).status == "FAILED"
    replaced = adopter.update(created.id, properties(**RAW), adopting())
    assert not [line for line in logs.errors() if line.get("arn")]  # the replacement does not take long
    adopter.time.sleep(2 * HOUR)
    assert adopter.update(replaced.id, adopting(**RAW), properties(**RAW)).status == "FAILED"


def test_a_resource_with_a_destination_cannot_adopt_another(adopter: CustomResource) -> None:
    created = adopter.create()
    response = adopter.update(created.id, adopting(), properties())
    assert (response.status, response.id) == ("FAILED", created.id)
    assert response.reason.startswith("InvalidRequest: AdoptArn: ")
    assert adopter.update(created.id, properties(), adopting()).status == "SUCCESS"


@pytest.mark.parametrize("first", [adopting(), properties()], ids=["adopted", "created"])
def test_what_cannot_be_adopted_cannot_be_adopted_by_sending_the_update_again(
    adopter: CustomResource, first: dict[str, Any]
) -> None:
    """After --disable-rollback the old properties are perhaps those that were refused."""
    id = adopter.create(first).id
    other = properties(AdoptArn=EXISTING.replace("4444", "5555"))
    assert adopter.update(id, other, first).status == "FAILED"
    assert adopter.update(id, other, other).status == "FAILED"


def test_adopt_arn_can_be_set_to_the_resources_own_destination(adopter: CustomResource) -> None:
    created = adopter.create()
    adopted = properties(AdoptArn=created.id)
    assert adopter.update(created.id, adopted, properties()).status == "SUCCESS"
    adopter.delete(created.id, adopted)
    assert created.id in adopter.appfabric.destinations


@pytest.mark.parametrize("id", ["not-created:x", "unconfirmed:x", MADE_UP])
@pytest.mark.parametrize("old", [adopting(), properties()], ids=["adopting", "creating"])
def test_an_update_of_an_id_without_a_destination_adopts_and_its_delete_leaves_it(
    adopter: CustomResource, id: str, old: dict[str, Any]
) -> None:
    response = adopter.update(id, adopting(), old)
    assert (response.status, response.id) == ("SUCCESS", EXISTING)
    assert adopter.delete(id, old).status == "SUCCESS"
    assert adopter.update(EXISTING, adopting(**ELSEWHERE), adopting()).id == EXISTING
    assert adopter.delete(EXISTING, adopting(**ELSEWHERE)).status == "SUCCESS"
    _, tags = state(adopter)
    assert tags == TAGS


def test_the_rollback_of_an_adoption_whose_response_was_lost_releases_it(adopter: CustomResource) -> None:
    before = str(state(adopter))
    event = adopter.event(
        "Update", PhysicalResourceId=MADE_UP, ResourceProperties=adopting(), OldResourceProperties=properties()
    )
    adopter.mailbox.refuse.append(Undelivered("TimeoutError"))
    with pytest.raises(Undelivered):
        adopter.provider(event, Context(adopter.time, 300))
    adopter.time.sleep(720)
    response = adopter.update(MADE_UP, properties(), adopting())
    assert response.status == "SUCCESS"
    assert str(state(adopter)) == before


@pytest.mark.parametrize("how", ["swept up", "made up", "unconfirmed"])
def test_an_adopted_destination_is_never_deleted_as_an_orphan(adopter: CustomResource, how: str) -> None:
    """Even by a request without AdoptArn: which properties CloudFormation sends is not known."""
    before = str(state(adopter))
    adopter.mailbox.refuse.append(Undelivered("TimeoutError"))
    kind = {"PhysicalResourceId": MADE_UP, "OldResourceProperties": properties()} if how == "swept up" else {}
    event = adopter.event("Update" if kind else "Create", ResourceProperties=adopting(), **kind)
    with pytest.raises(Undelivered):
        adopter.provider(event, Context(adopter.time, 300))
    adopter.time.sleep(720)
    if how == "swept up":
        assert adopter.update(MADE_UP, properties(Tags=[{"Key": "a", "Value": "1"}]), properties()).status == "SUCCESS"
    else:
        assert (
            adopter.delete(f"unconfirmed:{event['RequestId']}" if how == "unconfirmed" else MADE_UP).status == "SUCCESS"
        )
    assert str(state(adopter)) == before


@pytest.mark.parametrize("mistake", [{"Ref": "Adopted"}, ["x"], 5], ids=str)
def test_an_update_with_an_invalid_adopt_arn_is_rolled_back(resource: CustomResource, mistake: object) -> None:
    current = resource.create()
    assert resource.update(current.id, properties(AdoptArn=mistake), properties()).status == "FAILED"
    assert resource.update(current.id, properties(), properties(AdoptArn=mistake)).status == "SUCCESS"


def test_an_empty_adopt_arn_means_none(adopter: CustomResource) -> None:
    response = adopter.create(properties(AdoptArn=""))
    assert response.status == "SUCCESS"
    assert response.id != EXISTING
