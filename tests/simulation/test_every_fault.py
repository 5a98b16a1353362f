"""Every fault at every call and at every response of every kind of operation, one at a time.

Lambda retries an invocation whose container died, and CloudFormation rolls back, cleans up and finally deletes. The
calls are those of the same operation without a fault.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import pytest

from tests.simulation.aws import CALL_FAULTS, NOTHING_WRONG, PUT_FAULTS, Fault, Plan, installed
from tests.simulation.cloudformation import Options
from tests.simulation.scenarios import FOR_THE_STACK, HAND_MADE, Scenario, properties
from tests.support.properties import OTHER_INGESTION, processing, tag_list, to_bucket, to_stream

OLD = properties(DestinationConfiguration=to_bucket("old", prefix="p"), Tags=tag_list({"gone": "1", "changed": "1"}))
STEPS: dict[str, dict[str, Any]] = {
    "move": {"DestinationConfiguration": to_stream("elsewhere")},
    "tag": {"Tags": tag_list({"changed": "2"})},
    "replace": {"ProcessingConfiguration": processing("raw", "json")},
    "replace elsewhere": {"IngestionIdentifier": OTHER_INGESTION},
    "move and tag": {"DestinationConfiguration": to_stream("elsewhere"), "Tags": tag_list({"changed": "2"})},
}
ADOPTS = properties(AdoptArn=HAND_MADE[0])
# CloudFormation gives up on a request after 720 s without a response.
LATER = 900.0


@dataclass(frozen=True)
class Step:
    """One operation on a stack with one resource; the fault occurs in its invocation of this `number`."""

    name: str
    number: int = 0

    @property
    def creates(self) -> bool:
        return self.name.startswith(("create", "adopt"))

    def play(self, plan: Plan = NOTHING_WRONG) -> Scenario:
        """Play this step, with everything that CloudFormation and Lambda do until the end."""
        scenario = Scenario()
        scenario.begin()
        stack = scenario.stacks[0]
        if not self.creates:
            scenario.go(lambda: stack.create({"Destination": OLD}, Options()))
            scenario.time_passes(1)
        plans = [NOTHING_WRONG] * self.number + [plan]
        kind, _, how = self.name.partition(", ")
        rolled_back = Options(fails_at=LATER) if "rolled back" in how else Options()
        match kind:
            case "create":
                scenario.go(lambda: stack.create({"Destination": OLD}, rolled_back), plans, (), FOR_THE_STACK)
            case "adopt":
                scenario.go(lambda: stack.create({"Destination": ADOPTS}, rolled_back), plans, (), FOR_THE_STACK)
            case "create that is canceled" | "adoption that is canceled":
                plans[0] = Plan(plans[0].calls, plans[0].puts, latency=3)
                wanted = {"Destination": ADOPTS if "adoption" in kind else OLD}
                scenario.go(lambda: stack.create(wanted, Options(fails_at=1)), plans, (), FOR_THE_STACK)
            case "delete":
                scenario.go(lambda: stack.delete(Options()), plans, (), FOR_THE_STACK)
            case change:
                options = Options(fails_at=LATER, rollback_sends_update=True) if "Update" in how else rolled_back
                new = {"Destination": {**OLD, **STEPS[change]}}
                scenario.go(lambda: stack.update(new, options), plans, (), FOR_THE_STACK)
        scenario.wait()
        return scenario


ALL_STEPS = [
    *(Step(name) for name in ("create", "delete", "adopt")),
    *(Step(f"{name}, rolled back", number) for name in ("create", "adopt") for number in (0, 1)),
    *(Step(f"{name} that is canceled", number) for name in ("create", "adoption") for number in (0, 1)),
    *(Step(name) for name in STEPS),
    *(Step(f"{name}, rolled back", number) for name in STEPS for number in (0, 1)),
    *(Step(f"{name}, rolled back by an Update", number) for name in STEPS if "replace" in name for number in (0, 1, 2)),
    *(Step(name, 1) for name in STEPS if "replace" in name),
]


@dataclass(frozen=True)
class Case:
    """A fault at one place: at a call or at a response of an invocation of a step."""

    place: str
    step: Step
    plan: Plan

    @property
    def fault(self) -> Fault:
        (fault,) = (*self.plan.calls, *self.plan.puts)
        return fault

    def __str__(self) -> str:
        return f"{self.place}: {self.fault.kind}, {self.fault.times} times"


def cases() -> Iterator[Case]:
    with installed():
        for step in ALL_STEPS:
            scenario = step.play()
            of_the_operation = scenario.simulation.invocations[0 if step.creates else 1 :]
            invocation = of_the_operation[step.number]
            scenario.teardown()
            marks = [("calls", at, kind) for at in range(min(invocation.number_of_calls, 12)) for kind in CALL_FAULTS]
            marks += [("puts", at, kind) for at in range(2) for kind in PUT_FAULTS]
            for what, at, kind in marks:
                for times in (1, 999):
                    if at == 0 or what == "calls" or times == 1:
                        plan = Plan(**{what: (Fault(at, kind, times),)})  # type: ignore[arg-type]
                        request = invocation.request.type
                        yield Case(f"{step.name} ({request} {step.number}), {what[:-1]} {at + 1}", step, plan)


CASES = list(cases())
# One test for each place: pytest takes a third of the time again for one for each of the 10,000 cases.
PLACES = {place: list(of_it) for place, of_it in groupby(CASES, lambda case: case.place)}


@pytest.fixture(scope="module", autouse=True)
def in_the_simulation() -> Iterator[None]:
    with installed():
        yield


@pytest.mark.no_cover  # it would take nearly twice as long, and other tests run the same lines
@pytest.mark.parametrize("place", PLACES)
def test_a_single_fault_breaks_no_invariant(place: str) -> None:
    """No fault breaks an invariant, and the operation succeeds in spite of a transient one."""
    failures = []
    for case in PLACES[place]:
        try:
            play(case)
        except Exception as failure:
            failure.add_note(f"Case: {case}")
            failures.append(failure)
    if failures:
        raise ExceptionGroup(f"{len(failures)} of {len(PLACES[place])} faults", failures)


def play(case: Case) -> None:
    step, fault, scenario = case.step, case.fault, None
    try:
        scenario = step.play(case.plan)
        permanent = fault.times > 1 or fault.kind in {"403", "404 of a proxy"} or "beyond" in fault.kind
        if not permanent and "canceled" not in step.name and "rolled back" not in step.name:
            assert scenario.stacks[0].state == ("none" if step.name == "delete" else "complete"), (
                "a transient fault made it fail"
            )
        scenario.teardown()
    except AssertionError as failure:
        trace = scenario.simulation.trace if scenario else []
        raise AssertionError("\n".join([str(failure), "The trace:", *trace])) from None


@pytest.mark.parametrize("new", [{"Dest": OLD}, *({"Destination": {**OLD, **new}} for new in STEPS.values())], ids=str)
def test_an_update_whose_url_rejects_every_response_is_rolled_back(new: dict[str, Any]) -> None:
    """CloudFormation gives up on the request and rolls back: the same destinations exist as before, and no others."""
    scenario = Scenario()
    scenario.begin()
    stack = scenario.stacks[0]
    scenario.go(lambda: stack.create({"Destination": OLD}, Options()))
    scenario.time_passes(1)
    before = set(scenario.simulation.appfabric.destinations)
    scenario.go(lambda: stack.update({"Destination": OLD, **new}, Options(refused=frozenset({0}))))
    assert set(scenario.simulation.appfabric.destinations) == before
    assert [invocation.outcome for invocation in scenario.simulation.invocations[1:4]] == ["raised"] * 3
    scenario.teardown()


def test_the_cases_cover_every_kind_of_fault() -> None:
    """Without any case, the tests above would pass."""
    kinds = Counter(case.fault.kind for case in CASES)
    assert set(kinds) == {*CALL_FAULTS, *PUT_FAULTS}
    assert min(kinds.values()) >= len(ALL_STEPS)
    assert sum(map(len, PLACES.values())) == len(CASES)
