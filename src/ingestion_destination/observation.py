"""Reads a live destination before an Update, until what was read can be believed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ingestion_destination.appfabric.client import CONSISTENT_AFTER, AppFabric
from ingestion_destination.appfabric.destination import Destination, DestinationArn
from ingestion_destination.invocation import Invocation
from ingestion_destination.ownership import Ownership
from ingestion_destination.properties import Desired

# An update that fails restores the destination just before its response; the rollback follows at once.
RESTORED_WITHIN = 60.0
# By how many seconds AppFabric's clock may be behind CloudFormation's, whose times have no fractions of a second.
CLOCK_TOLERANCE = 3.0


@dataclass(frozen=True, kw_only=True)
class Observed:
    """A live destination with its tags."""

    destination: Destination
    tags: Mapping[str, str]

    @property
    def ownership(self) -> Ownership | None:
        """What its ownership tags say, None when it has none."""
        return Ownership.read(self.tags)


def read(arn: DestinationArn, appfabric: AppFabric) -> Observed | None:
    """The destination as it seems to be now, None when it seems to be gone."""
    destination = appfabric.get(arn)
    if destination is None:
        return None
    tags = appfabric.get_tags(arn)
    return None if tags is None else Observed(destination=destination, tags=tags)


def read_until_certain(arn: DestinationArn, appfabric: AppFabric) -> Observed | None:
    """The destination as it seems to be now; one that seems to be gone is read again after a while."""
    observed = read(arn, appfabric)
    if observed is None:
        appfabric.clock.sleep(CONSISTENT_AFTER)
        observed = read(arn, appfabric)
    return observed


def observe(arn: DestinationArn, desired: Desired, invocation: Invocation) -> Observed | None:
    """The destination that an Update is about, None when it is gone.

    If it is not as the last request left it, it is read again: somebody may have changed it by hand, a rollback may be
    under way, or the reading may be old.
    """
    appfabric, old = invocation.appfabric, invocation.old
    observed = read_until_certain(arn, appfabric)
    if observed is None or old is None:
        return observed
    # What is replaced is replaced, whoever changed it: its schema and format, and where it lies, never change.
    is_clear = desired.needs_replacement(observed.destination) or _is_as_left(observed, old, desired)
    if is_clear and _is_recorded(observed, old):
        return observed
    if is_clear:
        appfabric.clock.sleep(CONSISTENT_AFTER)
    else:
        _settle(observed.destination, desired, invocation)
    return read_until_certain(arn, appfabric)


def _is_as_left(observed: Observed, old: Desired, desired: Desired) -> bool:
    """Whether a destination is as a request with the old properties leaves it, and not yet as the new ones want."""
    new = {key: value for key, value in desired.tags.items() if old.tags.get(key) != value}
    return (
        old.matches(observed.destination)
        and old.tags.items() <= observed.tags.items()
        and not new.items() & observed.tags.items()
    )


def _is_recorded(observed: Observed, old: Desired) -> bool:
    """Whether the ownership tags say what a request with the old properties records: else they may be older."""
    ownership, named = observed.ownership, old.adopt_arn
    if ownership is None or ownership.adopted != (named == observed.destination.arn):
        return False
    return named is None or ownership.adopted or named.uuid in ownership.named


def _settle(destination: Destination, desired: Desired, invocation: Invocation) -> None:
    """Wait until what is there can be believed.

    CloudFormation may have canceled the update before this one, which is at work still. What that does within its
    first seconds is visible afterwards, unless it has just restored the destination: then it is over.
    """
    clock, deadline, wait = invocation.appfabric.clock, invocation.deadline, CONSISTENT_AFTER
    restored = destination.target == desired.target and _was_updated_since(-RESTORED_WITHIN, destination, invocation)
    if not restored:
        wait += max(deadline.early_ends + CLOCK_TOLERANCE - clock.monotonic(), 0)
    clock.sleep(max(min(wait, (deadline.work_ends - clock.monotonic()) / 2), 0))


def may_have_been_touched(destination: Destination, invocation: Invocation) -> bool:
    """Whether an earlier invocation of this request, or a later request, may have updated the destination."""
    return invocation.request.may_be_duplicate and _was_updated_since(-CLOCK_TOLERANCE, destination, invocation)


def _was_updated_since(seconds: float, destination: Destination, invocation: Invocation) -> bool:
    """Whether a destination was updated, after its creation, later than so many seconds after the request was made."""
    updated_at, signed_at = destination.updated_at, invocation.request.signed_at
    if updated_at is None or updated_at == destination.created_at or signed_at is None:
        return False
    return (updated_at - signed_at).total_seconds() >= seconds
