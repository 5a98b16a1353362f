"""Random lives of resources in two stacks, and what must hold after each.

A life is a few operations on stacks whose names and resources are made to be mistaken for each other, beside
destinations of others. What goes wrong is part of the life: mishaps of calls, of answers and of containers, events
delivered twice, stacks that fail for another reason. A life ends when all that was begun has ended and the stacks have
been deleted without any more mishap.
"""

from __future__ import annotations

import copy
from typing import Any

from hypothesis import HealthCheck, currently_in_test_context, note, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from ingestion_destination.deadline import FIRST_RUN_WITHIN
from ingestion_destination.identity import LOGICAL_ID_TAG, NOT_CREATED, OWNER_TAGS, STACK_ID_TAG
from local.appfabric import Outcome, operations
from local.appfabric.destinations import Destination
from tests.contract.laptop import INGESTION, OTHER_INGESTION, properties, to_bucket, to_stream
from tests.contract.laptop import processing as processing_of
from tests.reliability.stacks import Choices, Resource, Stack
from tests.reliability.world import CALL_MISHAPS, PUT_MISHAPS, Mishap, Plan, World

PROFILES = {
    "ci": settings(
        max_examples=2000,
        stateful_step_count=6,
        derandomize=True,
        database=None,
        deadline=None,
        print_blob=False,
        suppress_health_check=list(HealthCheck),
    ),
}
PROFILES["soak"] = settings(PROFILES["ci"], max_examples=50_000, derandomize=False)

LOGICAL_IDS = ("Destination", "Dest", "Destination2")
STACKS = ("audit", "audit-Dest")
HAND_MADE = (
    f"{INGESTION}/ingestiondestination/99999999-9999-4999-8999-999999999991",
    f"{OTHER_INGESTION}/ingestiondestination/99999999-9999-4999-8999-999999999992",
)
OTHERS = f"{INGESTION}/ingestiondestination/99999999-9999-4999-8999-999999999993"
OTHER_STACK = "arn:aws:cloudformation:us-east-1:111122223333:stack/audit/51af3dc0-da77-11e4-872e-ffffffffffff"


def _one_of(everything: list[Any]) -> st.SearchStrategy[Any]:
    """One choice of Hypothesis's among all there are, the simplest first: that is fast, and shrinks well."""
    return st.integers(0, len(everything) - 1).map(lambda number: everything[number])


wanted = _one_of(
    [
        properties(
            DestinationConfiguration=bucket,
            ProcessingConfiguration=processing,
            IngestionIdentifier=ingestion,
            **({"Tags": [{"Key": key, "Value": value} for key, value in tags.items()]} if tags else {}),
        )
        for tags in ({}, {"a": "1"}, {"a": "2", "b": "1"})
        for ingestion in (INGESTION, OTHER_INGESTION)
        for processing in (processing_of("ocsf", "json"), processing_of("raw", "json"))
        for bucket in (to_bucket("one"), to_bucket("two", prefix="p"), to_stream("three"))
    ]
)
resources = st.dictionaries(st.sampled_from(LOGICAL_IDS), wanted, min_size=1, max_size=2)


def _mishaps(kinds: tuple[str, ...], latest: int) -> st.SearchStrategy[tuple[Mishap, ...]]:
    times = (1, 1, 2, 5, 999)
    everyone = [Mishap(at, kind, n) for n in times for at in range(latest + 1) for kind in kinds]
    return st.lists(_one_of(everyone), max_size=2).map(tuple)


conditions = [
    {"latency": latency, "queued": queued, "again": again, "cold": cold}
    for again in (None, None, None, 0.05, 4, 30, 130, 250)
    for queued in (0, 0, 0, 6, 70, 230, 300)
    for latency in (0.1, 0.1, 3, 9)
    for cold in (False, True)
]
plans = st.lists(
    st.builds(
        lambda calls, puts, condition: Plan(calls, puts, **condition),
        _mishaps(CALL_MISHAPS, 6),
        _mishaps(PUT_MISHAPS, 2),
        _one_of(conditions),
    ),
    max_size=4,
)
choices = _one_of(
    [
        Choices(chain=chain, fails_at=fails_at, preserve=preserve, asks_before_deleting=asks, refused=refused)
        for refused in (*[frozenset[int]()] * 9, frozenset({0}), frozenset({1}), frozenset({2}))
        for fails_at in (*[None] * 6, 0.07, 1, 5, 20, 65, 200)
        for preserve in (False, False, True)
        for asks in (False, True)
        for chain in (False, True)
    ]
)
NOT, FOR_THE_STACK, TO_THE_END = "not", "for the stack", "until all has ended"
waits = st.sampled_from([TO_THE_END, FOR_THE_STACK, NOT])
outcomes = st.lists(
    _one_of(
        [
            Outcome(operation=operation, skip=skip, status=status, status_reason="as ordered", pending_gets=gets)
            for operation in ("CreateIngestionDestination", "UpdateIngestionDestination")
            for gets in (0, 1, 3)
            for status in (None, "Active", "Failed")
            for skip in (0, 1, 2)
        ]
    ),
    max_size=2,
)


