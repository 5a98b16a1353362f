"""Scenarios that once failed, each reduced to its essentials. The invariants are checked after every operation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from local.appfabric import Outcome
from tests.simulation.aws import NOTHING_WRONG, Behavior, Fault, Invocation, Plan, Request, installed
from tests.simulation.cloudformation import CREATE_FIRST, UPDATE_IT, Options
from tests.simulation.invariants import ownership_tags
from tests.simulation.scenarios import FOR_THE_STACK, HAND_MADE, NOT, TO_THE_END, Scenario, properties
from tests.support.properties import INGESTION, OTHER_INGESTION, processing, tag_list, to_bucket, to_stream

NO_RESPONSE_ARRIVES = Plan(puts=(Fault(0, "500", 999),))
DIES_BEFORE_ITS_RESPONSE = Plan(puts=(Fault(0, "the container dies before it is stored"),))
RAW = properties(ProcessingConfiguration=processing("raw", "json"))
ADOPTS = properties(AdoptArn=HAND_MADE[0])
STALE = Behavior(lags=(3,))


class Deployment:
    """A stack with one resource."""

    def __init__(self, behavior: Behavior | None = None) -> None:
        self.scenario = Scenario()
        self.scenario.begin(behavior=behavior or Behavior())
        self.stack = self.scenario.stacks[0]
        self.failed = False

    def create(self, *plans: Plan, wanted: Mapping[str, Any] | None = None, wait: str = TO_THE_END, **how: Any) -> None:
        new = {"Destination": wanted or properties()}
        self._go(lambda: self.stack.create(new, Options(**how)), plans, wait=wait)

    def update(self, *plans: Plan, wanted: Mapping[str, Any], outcomes: Any = (), **how: Any) -> None:
        self.scenario.time_passes(1)  # nobody is quicker
        self._go(lambda: self.stack.update({"Destination": wanted}, Options(**how)), plans, outcomes)

    def delete(self, *plans: Plan, **how: Any) -> None:
        self.scenario.time_passes(1)
        self._go(lambda: self.stack.delete(Options(**how)), plans)

    def _go(self, operation: Any, plans: Any, outcomes: Any = (), *, wait: str = TO_THE_END) -> None:
        self.failed = True
        self.scenario.go(operation, list(plans), outcomes, wait)
        self.failed = False

    def own_destinations(self) -> set[str]:
        return self.scenario.simulation.appfabric.destinations.keys() - self.scenario.facts.foreign.keys()

    @property
    def id(self) -> str:
        return self.stack.resources["Destination"].id

    @property
    def requests(self) -> list[Request]:
        return self.scenario.facts.requests

    @property
    def invocations(self) -> list[Invocation]:
        return self.scenario.simulation.invocations


@pytest.fixture(autouse=True)
def in_the_simulation() -> Iterator[None]:
    with installed():
        yield


@pytest.fixture
def deployment() -> Iterator[Deployment]:
    deployment = Deployment()
    yield deployment
    if not deployment.failed:
        deployment.scenario.teardown()


# Retries, duplicates and late invocations


def test_a_retry_too_late_to_create_responds_with_the_earlier_destination(deployment: Deployment) -> None:
    deployment.create(NO_RESPONSE_ARRIVES, NO_RESPONSE_ARRIVES)
    assert deployment.own_destinations() == {deployment.id}


@pytest.mark.parametrize("fault", ["throttled", "500 before the effect", "403"])
def test_a_retry_whose_calls_all_fail_responds_unconfirmed(fault: str, deployment: Deployment) -> None:
    deployment.create(NO_RESPONSE_ARRIVES, Plan(calls=(Fault(0, fault, 9999),)))
    assert deployment.requests[0].result == f"unconfirmed:{deployment.requests[0].token}"
    assert not deployment.own_destinations()


def test_a_retry_ended_by_the_watchdog_leaves_no_orphan(
    deployment: Deployment,
) -> None:
    hangs = Plan(calls=(Fault(0, "hangs beyond any interrupt, before the effect"),))
    deployment.create(DIES_BEFORE_ITS_RESPONSE, NO_RESPONSE_ARRIVES, hangs)
    assert not deployment.own_destinations()


def test_a_delete_outlasts_a_canceled_create_that_retries_its_call(deployment: Deployment) -> None:
    deployment.create(Plan(calls=(Fault(0, "hangs after the effect"),)), fails_at=0.07)
    assert not deployment.own_destinations()


@pytest.mark.parametrize("dies", ["before", "after"])
def test_a_delete_outlasts_a_canceled_create_that_lambda_retries(dies: str, deployment: Deployment) -> None:
    deployment.create(Plan(calls=(Fault(0, f"the container dies {dies} the effect"),)), fails_at=0.07)
    assert not deployment.own_destinations()


def test_a_destination_created_by_a_late_duplicate_is_reported(deployment: Deployment) -> None:
    deployment.create(Plan(duplicate_after=130), fails_at=1)
    duplicate = deployment.invocations[-1]
    assert [error["arn"] for error in duplicate.errors] == list(deployment.own_destinations())
    assert duplicate.counted["PossibleOrphans"] == 1


def test_a_403_for_a_response_already_stored_deletes_nothing(deployment: Deployment) -> None:
    deployment.create(Plan(puts=(Fault(0, "connection cut after it is stored"), Fault(1, "403"))))
    assert deployment.own_destinations() == {deployment.id}


# A destination that is in use is deleted, moved or loses its tags


def test_a_canceled_create_leaves_a_retained_destination_that_differs(deployment: Deployment) -> None:
    deployment.create()
    kept = deployment.id
    deployment.delete(retain=frozenset({"Destination"}))
    deployment.create(wanted=properties(DestinationConfiguration=to_bucket("two")), fails_at=0.07)
    assert deployment.own_destinations() == {kept}


def test_the_delete_of_a_made_up_id_leaves_the_next_updates_destination(deployment: Deployment) -> None:
    deployment.create(fails_at=0.07, preserve=True)
    lost = Plan(puts=(Fault(0, "connection cut after it is stored"), Fault(1, "500", 999)))
    deployment.update(Plan(), lost, wanted=properties(), continues=UPDATE_IT)
    assert deployment.own_destinations() == {deployment.id}


def test_concurrent_adoptions_of_one_destination_do_not_both_succeed(deployment: Deployment) -> None:
    """At most one of them succeeds."""
    other = deployment.scenario.stacks[1]
    deployment.create(wanted=ADOPTS, wait=NOT)
    deployment.scenario.go(lambda: other.create({"Dest": ADOPTS}, Options()))
    owners = [stack for stack in (deployment.stack, other) if stack.state == "complete"]
    assert len(owners) <= 1


def test_a_failed_update_in_place_is_restored_before_the_rollback(deployment: Deployment) -> None:
    deployment.create()
    fails = Outcome(operation="UpdateIngestionDestination", status="Failed", status_reason="no such bucket")
    deployment.update(wanted=properties(DestinationConfiguration=to_stream("three")), outcomes=[fails])
    assert deployment.stack.state == "complete"


# Found by this simulation


def test_a_claim_that_a_refused_adoption_cannot_drop_is_dropped_by_the_delete_that_follows(
    deployment: Deployment,
) -> None:
    """The Delete of `not-created:` does nothing: the response is `unconfirmed:`."""
    cannot_drop = Plan(calls=(Fault(4, "403"),))
    deployment.scenario.go(
        lambda: deployment.stack.create({"Destination": ADOPTS, "Dest": ADOPTS}, Options()),
        [cannot_drop],
        wait=TO_THE_END,
    )
    assert not ownership_tags(deployment.scenario.facts.destinations[HAND_MADE[0]])


def test_a_release_just_after_the_adoption_removes_the_ownership_tags() -> None:
    """The Delete reads tags that are three seconds old, from before the adoption was complete."""
    deployment = Deployment(STALE)
    deployment.create(wanted=ADOPTS)
    deployment.delete()
    deployment.scenario.teardown()


def test_an_adopted_destination_deleted_by_hand_can_be_released() -> None:
    deployment = Deployment(STALE)
    deployment.create(wanted=ADOPTS)
    deployment.scenario.time_passes(seconds=5)
    deployment.scenario.change_by_hand(HAND_MADE[0], "deleted")
    deployment.delete()
    assert deployment.stack.state == "none"


@pytest.mark.parametrize("at", range(6))
def test_a_canceled_adoption_leaves_no_ownership_tag(at: int, deployment: Deployment) -> None:
    """Its calls interleave with those of the Delete that follows."""
    deployment.create(Plan(calls=(Fault(at, "500 before the effect"),), latency=3), fails_at=1, wanted=ADOPTS)


def test_a_duplicate_that_adopts_after_the_delete_is_reported(deployment: Deployment) -> None:
    deployment.create(Plan(duplicate_after=130), fails_at=20, wanted=ADOPTS)


def test_a_retry_that_adopts_after_the_delete_and_hangs_is_reported(deployment: Deployment) -> None:
    """CloudFormation's Delete has already ended."""
    hangs = Plan(calls=(Fault(5, "hangs beyond any interrupt, after the effect"),))
    dies = Plan(puts=(Fault(0, "the container dies after it is stored"),))
    deployment.create(dies, hangs, wanted=ADOPTS, fails_at=20)


