"""Every mishap at every call and at every answer of every step of a life, one at a time, and what AWS does about it.

tests/contract/test_every_fault_at_every_call.py shows the same of single requests, over boto3 and with a limit of 15 s.
Here Lambda runs again what died, and CloudFormation rolls back, cleans up and deletes in the end. The calls are taken
from a life without a mishap.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from tests.contract.laptop import OTHER_INGESTION, processing, properties, to_stream
from tests.reliability.lives import FOR_THE_STACK, TO_THE_END, Lives
from tests.reliability.stacks import Choices
from tests.reliability.world import CALL_MISHAPS, PUT_MISHAPS, Mishap, Plan, installed

OLD = properties(Tags=[{"Key": "gone", "Value": "1"}, {"Key": "changed", "Value": "1"}])
STEPS: dict[str, dict[str, Any]] = {
    "move": {"DestinationConfiguration": to_stream("elsewhere")},
    "tag": {"Tags": [{"Key": "changed", "Value": "2"}]},
    "replace": {"ProcessingConfiguration": processing("raw", "json")},
    "replace elsewhere": {"IngestionIdentifier": OTHER_INGESTION},
    "move and tag": {"DestinationConfiguration": to_stream("elsewhere"), "Tags": [{"Key": "changed", "Value": "2"}]},
}
# A request that is not answered is given up after 720 s.
LATER = Choices(fails_at=900)


@dataclass(frozen=True)
class Step:
    """One operation on a stack with one resource, the mishap being one of the operation's `number`th run."""

    name: str
    number: int = 0

    def play(self, plan: Plan | None = None) -> Lives:
        """A life in which this step comes, with CloudFormation's and Lambda's doings until all has ended."""
        life = Lives()
        made = {} if self.name.startswith("create") else {"Destination": OLD}
        life.begin(there=[made] if made else [], roomy=True, hidden=0)
        plans = [Plan()] * self.number + [plan or Plan()]
        stack = life.stacks[0]
        match self.name.partition(", ")[0]:
            case "create":
                choices = LATER if "rolled back" in self.name else Choices()
                life._go(lambda: stack.create({"Destination": OLD}, choices), plans, [], FOR_THE_STACK)
            case "create that is cancelled":
                plans[0] = Plan(latency=3) if self.number else Plan(calls=plans[0].calls, puts=plans[0].puts, latency=3)
                choices = Choices(fails_at=1)
                life._go(lambda: stack.create({"Destination": OLD}, choices), plans, [], FOR_THE_STACK)
            case "delete":
                life._go(lambda: stack.delete(Choices()), plans, [], FOR_THE_STACK)
            case change:
                choices = LATER if "rolled back" in self.name else Choices()
                choices = Choices(fails_at=900, asks_before_deleting=True) if "asks" in self.name else choices
                new = {"Destination": {**OLD, **STEPS[change]}}
                life._go(lambda: stack.update(new, choices), plans, [], FOR_THE_STACK)
        life._wait()
        return life


ALL_STEPS = [
    *(Step(name, number) for name in ("create", "delete") for number in (0,)),
    *(Step("create, rolled back", number) for number in (0, 1)),
    *(Step("create that is cancelled", number) for number in (0, 1)),
    *(Step(name) for name in STEPS),
    *(Step(f"{name}, rolled back", number) for name in STEPS for number in (0, 1)),
    *(Step(f"{name}, rolled back, asks", number) for name in STEPS if "replace" in name for number in (0, 1, 2)),
    *(Step(name, 1) for name in STEPS if "replace" in name),
]


def cases() -> Iterator[Any]:
    with installed():
        for step in ALL_STEPS:
            life = step.play()
            of_the_operation = life.world.all_runs[0 if step.name.startswith("create") else 1 :]
            run = of_the_operation[step.number]
            life.teardown()
            marks = [("calls", at, kind) for at in range(min(run.calls, 12)) for kind in CALL_MISHAPS]
            marks += [("puts", at, kind) for at in range(2) for kind in PUT_MISHAPS]
            for what, at, kind in marks:
                for times in (1, 999):
                    if at == 0 or what == "calls" or times == 1:
                        plan = Plan(**{what: (Mishap(at, kind, times),)})  # type: ignore[arg-type]
                        name = f"{step.name} ({run.asked.type}), {what[:-1]} {at + 1}: {kind}, {times} times"
                        yield pytest.param(step, plan, id=name)


CASES = list(cases())


@pytest.fixture(scope="module", autouse=True)
def in_the_world() -> Iterator[None]:
    with installed():
        yield


@pytest.mark.parametrize(("step", "plan"), CASES)
def test_one_mishap(step: Step, plan: Plan) -> None:
    life = None
    try:
        life = step.play(plan)
        once = all(mishap.times == 1 and mishap.kind != "403" for mishap in (*plan.calls, *plan.puts))
        beyond = any("beyond any cut" in mishap.kind for mishap in plan.calls)
        if once and not beyond and "cancelled" not in step.name and "rolled back" not in step.name:
            expected = "none" if step.name == "delete" else "complete"
            assert life.stacks[0].state == expected, "a single mishap is ridden out"
        life.teardown()
    except AssertionError as failure:
        story = life.world.story if life else []
        raise AssertionError("\n".join([str(failure), "The story:", *story])) from None


@pytest.mark.parametrize("new", [{"Dest": OLD}, *({"Destination": {**OLD, **new}} for new in STEPS.values())], ids=str)
def test_an_address_that_takes_no_answer(new: dict[str, Any]) -> None:
    """What this request made is deleted, whatever CloudFormation takes it for, and all else is left."""
    life = Lives()
    life.begin(there=[{"Destination": OLD}], roomy=True, hidden=0)
    before = set(life.world.appfabric.destinations)
    stack, choices = life.stacks[0], Choices(refused=frozenset({0}))
    life._go(lambda: stack.update({"Destination": OLD, **new}, choices), [], [], TO_THE_END)
    assert set(life.world.appfabric.destinations) == before
    assert [run.outcome for run in life.world.all_runs[1:4]] == ["raised"] * 3
    life.teardown()


def test_the_cases_are_of_everything() -> None:
    """A generator that finds nothing would pass."""
    kinds = Counter(mishap.kind for case in CASES for mishap in (*case.values[1].calls, *case.values[1].puts))
    assert set(kinds) == {*CALL_MISHAPS, *PUT_MISHAPS}
    assert min(kinds.values()) >= len(ALL_STEPS)
