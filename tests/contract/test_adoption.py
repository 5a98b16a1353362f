"""AdoptArn: a destination that somebody else created is taken over as it is, released, and never lost."""

from datetime import timedelta
from typing import Any

import pytest

from ingestion_destination.cloudformation.delivery import Undelivered
from local.appfabric import Fault
from tests.support.custom_resource import Context, CustomResource
from tests.support.properties import INGESTION, OTHER_INGESTION, STACK_ID, processing, properties, to_stream

THERE = f"{INGESTION}/ingestiondestination/44444444-4444-4444-8444-444444444444"
MADE_UP = "audit-logs-Destination-1A2B3C4D5E6F"
AGE = timedelta(seconds=100_000)
TAGS = {"by": "the console", "team": "before"}
SAME = {"Tags": [{"Key": "team", "Value": "before"}]}
ELSEWHERE = {"DestinationConfiguration": to_stream("audit-logs")}


def adopting(**changed: Any) -> dict[str, Any]:
    return properties(AdoptArn=THERE, **changed)


@pytest.fixture
def there(resource: CustomResource) -> CustomResource:
    """With a destination that the console made long ago."""
    return with_console_made(resource)


def with_console_made(resource: CustomResource) -> CustomResource:
    resource.place(THERE, tags=dict(TAGS))
    resource.time.sleep(AGE.total_seconds())
    return resource


def state(resource: CustomResource) -> tuple[Any, Any]:
    destination = resource.appfabric.destinations[THERE]
    return destination.destination, destination.tags


def test_what_is_exactly_as_described_is_adopted_and_nothing_of_it_changed(there: CustomResource) -> None:
    before, _ = state(there)
    event = there.event("Create", ResourceProperties=adopting(**SAME))
    response = there.send(event)
    assert (response.status, response.id) == ("SUCCESS", THERE)
    assert list(there.appfabric.destinations) == [THERE]
    destination, tags = state(there)
    assert destination == before
    assert tags == {
        **TAGS,
        **there.ownership_tags(event["RequestId"], requested_at=there.time.began + AGE, how="/adopted"),
    }
    assert set(response.data) == set(there.update(THERE, adopting(**SAME), adopting(**SAME)).data)


def test_adopted_again_by_the_same_event_changes_nothing(there: CustomResource) -> None:
    event = there.event("Create", ResourceProperties=adopting(**SAME))
    there.send(event)
    there.forget_calls()
    assert there.send(event).id == THERE
    assert not there.mutations()


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"ProcessingConfiguration": processing("raw", "json")}, "differs from the template in Processing"),
        (ELSEWHERE, "differs from the template in DestinationConfiguration.AuditLog.Destination: make the template"),
        ({"Tags": [{"Key": "team", "Value": "security"}]}, "differs from the template in the tag team"),
        ({"Tags": [{"Key": "new", "Value": "1"}]}, "differs from the template in the tag new"),
        ({"IngestionIdentifier": OTHER_INGESTION}, "AdoptArn must belong to the ingestion"),
        ({"AdoptArn": "arn:aws:s3:::bucket"}, "AdoptArn must be the ARN of an ingestion destination"),
        ({"AdoptArn": THERE.replace("4444", "5555")}, "the destination does not exist"),
    ],
)
def test_what_does_not_fit_is_refused_before_anything_is_changed(
    there: CustomResource, changed: dict[str, Any], says: str
) -> None:
    before = str(state(there))
    response = there.create({**adopting(**SAME), **changed})
    assert response.reason.startswith("InvalidRequest: ")
    assert says in response.reason
    assert response.id.startswith("not-created:")
    assert not there.mutations()
    assert str(state(there)) == before


def test_what_belongs_to_another_resource_is_refused_with_the_way_out(there: CustomResource) -> None:
    other = CustomResource(logical_id="Other")
    there.appfabric.destinations[THERE].tags.update(other.ownership_tags("7f3c"))
    response = there.create(adopting(**SAME))
    assert response.reason.startswith("InvalidRequest: AdoptArn: the destination belongs to another resource")
    assert f"aws appfabric untag-resource --resource-arn {THERE} --tag-keys custom-appfabric" in response.reason
    for key in other.ownership_tags("7f3c"):
        assert key in response.reason
    assert not there.mutations()