def test_a_duplicate_that_fails_to_adopt_after_the_delete_removes_its_claim(deployment: Deployment) -> None:
    """No later request would remove it."""
    duplicate = Plan(calls=(Fault(3, "404 of a proxy"),))
    deployment.create(Plan(duplicate_after=130), duplicate, fails_at=20, wanted=ADOPTS)


def test_a_destination_created_late_without_a_response_is_reported(deployment: Deployment) -> None:
    """The duplicate's create call had no response, and a search found what it created."""
    creates_again = Plan(calls=tuple(Fault(at, "hangs after the effect") for at in range(3, 6)))
    deployment.create(Plan(duplicate_after=130), creates_again, fails_at=1)


def test_a_replacement_whose_response_is_rejected_is_reported_by_its_arn(deployment: Deployment) -> None:
    deployment.create()
    raw = properties(ProcessingConfiguration=processing("raw", "json"))
    deployment.update(wanted=raw, refused=frozenset({0}), preserve=True)
    deployment.delete()


def test_a_duplicate_with_a_403_does_not_orphan_the_first_invocations_destination(deployment: Deployment) -> None:
    """Both began within ten seconds, and the response of the first one takes longer."""
    slow = Plan(puts=(Fault(0, "slow"),), latency=3, duplicate_after=4)
    deployment.create(slow, Plan(calls=(Fault(0, "403"),)))


