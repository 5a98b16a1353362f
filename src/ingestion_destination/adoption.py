"""AdoptArn: taking over a destination that this resource did not make, and never at its cost.

The console's quick set-up makes destinations, and the native type leaves one behind that is retained. While AdoptArn
stands in a template, such a destination is only on loan: a Delete gives it back.
"""

from __future__ import annotations

from ingestion_destination.client import AppFabric
from ingestion_destination.exceptions import InvalidRequest, NotFound
from ingestion_destination.identity import OWNER_TAGS, Arn
from ingestion_destination.in_place import bring
from ingestion_destination.models import Before, Desired, Live, Request, destination_of, parse


def adopt(request: Request, desired: Desired, arn: Arn, appfabric: AppFabric) -> Live:
    """Take a destination over and bring it to what the template describes.

    Raises:
        InvalidRequest: It is not there, has another processing or belongs to another resource; nothing was changed.
        HandlerError: It could not be changed; `put_back` has to follow.
    """
    live = appfabric.get(arn)
    if live is None:
        raise InvalidRequest("AdoptArn: there is no such destination")
    if desired.replaces(live):
        raise InvalidRequest("AdoptArn: the destination has another Schema or Format, which cannot be changed")
    tags = appfabric.tags(arn.arn)
    if tags.keys() & set(OWNER_TAGS) and not any(owner.owns(tags) for owner in request.owner.forms):
        raise InvalidRequest(
            "AdoptArn: the destination belongs to another resource. If that is gone: "
            f"aws appfabric untag-resource --resource-arn {arn.arn} --tag-keys {' '.join(OWNER_TAGS)}"
        )
    appfabric.before = Before(arn=arn, live=live, tags=tags)
    return bring(live, desired, request, appfabric, claim=request.owner) or live


def put_back(request: Request, before: Before, appfabric: AppFabric) -> None:
    """Undo an adoption: the destination is as it was, and nobody's."""
    live = appfabric.get(before.arn)
    if live is None:
        return
    if destination_of(live) != destination_of(before.live):
        appfabric.update(before.arn, destination_of(before.live))
    there = appfabric.tags(before.arn.arn)
    was = {key: value for key, value in before.tags.items() if key not in OWNER_TAGS}
    ours = {*parse(request.properties).tags, *OWNER_TAGS}
    added = sorted(ours & there.keys() - was.keys())
    changed = {key: value for key, value in was.items() if key in ours and there.get(key) != value}
    if added:
        appfabric.untag(before.arn.arn, added)
    if changed:
        appfabric.tag(before.arn.arn, changed)


def is_owned(request: Request, arn: Arn, appfabric: AppFabric) -> bool:
    """Whether a destination stands and is this resource's."""
    try:
        tags = appfabric.tags(arn.arn)
    except NotFound:
        return False
    return any(owner.owns(tags) for owner in request.owner.forms)


def give_back(request: Request, arn: Arn, appfabric: AppFabric) -> None:
    """Leave an adopted destination, which is this resource's no more."""
    if is_owned(request, arn, appfabric):
        appfabric.untag(arn.arn, list(OWNER_TAGS))
