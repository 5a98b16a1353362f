"""What of a destination can be changed without another one: where it leads, and its tags."""

from __future__ import annotations

from ingestion_destination.client import AppFabric
from ingestion_destination.identity import Arn, Owner
from ingestion_destination.models import Desired, Live, Request, destination_of, tag_keys_of


def bring(
    live: Live, desired: Desired, request: Request, appfabric: AppFabric, *, claim: Owner | None = None
) -> Live | None:
    """Change in place what differs; None when nothing did.

    Args:
        live: The destination as it is.
        desired: What the template describes.
        request: What CloudFormation asks for.
        appfabric: Where.
        claim: As whose the destination is tagged, where it was not the resource's (for good) before.

    Only another destination is waited for to become Active: one whose bucket filled up last week must not block a
    change of tags. Tags that the template does not know and never knew stay.
    """
    arn = live["arn"]
    parsed = Arn.parse(arn)
    moves = parsed is not None and destination_of(live) != desired.destination
    if moves and parsed:
        live = appfabric.update(parsed, desired.destination)
    there = appfabric.tags(arn)
    settled = request.owner.settled.owns(there)
    wanted = {**(claim.tags if claim and not settled else {}), **desired.tags}
    gone = sorted((tag_keys_of(request.old_properties) - wanted.keys()) & there.keys())
    new = {key: value for key, value in wanted.items() if there.get(key) != value}
    if gone:
        appfabric.untag(arn, gone)
    if new:
        appfabric.tag(arn, new)
    if moves:
        return appfabric.stabilise(live)
    return live if gone or new else None