@pytest.mark.parametrize("hours_later", [0, 4])
@pytest.mark.parametrize(
    "changed",
    [
        {"ProcessingConfiguration": processing("raw", "json")},
        {"DestinationConfiguration": to_bucket("two")},
        {"IngestionIdentifier": OTHER_INGESTION},
    ],
    ids=str,
)
def test_a_marker_deleted_with_the_new_properties_leaves_no_silent_orphan(
    changed: Mapping[str, Any], hours_later: int, deployment: Deployment
) -> None:
    """It is not known with which properties CloudFormation deletes the id that an Update replaced."""
    deployment.create(fails_at=0.07, preserve=True)
    deployment.scenario.time_passes(seconds=hours_later * 3600)
    deployment.update(wanted=properties(**changed), continues=UPDATE_IT, deletes_with_new=True)


def test_a_canceled_create_in_flight_is_reported_by_an_update_that_leads_elsewhere(deployment: Deployment) -> None:
    """Residual 13: the Delete that would find its destination comes with the new properties."""
    deployment.create(Plan(latency=20), fails_at=1, preserve=True, wait=FOR_THE_STACK)
    moved = properties(IngestionIdentifier=OTHER_INGESTION)
    deployment.update(wanted=moved, continues=UPDATE_IT, deletes_with_new=True)
    update = next(request for request in deployment.requests if request.type == "Update")
    assert [error["arn"] for each in update.invocations for error in each.errors] == [None]
    assert 13 in deployment.scenario.excused


@pytest.mark.parametrize("latency", [3, 20])
def test_a_marker_deleted_with_the_properties_of_an_adoption_leaves_no_orphan(
    latency: float, deployment: Deployment
) -> None:
    """That Delete names what the Update adopted, and not what the canceled Create left."""
    deployment.create(Plan(latency=latency), fails_at=1, preserve=True, wait=FOR_THE_STACK)
    deployment.update(wanted=ADOPTS, continues=UPDATE_IT, deletes_with_new=True)
    assert not deployment.own_destinations()


def test_an_unconfirmed_create_deleted_with_the_new_properties_leaves_no_silent_orphan(deployment: Deployment) -> None:
    cut_off = Plan(calls=(Fault(0, "hangs after the effect"), Fault(1, "403", 999)))
    deployment.create(cut_off, preserve=True)
    moved = properties(IngestionIdentifier=OTHER_INGESTION)
    deployment.update(wanted=moved, continues=UPDATE_IT, deletes_with_new=True)


def test_a_rollback_restores_a_removed_tag_that_a_stale_read_still_shows() -> None:
    """The tag was removed less than three seconds ago, and a stale read shows it."""
    deployment = Deployment(STALE)
    deployment.create(wanted=properties(Tags=tag_list({"a": "1"})))
    deployment.scenario.time_passes(seconds=10)
    deployment.update(wanted=properties(), fails_at=1)
    deployment.scenario.teardown()


def test_a_late_retry_of_a_tag_update_keeps_the_rolled_back_tags(deployment: Deployment) -> None:
    """A change of tags does not change AppFabric's updatedAt."""
    deployment.create(wanted=properties(Tags=tag_list({"a": "1"})))
    lost = Plan(puts=(Fault(0, "connection cut after it is stored"), Fault(1, "500", 999)))
    deployment.update(lost, wanted=properties(), fails_at=5)


def test_both_destinations_of_an_expired_client_token_are_reported() -> None:
    """Two invocations of a Create run at once, and the slower one calls after AppFabric has forgotten the token."""
    deployment = Deployment(Behavior(tokens="forgotten"))
    late = Fault(3, "hangs until it is given up, then takes effect")
    deployment.create(Plan(calls=(late,), latency=9, queued=70, duplicate_after=10))
    deployment.scenario.teardown()


def test_a_false_404_just_after_the_create_does_not_end_the_delete() -> None:
    deployment = Deployment(Behavior(lags=(0, 3)))
    deployment.create()
    deployment.delete(Plan(calls=(Fault(1, "404 though it exists"),)))
    deployment.scenario.teardown()


