"""AdoptArn: a destination that somebody else made is taken over, given back, and never lost."""

from typing import Any

import pytest

from ingestion_destination.delivery import Undelivered
from local.appfabric import Fault, Outcome
from tests.contract.laptop import (
    INGESTION,
    OTHER_INGESTION,
    Context,
    CustomResource,
    processing,
    properties,
    to_bucket,
    to_stream,
)

THERE = f"{INGESTION}/ingestiondestination/44444444-4444-4444-8444-444444444444"
MADE_UP = "audit-logs-Destination-1A2B3C4D5E6F"
TAGS = {"by": "the console", "team": "before"}
NEW = {
    "DestinationConfiguration": to_stream("audit-logs"),
    "Tags": [{"Key": "team", "Value": "security"}, {"Key": "new", "Value": "1"}],
}


def adopting(**changed: Any) -> dict[str, Any]:
    return properties(AdoptArn=THERE, **changed)


@pytest.fixture
def there(resource: CustomResource) -> CustomResource:
    """With a destination that the console made long ago."""
    return with_console_made(resource)


def with_console_made(resource: CustomResource) -> CustomResource:
    resource.place(THERE, tags=dict(TAGS))
    resource.time.sleep(100_000)
    return resource


def state(resource: CustomResource) -> tuple[Any, Any]:
    destination = resource.appfabric.destinations[THERE]
    return destination.destination, destination.tags


def test_it_is_taken_over_and_brought_to_the_template(there: CustomResource) -> None:
    answer = there.create(adopting(**NEW))
    assert (answer.status, answer.id) == ("SUCCESS", THERE)
    assert list(there.appfabric.destinations) == [THERE]
    destination, tags = state(there)
    assert "audit-logs" in str(destination["auditLog"]["destination"]["firehoseStream"])
    assert tags == {"by": "the console", "team": "security", "new": "1", **there.owner_tags}
    assert set(answer.data) == set(there.update(THERE, adopting(**NEW), adopting(**NEW)).data)


def test_taken_over_again_by_the_same_event_changes_nothing(there: CustomResource) -> None:
    event = there.event("Create", ResourceProperties=adopting(**NEW))
    there.send(event)
    there.forget_calls()
    assert there.send(event).id == THERE
    assert not there.mutations()


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"ProcessingConfiguration": processing("raw", "json")}, "another Schema or Format"),
        ({"IngestionIdentifier": OTHER_INGESTION}, "of the ingestion that the properties name"),
        ({"AdoptArn": "arn:aws:s3:::bucket"}, "AdoptArn must be the ARN of an ingestion destination"),
        ({"AdoptArn": THERE.replace("4444", "5555")}, "there is no such destination"),
    ],
)
def test_what_does_not_fit_is_refused_before_anything_is_changed(
    there: CustomResource, changed: dict[str, Any], says: str
) -> None:
    before = str(state(there))
    answer = there.create({**adopting(**NEW), **changed})
    assert answer.reason.startswith("InvalidRequest: ")
    assert says in answer.reason
    assert answer.id.startswith("not-created:")
    assert not there.mutations()
    assert str(state(there)) == before


def test_what_belongs_to_another_resource_is_refused_with_the_way_out(there: CustomResource) -> None:
    other = CustomResource(logical_id="Other")
    there.appfabric.destinations[THERE].tags.update(other.owner_tags)
    answer = there.create(adopting(**NEW))
    assert answer.reason.startswith("InvalidRequest: AdoptArn: the destination belongs to another resource")
    assert f"aws appfabric untag-resource --resource-arn {THERE} --tag-keys custom-appfabric" in answer.reason
    assert not there.mutations()


def test_what_this_resource_once_retained_is_its_own(there: CustomResource) -> None:
    there.appfabric.destinations[THERE].tags.update(there.owner_tags)
    assert there.create(adopting()).id == THERE


