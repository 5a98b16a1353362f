"""What must hold in every scenario, whatever goes wrong.

1. A complete resource of an existing stack has its destination, configured and tagged as its template says.
2. What was retained, was adopted and released, or belongs to others is unchanged.
3. The provider leaves no destination without an owner that it does not report.
4. Each invocation responds once and in time, and changes nothing when it must not.
5. A rollback that failed succeeds when it is continued, and a stack can be deleted, once nothing goes wrong any more.

Nothing here is taken from the code under test: a message counts as a report by its level and its field `arn` alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from local.appfabric.destinations import Destination
from tests.simulation.aws import MUTATING, Call, Invocation, Request, Simulation
from tests.simulation.cloudformation import Resource, Retained, Stack

PREFIX = "custom-appfabric-ingestion-destination:"
OWNERSHIP = {"StackId", "LogicalResourceId", "Request", "Replaces"}
LAG = 3.0
# An invocation that begins less than this before its deadline may be too late to do anything but fail.
TOO_LATE = 2.0


@dataclass(frozen=True)
class HandChange:
    """A change that somebody made to a destination by hand.

    Attributes:
        kind: "deleted", "retargeted", "tagged" or "forged" (an ownership tag).
    """

    at: float
    kind: str
    arn: str
    key: str = ""
    value: Any = None


@dataclass(frozen=True)
class Violation:
    """A violation of an invariant.

    Attributes:
        kind: "lost", "identity", "target", "tags", "ownership" (invariant 1), "retained", "adopted", "others",
            "hand tag" (2), "orphan" (3), "invocation" (4), "rollback", "stack" (5).
        arn: The destination concerned, "" if none.
        resource: StackId and logical id of the resource concerned.
        invocation: The invocation concerned.
        key: The tag concerned.
    """

    kind: str
    text: str
    arn: str = ""
    resource: tuple[str, str] = ("", "")
    invocation: Invocation | None = None
    key: str = ""


@dataclass
class Facts:
    """Everything that happened in a scenario.

    Attributes:
        foreign: The destinations that others created, in their original state.
        hand: The changes made by hand.
    """

    simulation: Simulation
    stacks: list[Stack]
    foreign: dict[str, Destination] = field(default_factory=dict)
    hand: list[HandChange] = field(default_factory=list)

    @property
    def destinations(self) -> Mapping[str, Destination]:
        return self.simulation.appfabric.destinations

    @property
    def requests(self) -> list[Request]:
        return list(self.simulation.requests.values())

    @property
    def retained(self) -> list[Retained]:
        return [retained for stack in self.stacks for retained in stack.retained]

    def by_hand(self, arn: str, kind: str, *, since: float = float("-inf"), key: str = "") -> list[HandChange]:
        return [
            each for each in self.hand if (each.arn, each.kind, each.key) == (arn, kind, key) and each.at >= since - LAG
        ]

    def creation(self, arn: str) -> Call | None:
        """Return the call that created a destination, None for a destination of others."""
        calls = self.simulation.created.get(arn)
        return calls[0] if calls else None

    def removal(self, arn: str) -> Call | None:
        return next((call for call in self.simulation.calls if call.arn == arn and call.removed), None)

    def changes(self, arn: str) -> list[Call]:
        """Return the calls that changed a destination after its creation, in the order in which they took effect."""
        calls = [c for c in self.simulation.calls if c.arn == arn and c.effect_at is not None and not c.created]
        return sorted(calls, key=lambda call: call.effect_at or 0)

    def owners(self, arn: str) -> list[tuple[Stack, Resource]]:
        """Return the resources of existing stacks that have a destination, whatever their state."""
        return [
            (stack, resource)
            for stack in self.stacks
            for resource in [*stack.resources.values(), *stack.replaced]
            if resource.id == arn
        ]

    def last_update_of(self, arn: str) -> float:
        """Return when the last Update was sent that has to make a destination match its template.

        A rollback that returns to what a replacement had replaced changes nothing.
        """
        updates = [r.at for r in self.requests if r.type == "Update" and r.id == arn == r.result and r.succeeded]
        return max(updates, default=0.0)

    def requests_for(self, arn: str) -> list[Request]:
        """Return the Creates and Updates that named a destination or returned it."""
        return [
            request
            for request in self.requests
            if request.type != "Delete"
            and (arn in {request.id, request.properties.get("AdoptArn")} or arn in results_of(request))
        ]


def violations(facts: Facts) -> Iterator[Violation]:
    """Yield all violations, after everything has ended."""
    yield from _invocations(facts)
    for stack in facts.stacks:
        for resource in stack.resources.values():
            if resource.complete:
                yield from _complete(facts, stack, resource)
    yield from _others(facts)
    for retained in facts.retained:
        yield from _retained(facts, retained)
    yield from _hand_tags(facts)
    yield from _orphans(facts)


# 1. A complete resource of an existing stack has its destination, configured and tagged as its template says.


def _complete(facts: Facts, stack: Stack, resource: Resource) -> Iterator[Violation]:
    arn, live = resource.id, facts.destinations.get(resource.id)
    whose = (stack.id, resource.logical_id)
    name = f"{stack.name}.{resource.logical_id}"
    since = facts.last_update_of(arn)
    if live is None:
        if not facts.by_hand(arn, "deleted", since=since):
            yield Violation("lost", f"{name} has lost {facts.simulation.name_of(arn)}", arn, whose)
        return
    if not same_identity(live, resource.properties):
        yield Violation("identity", f"{name} has {live.processing} in {live.path.ingestion_arn}", arn, whose)
    targets = [target_of(resource.properties), *(c.value for c in facts.by_hand(arn, "retargeted", since=since))]
    if target(live) not in targets:
        yield Violation("target", f"{name} leads to {target(live)}", arn, whose)
    yield from _template_tags(facts, resource, live, whose, name, since)
    if not any(change.arn == arn and change.kind == "forged" for change in facts.hand):
        yield from _ownership(facts, live, whose, name)


def _template_tags(
    facts: Facts, resource: Resource, live: Destination, whose: tuple[str, str], name: str, since: float
) -> Iterator[Violation]:
    arn, wanted = resource.id, tags_of(resource.properties)
    for key, value in wanted.items():
        values = {value, *(c.value for c in facts.by_hand(arn, "tagged", since=since, key=key))}
        if live.tags.get(key) not in values:
            text = f"{name} has {key}={live.tags.get(key)} instead of {value}"
            yield Violation("tags", text, arn, whose, key=key)
    requests = facts.requests_for(arn)
    adopted = _before_adoption(facts, arn)
    for key, value in user_tags(live).items():
        if key in wanted or any(c.value == value for c in facts.by_hand(arn, "tagged", key=key)):
            continue
        if adopted is not None and adopted.tags.get(key) == value and not _dropped(requests, key, value):
            continue
        named = [request for request in requests if key in tags_of(request.properties)]
        if not named or _dropped(requests, key, value):
            yield Violation("tags", f"{name} still has {key}={value}", arn, whose, key=key)


def _dropped(requests: list[Request], key: str, value: str) -> bool:
    """Whether the last successful Update that names a tag removed it from the template with this value."""
    for request in reversed(requests):
        if key in tags_of(request.properties):
            return False
        old = tags_of(request.event.get("OldResourceProperties", {}))
        if request.succeeded and key in old:
            return old[key] == value
    return False


def _ownership(facts: Facts, live: Destination, whose: tuple[str, str], name: str) -> Iterator[Violation]:
    tags = ownership_tags(live)
    wrong = [key for key, value in zip(("StackId", "LogicalResourceId"), whose, strict=True) if tags.get(key) != value]
    tokens = {request.token for request in facts.requests if request.resource == whose and request.type != "Delete"}
    if str(tags.get("Request")).partition("@")[0] not in tokens:
        wrong.append("Request")
    wrong += ["Replaces"] if "Replaces" not in tags else []
    # The claim of a container that died does not make it the owner.
    wrong += [key for key in tags if key.partition(".")[0] not in {*OWNERSHIP, "Claim"}]
    if wrong:
        text = f"{name} has {facts.simulation.name_of(live.arn)} with {tags}: {wrong} is wrong"
        yield Violation("ownership", text, live.arn, whose)


# 2. What was retained, was adopted and released, or belongs to others is unchanged.


def _others(facts: Facts) -> Iterator[Violation]:
    for arn, before in facts.foreign.items():
        adopters = [request for request in facts.requests_for(arn) if request.properties.get("AdoptArn") == arn]
        if not adopters:
            if facts.destinations.get(arn) != before:
                yield Violation("others", f"{facts.simulation.name_of(arn)} belongs to others and was changed", arn)
        else:
            yield from _adopted(facts, before, adopters)


def _retained(facts: Facts, retained: Retained) -> Iterator[Violation]:
    before, arn = retained.destination, retained.id
    if before is None:
        return
    later = [r for r in facts.requests_for(arn) if r.properties.get("AdoptArn") == arn and (r.over or 0) > retained.at]
    if later:
        yield from _adopted(facts, before, later)
        return
    live, name = facts.destinations.get(arn), facts.simulation.name_of(arn)
    whose = (retained.stack_id, retained.logical_id)
    if live is None:
        yield Violation("retained", f"{name} was retained and is gone", arn, whose)
    elif (live.processing, live.path, target(live), user_tags(live)) != (
        before.processing,
        before.path,
        target(before),
        user_tags(before),
    ):
        yield Violation("retained", f"{name} was retained and is changed", arn, whose)


def _adopted(facts: Facts, before: Destination, adopters: list[Request]) -> Iterator[Violation]:
    """Yield the violations for an existing destination that AdoptArn named."""
    arn, name = before.arn, facts.simulation.name_of(before.arn)
    live = facts.destinations.get(arn)
    owners = facts.owners(arn)
    whose = adopters[-1].resource
    ownerships = [request for request in facts.requests_for(arn) if arn in results_of(request)]
    ends = [r for r in facts.requests if r.type == "Delete" and r.id == arn and r.number > adopters[0].number]
    if live is None:
        deletions = [c for c in facts.hand if c.arn == arn and c.kind == "deleted"]
        owned = any(r.properties.get("AdoptArn") != arn for r in ends) and ownerships
        if not owned and not deletions:
            yield Violation("adopted", f"{name} was adopted and is gone", arn, whose)
        return
    if (live.processing, live.path) != (before.processing, before.path):
        yield Violation("adopted", f"{name} has another identity", arn, whose)
    targets = [target(before), *(c.value for c in facts.by_hand(arn, "retargeted"))]
    targets += [target_of(request.properties) for request in facts.requests if request.id == arn and ownerships]
    if target(live) not in targets:
        yield Violation("adopted", f"{name} leads to {target(live)}", arn, whose)
    requests = [request for request in facts.requests_for(arn) if request.id == arn]
    for key in user_tags(live).keys() | user_tags(before).keys():
        values = {before.tags.get(key), *(c.value for c in facts.by_hand(arn, "tagged", key=key))}
        for request in requests:
            old, new = tags_of(request.event.get("OldResourceProperties", {})), tags_of(request.properties)
            values |= {new.get(key), old.get(key)} if key in {*old, *new} else set()
        if live.tags.get(key) not in values:
            yield Violation("adopted", f"{name} has {key}={live.tags.get(key)}", arn, whose, key=key)
    pending = [r for r in adopters if _is_pending(facts, r)]
    if (
        not owners
        and not pending
        and not reported(facts, arn)
        and _without_return(ownership_tags(live)) not in ({}, _without_return(ownership_tags(before)))
    ):
        retained = [each for each in facts.retained if each.at > adopters[0].at]
        if not any(_stands_for(each, arn, adopters) for each in retained):
            yield Violation("adopted", f"{name} still has {ownership_tags(live)}", arn, whose)


def _without_return(tags: dict[str, str]) -> dict[str, str]:
    """Ownership tags but for what an Update, canceled perhaps, that went back to the destination adds to them."""
    return {key: value.partition("/")[0] if key == "Request" else value for key, value in tags.items()}


def _is_pending(facts: Facts, request: Request) -> bool:
    """Whether CloudFormation still has to delete, or failed to delete, the resource of a request."""
    for stack in facts.stacks:
        if stack.id == request.resource[0] and request.resource[1] in stack.resources.keys() | stack.stuck:
            if stack.resources.get(request.resource[1], _NONE).complete is False:
                return True
        for left in [*stack.undeleted, *stack.replaced]:
            if left.logical_id == request.resource[1] and (left.since is request or left.id == request.id):
                return True
    return False


_NONE = Resource("", {}, complete=True)


def _before_adoption(facts: Facts, arn: str) -> Destination | None:
    if arn in facts.foreign:
        return facts.foreign[arn]
    return next((each.destination for each in reversed(facts.retained) if each.id == arn), None)


def _hand_tags(facts: Facts) -> Iterator[Violation]:
    """Yield a violation for each tag set by hand that is gone although no template names it."""
    latest = {(change.arn, change.key): change for change in facts.hand if change.kind == "tagged"}
    for (arn, key), change in latest.items():
        live = facts.destinations.get(arn)
        if live is None or live.tags.get(key) == change.value:
            continue
        requests = [
            request
            for request in facts.requests_for(arn)
            if any((invocation.ended or change.at) >= change.at - LAG for invocation in request.invocations)
        ]
        if not any(key in tags_of(request.properties) for request in requests):
            whose = requests[-1].resource if requests else ("", "")
            text = f"{key}={change.value} that somebody set on {facts.simulation.name_of(arn)} is gone"
            yield Violation("hand tag", text, arn, whose, key=key)


# 3. The provider leaves no destination without an owner that it does not report.


def _orphans(facts: Facts) -> Iterator[Violation]:
    for arn in facts.simulation.created:
        if (
            arn in facts.destinations
            and not facts.owners(arn)
            and not _is_known(facts, arn)
            and not reported(facts, arn)
        ):
            creation = facts.creation(arn)
            assert creation is not None
            name = facts.simulation.name_of(arn)
            yield Violation("orphan", f"{name} of {creation.request.name} is an orphan", arn, creation.request.resource)


def _is_known(facts: Facts, arn: str) -> bool:
    """Whether CloudFormation knows that a destination may exist: retained, not deleted, or still to be deleted."""
    requests = [call.request for call in facts.simulation.created[arn]]
    if any(_stands_for(each, arn, requests) for each in facts.retained):
        return True
    for stack in facts.stacks:
        for resource in [*stack.undeleted, *stack.replaced]:
            if _stands_for(resource, arn, requests):
                return True
        for logical_id, resource in stack.resources.items():
            if resource.complete:
                continue
            mine = [request for request in requests if request.resource == (stack.id, logical_id)]
            if _is_marker(resource.id) and resource.since in mine:
                return True
            # It failed and is kept, or is stuck: the next Update of this id has to find its replacement.
            if any(request.type == "Update" and request.id == resource.id for request in mine):
                return True
            if mine and logical_id in stack.stuck:
                return True
    return False


def _stands_for(each: Resource | Retained, arn: str, requests: list[Request]) -> bool:
    """Whether an id is that of a destination, or a marker that stands for what one of the requests left."""
    return each.id == arn or (_is_marker(each.id) and each.since in requests)


def _is_marker(id: str) -> bool:
    return not id.startswith("arn:")


def reported(facts: Facts, arn: str) -> bool:
    """Whether an ERROR line reports a destination."""
    return any(error["arn"] == arn for invocation in facts.simulation.invocations for error in invocation.errors)


# 4. Each invocation responds once and in time, and changes nothing when it must not.


def _invocations(facts: Facts) -> Iterator[Violation]:
    for invocation in facts.simulation.invocations:
        for text in _violations_of(invocation):
            name = invocation.name
            yield Violation("invocation", f"{name} {text}", "", invocation.request.resource, invocation)


def _violations_of(invocation: Invocation) -> Iterator[str]:
    plan, deadline = invocation.plan, invocation.deadline
    dies = any("container dies" in fault.kind for fault in (*plan.calls, *plan.puts))
    uninterruptible = any("beyond any interrupt" in fault.kind for fault in plan.calls)
    outcome = invocation.outcome
    if outcome not in {"returned", "raised", "died"}:
        yield f"has not ended: {outcome}"
    if outcome == "died" and not dies and not uninterruptible:
        yield "had no time left"
    # The request's time has whole seconds, so that the function may see the deadline a second earlier.
    if outcome == "returned" and not invocation.delivered and invocation.began <= deadline - 1:
        yield "returned without a response"
    if outcome == "raised" and invocation.delivered:
        yield "raised though its response was delivered"
    if outcome != "died" and not invocation.bodies:
        yield "did not try to respond"
    if len(set(invocation.bodies)) > 1:
        yield "sent two different responses"
    late = invocation.began > deadline - TOO_LATE
    if late and invocation.began > deadline:
        if invocation.response and invocation.response["Status"] != "FAILED":
            yield "began after its deadline and did not respond FAILED"
    if not late and invocation.first_put_at is not None and invocation.first_put_at > deadline:
        yield f"responded {invocation.first_put_at - deadline:.1f} s too late"
    if (
        not late
        and not dies
        and not uninterruptible
        and invocation.last_put_ended
        and invocation.last_put_ended > deadline + 0.01
    ):
        yield f"still tried to respond {invocation.last_put_ended - deadline:.1f} s too late"
    for call in invocation.calls:
        if call.operation in MUTATING:
            if call.after_response:
                yield f"began {call.operation} after its response"
            if call.began > deadline:
                yield f"began {call.operation} {call.began - deadline:.1f} s too late"
            elif call.ended is not None and call.ended > deadline + 0.01 and not uninterruptible:
                yield f"{call.operation} still ran {call.ended - deadline:.1f} s too late"


# Reading requests and destinations


def results_of(request: Request) -> set[str]:
    """Return the ids in all successful responses of a request's invocations, delivered or not."""
    responses = [invocation.response for invocation in request.invocations if invocation.response]
    return {response["PhysicalResourceId"] for response in responses if response["Status"] == "SUCCESS"}