def test_a_delete_that_reads_stale_tags_does_not_release_the_next_adoption(deployment: Deployment) -> None:
    """The Delete of the failed Create before it reads tags that are three seconds old."""
    deployment.scenario.simulation.behavior = STALE
    deployment.create(Plan(calls=(Fault(5, "403"),)), wanted=ADOPTS, preserve=True)
    deployment.update(wanted=ADOPTS, continues=CREATE_FIRST)
    assert deployment.id == HAND_MADE[0]


@pytest.mark.parametrize("lags", [(0, 3), (3, 0)])
def test_a_delete_whose_second_reading_is_the_older_one_does_not_release_the_next_adoption(
    lags: tuple[float, ...],
) -> None:
    """The canceled Create had adopted the destination as well, some seconds before the Update did."""
    deployment = Deployment(Behavior(lags=lags))
    deployment.create(Plan(queued=70), wanted=ADOPTS, fails_at=0.07, preserve=True)
    deployment.update(wanted=ADOPTS, continues=UPDATE_IT)
    assert deployment.id == HAND_MADE[0]


@pytest.mark.parametrize("fault", ["hangs before the effect", "throttled"])
def test_a_release_that_is_retried_leaves_the_next_adoption(fault: str, deployment: Deployment) -> None:
    """Another invocation has released the destination by then, and another stack has adopted it."""
    deployment.create(wanted=ADOPTS)
    slow = Plan(calls=(Fault(1, fault, 1 if "hangs" in fault else 9),), duplicate_after=4)
    scenario, other = deployment.scenario, deployment.scenario.stacks[1]
    scenario.go(lambda: deployment.stack.delete(Options()), [slow], [], NOT)
    scenario.simulation.scheduler.run(stop=lambda: deployment.stack.state == "none")
    scenario.go(lambda: other.create({"Destination": ADOPTS}, Options()), [], [], TO_THE_END)
    assert other.resources["Destination"].id == HAND_MADE[0]


@pytest.mark.parametrize("lag", [0, 1.5, 3])
def test_an_adoption_of_what_is_being_released_leaves_no_single_tag(lag: float) -> None:
    """The canceled Create had adopted it, and its Delete removes the tags just before the next Create sets them."""
    deployment = Deployment(Behavior(lags=(lag,)))
    deployment.create(wanted=ADOPTS, fails_at=0.07, preserve=True)
    deployment.scenario.time_passes(seconds=70)
    again = Options(fails_at=0.07, preserve=True, continues=CREATE_FIRST)
    deployment.scenario.go(lambda: deployment.stack.resume(again))
    deployment.scenario.go(lambda: deployment.stack.resume(Options()))
    deployment.scenario.teardown()
    assert not ownership_tags(deployment.scenario.facts.destinations[HAND_MADE[0]])


def test_a_delete_that_reads_stale_tags_does_not_delete_the_next_adoption(deployment: Deployment) -> None:
    """The Delete of the failed Create before it reads the tags from before the adoption: its own, and recent."""
    deployment.create()
    kept, stack, scenario = deployment.id, deployment.stack, deployment.scenario
    scenario.simulation.behavior = STALE
    other = {"Dest": properties(DestinationConfiguration=to_bucket("two"))}
    scenario.go(lambda: stack.update(other, Options(retain=frozenset({"Destination"}))))
    creates_nothing = Plan(calls=(Fault(0, "throttled", 9999),))
    canceled = Options(fails_at=1, preserve=True)
    scenario.go(lambda: stack.update({**other, "Destination": properties()}, canceled), [creates_nothing])
    adopting = {**other, "Destination": properties(AdoptArn=kept)}
    scenario.go(lambda: stack.update(adopting, Options(continues=CREATE_FIRST)))
    assert deployment.id == kept
    assert kept in scenario.facts.destinations


def test_a_destination_is_not_taken_for_deleted_after_stale_reads() -> None:
    """It was read once; the next read, and then the list, return older data."""
    deployment = Deployment(Behavior(lags=(0, 3, 3)))
    pending = Outcome(operation="CreateIngestionDestination", pending_gets=3)
    deployment.scenario.go(lambda: deployment.stack.create({"Destination": properties()}, Options()), [], [pending])
    deployment.scenario.teardown()
    assert [request.type for request in deployment.requests if not request.succeeded] == []


@pytest.mark.parametrize("at", range(1, 6))
def test_a_single_403_does_not_hide_the_earlier_invocations_destination(at: int) -> None:
    deployment = Deployment(Behavior(tokens="forgotten"))
    unreadable_once = Plan(calls=(Fault(at, "403"),))
    deployment.create(DIES_BEFORE_ITS_RESPONSE, unreadable_once)
    deployment.scenario.teardown()


def test_a_canceled_adoption_is_reported_when_the_next_updates_sweep_fails(
    deployment: Deployment,
) -> None:
    """The Delete has the new properties, which no longer name the destination."""
    adopts = properties(AdoptArn=HAND_MADE[1], IngestionIdentifier=OTHER_INGESTION, Tags=tag_list({"a": "1"}))
    deployment.create(fails_at=0.07, preserve=True, wanted=adopts)
    cannot_search = Plan(calls=(Fault(1, "403", 999),))
    deployment.update(cannot_search, wanted=properties(), continues=UPDATE_IT, deletes_with_new=True)


