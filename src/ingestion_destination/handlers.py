"""Every decision of the lifecycle: what a Create, an Update and a Delete do, and what must not stay behind.

https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/crpg-ref-requesttypes.html
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

from ingestion_destination.adoption import adopt, give_back, is_owned, put_back
from ingestion_destination.client import AppFabric
from ingestion_destination.exceptions import (
    GeneralServiceException,
    HandlerError,
    InvalidRequest,
    ResourceConflict,
    ServiceLimitExceeded,
)
from ingestion_destination.identity import NOT_CREATED, UNCONFIRMED, Arn, Owner
from ingestion_destination.in_place import bring
from ingestion_destination.models import (
    Desired,
    Live,
    Request,
    Result,
    attributes_of,
    destination_of,
    parents_of,
    parse,
    parse_formerly,
)
from ingestion_destination.observability import count, logger

# An older destination with our tags was answered long ago: it was retained, or the native type has it now.
LOOKED_FOR_WITHIN = timedelta(hours=3)
# CloudFormation tells when it made a request without fractions.
WHOLE_SECOND = timedelta(seconds=1)


def create(request: Request, appfabric: AppFabric) -> Result:
    """Make the destination and wait until it is Active."""
    desired = parse(request.properties)
    if desired.adopt:
        return _result(_adopt(request, desired, desired.adopt, appfabric))
    try:
        live = appfabric.stabilise(_make(request, desired, appfabric, request.owner))
    except ServiceLimitExceeded as failure:
        failure.message += ". An ingestion takes five destinations, and that quota cannot be raised"
        raise
    return _result(live)


def update(request: Request, appfabric: AppFabric) -> Result:
    """Bring the live destination to what the template describes, by a replacement where it cannot be changed."""
    desired = parse(request.properties)
    arn = Arn.parse(request.physical_resource_id)
    if arn is None:
        if not _may_be_looked_for(request):
            raise InvalidRequest("the PhysicalResourceId is not one of an ingestion destination")
        if desired.adopt:
            return _result(_adopt(request, desired, desired.adopt, appfabric))
        return _result(_replace(request, desired, appfabric, request.owner.settled))
    _refuse_a_late_adoption(request, desired, appfabric)
    live = appfabric.get(arn)
    if live is None or desired.replaces(live):  # gone: someone deleted it
        return _result(_replace(request, desired, appfabric, request.owner))
    changed = bring(live, desired, request, appfabric)
    if changed is None:
        _undo_unanswered_replacement(request, live, appfabric)
    return _result(changed or live)


def delete(request: Request, appfabric: AppFabric) -> Result:
    """Delete the destination; the properties are not asked, they may be what failed the Create."""
    arn = Arn.parse(request.physical_resource_id)
    adopts = request.properties.get("AdoptArn")
    if arn and arn.arn == adopts:
        give_back(request, arn, appfabric)
    elif arn and appfabric.is_here(arn):
        appfabric.delete(arn)
    elif adopts is None and not request.physical_resource_id.startswith(NOT_CREATED):
        _delete_what_a_create_left(request, appfabric)
    return Result(physical_resource_id=request.physical_resource_id)


def failed_id(request: Request, appfabric: AppFabric) -> str:
    """The PhysicalResourceId of a FAILED answer.

    That of the request if it has one, for CloudFormation would take another for a replacement. For a Create what
    tells the Delete that follows what to do: the ARN, or whether there may be a destination to look for.
    """
    if request.physical_resource_id:
        return request.physical_resource_id
    return appfabric.made or f"{UNCONFIRMED if appfabric.unconfirmed else NOT_CREATED}{request.request_id}"


def undo(request: Request, appfabric: AppFabric, *, until: float) -> None:
    """Delete what this request made, and put back what it adopted; what cannot be undone is logged and counted.

    Args:
        request: A Create or Update that failed, or whose answer CloudFormation refused.
        appfabric: What it was done with.
        until: When this must end, an instant of the deadline's clock.
    """
    appfabric.extend(until)
    try:
        if appfabric.before:
            put_back(request, appfabric.before, appfabric)
        elif appfabric.made:
            _delete(appfabric.made, appfabric)
        elif appfabric.unconfirmed:
            for live in list(_made_by(request, appfabric)):
                _delete(live["arn"], appfabric)
    except HandlerError as failure:
        what = appfabric.before.arn.arn if appfabric.before else appfabric.made
        _suspect(what or "a create call had no answer", failure.reason)


def _make(request: Request, desired: Desired, appfabric: AppFabric, owner: Owner) -> Live:
    begun = appfabric.deadline.time.now() - WHOLE_SECOND
    try:
        live = appfabric.create(desired.request(owner), token=request.client_token)
        if appfabric.deadline.again and _created_at(live) >= begun:
            _suspect(
                live["arn"], "made late, perhaps by another run of a request that was answered: is it in its stack?"
            )
        return live
    except HandlerError as failure:
        # Perhaps after an earlier run of this same request that made one, of which the service may know nothing more.
        if not (appfabric.deadline.again or isinstance(failure, ResourceConflict | GeneralServiceException)):
            raise
        mine = _made_before(request, desired, appfabric)
        if mine is None:
            raise
        appfabric.made = mine["arn"]
        return mine


def _made_before(request: Request, desired: Desired, appfabric: AppFabric) -> Live | None:
    doubt, appfabric.unconfirmed = appfabric.unconfirmed, True
    try:
        mine = _first(
            lambda live: not desired.replaces(live) and destination_of(live) == desired.destination,
            _made_by(request, appfabric),
        )
    except HandlerError:
        appfabric.unconfirmed = doubt or appfabric.deadline.again
        return None
    appfabric.unconfirmed = doubt and mine is None
    return mine


def _adopt(request: Request, desired: Desired, arn: Arn, appfabric: AppFabric) -> Live:
    try:
        return adopt(request, desired, arn, appfabric)
    except BaseException:
        undo(request, appfabric, until=appfabric.deadline.undo_ends)
        raise


def _refuse_a_late_adoption(request: Request, desired: Desired, appfabric: AppFabric) -> None:
    """A resource that has a destination takes no other one over; what a rollback names is its own already."""
    arn = desired.adopt
    if arn is None or arn.arn in {request.physical_resource_id, request.old_properties.get("AdoptArn")}:
        return
    if not is_owned(request, arn, appfabric):
        raise InvalidRequest("AdoptArn: this resource has a destination already; AdoptArn is for a new resource")


def _replace(request: Request, desired: Desired, appfabric: AppFabric, owner: Owner) -> Live:
    """Another destination in the place of the request's; the old one is left to CloudFormation's own Delete."""
    there = _first(
        lambda live: not desired.replaces(live),
        appfabric.owned(desired.parents, *request.owner.forms, besides=request.physical_resource_id),
    )
    try:
        if there is None:
            return appfabric.stabilise(_make(request, desired, appfabric, owner))
        # The one that was replaced before, in a rollback; or what an earlier run of this very request made, which
        # must be Active as after its Create. That run may have been answered: it is not ours to undo.
        taken = bring(there, desired, request, appfabric, claim=owner) or there
        return appfabric.stabilise(taken) if _created_at(there) > request.made_at + WHOLE_SECOND else taken
    except HandlerError as failure:
        if isinstance(failure, ServiceLimitExceeded | ResourceConflict):
            failure.message += (
                ". This change needs a replacement, and the new destination is made before the old one is deleted."
                " An ingestion takes five destinations, a quota that cannot be raised: delete one that is not needed,"
                " or remove this resource in one deployment and add it again in the next"
            )
        undo(request, appfabric, until=appfabric.deadline.undo_ends)
        raise


def _undo_unanswered_replacement(request: Request, live: Live, appfabric: AppFabric) -> None:
    """After a replacement that CloudFormation never had an answer to, its rollback names what was wanted then."""
    wanted = parse_formerly(request.old_properties)
    if wanted is None or not wanted.replaces(live):
        return
    try:
        for other in list(appfabric.owned(wanted.parents, *request.owner.forms, besides=live["arn"])):
            newer = _created_at(other) > _created_at(live)
            if newer and not wanted.replaces(other) and _is_recent(other, request):
                _delete(other["arn"], appfabric)
    except HandlerError as failure:  # the rollback itself is done
        _suspect("an unanswered replacement", failure.reason)


def _delete_what_a_create_left(request: Request, appfabric: AppFabric) -> None:
    """By the owner's tags; again and again where the Create may still be running, even after one was found.

    A Create whose call was cut sends it again, and one whose container died is run again by Lambda: each makes another
    one when the first is gone. Only one that was answered itself has left one at most.
    """
    parents = parents_of(request.properties)
    if parents is None:
        return  # nor could the Create make anything
    suspected: set[str] = set()
    for _ in appfabric.looks(request.service_timeout):
        found = list(appfabric.owned(parents, request.owner))
        left = [live for live in found if _is_recent(live, request)]
        for live in left:
            _delete(live["arn"], appfabric)
        for arn in {live["arn"] for live in found if live not in left} - suspected:
            suspected.add(arn)
            _suspect(arn, "it carries this resource's tags, and is too old to be what a Create left")
        answered = request.physical_resource_id.startswith(UNCONFIRMED)
        if (left and answered) or not request.owner.may_still_be_creating(request.physical_resource_id):
            return


def _may_be_looked_for(request: Request) -> bool:
    return request.physical_resource_id.startswith(NOT_CREATED) or request.owner.may_still_be_creating(
        request.physical_resource_id
    )


def _made_by(request: Request, appfabric: AppFabric) -> Iterator[Live]:
    """What runs of this very request made, for all that tags and times tell."""
    parents = parents_of(request.properties)
    if parents is None:
        return
    for live in appfabric.owned(parents, *request.owner.forms, besides=request.physical_resource_id):
        if _created_at(live) >= request.made_at:
            yield live


def _delete(arn: str, appfabric: AppFabric) -> None:
    parsed = Arn.parse(arn)
    if parsed:
        appfabric.delete(parsed)
        logger.info("a destination that no resource would own is deleted", arn=arn)
        count("OrphansRemoved")


def _suspect(arn: str, why: str) -> None:
    logger.error("a destination may be left that no resource owns", arn=arn, why=why)
    count("OrphansSuspected")


def _created_at(live: Live) -> datetime:
    moment = live.get("createdAt")
    return moment if isinstance(moment, datetime) else datetime.min.replace(tzinfo=UTC)


def _is_recent(live: Live, request: Request) -> bool:
    return request.made_at - _created_at(live) <= LOOKED_FOR_WITHIN


def _first(matches: Callable[[Live], bool], candidates: Iterator[Live]) -> Live | None:
    return next((live for live in candidates if matches(live)), None)


def _result(live: Live) -> Result:
    return Result(physical_resource_id=live["arn"], attributes=attributes_of(live))