def test_what_this_resource_once_retained_is_adopted_again(there: CustomResource) -> None:
    there.appfabric.destinations[THERE].tags.update(there.ownership_tags("7f3c"))
    event = there.event("Create", ResourceProperties=adopting())
    assert there.send(event).id == THERE
    assert event["RequestId"] in str(there.appfabric.destinations[THERE].tags)


@pytest.mark.parametrize(("others", "fits"), [(45, True), (46, False)])
def test_there_must_be_room_for_the_claim_and_the_four_tags(there: CustomResource, others: int, fits: bool) -> None:
    there.appfabric.destinations[THERE].tags = {f"key-{i}": "x" for i in range(others)}
    response = there.create(adopting())
    assert (response.status == "SUCCESS") == fits
    assert fits or "needs room for five more" in response.reason
    assert fits or not there.mutations()


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
def test_an_adoption_that_fails_is_released_by_the_delete_that_follows(impatient: CustomResource, order: Any) -> None:
    resource = with_console_made(impatient)
    before = str(state(resource))
    resource.appfabric.inject(order)
    event = resource.event("Create", ResourceProperties=adopting(**SAME))
    response = resource.send(event)
    assert (response.status, response.id) == ("FAILED", f"unconfirmed:{event['RequestId']}")
    resource.appfabric.clear_injections()
    assert resource.delete(response.id, adopting(**SAME)).status == "SUCCESS"
    assert str(state(resource)) == before


@pytest.mark.parametrize("id", [MADE_UP, "unconfirmed"])
def test_an_adoption_that_nobody_heard_of_is_released(there: CustomResource, id: str) -> None:
    before = str(state(there))
    there.mailbox.refuse.append(Undelivered("HTTP 403", refused=True))
    event = there.event("Create", ResourceProperties=adopting(**SAME))
    with pytest.raises(Undelivered):
        there.provider(event, Context(there.time, 300))
    assert str(state(there)) != before
    there.time.sleep(60)
    id = f"unconfirmed:{event['RequestId']}" if id == "unconfirmed" else id
    assert there.delete(id, adopting(**SAME)).status == "SUCCESS"
    assert str(state(there)) == before
    # and the stack that is deployed once more adopts it, though it is another stack by now
    again = there.event("Create", ResourceProperties=adopting(**SAME), StackId=STACK_ID[:-4] + "ffff")
    assert there.send(again).status == "SUCCESS"


def test_of_two_that_adopt_at_once_one_at_the_most_succeeds(there: CustomResource) -> None:
    other = CustomResource(logical_id="Other")
    other.time, other.appfabric, other.mailbox.time = there.time, there.appfabric, there.time
    other.cold_start()
    for moment in range(1, 9):
        there.appfabric.destinations[THERE].tags = dict(TAGS)
        there.forget_calls()
        responses: list[str] = []

        def between(_call: object, moment: int = moment, responses: list[str] = responses) -> None:
            if len(there.calls()) == moment:
                responses.append(other.create(adopting(**SAME)).status)

        there.appfabric.subscribe(between)
        responses.append(there.create(adopting(**SAME)).status)
        assert responses.count("SUCCESS") <= 1, moment
        assert len(responses) == 2, moment


def test_while_it_is_on_loan_a_delete_releases_it(there: CustomResource) -> None:
    there.create(adopting(**SAME))
    response = there.delete(THERE, adopting(**SAME))
    assert (response.status, response.id) == ("SUCCESS", THERE)
    _, tags = state(there)
    assert tags == TAGS


def test_what_is_gone_is_released(there: CustomResource) -> None:
    there.create(adopting())
    there.appfabric.destinations.clear()
    assert there.delete(THERE, adopting()).status == "SUCCESS"


@pytest.mark.parametrize("id", ["unconfirmed:x", "something-else", "not-created:x"])
def test_while_it_is_on_loan_an_id_that_does_not_stand_for_it_does_not_touch_it(there: CustomResource, id: str) -> None:
    there.create(adopting())
    there.forget_calls()
    assert there.delete(id, adopting()).status == "SUCCESS"
    assert there.delete(id, properties(AdoptArn="not even an ARN")).status == "SUCCESS"
    assert not there.mutations()


def test_without_adopt_arn_in_the_template_it_is_the_resources_to_delete(there: CustomResource) -> None:
    there.create(adopting())
    there.forget_calls()
    handed_over = there.update(THERE, properties(), adopting())
    assert (handed_over.status, handed_over.id) == ("SUCCESS", THERE)
    assert not there.mutations()
    there.delete(THERE)
    assert not there.appfabric.destinations


