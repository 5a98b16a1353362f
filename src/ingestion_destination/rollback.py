"""What a failed Update takes back, so that its rollback finds things as they were."""

from __future__ import annotations

from ingestion_destination.appfabric.client import AppFabric
from ingestion_destination.appfabric.destination import Destination, DestinationArn
from ingestion_destination.exceptions import HandlerError
from ingestion_destination.journal import Entry
from ingestion_destination.observability import logger
from ingestion_destination.orphans import delete_orphan, report


def roll_back(done: Entry, appfabric: AppFabric, *, is_first: bool) -> None:
    """Restore what this invocation moved, and delete what it created.

    What cannot be undone is reported. Nothing is waited for: a bucket that was broken before may be broken still.

    Args:
        done: What the journal says.
        appfabric: With time of its own.
        is_first: Whether no other invocation of the request can have responded with what was created.
    """
    if done.moved:
        _restore(done.moved, appfabric)
    if done.created and is_first:
        _delete(done.created, appfabric)
    else:
        report_unfinished(done)


def report_unfinished(done: Entry) -> None:
    """Report what the request may have created and nobody will hear of."""
    if done.created:
        report(done.created, "created by an update that failed")
    elif done.create_in_doubt:
        report(done.adopting, "an update that failed may have created, or adopted, a destination")


def _restore(before: Destination, appfabric: AppFabric) -> None:
    try:
        if before.target:
            appfabric.update(before.arn, before.target)
    except HandlerError as failure:
        logger.error("could not restore the destination", destination=str(before.arn), reason=failure.reason)


def _delete(arn: DestinationArn, appfabric: AppFabric) -> None:
    try:
        delete_orphan(arn, appfabric)
    except HandlerError as failure:
        report(arn, failure.reason)