def test_a_slow_sweep_still_finds_the_orphan_of_a_canceled_create(
    deployment: Deployment,
) -> None:
    """It has read everything once by the time it runs out of time."""
    deployment.create(fails_at=0.07, preserve=True, wanted=properties(IngestionIdentifier=OTHER_INGESTION))
    deployment.update(Plan(latency=9), wanted=properties(), continues=UPDATE_IT, deletes_with_new=True)


@pytest.mark.parametrize(
    "operation", ["GetIngestionDestination", "ListTagsForResource once more", "DeleteIngestionDestination"]
)
def test_a_sweep_that_finds_an_orphan_and_fails_reports_it(operation: str, deployment: Deployment) -> None:
    """The Delete that follows comes with the new properties, and searches another ingestion."""
    never_ends = Fault(2, "hangs beyond any interrupt, after the effect")
    create = Plan(calls=(never_ends,), queued=70)
    deployment.create(create, wanted=properties(IngestionIdentifier=OTHER_INGESTION), preserve=True)
    (left,) = deployment.own_destinations()
    at = {"GetIngestionDestination": 9, "ListTagsForResource once more": 11, "DeleteIngestionDestination": 12}
    fails = Plan(calls=(Fault(at[operation], "403", 999),))
    deployment.update(fails, wanted=properties(), continues=UPDATE_IT, deletes_with_new=True)
    assert left in {error["arn"] for each in deployment.invocations for error in each.errors}


def test_of_two_invocations_that_move_at_once_the_one_that_fails_moves_back() -> None:
    """Residual 12, counted and excused."""
    deployment = Deployment()
    deployment.create()
    moved = properties(DestinationConfiguration=to_bucket("two"))
    fails = Outcome(operation="UpdateIngestionDestination", skip=1, status="Failed", status_reason="as planned")
    responds_second = Plan(latency=0.15, puts=(Fault(0, "500", 2),))
    deployment.update(Plan(duplicate_after=0.05), responds_second, wanted=moved, outcomes=[fails])
    assert 12 in deployment.scenario.excused


def test_of_two_invocations_at_once_the_one_that_fails_moves_back_what_the_other_one_found_moved() -> None:
    """Residual 12, counted and excused."""
    deployment = Deployment()
    deployment.create()
    moved = properties(DestinationConfiguration=to_bucket("two"))
    pending = Outcome(operation="UpdateIngestionDestination", pending_gets=1)
    cannot_read_it = Plan(calls=(Fault(4, "403"),), latency=3, duplicate_after=13.9)
    deployment.update(cannot_read_it, wanted=moved, outcomes=[pending])
    assert 12 in deployment.scenario.excused


def test_of_two_invocations_at_once_each_creates_one_when_the_token_is_forgotten_in_between() -> None:
    """Residual 12, counted and excused."""
    deployment = Deployment(Behavior(tokens="forgotten"))
    throttled = Fault(0, "throttled", 9)
    deployment.create(Plan(calls=(throttled,), latency=9, queued=6, duplicate_after=0.05))
    assert len(deployment.own_destinations()) == 2
    assert 12 in deployment.scenario.excused


def test_a_duplicate_within_ten_seconds_denies_an_adoption_in_place_of_a_failed_create() -> None:
    """Residual 12, counted and excused."""
    deployment = Deployment()
    short = properties(AdoptArn=HAND_MADE[0], ServiceTimeout="60")
    deployment.create(Plan(latency=9), wanted=short, preserve=True)
    cannot_read = Plan(calls=(Fault(0, "404 though it exists", 999),))
    succeeds = Plan(latency=2, duplicate_after=0.05)
    deployment.update(succeeds, cannot_read, wanted=short, continues=UPDATE_IT, preserve=True)
    deployment.delete()
    assert 12 in deployment.scenario.excused


def test_a_duplicate_within_ten_seconds_denies_an_adoption() -> None:
    """It counts as the first invocation: residual 12, counted and excused."""
    deployment = Deployment()
    cannot_read = Plan(calls=(Fault(0, "hangs before the effect", 99),), duplicate_after=4)
    deployment.create(
        cannot_read, DIES_BEFORE_ITS_RESPONSE, wanted=properties(AdoptArn=HAND_MADE[0], ServiceTimeout="60")
    )
    deployment.scenario.teardown()
    assert 12 in deployment.scenario.excused


