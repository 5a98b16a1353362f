"""What this design cannot prevent: numbered predicates that are evaluated on what happened in a scenario.

The numbers are those of docs/reliability.md. A violation that none of these explains is a bug. Every scenario that one
of them excuses is counted, and the counts are printed at the end of the test run.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

from tests.simulation.aws import Call, Request
from tests.simulation.invariants import LAG, PREFIX, Facts, Violation, equal, ownership_tags, results_of, tags_of

FIRST_WITHIN = 10.0
HOUR = 3600.0
SECOND = 1.0  # the resolution of CloudFormation's times

Predicate = Callable[[Violation, Facts], bool]
RESIDUALS: dict[int, Predicate] = {}
EXCUSED: Counter[int] = Counter()


def _residual(number: int) -> Callable[[Predicate], Predicate]:
    def register(predicate: Predicate) -> Predicate:
        RESIDUALS[number] = predicate
        return predicate

    return register


def explain(violation: Violation, facts: Facts) -> int | None:
    """Return the number of the residual that explains a violation, None if it is a bug."""
    return next((number for number, applies in RESIDUALS.items() if applies(violation, facts)), None)


@_residual(1)
def equal_destination_retained_beside_a_made_up_id(violation: Violation, facts: Facts) -> bool:
    """A made-up id is deleted beside an equal own destination that was retained less than 3 h after its creation."""
    removal, creation = facts.removal(violation.arn), facts.creation(violation.arn)
    if violation.kind not in {"retained", "adopted"} or removal is None or removal.before is None:
        return False
    request = removal.request
    if not _is_made_up(request) or not equal(removal.before, request.properties):
        return False
    for retained in facts.retained:
        origin = creation.request if creation else retained.since  # for an adopted destination, the adoption
        if retained.id == violation.arn and (retained.stack_id, retained.logical_id) == request.resource and origin:
            return request.at - origin.at <= 3 * HOUR + SECOND
    return False


@_residual(2)
def switching_back_under_retain(violation: Violation, facts: Facts) -> bool:
    """Switching back within the hour, under UpdateReplacePolicy Retain or --disable-rollback, looks like a rollback."""
    for request in facts.requests:
        if request.type != "Update" or violation.arn not in results_of(request) or request.id == violation.arn:
            continue
        retained = [r for r in facts.retained if (r.id, r.policy) == (violation.arn, "UpdateReplacePolicy")]
        successor = facts.creation(request.id)
        recent = successor is not None and request.at - successor.request.at <= HOUR + SECOND
        in_its_place = successor is not None and successor.request.id == violation.arn
        if in_its_place and recent and any(r.at <= (request.over or request.at) for r in retained):
            # What looks like a rollback does not restore what an even earlier update dropped.
            return violation.kind in {"retained", "tags"}
        if in_its_place and recent and not request.rollback:
            changes = facts.changes(violation.arn)[-1:] if violation.kind == "ownership" else []
            calls = [facts.removal(violation.arn), *changes]
            deleted = any(call and call.request.type == "Delete" and call.request.id == violation.arn for call in calls)
            return violation.kind in {"lost", "retained", "ownership"} and deleted
    removal, creation = facts.removal(violation.arn), facts.creation(violation.arn)
    if violation.kind not in {"retained", "adopted"} or removal is None or removal.request.type != "Update":
        return False
    by_rollback = any((r.id, r.policy) == (violation.arn, "DeletionPolicy") for r in facts.retained)
    if by_rollback and creation and creation.request.id == removal.request.id:
        return True  # a rollback went back from it without an Update
    if violation.kind == "adopted":
        return False
    # A rollback of what was gone back to, from the violation's destination.
    live = removal.request.id
    went_back = [r for r in facts.requests if r.id in {violation.arn, ""} and live in results_of(r)]
    recorded = [c for c in facts.changes(live) if c.operation == "TagResource" and c.request in went_back]
    return bool(went_back) and (not recorded or bool(facts.by_hand(live, "deleted")))


@_residual(3)
def duplicate_whose_destination_is_gone(violation: Violation, facts: Facts) -> bool:
    """A duplicate re-creates, or re-adopts, what was deleted: silently within ten seconds, or without its ARN."""
    creation = facts.creation(violation.arn)
    if violation.kind == "adopted":
        tagging = [call for call in facts.changes(violation.arn) if call.operation == "TagResource"]
        late = bool(tagging) and tagging[-1].invocation.began > (tagging[-1].request.over or float("inf"))
        return late and tagging[-1].invocation.age <= FIRST_WITHIN + SECOND
    if violation.kind != "orphan" or creation is None or creation.effect_at is None:
        return False
    earlier = [
        call
        for call in facts.simulation.calls
        if call.created and call.request is creation.request and (call.effect_at or 0) < creation.effect_at
    ]
    removals = [facts.removal(call.arn) for call in earlier]
    removals += [facts.removal(creation.request.id)]  # what an Update re-creates
    gone = any(removal and (removal.effect_at or 0) <= (creation.effect_at or 0) for removal in removals)
    gone = gone or any(facts.by_hand(call.arn, "deleted") for call in earlier)
    late = creation.request.over is not None and creation.effect_at >= creation.request.over
    silent = gone and creation.invocation.age <= FIRST_WITHIN + SECOND
    without_arn = creation.invocation.outcome == "died" or any(
        error["message"].startswith("possible orphaned") and error["arn"] is None
        for error in creation.invocation.errors
    )
    return silent or (late and without_arn)


@_residual(4)
def replacement_in_doubt_then_delete(violation: Violation, facts: Facts) -> bool:
    """CloudFormation never hears of a replacement: canceled, in doubt, or dead; and no later Update succeeds there."""
    creation, live = facts.creation(violation.arn), facts.destinations.get(violation.arn)
    if violation.kind == "adopted" and live:  # adopted in place of a marker
        token = ownership_tags(live).get("Request", "").partition("@")[0]
        given_up = [r for r in facts.requests if r.type == "Update" and r.token == token and r.given_up]
        return any(not _is_swept(facts, request, request.at) for request in given_up)
    if violation.kind != "orphan" or creation is None or creation.request.type != "Update":
        return False
    created = facts.simulation.created[violation.arn]
    known = any(call.outcome_received and call.invocation.outcome != "died" for call in created)
    if known and not creation.request.canceled:
        return False
    return not _is_swept(facts, creation.request, creation.effect_at or 0)


def _is_swept(facts: Facts, earlier: Request, effect_at: float) -> bool:
    """Whether an Update of the same id, and with its ingestion, succeeded after an earlier one took effect."""
    ingestion = earlier.properties["IngestionIdentifier"]

    def named(update: Request) -> set[Any]:
        valid = [update.properties, *([] if _had_invalid_old_properties(update, facts) else [update.old_properties])]
        return {each.get("IngestionIdentifier") for each in valid}

    return any(
        request.type == "Update"
        and request.succeeded
        and request.number > earlier.number
        and request.id == earlier.id
        and ingestion in named(request)
        and (request.over or 0) > effect_at + LAG
        for request in facts.requests
    )


@_residual(5)
def create_before_delete_of_a_made_up_id(violation: Violation, facts: Facts) -> bool:
    """After --disable-rollback CloudFormation creates a resource again before it deletes the id that it made up."""
    removal = facts.removal(violation.arn)
    if violation.kind == "ownership":  # of what the Create adopted, not created
        untagging = [call for call in facts.changes(violation.arn) if call.operation == "UntagResource"]
        deletes = [call.request for call in untagging if _is_made_up(call.request)]
        adoptions = [r for r in facts.requests if r.type == "Create" and violation.arn in results_of(r)]
        return any(
            create.resource == delete.resource and create.number < delete.number and not create.given_up
            for create in adoptions
            for delete in deletes
        )
    if removal is None or not _is_made_up(removal.request):
        return False
    creation = facts.creation(violation.arn)
    if creation is None or creation.request.resource != removal.request.resource:
        return False
    creates = [r for r in facts.requests if r.type == "Create" and r.resource == removal.request.resource]
    given_up = [r for r in creates if r.given_up and r.number < creation.request.number]
    return creation.request in creates and bool(given_up) and creation.request.number < removal.request.number


@_residual(6)
def duplicate_update_after_a_rollback_without_changes(violation: Violation, facts: Facts) -> bool:
    """An in-place Update that is a duplicate, or was canceled, changes tags, or a target, after the next request."""
    changes = facts.changes(violation.arn)
    if violation.kind == "tags":
        changes = [call for call in changes if violation.key in _keys_of(call)]
    elif violation.kind == "target":
        changes = [call for call in changes if call.operation == "UpdateIngestionDestination"]
    if violation.kind not in {"target", "tags", "retained", "adopted"} or not changes:
        return False
    last = changes[-1]
    if last.request.type != "Update" or last.request.over is None or (last.effect_at or 0) < last.request.over:
        return False
    if last.operation in {"TagResource", "UntagResource"} or last.invocation.began < last.request.over:
        return True
    if last.invocation.age <= FIRST_WITHIN + SECOND:
        return True  # it counts as the first one
    later = [r for r in facts.requests if r.number > last.request.number and r.id == violation.arn and r.succeeded]
    moves = [call for call in changes if call.operation == "UpdateIngestionDestination" and call.request in later]
    if any(last.invocation.began < (move.effect_at or 0) for move in moves):
        return True  # it had already read the destination
    moved = [move.request for move in moves]
    quiet = [r for r in later if r.type == "Update" and r not in moved]
    return bool(later) and len(quiet) == len(later)


@_residual(7)
def create_call_that_takes_effect_after_the_search(violation: Violation, facts: Facts) -> bool:
    """A create call that timed out takes effect after the search for it has ended."""
    creation = facts.creation(violation.arn)
    return violation.kind == "orphan" and creation is not None and _is_late(creation)


@_residual(8)
def forged_tags(violation: Violation, facts: Facts) -> bool:
    """Somebody removed or forged ownership tags."""
    forged = {change.arn for change in facts.hand if change.kind == "forged"}
    return violation.arn in forged


@_residual(9)
def rollback_that_has_no_room(violation: Violation, facts: Facts) -> bool:
    """A rollback fails that must move back to a broken bucket (continuing helps), or create one at a full quota."""
    failed = [r for r in facts.requests if r.rollback and r.resource == violation.resource and not r.succeeded][-1:]
    return violation.kind == "rollback" and any("Quota" in (r.response or {}).get("Reason", "") for r in failed)


@_residual(10)
def equal_tag_by_hand(violation: Violation, facts: Facts) -> bool:
    """A tag that the template drops is removed though somebody set it by hand: to the same value, or just before."""
    if violation.kind != "hand tag":
        return False
    untagging = [call for call in facts.changes(violation.arn) if violation.key in _keys_of(call)]
    by_hand = [c.at for c in facts.hand if (c.arn, c.key, c.kind) == (violation.arn, violation.key, "tagged")]
    if any(
        at <= (call.effect_at or 0) <= call.invocation.began + 2 * LAG and at >= call.invocation.began - LAG
        for call in untagging
        for at in by_hand
    ):
        return True
    values = {c.value for c in facts.hand if (c.arn, c.key, c.kind) == (violation.arn, violation.key, "tagged")}
    return any(
        tags_of(request.event.get("OldResourceProperties", {})).get(violation.key) in values
        for request in facts.requests_for(violation.arn)
    )


@_residual(11)
def short_service_timeout(violation: Violation, facts: Facts) -> bool:
    """A ServiceTimeout below 60 s leaves no time to search, to restore or to delete."""
    calls = [facts.creation(violation.arn), facts.removal(violation.arn), *facts.changes(violation.arn)[-1:]]
    requests = [call.request for call in calls if call]
    if violation.kind == "orphan" and calls[0]:
        first = calls[0].request
        requests += [r for r in facts.requests if r.resource == first.resource and r.number > first.number]
    return any(request.service_timeout < 60 for request in requests)


@_residual(12)
def duplicate_that_counts_as_the_first(violation: Violation, facts: Facts) -> bool:
    """A duplicate at the same time, or within ten seconds, undoes or denies what the other invocation does."""
    removal, creation = facts.removal(violation.arn), facts.creation(violation.arn)
    if violation.kind == "adopted":
        tagging = [call for call in facts.changes(violation.arn) if call.operation == "TagResource"][-1:]
        return any(
            call.invocation.age <= FIRST_WITHIN + SECOND
            and call.request.responded_by not in {None, call.invocation}
            and (
                (call.effect_at or 0) >= (call.request.over or float("inf"))
                or (call.request.response or {}).get("Status") == "FAILED"
            )
            for call in tagging
        )
    if violation.kind == "target":
        moves = [each for each in facts.changes(violation.arn) if each.operation == "UpdateIngestionDestination"]
        last = moves[-1] if moves else None
        winner = last.request.responded_by if last else None
        return (
            last is not None
            and last.request.succeeded
            and winner not in {None, last.invocation}
            and any(each.invocation is last.invocation for each in moves[:-1])  # it moves back what it moved
            and last.invocation.began < (winner.ended or float("inf"))
        )
    if creation is None:
        return False
    if violation.kind == "orphan":
        request = creation.request
        response = request.responded_by
        denied = request.response is not None and request.response["Status"] == "FAILED"
        young = creation.invocation.age <= FIRST_WITHIN + SECOND
        twice = any(
            call.created and call.request is request and call.arn != violation.arn for call in facts.simulation.calls
        )
        other = response is not None and response is not creation.invocation
        at_the_same_time = other and (response.ended or float("inf")) > creation.invocation.began
        without_arn = any(error["arn"] is None for error in creation.invocation.errors)
        return other and ((young and (denied or twice)) or (denied and at_the_same_time and without_arn))
    if removal is None or removal.request is not creation.request:
        return False
    several = len({call.invocation for call in facts.simulation.created[violation.arn]}) > 1
    if several and removal.invocation.age <= FIRST_WITHIN + SECOND:
        return True
    id, deletion = removal.request.id, facts.removal(removal.request.id)
    gone = deletion is not None and (deletion.effect_at or 0) <= removal.invocation.began
    nothing_live = not id.startswith("arn:") or gone or bool(facts.by_hand(id, "deleted"))
    return nothing_live and removal.request.responded_by not in {None, removal.invocation}


@_residual(13)
def sweep_that_cannot_search(violation: Violation, facts: Facts) -> bool:
    """A sweep that cannot search, or comes too early, is reported without an ARN, and what it would find stays."""
    creation = facts.creation(violation.arn)
    if violation.kind != "orphan" or creation is None:
        return False
    earlier = creation.request
    later = [r for r in facts.requests if r.type == "Update" and r.succeeded and r.number > earlier.number]
    for update in later:
        in_its_place = update.id == earlier.id if earlier.type == "Update" else _is_marker_of(earlier, update)
        sweep = update.responded_by
        if not in_its_place or sweep is None:
            continue
        # The Create before it was canceled, and was still in flight.
        too_early = earlier.type == "Create" and earlier.canceled and (creation.effect_at or 0) + LAG > sweep.began
        if sweep.failed_reads or (too_early and any(error["arn"] is None for error in sweep.errors)):
            return True
    return False


@_residual(14)
def claim_that_is_left(violation: Violation, facts: Facts) -> bool:
    """The container of an adoption dies: its claim stays, does not own the destination, and blocks other adoptions."""
    live = facts.destinations.get(violation.arn)
    if violation.kind != "adopted" or live is None:
        return False
    left = ownership_tags(live)
    died = any(
        invocation.outcome == "died" and request.properties.get("AdoptArn") == violation.arn
        for request in facts.requests
        for invocation in request.invocations
    )
    return died and all(key.startswith("Claim.") for key in left)


@_residual(15)
def what_no_valid_old_properties_name(violation: Violation, facts: Facts) -> bool:
    """After --disable-rollback the old properties may not be those in effect: what they do not name stays."""
    if violation.kind in {"orphan", "adopted"}:
        return _is_left_by_a_create_that_no_later_request_names(violation, facts)
    if violation.kind != "tags":
        return False
    requests, creation = facts.requests_for(violation.arn), facts.creation(violation.arn)
    # Of this destination, or back to it.
    updates = [
        each for each in requests if each.type == "Update" and (creation is None or each is not creation.request)
    ]
    if not updates or not updates[-1].succeeded:
        return False
    last = updates[-1]
    invalid = _had_invalid_old_properties(last, facts)
    named = {*tags_of(last.properties), *(() if invalid else tags_of(last.old_properties))}
    earlier = [request for request in requests if request.number < last.number]
    return violation.key not in named and any(violation.key in tags_of(each.properties) for each in earlier)


def _is_left_by_a_create_that_no_later_request_names(violation: Violation, facts: Facts) -> bool:
    """Whether no request for a marker names what its Create left: an Update failed, or the Delete came late."""
    creation, live = facts.creation(violation.arn), facts.destinations.get(violation.arn)
    token = creation.request.token if creation else ownership_tags(live).get("Request", "")[:36] if live else ""
    creates = [r for r in facts.requests if r.type == "Create" and r.token == token]
    if not creates:
        return False
    create = creates[0]
    later = [r for r in facts.requests if r.resource == create.resource and r.number > create.number]
    of_the_marker = [r for r in later if r.type != "Create" and not r.id.startswith("arn:")]
    failed = [r for r in of_the_marker if r.type == "Update" and not r.succeeded]
    succeeded = [r for r in of_the_marker if r.succeeded]
    late = [r for r in succeeded if r.type == "Delete" and r.at - create.at > 3 * HOUR]
    sent = [r.properties for r in late or succeeded]
    sent += [r.old_properties for r in succeeded if r.type == "Update" and not late]
    if violation.kind == "adopted":
        named = create.properties.get("AdoptArn") in [each.get("AdoptArn") for each in sent]
    else:
        named = live is None or any(equal(live, each) for each in sent if each)
    return bool(failed or late) and not named


@_residual(16)
def requests_within_one_second(violation: Violation, facts: Facts) -> bool:
    """Two requests of a resource within the same second have no order: either takes the other one's adoption over."""
    if violation.kind != "ownership":
        return False
    tagging = [call for call in facts.changes(violation.arn) if f"{PREFIX}Request" in _keys_of(call)]
    adopting = {call.request for call in tagging if call.operation == "TagResource"}
    return any(
        one is not other and one.resource == other.resource and int(one.at) == int(other.at)
        for one in adopting
        for other in adopting
    )


def _keys_of(call: Call) -> set[str]:
    """Return the keys of the tags that a call sets or removes."""
    return {*(tag["key"] for tag in call.parameters.get("tags", [])), *call.parameters.get("tagKeys", [])}


def _is_made_up(request: Request) -> bool:
    return request.type == "Delete" and not request.id.startswith(("arn:", "not-created:", "unconfirmed:"))


def _is_marker_of(create: Request, update: Request) -> bool:
    """Whether an Update has an id that CloudFormation made up, or this function did, for a Create that failed."""
    return update.resource == create.resource and not update.id.startswith("arn:")


def _had_invalid_old_properties(update: Request, facts: Facts) -> bool:
    """Whether the old properties of an Update are those of a request that failed because of them."""
    return any(
        request.properties == update.old_properties and request.response["Reason"].startswith("InvalidRequest")
        for request in facts.requests
        if request.response and request.resource == update.resource
    )


def _is_late(call: Call) -> bool:
    return "takes effect" in call.fault and call.effect_at is not None