def target(destination: Destination) -> Any:
    return destination.destination["auditLog"]["destination"]


def target_of(properties: Mapping[str, Any]) -> Any:
    return _lower(properties["DestinationConfiguration"]["AuditLog"]["Destination"])


def tags_of(properties: Mapping[str, Any]) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in properties.get("Tags", [])}


def user_tags(destination: Destination) -> dict[str, str]:
    return {key: value for key, value in destination.tags.items() if not key.startswith(PREFIX)}


def ownership_tags(destination: Destination) -> dict[str, str]:
    return {key.removeprefix(PREFIX): value for key, value in destination.tags.items() if key.startswith(PREFIX)}


def same_identity(destination: Destination, properties: Mapping[str, Any]) -> bool:
    """Whether a destination has the app bundle, ingestion, schema and format that properties describe."""
    return (
        destination.path.lies_in(properties["AppBundleIdentifier"], properties["IngestionIdentifier"])
        and _lower(properties["ProcessingConfiguration"]) == destination.processing
    )


def equal(destination: Destination, properties: Mapping[str, Any]) -> bool:
    """Whether a destination is what properties describe, except for tags."""
    return same_identity(destination, properties) and target(destination) == target_of(properties)


def _lower(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name[0].lower() + name[1:]: _lower(member) for name, member in value.items()}
    return value