@pytest.mark.parametrize("outcome", ["500", "connection cut", "hangs", "hangs beyond any interrupt,"])
def test_a_duplicate_create_in_doubt_after_its_destination_was_deleted_is_reported(
    outcome: str, deployment: Deployment
) -> None:
    """No Delete follows: the stack is gone."""
    in_doubt = Plan(calls=(Fault(3, f"{outcome} after the effect", 999),))
    deployment.create(Plan(duplicate_after=130), in_doubt, fails_at=65)
    assert deployment.own_destinations()
    errors = [error["message"] for each in deployment.invocations for error in each.errors]
    assert errors.count("possible orphaned ingestion destination") == 1
    assert 3 in deployment.scenario.excused  # nobody knows the ARN


def test_a_replacement_is_left_when_each_of_its_containers_dies_and_the_stack_is_deleted() -> None:
    """Residual 4, counted and excused: the Delete of what it replaces may as well follow a success."""
    deployment = Deployment()
    deployment.create()
    hangs, death = Fault(3, "hangs beyond any interrupt, after the effect", 999), DIES_BEFORE_ITS_RESPONSE.puts
    deployment.update(DIES_BEFORE_ITS_RESPONSE, Plan(calls=(hangs,), puts=death), wanted=RAW, preserve=True)
    deployment.delete()
    deployment.scenario.teardown()
    assert deployment.scenario.excused == {4}


@pytest.mark.parametrize("outcome", ["500", "connection cut"])
def test_a_replacement_in_doubt_is_reported_without_its_arn_when_nothing_can_be_listed(outcome: str) -> None:
    """A 500 leaves as open as no response does whether there is a replacement: residual 4, counted and excused."""
    deployment = Deployment()
    deployment.create()
    in_doubt = Plan(calls=(Fault(2, f"{outcome} after the effect", 999),))
    deployment.update(in_doubt, wanted=RAW, preserve=True)
    deployment.delete()
    errors = [(error["message"], error["arn"]) for each in deployment.invocations for error in each.errors]
    assert ("possible orphaned ingestion destination", None) in errors
    deployment.scenario.teardown()
    assert deployment.scenario.excused == {4}


def test_an_adoption_is_still_to_be_released_when_its_marker_was_replaced_in_an_update_that_failed() -> None:
    """After --disable-rollback CloudFormation deletes the id that it made up only when an update succeeds."""
    deployment = Deployment()
    slow = Plan(latency=3)
    deployment.create(slow, wanted=ADOPTS, fails_at=20, preserve=True)
    deployment.update(wanted=properties(), fails_at=60, preserve=True, continues=UPDATE_IT)
    assert ownership_tags(deployment.scenario.facts.destinations[HAND_MADE[0]])
    deployment.update(wanted=properties(), continues=UPDATE_IT, deletes_with_new=True)
    assert not ownership_tags(deployment.scenario.facts.destinations[HAND_MADE[0]])


def test_what_a_canceled_create_adopted_is_retained_with_the_marker_that_stands_for_it(deployment: Deployment) -> None:
    """Under UpdateReplacePolicy: Retain no Delete of the id follows that would release it."""
    deployment.stack.retains_replaced = True
    deployment.create(Plan(latency=3), wanted=ADOPTS, fails_at=1, preserve=True)
    deployment.update(wanted=properties(), continues=UPDATE_IT, deletes_with_new=True)
    assert ownership_tags(deployment.scenario.facts.destinations[HAND_MADE[0]])


def test_a_duplicate_within_ten_seconds_repeats_a_move_that_was_rolled_back() -> None:
    """It counts as the first invocation: residual 6, counted and excused."""
    deployment = Deployment()
    deployment.create()
    moved = properties(DestinationConfiguration=to_bucket("two"))
    deployment.update(Plan(duplicate_after=4), wanted=moved, fails_at=0.9)
    assert 6 in deployment.scenario.excused


def test_a_late_rollback_does_not_take_over_a_destination_with_the_tags_of_the_failed_update(
    deployment: Deployment,
) -> None:
    """Somebody deleted the destination, and a duplicate of the Update that failed creates it with the new tags."""
    deployment.create()
    deployment.scenario.change_by_hand(deployment.id, "deleted")
    fails = Plan(calls=(Fault(1, "403"),), queued=70, duplicate_after=30)
    late = Plan(queued=70)
    deployment.update(fails, NOTHING_WRONG, late, wanted=properties(Tags=tag_list({"a": "1"})))


def test_of_two_adoptions_requested_within_one_second_the_canceled_one_may_win() -> None:
    """Residual 16, counted and excused."""
    deployment = Deployment()
    deployment.create(Plan(queued=6), wanted=ADOPTS, fails_at=0.07, preserve=True, wait=FOR_THE_STACK)
    options = Options(continues=UPDATE_IT)
    deployment.scenario.go(lambda: deployment.stack.update({"Destination": ADOPTS}, options))  # at once
    assert 16 in deployment.scenario.excused


@pytest.mark.parametrize("call", range(5))
def test_a_canceled_adoption_that_is_throttled_leaves_the_next_adoption(call: int, deployment: Deployment) -> None:
    throttled = Plan(calls=(Fault(call, "throttled", 40),))
    deployment.create(throttled, wanted=ADOPTS, fails_at=1, preserve=True, wait=FOR_THE_STACK)
    deployment.update(wanted=ADOPTS, continues=UPDATE_IT)
    assert deployment.id == HAND_MADE[0]
    assert not deployment.scenario.excused