class Lives(RuleBasedStateMachine):
    """Lives in which no request is run again after it was over."""

    reruns = False

    def __init__(self) -> None:
        super().__init__()
        self.world = World(reruns=self.reruns)
        self.stacks = [Stack(self.world, name, number) for number, name in enumerate(STACKS)]
        self.foreign: dict[str, Destination] = {}
        self.taken: set[str] = set()

    @initialize(
        there=st.lists(resources, max_size=2),
        roomy=st.sampled_from([True, True, False]),
        hidden=st.sampled_from([0, 0, 2, 20]),
    )
    def begin(self, there: Any, roomy: bool, hidden: float) -> None:
        self.world.hidden = hidden
        operations.DESTINATIONS_PER_INGESTION = 20 if roomy else 5
        one = {
            "processing": {"auditLog": {"schema": "ocsf", "format": "json"}},
            "destination": {"auditLog": {"destination": {"s3Bucket": {"bucketName": "one"}}}},
        }
        for arn in HAND_MADE:
            self.world.appfabric.place(arn=arn, **one)
        tags = {STACK_ID_TAG: OTHER_STACK, LOGICAL_ID_TAG: "Destination"}
        self.world.appfabric.place(arn=OTHERS, tags=tags, **one)
        self.foreign = copy.deepcopy(self.world.appfabric.destinations)
        self.world.names.update({arn: f"a hand-made one, {n}" for n, arn in enumerate(HAND_MADE, 1)})
        self.world.names[OTHERS] = "one of another stack"
        for stack, resources in zip(self.stacks, there, strict=False):
            self._go(lambda stack=stack, resources=resources: stack.create(resources, Choices()), [], [], TO_THE_END)

    # What happens

    @precondition(lambda self: self._any("none"))
    @rule(data=st.data(), resources=resources, choices=choices, plans=plans, outcomes=outcomes, wait=waits)
    def create_a_stack(self, data: Any, resources: Any, choices: Choices, plans: Any, outcomes: Any, wait: str) -> None:
        stack = self._one(data, "none")
        self._go(lambda: stack.create(resources, choices), plans, outcomes, wait)

    @precondition(lambda self: self._any("complete"))
    @rule(data=st.data(), resources=resources, choices=choices, plans=plans, outcomes=outcomes, wait=waits)
    def update_a_stack(self, data: Any, resources: Any, choices: Choices, plans: Any, outcomes: Any, wait: str) -> None:
        stack = self._one(data, "complete")
        self._go(lambda: stack.update(resources, choices), plans, outcomes, wait)

    @precondition(lambda self: self._any("complete", "failed", "stuck", "stuck to delete"))
    @rule(data=st.data(), choices=choices, plans=plans, wait=waits, retain=st.sampled_from([(), (), ("Destination",)]))
    def delete_a_stack(self, data: Any, choices: Choices, plans: Any, wait: str, retain: Any) -> None:
        stack = self._one(data, "complete", "failed", "stuck", "stuck to delete")
        kept = frozenset(k for k in retain if k in stack.resources and stack.resources[k].complete)
        self._go(lambda: stack.delete(choices, kept), plans, [], wait)

    @precondition(lambda self: self._any("failed", "stuck"))
    @rule(data=st.data(), choices=choices, plans=plans, outcomes=outcomes, wait=waits)
    def resume_a_stack(self, data: Any, choices: Choices, plans: Any, outcomes: Any, wait: str) -> None:
        stack = self._one(data, "failed", "stuck")
        self._go(lambda: stack.resume(choices), plans, outcomes, wait)

    @rule()
    def hours_pass(self) -> None:
        self._wait()
        self.world.clock.now += 4 * 3600
        self.world.tell("hours pass")

    @precondition(lambda self: self._any("complete"))
    @rule(data=st.data())
    def somebody_takes_a_destination_away(self, data: Any) -> None:
        stack = self._one(data, "complete")
        there = [r for r in stack.resources.values() if r.id in self.world.appfabric.destinations]
        if there:
            self.world.tell(f"somebody takes {self.world.name_of(there[0].id)} away")
            self.world.appfabric.remove(self.world.appfabric.destinations[there[0].id])
            self.taken.add(there[0].id)

    def teardown(self) -> None:
        try:
            self._wait()
            for stack in self.stacks:
                if stack.state != "none":
                    self._go(lambda stack=stack: stack.delete(Choices()), [], [], TO_THE_END)  # type: ignore[misc]
                    assert stack.state == "none", f"stack {stack.name} cannot be deleted"
        except BaseException:
            self.world.clock.stop()
            raise
        finally:
            operations.DESTINATIONS_PER_INGESTION = 5

    def _any(self, *states: str) -> bool:
        return any(stack.state in states and not stack.busy for stack in self.stacks)

    def _one(self, data: Any, *states: str) -> Stack:
        there = [stack for stack in self.stacks if stack.state in states and not stack.busy]
        chosen: Stack = data.draw(st.sampled_from(there)) if len(there) > 1 else there[0]
        return chosen

    def _go(self, operation: Any, plans: list[Plan], outcomes: list[Outcome], wait: str) -> None:
        world = self.world
        world.plans += plans
        world.appfabric.outcomes.clear()
        for outcome in outcomes:
            world.appfabric.outcomes.add(outcome)
        operation()
        if wait == FOR_THE_STACK:
            world.clock.run(stop=lambda: not any(stack.busy for stack in self.stacks))
        elif wait == TO_THE_END:
            self._wait()

    def _wait(self) -> None:
        """Until all that was begun has ended."""
        try:
            self.world.clock.run()
            self.world.plans.clear()
            self._check_the_runs()
            self._check_what_stands()
        except BaseException as failure:
            if currently_in_test_context():
                note("\n".join(["The story:", *self.world.story, str(failure)]))
            raise

    # What must hold

    def _check_the_runs(self) -> None:
        for run in self.world.all_runs:
            assert run.outcome in {"returned", "raised", "died"}, f"{run.name} {run.outcome}"
            deadly = any("container dies" in mishap.kind for mishap in (*run.plan.calls, *run.plan.puts))
            deaf = any("beyond any cut" in mishap.kind for mishap in run.plan.calls)
            assert run.outcome != "died" or deadly or deaf, f"{run.name} had no time left"
            assert run.outcome != "returned" or run.stored, f"{run.name} returned without an answer"
            assert run.outcome != "raised" or not run.stored, f"{run.name} raised though its answer was delivered"
            assert run.outcome == "died" or run.bodies, f"{run.name} did not try to answer"
            assert len(set(run.bodies)) <= 1, f"{run.name} gave two answers"
            for operation, parameters in run.after_the_answer:
                assert operation == "DeleteIngestionDestination", f"{run.name}: {operation} after its answer"
                arn = parameters["ingestionDestinationIdentifier"]
                made_by = {made.asked.name for made in self.world.made.get(arn, [])}
                assert run.asked.name in made_by, f"{run.name} deletes after its answer what its request did not make"
        for asked in self.world.asked.values():
            ids = {
                answered["PhysicalResourceId"]
                for run in asked.runs
                if run.stored
                for answered in [_json(run.bodies[0])]
                if answered["Status"] == "SUCCESS"
            }
            assert len(ids) <= 1 or asked.given_up or self.world.late, f"{asked.name} has two successful answers"

    def _check_what_stands(self) -> None:
        world = self.world
        there = world.appfabric.destinations
        for arn, was in self.foreign.items():
            assert there.get(arn) == was, f"{world.name_of(arn)} is not ours to touch"
            assert arn not in world.touched
        beyond = self._beyond_knowledge()
        standing = [resource for stack in self.stacks for resource in [*stack.resources.values(), *stack.pending]]
        for arn in there.keys() - self.foreign.keys():
            accounted_for = _owner(there[arn]) in beyond or self._is_accounted_for(arn, standing)
            assert accounted_for, f"{world.name_of(arn)} is an orphan"
        for stack in self.stacks:
            for resource in stack.resources.values():
                known = (stack.id, resource.logical_id) not in beyond and resource.id not in self.taken
                if resource.complete and known:
                    self._check_that_it_is_as_wanted(stack, resource)

    def _is_accounted_for(self, arn: str, standing: list[Resource]) -> bool:
        if any(resource.id == arn for resource in standing):
            return True
        if any(arn in stack.told | stack.kept for stack in self.stacks):
            return True
        suspicions = [
            error
            for run in self.world.all_runs
            for error in run.errors
            if error["arn"] == arn or (run in self.world.made.get(arn, []) and error["arn"] in GENERIC)
        ]
        if suspicions:
            return True
        # Residual: a rollback finds nothing of an Update that was to make anew what somebody had taken away.
        if any(run.asked.event.get("PhysicalResourceId") in self.taken for run in self.world.made.get(arn, [])):
            return True
        # An id that is no ARN stands for what may have been made.
        tags = self.world.appfabric.destinations[arn].tags
        return any(
            stack.id == tags[STACK_ID_TAG]
            and any(
                not id.startswith(("arn:", "not-created:"))
                for id in [*(r.id for k, r in stack.resources.items() if k == tags[LOGICAL_ID_TAG]), *stack.told]
            )
            for stack in self.stacks
        )

    def _check_that_it_is_as_wanted(self, stack: Stack, resource: Resource) -> None:
        live = self.world.appfabric.destinations.get(resource.id)
        whose = f"{stack.name}.{resource.logical_id}"
        assert live is not None, f"{whose} has lost {self.world.name_of(resource.id)}"
        bucket = str(live.destination)
        for name in _names_in(resource.properties["DestinationConfiguration"]):
            assert name in bucket, f"{whose} leads to {bucket}"
        audit_log = resource.properties["ProcessingConfiguration"]["AuditLog"]
        assert live.processing["auditLog"]["schema"] == audit_log["Schema"]
        assert live.path.ingestion_arn == resource.properties["IngestionIdentifier"]
        tags = {tag["Key"]: tag["Value"] for tag in resource.properties.get("Tags", [])}
        assert live.tags[STACK_ID_TAG] == stack.id
        assert live.tags[LOGICAL_ID_TAG].removesuffix("@") == resource.logical_id
        mine = {key: value for key, value in live.tags.items() if key not in OWNER_TAGS}
        assert mine == tags, f"{whose} has the tags {mine}"

    def _beyond_knowledge(self) -> set[tuple[str, str]]:
        """The resources, by stack and logical id, for which a run went on though its request was over.

        Or for which one run was refused that takes itself for the first, while another one had made something.
        """
        asked = [change.run.asked for change in self.world.late]
        for change in self.world.changes:
            by = change.run.asked.answered_by
            if change.made and by not in {None, change.run} and by.began - by.asked.at <= FIRST_RUN_WITHIN + 1:
                asked += [by.asked] if by.asked.answer["PhysicalResourceId"].startswith(NOT_CREATED) else []
        return {(each.event["StackId"], each.event["LogicalResourceId"]) for each in asked}


class Reruns(Lives):
    """Lives in which Lambda runs events again though their request is over, which code without a memory cannot tell."""

    reruns = True

    def _check_what_stands(self) -> None:
        super()._check_what_stands()
        for change in self.world.late:
            run = change.run
            over = run.asked.over or 0
            if run.began < max(over, run.asked.at + FIRST_RUN_WITHIN + 1) or run.outcome == "died":
                continue  # neither does it know that it is not the first
            if change.made and change.arn in str(run.bodies):
                told = [run for run in self.world.all_runs for error in run.errors if error["arn"] == change.arn]
                lines = told.count(change.run)
                assert lines == 1, f"{self.world.name_of(change.arn)} has {lines} ERROR lines of the run that made it"
                assert change.run.counted["OrphansSuspected"] == 1


GENERIC = {"a create call had no answer", "an unanswered replacement"}


def _owner(destination: Destination) -> tuple[str, str]:
    return destination.tags[STACK_ID_TAG], destination.tags[LOGICAL_ID_TAG].removesuffix("@")


def _json(body: bytes) -> Any:
    import json

    return json.loads(body)


def _names_in(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [name for each in value.values() for name in _names_in(each)]
    return [value]