@pytest.mark.parametrize(
    "order",
    [
        Outcome(operation="UpdateIngestionDestination", status="Failed"),
        Fault(operation="UpdateIngestionDestination", cut=True, after=True, times=9),
        Fault(operation="TagResource", error="AccessDeniedException", times=9),
        Fault(operation="TagResource", error="InternalServerException", after=True, times=9),
        Fault(operation="ListTagsForResource", error="ValidationException", skip=1),
    ],
    ids=str,
)
def test_an_adoption_that_fails_is_put_back(impatient: CustomResource, order: Any) -> None:
    resource = with_console_made(impatient)
    before = str(state(resource))
    resource.appfabric.order(order)
    if isinstance(order, Outcome):
        resource.appfabric.order(Outcome(operation="UpdateIngestionDestination", status="Active"))
    event = resource.event("Create", ResourceProperties=adopting(**NEW))
    answer = resource.send(event)
    assert (answer.status, answer.id) == ("FAILED", f"not-created:{event['RequestId']}")
    resource.appfabric.cancel_orders()
    if not isinstance(order, Fault) or order.operation != "UpdateIngestionDestination":
        assert str(state(resource)) == before
    assert resource.delete(answer.id, adopting(**NEW)).status == "SUCCESS"
    assert THERE in resource.appfabric.destinations


def test_an_adoption_whose_answer_is_refused_is_put_back(there: CustomResource) -> None:
    before = str(state(there))
    there.mailbox.refuse.append(Undelivered("HTTP 403", refused=True))
    with pytest.raises(Undelivered):
        there.provider(there.event("Create", ResourceProperties=adopting(**NEW)), Context(there.time, 300))
    assert str(state(there)) == before


def test_while_it_is_on_loan_a_delete_gives_it_back(there: CustomResource) -> None:
    there.create(adopting(**NEW))
    answer = there.delete(THERE, adopting(**NEW))
    assert (answer.status, answer.id) == ("SUCCESS", THERE)
    _, tags = state(there)
    assert tags == {"by": "the console", "team": "security", "new": "1"}


def test_given_back_when_it_is_gone_is_given_back(there: CustomResource) -> None:
    there.create(adopting())
    there.appfabric.destinations.clear()
    assert there.delete(THERE, adopting()).status == "SUCCESS"


@pytest.mark.parametrize("physical_id", [MADE_UP, "unconfirmed:x", "something-else"])
def test_while_it_is_on_loan_no_other_id_touches_it(there: CustomResource, physical_id: str) -> None:
    there.create(adopting())
    there.forget_calls()
    assert there.delete(physical_id, adopting()).status == "SUCCESS"
    assert not there.calls()
    assert there.delete(physical_id, properties(AdoptArn="not even an ARN")).status == "SUCCESS"
    assert not there.calls()


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
    answer = there.update(replaced.id, adopting(), new)
    assert (answer.status, answer.id) == ("SUCCESS", THERE)


def test_a_resource_that_has_a_destination_adopts_no_other(there: CustomResource) -> None:
    made = there.create()
    answer = there.update(made.id, adopting(), properties())
    assert (answer.status, answer.id) == ("FAILED", made.id)
    assert answer.reason.startswith("InvalidRequest: AdoptArn: ")
    assert there.update(made.id, properties(), adopting()).status == "SUCCESS"


def test_its_own_destination_may_be_put_on_loan(there: CustomResource) -> None:
    made = there.create()
    on_loan = properties(AdoptArn=made.id)
    assert there.update(made.id, on_loan, properties()).status == "SUCCESS"
    there.delete(made.id, on_loan)
    assert made.id in there.appfabric.destinations


def test_an_update_of_what_was_not_created_adopts(there: CustomResource) -> None:
    answer = there.update("not-created:x", adopting(DestinationConfiguration=to_bucket("other")), adopting())
    assert (answer.status, answer.id) == ("SUCCESS", THERE)