def test_a_late_rollback_just_after_a_move_can_be_continued(deployment: Deployment) -> None:
    """Residual 9: who updated the destination is not known."""
    deployment.create()
    deployment.scenario.time_passes(seconds=70)
    moved = properties(DestinationConfiguration=to_bucket("two"))
    deployment.update(Plan(), Plan(queued=11), wanted=moved, fails_at=1)
    assert deployment.stack.state == "stuck"
    deployment.scenario.go(lambda: deployment.stack.resume(Options()))
    assert deployment.stack.state == "complete"
    assert "one" in str(deployment.scenario.facts.destinations[deployment.id].destination)


# CloudFormation cancels an Update in progress when something else fails; the function is not notified.

CANCELED = {"fails_at": 1, "cancels_updates": True}


@pytest.mark.parametrize("lag", [0, 3])
@pytest.mark.parametrize("latency", [0.1, 0.5, 1.5])
def test_a_canceled_replacement_is_deleted_by_the_rollback(latency: float, lag: float) -> None:
    deployment = Deployment(Behavior(lags=(lag,)))
    deployment.create()
    deployment.scenario.time_passes(seconds=70)
    kept = deployment.id
    deployment.update(Plan(latency=latency), wanted=RAW, **CANCELED)
    deployment.scenario.teardown()
    assert kept in {call.arn for call in deployment.scenario.simulation.calls if call.removed}
    assert not deployment.own_destinations()


def test_a_canceled_replacement_just_after_the_create_is_reported(deployment: Deployment) -> None:
    """A stale read does not return the new destination yet, and the next one does."""
    deployment.scenario.simulation.behavior = STALE
    deployment.create()
    kept = deployment.id
    deployment.update(wanted=RAW, fails_at=0.07, cancels_updates=True)
    # Both requests were made within the same second, so the replacement is only reported.
    assert {
        error["arn"] for each in deployment.invocations for error in each.errors
    } == deployment.own_destinations() - {kept}


def test_a_canceled_replacement_created_after_its_rollback_is_reported(deployment: Deployment) -> None:
    deployment.create()
    kept = deployment.id
    throttled = Plan(calls=(Fault(2, "throttled", 8),))
    deployment.update(throttled, wanted=RAW, **CANCELED)
    late = deployment.own_destinations() - {kept}
    assert {error["arn"] for each in deployment.invocations for error in each.errors} >= late


def test_a_canceled_replacement_of_a_destination_deleted_meanwhile_is_reported(deployment: Deployment) -> None:
    """The stack was never complete, so its rollback deletes everything and sends no Update."""
    deployment.create(fails_at=5, preserve=True)
    replaced = deployment.id
    pending = Outcome(operation="CreateIngestionDestination", pending_gets=4)
    deployment.update(wanted=RAW, outcomes=[pending], **CANCELED)
    (left,) = deployment.own_destinations()
    assert left != replaced
    assert left in {error["arn"] for each in deployment.invocations for error in each.errors}


def test_a_canceled_update_in_place_is_rolled_back(deployment: Deployment) -> None:
    deployment.create()
    deployment.scenario.time_passes(seconds=70)
    moved = properties(DestinationConfiguration=to_bucket("two"))
    deployment.update(Plan(latency=1.5), wanted=moved, **CANCELED)
    live = deployment.scenario.facts.destinations[deployment.id]
    assert "two" not in str(live.destination)


def test_a_tag_of_the_destination_that_an_update_goes_back_to_stays(deployment: Deployment) -> None:
    """Residual 15, counted and excused: after --disable-rollback the old properties are those of its replacement."""
    raw = properties(ProcessingConfiguration=processing("raw", "json"))
    deployment.create(wanted=properties(Tags=tag_list({"a": "1"})))
    deployment.update(wanted=raw, fails_at=0.07, preserve=True)
    deployment.update(wanted=properties())
    assert deployment.scenario.excused == {15}


@pytest.mark.parametrize(("canceled", "fails_at"), [(ADOPTS, 0.25), (properties(), 0.07)], ids=["adopts", "creates"])
def test_what_a_canceled_create_left_stays_when_a_late_delete_has_the_properties_of_an_update(
    canceled: Mapping[str, Any], fails_at: float
) -> None:
    """Residual 15, counted and excused: the Update leaves it, because UpdateReplacePolicy may be Retain."""
    deployment = Deployment()
    deployment.create(wanted=canceled, fails_at=fails_at, preserve=True)
    changed = properties(DestinationConfiguration=to_bucket("two"))
    how = {"deletes_with_new": True, "deletes_current": True, "old_is_tried": False}
    deployment.update(wanted=changed, fails_at=1, preserve=True, continues=UPDATE_IT, **how)
    deployment.scenario.time_passes(4 * 3600)
    deployment.scenario.teardown()
    assert deployment.scenario.excused == {15}


