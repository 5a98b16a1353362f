"""What a failed Update undoes before its response, so that its rollback finds things as they were."""

from __future__ import annotations

from contextlib import suppress

from ingestion_destination.appfabric.client import CONSISTENT_AFTER, AppFabric
from ingestion_destination.appfabric.destination import Destination, DestinationArn, Target
from ingestion_destination.exceptions import HandlerError, InternalFailure
from ingestion_destination.invocation import Invocation
from ingestion_destination.journal import Entry
from ingestion_destination.observability import logger, report_possible_orphan
from ingestion_destination.orphans import delete_orphan
from ingestion_destination.properties import Desired


def roll_back(invocation: Invocation, *, is_id_live: bool) -> None:
    """Restore what this invocation moved, and delete what it created, unless another one may have responded with it.

    Nothing is undone once a later request has been here: it may rest on what another invocation responded with. What
    cannot be undone is reported. Nothing is waited for: a bucket that was broken before may be broken still.

    Args:
        invocation: With the journal of what it did.
        is_id_live: Whether the request's id is that of a live destination. Its rollback then hardly ever has to create
            one, for which there may be no room, before it sweeps up what was created in place of the id.
    """
    done, appfabric = invocation.journal.entry, invocation.appfabric.until(invocation.deadline.rollback_ends)
    if done.overtaken:
        report_unfinished(done)
        return
    if done.before_move:
        _restore(done.before_move, Desired.parse(invocation.request.properties).target, appfabric)
    if done.created and not invocation.request.may_be_duplicate:
        is_swept = is_id_live and invocation.owner.is_unique
        _delete(done.created, appfabric, unless_active=is_swept and invocation.is_late)
    else:
        report_unfinished(done)


def report_unfinished(done: Entry) -> None:
    """Report what the request may have created and nobody will hear of."""
    if done.created:
        report_possible_orphan(done.created, "created by a request that failed")
    elif done.create_in_doubt:
        report_possible_orphan(done.adopting, "a request that failed may have created, or adopted, a destination")


def _restore(before: Destination, moved_to: Target, appfabric: AppFabric) -> None:
    """Point a destination to where it was, unless a later request has pointed it elsewhere since."""
    try:
        if before.target is None:
            raise InternalFailure("it wrote to a kind of target that this version does not know")
        if _is_elsewhere(before, moved_to, appfabric):
            logger.error("not restored: it was pointed elsewhere meanwhile", destination=str(before.arn))
            return
        appfabric.update(before.arn, before.target)
    except HandlerError as failure:
        logger.error("could not restore the destination", destination=str(before.arn), reason=failure.reason)


def _is_elsewhere(before: Destination, moved_to: Target, appfabric: AppFabric) -> bool:
    """Whether two readings show a target that is neither the old nor the new one.

    What cannot be read is restored all the same, for which there must be time.
    """
    with suppress(HandlerError):
        for wait in (0, CONSISTENT_AFTER):
            appfabric.clock.sleep(wait)
            live = appfabric.within((appfabric.ends - appfabric.clock.monotonic()) / 3).get(before.arn)
            if live is None or live.target in {before.target, moved_to}:
                return False
        return True
    return False


def _delete(arn: DestinationArn, appfabric: AppFabric, *, unless_active: bool) -> None:
    """Delete what was created, unless a duplicate may have found it Active meanwhile: the rollback finds it as well."""
    try:
        destination = appfabric.get(arn) if unless_active else None
        if destination and destination.status == "Active":
            report_possible_orphan(arn, "created by a request that failed, and Active: is it in its stack?")
        else:
            delete_orphan(arn, appfabric)
    except HandlerError as failure:
        report_possible_orphan(arn, failure.reason)
