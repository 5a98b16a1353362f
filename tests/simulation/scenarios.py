"""Random scenarios of resources in two stacks, checked against the invariants.

A scenario is a few operations on stacks whose names and resources are easily confused, next to destinations of others.
What goes wrong is part of the scenario: faults of calls, of responses and of containers, events delivered twice,
stacks that fail for another reason, changes by hand. It ends when everything has ended and the stacks have been deleted
without further faults.
"""

from __future__ import annotations

import copy
import sys
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from hypothesis import HealthCheck, currently_in_test_context, note, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from local.appfabric import Outcome, operations
from local.appfabric.destinations import Destination
from tests.simulation.aws import CALL_FAULTS, PUT_FAULTS, Behavior, Fault, Plan, Simulation
from tests.simulation.cloudformation import CREATE_FIRST, DELETE_FIRST, UPDATE_IT, Options, Stack
from tests.simulation.invariants import PREFIX, Facts, HandChange, Violation, user_tags, violations
from tests.simulation.residuals import EXCUSED, explain
from tests.support import properties as support
from tests.support.properties import INGESTION, OTHER_INGESTION, processing, tag_list, to_bucket, to_stream

PROFILES = {
    "ci": settings(
        max_examples=2000,
        stateful_step_count=6,
        derandomize=True,
        database=None,
        deadline=None,
        print_blob=False,
        report_multiple_bugs=False,
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
UNREADABLE = f"{INGESTION}/ingestiondestination/00000000-9999-4999-8999-999999999994"
OTHER_STACK = "arn:aws:cloudformation:us-east-1:111122223333:stack/audit/51af3dc0-da77-11e4-872e-ffffffffffff"

played: Counter[str] = Counter()


def properties(**changed: Any) -> dict[str, Any]:
    """Return valid properties; `None` removes one."""
    return support.properties(**{"DestinationConfiguration": to_bucket("one"), **changed})


def _one_of(everything: list[Any]) -> st.SearchStrategy[Any]:
    """Return a strategy that draws one of a list, the simplest first: it is fast and shrinks well."""
    return st.integers(0, len(everything) - 1).map(lambda number: everything[number])


# What a template contains: properties, and which destination it adopts, which is looked up at deployment.
NO_ADOPTION = ("", False)
ADOPTIONS = (
    *[NO_ADOPTION] * 14,
    *[("the same as before", False)] * 3,
    ("empty", False),
    *[("hand-made 0", True)] * 2,
    ("hand-made 1", True),
    ("hand-made 0", False),
    *[("retained", True)] * 2,
    ("in use", True),
    ("others'", True),
)
SERVICE_TIMEOUTS = (*["720"] * 12, "60", "120", "3600", None, "30")
configurations = _one_of(
    [
        properties(
            DestinationConfiguration=bucket,
            ProcessingConfiguration=schema,
            IngestionIdentifier=ingestion,
            Tags=tag_list(tags) or None,
        )
        for tags in ({}, {"a": "1"}, {"a": "2", "b": "1"})
        for ingestion in (INGESTION, OTHER_INGESTION)
        for schema in (processing("ocsf", "json"), processing("raw", "json"))
        for bucket in (to_bucket("one"), to_bucket("two", prefix="p"), to_stream("three"))
    ]
)
circumstances = _one_of([(adoption, timeout) for timeout in SERVICE_TIMEOUTS for adoption in ADOPTIONS])
resources = st.dictionaries(
    st.sampled_from(LOGICAL_IDS), st.tuples(configurations, circumstances), min_size=1, max_size=2
)


def _faults(kinds: tuple[str, ...], latest: int) -> st.SearchStrategy[tuple[Fault, ...]]:
    times = (1, 1, 2, 5, 999)
    every = [Fault(at, kind, n) for n in times for at in range(latest + 1) for kind in kinds]
    return st.lists(_one_of(every), max_size=2).map(tuple)


conditions = _one_of(
    [
        {"latency": latency, "queued": queued, "duplicate_after": duplicate_after, "cold": cold}
        for duplicate_after in (None, None, None, 0.05, 4, 30, 130, 250, 340)
        for queued in (0, 0, 0, 6, 70, 230, 300)
        for latency in (0.1, 0.1, 3, 9)
        for cold in (False, True)
    ]
)
plans = st.lists(
    st.builds(
        lambda calls, puts, condition: Plan(calls, puts, **condition),
        _faults(CALL_FAULTS, 8),
        _faults(PUT_FAULTS, 2),
        conditions,
    ),
    max_size=4,
)
options = st.builds(
    lambda one, two: Options(**one, **two),
    _one_of(
        [
            {"chain": chain, "fails_at": fails_at, "preserve": preserve, "rollback_sends_update": sends}
            for fails_at in (*[None] * 6, 0.07, 1, 5, 20, 65, 200)
            for preserve in (False, False, True)
            for sends in (False, True)
            for chain in (False, True)
        ]
    ),
    _one_of(
        [
            {
                "continues": continues,
                "old_is_tried": tried,
                "deletes_with_new": new,
                "cancels_updates": cancels,
                "deletes_current": current,
                "retain": frozenset(retain),
                "refused": frozenset(refused),
            }
            for refused in (*[()] * 9, (0,), (1,), (2,))
            for retain in ((), (), (), ("Destination",), LOGICAL_IDS)
            for new in (False, True)
            for cancels in (False, True)
            for current in (False, True)
            for tried in (True, False)
            for continues in (DELETE_FIRST, CREATE_FIRST, UPDATE_IT)
        ]
    ),
)
behaviors = _one_of(
    [
        Behavior(lags=lags, skew=skew, tokens=tokens, unreadable=unreadable, roomy=roomy)
        for roomy in (True, True, False)
        for unreadable in ("AccessDeniedException", "InternalServerException")
        for tokens in ("kept", "kept", "forgotten", "replayed")
        for skew in (0, 0, -2, 2)
        for lags in ((0,), (0,), (3,), (0, 3), (3, 0, 1.5))
    ]
)
NOT, FOR_THE_STACK, TO_THE_END = "not", "for the stack", "until all has ended"
waits = st.sampled_from([TO_THE_END, FOR_THE_STACK, NOT])
outcomes = st.lists(
    _one_of(
        [
            Outcome(operation=operation, skip=skip, status=status, status_reason="as planned", pending_gets=gets)
            for operation in ("CreateIngestionDestination", "UpdateIngestionDestination")
            for gets in (0, 1, 3)
            for status in (None, "Active", "Failed")
            for skip in (0, 1, 2)
        ]
    ),
    max_size=2,
)
hand_changes = _one_of(
    [
        *[("retargeted", "", to_bucket(name)) for name in ("by-hand", "two")],
        *[("tagged", key, value) for key in ("a", "c") for value in ("9", "1")],
        *[("deleted", "", None)] * 2,
        ("forged", "StackId", None),
    ]
)


class Scenario(RuleBasedStateMachine):
    """One scenario."""

    def __init__(self) -> None:
        super().__init__()
        self.simulation = Simulation()
        self.stacks = [Stack(self.simulation, name, number) for number, name in enumerate(STACKS)]
        self.facts = Facts(self.simulation, self.stacks)
        self.excused: set[int] = set()
        self._excused_subjects: set[Any] = set()

    @initialize(
        first=st.lists(resources, max_size=2),
        behavior=behaviors,
        unreadable=st.sampled_from([False, False, False, True]),
        policy=st.sampled_from([(), (), (0,), (0, 1)]),
    )
    def begin(
        self, first: Any = (), behavior: Behavior = Behavior(), unreadable: bool = False, policy: Any = ()
    ) -> None:
        simulation = self.simulation
        simulation.behavior = behavior
        operations.DESTINATIONS_PER_INGESTION = 20 if behavior.roomy else 5
        if behavior != Behavior():
            simulation.note(repr(behavior))
        for number in policy:
            self.stacks[number].retains_replaced = True
            simulation.note(f"UpdateReplacePolicy of stack {self.stacks[number].name} is Retain")
        one = {
            "processing": {"auditLog": {"schema": "ocsf", "format": "json"}},
            "destination": {"auditLog": {"destination": {"s3Bucket": {"bucketName": "one"}}}},
        }
        place = simulation.appfabric.place
        place(arn=HAND_MADE[0], **one)
        place(arn=HAND_MADE[1], tags={"a": "1"}, **one)
        tags = {f"{PREFIX}StackId": OTHER_STACK, f"{PREFIX}LogicalResourceId": "Destination"}
        place(arn=OTHERS, tags=tags, **one)
        simulation.names.update({arn: f"a hand-made one, {n}" for n, arn in enumerate(HAND_MADE, 1)})
        simulation.names[OTHERS] = "one of another stack"
        if unreadable:
            place(arn=UNREADABLE, **one)
            simulation.names[UNREADABLE] = "an unreadable one"
            simulation.unreadable.add(UNREADABLE)
        for arn in [*simulation.appfabric.destinations]:
            simulation.take_snapshot(arn)
        simulation._snapshots[:] = [(float("-inf"), simulation._snapshots[-1][1])]
        self.facts.foreign.update(copy.deepcopy(simulation.appfabric.destinations))
        for stack, wanted in zip(self.stacks, first, strict=False):
            self.go(lambda s=stack, w=wanted: s.create(self._resolve(s, w), Options()))  # type: ignore[misc]

    # Rules

    @precondition(lambda self: self._any("none"))
    @rule(data=st.data(), resources=resources, options=options, plans=plans, outcomes=outcomes, wait=waits)
    def create_a_stack(self, data: Any, resources: Any, options: Options, plans: Any, outcomes: Any, wait: str) -> None:
        stack = self._one(data, "none")
        self.go(lambda: stack.create(self._resolve(stack, resources), options), plans, outcomes, wait)

    @precondition(lambda self: self._any("complete", "failed"))
    @rule(data=st.data(), resources=resources, options=options, plans=plans, outcomes=outcomes, wait=waits)
    def update_a_stack(self, data: Any, resources: Any, options: Options, plans: Any, outcomes: Any, wait: str) -> None:
        stack = self._one(data, "complete", "failed")
        self.time_passes(1)  # nobody is quicker
        self.go(lambda: stack.update(self._resolve(stack, resources), options), plans, outcomes, wait)

    @precondition(lambda self: self._any("complete", "failed", "stuck", "stuck to delete"))
    @rule(data=st.data(), options=options, plans=plans, wait=waits)
    def delete_a_stack(self, data: Any, options: Options, plans: Any, wait: str) -> None:
        stack = self._one(data, "complete", "failed", "stuck", "stuck to delete")
        self.time_passes(1)  # nobody is quicker
        self.go(lambda: stack.delete(options), plans, [], wait)

    @precondition(lambda self: self._any("failed", "stuck"))
    @rule(data=st.data(), options=options, plans=plans, outcomes=outcomes, wait=waits)
    def resume_a_stack(self, data: Any, options: Options, plans: Any, outcomes: Any, wait: str) -> None:
        stack = self._one(data, "failed", "stuck")
        self.time_passes(1)  # nobody is quicker
        self.go(lambda: stack.resume(options), plans, outcomes, wait)

    @rule(seconds=st.sampled_from([4 * 3600, 5, 70, 700, 1800]))
    def time_passes(self, seconds: float) -> None:
        self.simulation.note(f"{seconds} s pass")
        alarm = self.simulation.scheduler.start(lambda: None, after=seconds)
        self.simulation.scheduler.run(stop=lambda: alarm.done)

    @precondition(lambda self: self._any("complete"))
    @rule(data=st.data(), change=hand_changes)
    def somebody_changes_a_destination(self, data: Any, change: Any) -> None:
        stack = self._one(data, "complete")
        there = self.simulation.appfabric.destinations
        ours = [resource.id for resource in stack.resources.values() if resource.id in there]
        if ours:
            self.change_by_hand(ours[0], *change)

    def change_by_hand(self, arn: str, kind: str, key: str = "", value: Any = None) -> None:
        simulation = self.simulation
        live = simulation.appfabric.destinations[arn]
        text = f"somebody changes {simulation.name_of(arn)} by hand: {kind} {key} {value or ''}"
        simulation.note(text.strip())
        match kind:
            case "deleted":
                simulation.appfabric.remove(live)
            case "retargeted":
                bucket = {"bucketName": value["AuditLog"]["Destination"]["S3Bucket"]["BucketName"]}
                value = {"s3Bucket": bucket}
                live.destination = {"auditLog": {"destination": value}}
                live.updated_at = simulation.appfabric_now()
            case "tagged":
                live.tags = {**live.tags, key: value}
            case "forged":
                live.tags = {k: v for k, v in live.tags.items() if k != PREFIX + key}
        self.facts.hand.append(HandChange(simulation.scheduler.now, kind, arn, key, value))
        simulation.take_snapshot(arn)

    def teardown(self) -> None:
        try:
            self.wait()
            for stack in self.stacks:
                if stack.state == "stuck":
                    self._continue_rollback(stack)
                if stack.state != "none":
                    self.go(lambda s=stack: s.delete(Options()))  # type: ignore[misc]
                    # A Delete that found nothing but could not read everything has to fail.
                    if stack.state != "none" and not self.simulation.unreadable:
                        self._check(Violation("stack", f"stack {stack.name} cannot be deleted"))
        except BaseException:
            self.simulation.scheduler.kill_all()
            raise
        finally:
            operations.DESTINATIONS_PER_INGESTION = 5
            played["scenarios"] += 1
            EXCUSED.update(self.excused)
            if played["scenarios"] % 1000 == 0:
                print(f"{played['scenarios']} scenarios, {dict(sorted(EXCUSED.items()))}", file=sys.stderr, flush=True)

    def _continue_rollback(self, stack: Stack) -> None:
        """Continue a rollback that failed, now that nothing goes wrong any more."""
        self.time_passes(1)
        for destination in self.simulation.appfabric.destinations.values():
            destination.status = "Active"  # its bucket works again
        self.go(lambda: stack.resume(Options()))
        if stack.state == "stuck" and not self.simulation.unreadable:
            for logical_id in stack.stuck:
                text = f"the rollback of {stack.name}.{logical_id} fails even when it is continued"
                self._check(Violation("rollback", text, stack.resources[logical_id].id, (stack.id, logical_id)))

    def _any(self, *states: str) -> bool:
        return any(stack.state in states and not stack.busy for stack in self.stacks)

    def _one(self, data: Any, *states: str) -> Stack:
        there = [stack for stack in self.stacks if stack.state in states and not stack.busy]
        chosen: Stack = data.draw(st.sampled_from(there)) if len(there) > 1 else there[0]
        return chosen

    def _resolve(self, stack: Stack, wanted: Mapping[str, Any]) -> dict[str, Any]:
        """Return the properties of a template, once it is known which destination it adopts."""
        resolved = {}
        for logical_id, (configuration, ((adopts, exact), timeout)) in wanted.items():
            resource = stack.resources.get(logical_id)
            if timeout != configuration["ServiceTimeout"]:
                configuration = {**configuration, "ServiceTimeout": timeout}
                if timeout is None:
                    del configuration["ServiceTimeout"]
            arn = self._adopted(stack, adopts, resource)
            if arn is not None:
                configuration = {**configuration, "AdoptArn": arn}
                live = self.simulation.appfabric.destinations.get(arn)
                if exact and live:
                    configuration |= _described(live)
                    if not user_tags(live):
                        configuration.pop("Tags", None)
            resolved[logical_id] = configuration
        return resolved

    def _adopted(self, stack: Stack, adopts: str, resource: Any) -> str | None:
        match adopts:
            case "the same as before":
                before: str | None = resource.properties.get("AdoptArn") if resource else None
                return before
            case "empty":
                return ""
            case "hand-made 0" | "hand-made 1":
                return HAND_MADE[int(adopts[-1])]
            case "others'":
                return OTHERS
            case "retained":
                retained = [each.id for each in self.facts.retained if each.id in self.facts.destinations]
                return retained[-1] if retained else None
            case "in use":
                others = [other for other in self.stacks if other is not stack]
                ids = [r.id for other in others for r in other.resources.values() if r.id in self.facts.destinations]
                return ids[0] if ids else None
        return None

    def go(self, operation: Callable[[], Any], plans: Any = (), outcomes: Any = (), wait: str = TO_THE_END) -> None:
        """Begin an operation, and wait until what `wait` says."""
        simulation = self.simulation
        simulation.plans += plans
        simulation.appfabric.outcomes.clear()
        for outcome in outcomes:
            simulation.appfabric.outcomes.add(outcome)
        operation()
        if wait == FOR_THE_STACK:
            simulation.scheduler.run(stop=lambda: not any(stack.busy for stack in self.stacks))
        elif wait == TO_THE_END:
            self.wait()

    def wait(self) -> None:
        """Wait until everything has ended, and check the invariants."""
        try:
            self.simulation.scheduler.run()
            self.simulation.plans.clear()
            for violation in violations(self.facts):
                self._check(violation)
        except AssertionError:
            raise
        except BaseException as failure:
            if currently_in_test_context():
                note("\n".join(["The trace:", *self.simulation.trace, f"=> {failure}"]))
            raise

    def _check(self, violation: Violation) -> None:
        """Excuse a violation that is a residual, and its consequences."""
        subjects = {violation.arn, violation.resource, violation.invocation} - {"", ("", ""), None}
        if subjects & self._excused_subjects:
            return
        number = explain(violation, self.facts)
        if number is None:
            if currently_in_test_context():
                note("\n".join(["The trace:", *self.simulation.trace, f"=> {violation.text}"]))
            raise AssertionError(violation.text)
        self.excused.add(number)
        self._excused_subjects |= subjects
        self.simulation.note(f"residual {number}: {violation.text}")


def _described(live: Destination) -> dict[str, Any]:
    """Return the properties that describe a destination exactly."""
    kind, there = next(iter(live.destination["auditLog"]["destination"].items()))
    audit_log = live.processing["auditLog"]
    described = {
        "IngestionIdentifier": live.path.ingestion_arn,
        "ProcessingConfiguration": processing(audit_log["schema"], audit_log["format"]),
        "DestinationConfiguration": to_bucket(there["bucketName"], there.get("prefix"))
        if kind == "s3Bucket"
        else to_stream(there["streamName"]),
    }
    return described | ({"Tags": tag_list(user_tags(live))} if user_tags(live) else {})