def test_a_tag_that_goes_with_the_replacement_is_removed_from_the_destination_that_an_update_goes_back_to(
    deployment: Deployment,
) -> None:
    raw = properties(ProcessingConfiguration=processing("raw", "json"), Tags=tag_list({"a": "1"}))
    deployment.create(wanted=properties(Tags=tag_list({"a": "1"})))
    deployment.update(wanted=raw, fails_at=5, preserve=True)
    deployment.update(wanted=properties())
    assert "a" not in deployment.scenario.facts.destinations[deployment.id].tags


def test_a_rollback_leaves_what_was_retained_when_an_update_went_back_to_its_destination(
    deployment: Deployment,
) -> None:
    """It was created in place of this very destination, but CloudFormation knew it."""
    deployment.stack.retains_replaced = True
    deployment.create(wanted=RAW)
    deployment.update(wanted=properties())
    retained = deployment.id
    deployment.update(wanted=RAW)
    deployment.update(Plan(calls=(Fault(2, "403"),)), wanted=properties())
    assert retained in deployment.own_destinations() - {deployment.id}
    assert deployment.stack.state == "complete"


@pytest.mark.parametrize("why", ["gone", "not tagged"])
def test_what_was_retained_is_deleted_when_nothing_records_that_an_update_went_back(
    deployment: Deployment, why: str
) -> None:
    """Residual 2, counted and excused."""
    refused = Plan(calls=(Fault(6, "403"),))
    deployment.stack.retains_replaced = True
    deployment.create(wanted=RAW)
    deployment.update(wanted=properties())
    deployment.update(refused if why == "not tagged" else NOTHING_WRONG, wanted=RAW)
    if why == "gone":
        deployment.scenario.change_by_hand(deployment.id, "deleted")
    deployment.update(Plan(calls=(Fault(2, "403", 99),)), wanted=properties())
    assert deployment.scenario.excused == {2}


@pytest.mark.parametrize(("hanging", "then"), [(12, "Active"), (99, "not readable")])
def test_an_update_that_fails_late_leaves_what_a_duplicate_has_responded_with(
    hanging: int, then: str, deployment: Deployment
) -> None:
    """The first invocation cannot read whether its replacement is Active, and the second one can."""
    deployment.create()
    slow = Plan(calls=(Fault(4, "hangs before the effect", hanging),), duplicate_after=130)
    pending = Outcome(operation="CreateIngestionDestination", pending_gets=1)
    deployment.update(slow, wanted=RAW, outcomes=[pending])
    assert [len(invocation.errors) for invocation in deployment.invocations[1:3]] == [2, 0]
    assert deployment.own_destinations() == {deployment.id}


@pytest.mark.parametrize("ingestion", [INGESTION, OTHER_INGESTION])
def test_the_rollback_of_an_invalid_update_reports_what_a_canceled_one_created(
    ingestion: str, deployment: Deployment
) -> None:
    """The canceled one is followed by the invalid one after --disable-rollback; elsewhere, nothing is searched."""
    deployment.create()
    raw = {**RAW, "IngestionIdentifier": ingestion}
    deployment.update(wanted=raw, fails_at=0.07, preserve=True, cancels_updates=True)
    deployment.update(wanted={**raw, "Tags": "invalid"})
    assert deployment.scenario.excused == (set() if ingestion == INGESTION else {4})


def test_a_canceled_update_may_record_a_return_to_a_retained_destination(deployment: Deployment) -> None:
    """It names it as AdoptArn too, and its rollback changes nothing."""
    deployment.stack.retains_replaced = True
    deployment.create()
    retained = deployment.id
    deployment.update(wanted=RAW)
    deployment.update(wanted=properties(AdoptArn=retained), fails_at=5, cancels_updates=True)
    assert "/returned=" in ownership_tags(deployment.scenario.facts.destinations[retained])["Request"]


def test_a_late_duplicate_may_create_what_the_first_invocation_denies(deployment: Deployment) -> None:
    """Residual 12, counted and excused."""
    throttled = Plan(calls=(Fault(0, "throttled", 999),), duplicate_after=250)
    deployment.create(throttled, Plan(calls=(Fault(3, "hangs after the effect", 9),), latency=3))
    assert deployment.scenario.excused == {12}


# A claim is dropped while the adoption is in flight


def test_the_delete_of_a_canceled_adoption_leaves_its_claim_while_that_may_be_in_flight(
    deployment: Deployment,
) -> None:
    """Else another stack adopts the destination too, and the first one's Delete takes its ownership tags."""
    tags_slowly = Plan(calls=(Fault(4, "slow"),))
    deployment.create(tags_slowly, wanted=ADOPTS, fails_at=1.7, wait=NOT)
    deployment.scenario.time_passes(4.25)
    other = deployment.scenario.stacks[1]
    deployment.scenario.go(lambda: other.create({"Dest": ADOPTS}, Options()), wait=TO_THE_END)