def test_what_replaces_it_is_made_and_deleted_as_ever(there: CustomResource) -> None:
    there.create(adopting())
    new = adopting(ProcessingConfiguration=processing("raw", "json"))
    replaced = there.update(THERE, new, adopting())
    assert replaced.status == "SUCCESS"
    there.delete(THERE, adopting())
    there.delete(replaced.id, new)
    assert list(there.appfabric.destinations) == [THERE]


def test_a_rollback_of_a_replacement_takes_it_back(there: CustomResource) -> None:
    there.create(adopting())
    new = properties(ProcessingConfiguration=processing("raw", "json"))
    replaced = there.update(THERE, new, adopting())
    response = there.update(replaced.id, adopting(), new)
    assert (response.status, response.id) == ("SUCCESS", THERE)


def test_a_resource_that_has_a_destination_adopts_no_other(there: CustomResource) -> None:
    made = there.create()
    response = there.update(made.id, adopting(), properties())
    assert (response.status, response.id) == ("FAILED", made.id)
    assert response.reason.startswith("InvalidRequest: AdoptArn: ")
    assert there.update(made.id, properties(), adopting()).status == "SUCCESS"


def test_its_own_destination_may_be_put_on_loan(there: CustomResource) -> None:
    made = there.create()
    on_loan = properties(AdoptArn=made.id)
    assert there.update(made.id, on_loan, properties()).status == "SUCCESS"
    there.delete(made.id, on_loan)
    assert made.id in there.appfabric.destinations


@pytest.mark.parametrize("id", ["not-created:x", "unconfirmed:x", MADE_UP])
@pytest.mark.parametrize("old", [adopting(), properties()], ids=["adopting", "creating"])
def test_an_update_of_what_was_not_created_adopts_and_its_clean_up_leaves_it(
    there: CustomResource, id: str, old: dict[str, Any]
) -> None:
    response = there.update(id, adopting(), old)
    assert (response.status, response.id) == ("SUCCESS", THERE)
    assert there.delete(id, old).status == "SUCCESS"
    assert there.update(THERE, adopting(**ELSEWHERE), adopting()).id == THERE
    assert there.delete(THERE, adopting(**ELSEWHERE)).status == "SUCCESS"
    _, tags = state(there)
    assert tags == TAGS


def test_the_rollback_of_an_adoption_that_nobody_heard_of_releases_it(there: CustomResource) -> None:
    before = str(state(there))
    event = there.event(
        "Update", PhysicalResourceId=MADE_UP, ResourceProperties=adopting(), OldResourceProperties=properties()
    )
    there.mailbox.refuse.append(Undelivered("TimeoutError"))
    with pytest.raises(Undelivered):
        there.provider(event, Context(there.time, 300))
    there.time.sleep(720)
    response = there.update(MADE_UP, properties(), adopting())
    assert response.status == "SUCCESS"
    assert str(state(there)) == before


@pytest.mark.parametrize("how", ["swept up", "made up", "unconfirmed"])
def test_what_was_adopted_is_never_deleted_as_an_orphan(there: CustomResource, how: str) -> None:
    """Though the request that finds it has properties without AdoptArn: which ones are sent is not known."""
    before = str(state(there))
    there.mailbox.refuse.append(Undelivered("TimeoutError"))
    kind = {"PhysicalResourceId": MADE_UP, "OldResourceProperties": properties()} if how == "swept up" else {}
    event = there.event("Update" if kind else "Create", ResourceProperties=adopting(), **kind)
    with pytest.raises(Undelivered):
        there.provider(event, Context(there.time, 300))
    there.time.sleep(720)
    if how == "swept up":
        assert there.update(MADE_UP, properties(Tags=[{"Key": "a", "Value": "1"}]), properties()).status == "SUCCESS"
    else:
        assert (
            there.delete(f"unconfirmed:{event['RequestId']}" if how == "unconfirmed" else MADE_UP).status == "SUCCESS"
        )
    assert str(state(there)) == before


def test_an_empty_adopt_arn_means_none(there: CustomResource) -> None:
    response = there.create(properties(AdoptArn=""))
    assert response.status == "SUCCESS"
    assert response.id != THERE
