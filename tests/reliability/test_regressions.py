"""Lives that once went wrong, each shrunk to what it takes."""

from collections.abc import Iterator
from typing import Any

import pytest

from ingestion_destination.delivery import Undelivered
from local.appfabric import Fault
from tests.conftest import Logs
from tests.contract.laptop import Context, CustomResource, properties
from tests.reliability.lives import TO_THE_END, Lives
from tests.reliability.stacks import Choices
from tests.reliability.world import Mishap, Plan, installed

ANSWERS_GET_LOST = Plan(puts=(Mishap(0, "500", 999),))
DIES_BEFORE_ITS_ANSWER = Plan(puts=(Mishap(0, "the container dies before it is stored"),))


@pytest.fixture
def resource() -> CustomResource:
    return CustomResource()


def lose_the_answer(resource: CustomResource, event: dict[str, Any]) -> None:
    resource.mailbox.refuse.append(Undelivered("TimeoutError"))
    with pytest.raises(Undelivered):
        resource.provider(event, Context(resource.time, 300))


class In:
    """A stack in the simulated world."""

    def __init__(self) -> None:
        self.life = Lives()
        self.life.begin(there=[], roomy=True, hidden=0)
        self.stack = self.life.stacks[0]

    def create(self, *plans: Plan, fails_at: float | None = None) -> None:
        choices = Choices(fails_at=fails_at)
        self.life._go(lambda: self.stack.create({"Destination": properties()}, choices), list(plans), [], TO_THE_END)

    def ours(self) -> set[str]:
        return self.life.world.appfabric.destinations.keys() - self.life.foreign.keys()


@pytest.fixture
def world() -> Iterator[In]:
    with installed():
        world = In()
        yield world
        world.life.teardown()


def test_a_run_too_late_to_create_answers_with_what_an_earlier_one_made(resource: CustomResource) -> None:
    """It said `not-created:`, which no Delete looks for."""
    event = resource.event("Create")
    lose_the_answer(resource, event)
    resource.time.sleep(250)
    answer = resource.send(event)
    assert answer.status == "SUCCESS"
    assert list(resource.appfabric.destinations) == [answer.id]


@pytest.mark.parametrize("fault", ["ThrottlingException", "InternalServerException", "AccessDeniedException"])
def test_a_later_run_that_gets_nowhere_does_not_say_that_nothing_was_made(resource: CustomResource, fault: str) -> None:
    event = resource.event("Create")
    lose_the_answer(resource, event)
    resource.time.sleep(60)
    resource.appfabric.order(Fault(error=fault, times=9999))
    answer = resource.send(event)
    assert (answer.status, answer.id) == ("FAILED", f"unconfirmed:{event['RequestId']}")
    resource.appfabric.cancel_orders()
    resource.delete(answer.id)
    assert not resource.appfabric.destinations


def test_a_later_run_that_is_refused_takes_what_an_earlier_one_made(resource: CustomResource) -> None:
    event = resource.event("Create")
    lose_the_answer(resource, event)
    resource.time.sleep(60)
    resource.appfabric.order(Fault(operation="CreateIngestionDestination", error="AccessDeniedException", times=99))
    assert resource.send(event).id in resource.appfabric.destinations


def test_a_later_run_that_the_timer_ends_while_it_looks_does_not_say_that_nothing_was_made(world: In) -> None:
    hangs = Plan(calls=(Mishap(0, "hangs beyond any cut, before the effect"),))
    world.create(DIES_BEFORE_ITS_ANSWER, ANSWERS_GET_LOST, hangs)
    assert not world.ours()


def test_a_delete_looks_on_for_what_a_create_makes_that_sends_its_cut_call_again(world: In) -> None:
    """Another resource fails while the call hangs. The Delete finds what it made; then the call is sent once more."""
    world.create(Plan(calls=(Mishap(0, "hangs after the effect"),)), fails_at=0.07)
    assert not world.ours()


@pytest.mark.parametrize("dies", ["before", "after"])
def test_a_delete_looks_on_for_what_a_create_makes_that_is_run_again(world: In, dies: str) -> None:
    world.create(Plan(calls=(Mishap(0, f"the container dies {dies} the effect"),)), fails_at=0.07)
    assert not world.ours()


def test_what_another_run_makes_long_after_its_request_is_told_once(resource: CustomResource, logs: Logs) -> None:
    """That the request is over, no run can know."""
    event = resource.event("Create")
    resource.delete(resource.send(event).id)
    assert logs.counted("OrphansSuspected") == 0
    resource.time.sleep(60)
    answer = resource.send(event)
    resource.time.sleep(60)
    assert resource.send(event).id == answer.id
    assert [line["arn"] for line in logs.errors()] == [answer.id]
    assert logs.counted("OrphansSuspected") == 1


def test_a_refusal_after_a_try_of_which_nothing_was_heard_undoes_nothing(world: In) -> None:
    """The first try was stored: CloudFormation has the destination."""
    world.create(Plan(puts=(Mishap(0, "cut after it is stored"), Mishap(1, "403"))))
    assert world.ours() == {world.stack.resources["Destination"].id}
