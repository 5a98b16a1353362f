"""Create, Update and Delete of an ingestion destination: every decision.

A request may be delivered more than once, and at any time; CloudFormation may have given it up; and another request may
have followed. What a destination's ownership tags record, and the times at which CloudFormation made its requests, say
which of them created what. docs/reliability.md argues why that is enough.

https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/crpg-ref-requesttypes.html
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

from ingestion_destination.adoption import Adoption
from ingestion_destination.appfabric.client import CONSISTENT_AFTER, FIRST_BACK_OFF, LONGEST_PAUSE, AppFabric
from ingestion_destination.appfabric.destination import Destination, DestinationArn
from ingestion_destination.appfabric.errors import IdempotentParameterMismatch
from ingestion_destination.cloudformation.request import Request
from ingestion_destination.cloudformation.response import Response
from ingestion_destination.deadline import Deadline
from ingestion_destination.exceptions import (
    HandlerError,
    InvalidRequest,
    NotFound,
    ResourceConflict,
    ServiceLimitExceeded,
)
from ingestion_destination.journal import Journal
from ingestion_destination.observability import logger
from ingestion_destination.orphans import Owned, Search, delete_orphan, report
from ingestion_destination.ownership import NOT_CREATED, UNCONFIRMED, Owner, Ownership
from ingestion_destination.properties import Desired, attributes_of
from ingestion_destination.rollback import roll_back

# A replacement that is younger than this is taken back by the next request that wants what it replaced.
ROLLED_BACK_WITHIN = 3600.0
# What is older was responded to long ago: it was retained, or the native type has it now.
LEFT_WITHIN = 3 * 3600.0
# A sweep is an extra: it does not keep an update from its response.
SWEEP_WITHIN = 120.0
# An update that fails restores the destination just before its response; the rollback follows at once.
RESTORED_WITHIN = 60.0
# By how many seconds AppFabric's clock may be behind CloudFormation's, and CloudFormation leaves out fractions.
CLOCK_TOLERANCE = 3.0
OVERTAKEN = "a later request of CloudFormation's has been here: this one was cancelled, or came late"


@dataclass(frozen=True, kw_only=True)
class Observed:
    """A live destination with its tags."""

    destination: Destination
    tags: Mapping[str, str]

    @property
    def ownership(self) -> Ownership | None:
        """What its ownership tags say, None when it has none."""
        return Ownership.read(self.tags)


class Lifecycle:
    """One request, fulfilled.

    Each method returns the response of a success and raises a HandlerError for a failure.

    Args:
        request: What CloudFormation asks for.
        appfabric: Where, until the end of the request's work.
        journal: Where each effect is recorded before it is made.
        deadline: When each part has to end.
    """

    def __init__(self, request: Request, appfabric: AppFabric, journal: Journal, deadline: Deadline) -> None:
        self.request = request
        self.appfabric = appfabric
        self.journal = journal
        self.deadline = deadline
        self.id = request.physical_resource_id
        self.owner = Owner.of(request)
        self.ownership = Ownership.of(request)
        self.search = Search(owner=self.owner)

    @cached_property
    def old(self) -> Desired | None:
        """What the template described before this Update; None when that was invalid, so that it never took effect."""
        return Desired.parse_if_valid(self.request.old_properties)

    @property
    def _may_stand_for_a_destination(self) -> bool:
        """Whether the id is that of a Create which may have created a destination that nobody heard of."""
        return self.id.startswith(UNCONFIRMED) or self.owner.has_made_up(self.id)

    # Create

    def create(self) -> Response:
        """Create the destination, or adopt one, and wait until it is Active.

        Nothing is rolled back: CloudFormation's own Delete follows a Create that failed, with the id of its response.
        """
        desired = Desired.parse(self.request.properties)
        if desired.adopt:
            return self._succeed(self._adopt(desired.adopt, desired))
        return self._succeed(self.appfabric.stabilize(self._create(desired)))

    # Update

    def update(self) -> Response:
        """Update the destination in place, or replace what cannot be updated; then sweep up after earlier updates."""
        desired = Desired.parse(self.request.properties)
        arn = DestinationArn.parse(self.id)
        try:
            observed = self._observe(arn, desired) if arn else None
            destination = self._update(observed, desired) if arn else self._update_marker(desired)
            self._sweep(desired, destination, observed)
        except BaseException:
            roll_back(
                self.journal.entry,
                self.appfabric.until(self.deadline.rollback_ends),
                is_first=self.request.is_first,
            )
            raise
        return self._succeed(destination)

    def _update(self, observed: Observed | None, desired: Desired) -> Destination:
        if observed is None:
            self._refuse_adoption(desired)
            return self._replace(desired, accepts_equal=True)
        ownership = observed.ownership
        if ownership and ownership.owner != self.owner:
            raise InvalidRequest(
                "the destination's tags name another owner: the resource of logical id"
                f" {ownership.owner.logical_resource_id} in stack {ownership.owner.stack_id}"
            )
        if not desired.needs_replacement(observed.destination):
            self._refuse_adoption(desired)
            return self._update_in_place(observed, desired)
        replaced = self._replaced_by(ownership, desired)
        self._refuse_adoption(desired, besides=replaced)
        return replaced or self._replace(desired)

    def _update_marker(self, desired: Desired) -> Destination:
        """Create what an id stands for that is not an ARN; CloudFormation then deletes that id."""
        if not (self.id.startswith(NOT_CREATED) or self._may_stand_for_a_destination):
            raise InvalidRequest("PhysicalResourceId is not an ingestion destination ARN")
        if desired.adopt:
            return self._adopt(desired.adopt, desired)
        return self._replace(desired)

    def _update_in_place(self, observed: Observed, desired: Desired) -> Destination:
        """Point the destination elsewhere if need be, and bring its tags to the template's.

        Only what this request moved is waited for: a bucket that filled up last week must not block an update of tags.
        """
        destination, moves = observed.destination, observed.destination.target != desired.target
        touched = self._may_have_been_touched_since(destination)
        if moves and touched:
            raise ResourceConflict(
                "the destination was updated after this request had been made, by an earlier invocation that failed or"
                " for a later request; nothing was changed"
            )
        if moves:
            destination = self._move(destination, desired)
        self._update_tags(observed, desired)
        return self.appfabric.stabilize(destination) if moves or touched else destination

    def _move(self, destination: Destination, desired: Desired) -> Destination:
        self.journal.record(moved=destination)
        try:
            return self.appfabric.update(destination.arn, desired.target)
        except HandlerError as failure:
            if not failure.in_doubt:
                self.journal.record(moved=None)
            raise

    def _update_tags(self, observed: Observed, desired: Desired) -> None:
        """Tags of others stay; so does one that the template no longer has, if others gave it another value."""
        dropped = {key: value for key, value in self.old.tags.items() if key not in desired.tags} if self.old else {}
        gone = sorted(key for key, value in dropped.items() if observed.tags.get(key) == value)
        new = {key: value for key, value in desired.tags.items() if observed.tags.get(key) != value}
        if gone:
            self.appfabric.untag(observed.destination.arn, gone)
        if new:
            self.appfabric.tag(observed.destination.arn, new)

    def _may_have_been_touched_since(self, destination: Destination) -> bool:
        """Whether an earlier invocation of this request, or a later request, may have updated the destination."""
        if self.request.is_first or not (destination.updated_at and self.request.signed_at):
            return False
        since = (destination.updated_at - self.request.signed_at).total_seconds()
        return since >= -CLOCK_TOLERANCE and destination.updated_at != destination.created_at

    def _replaced_by(self, ownership: Ownership | None, desired: Desired) -> Destination | None:
        """The destination that was replaced just now, when it is what is wanted again: this is a rollback."""
        if ownership is None or not self.owner.is_unique or ownership.age_at(self.request) > ROLLED_BACK_WITHIN:
            return None
        arn = DestinationArn.parse(ownership.replaces)
        if arn is None or not self.appfabric.is_in_region(arn):
            return None
        if not self._is_wanted_again(self._read(arn), desired):
            return None
        # Nothing of it will be changed, so that nothing else would show that the reading was an old one.
        self.appfabric.clock.sleep(CONSISTENT_AFTER)
        before = self._read(arn)
        return before.destination if before and self._is_wanted_again(before, desired) else None

    def _is_wanted_again(self, before: Observed | None, desired: Desired) -> bool:
        if before is None or before.ownership is None or before.ownership.owner != self.owner:
            return False
        return desired.equals(before.destination)

    def _replace(self, desired: Desired, *, accepts_equal: bool = False) -> Destination:
        """Another destination in place of the request's id, which CloudFormation then deletes."""
        return self.appfabric.stabilize(self._create(desired, accepts_equal=accepts_equal))

    def _refuse_adoption(self, desired: Desired, *, besides: Destination | None = None) -> None:
        """A resource that has a destination adopts no other one; what a rollback returns to may have been adopted."""
        adopt = str(desired.adopt or "")
        if adopt not in {"", self.id, self.request.old_properties.get("AdoptArn"), str(besides.arn) if besides else ""}:
            raise InvalidRequest("AdoptArn: this resource has a destination already; AdoptArn is for a new resource")

    def _sweep(self, desired: Desired, result: Destination, observed: Observed | None) -> None:
        """Delete what replaced this id in an earlier update that CloudFormation never had a response to.

        Raises:
            ResourceConflict: CloudFormation cancelled this update, and a later request has been here.
        """
        if not self.owner.is_unique:
            return
        appfabric = self.appfabric.within(SWEEP_WITHIN)
        try:
            found = self.search.owned(appfabric, desired.parents, *([self.old.parents] if self.old else []))
            overtaken = any(owned.ownership.is_later_than(self.request) for owned in found)
            if not overtaken:
                self._sweep_up(found, desired, result, appfabric)
        except HandlerError as failure:  # the update itself is done
            report(None, f"what an earlier update may have left cannot be searched for: {failure.reason}")
            return
        if overtaken:
            raise ResourceConflict(OVERTAKEN)
        live = {owned.arn for owned in found} | self.search.unreadable.keys() | {result.arn}
        if observed and observed.destination.arn not in live:
            report(result.arn, "it replaces what was deleted before this update had ended: is it in its stack?")

    def _sweep_up(self, found: list[Owned], desired: Desired, result: Destination, appfabric: AppFabric) -> None:
        old = self.old
        for owned in found:
            if owned.arn != result.arn and self._was_left_in_place_of_this_id(owned.ownership):
                self._sweep_away(owned, old, appfabric)
        if old and old.adopt and old.adopt != result.arn and str(old.adopt) != self.id:
            self._adoption(appfabric).release(old.adopt, if_it=self._was_left_in_place_of_this_id)
        if old and self._may_stand_for_a_destination and old.parents != desired.parents:
            # The Delete of this id follows, but it may come with the new properties, which lead elsewhere.
            self._delete_once(old, appfabric, set())

    def _sweep_away(self, owned: Owned, old: Desired | None, appfabric: AppFabric) -> None:
        recent = owned.ownership.age_at(self.request) <= LEFT_WITHIN
        if old and old.equals(owned.destination) and recent and owned.ownership.is_earlier_than(self.request):
            self._dispose_of(owned, appfabric)
        else:
            report(owned.arn, "created by an earlier update of this resource")

    def _was_left_in_place_of_this_id(self, ownership: Ownership) -> bool:
        return (
            ownership.is_in_place_of(self.id)
            and ownership.token != self.ownership.token
            and not ownership.is_later_than(self.request)
        )

    # Delete

    def delete(self) -> Response:
        """Delete what the id stands for; the properties are not validated, they may be what failed the Create."""
        arn = DestinationArn.parse(self.id)
        if arn and self.appfabric.is_in_region(arn):
            self._delete(arn)
        elif self._may_stand_for_a_destination:
            self._delete_what_a_create_left()
        elif not self.id.startswith(NOT_CREATED):
            logger.warning("PhysicalResourceId is not an ingestion destination ARN: nothing to delete", id=self.id)
        return Response(physical_resource_id=self.id)

    def _delete(self, arn: DestinationArn) -> None:
        if self.request.properties.get("AdoptArn") == self.id:
            self._release(arn)
            return
        try:
            ownership = Ownership.read(self.appfabric.tags(arn))
        except NotFound:
            ownership = None
        if ownership and ownership.owner != self.owner:
            report(arn, "not deleted: its tags name another owner")
        else:
            self.appfabric.delete(arn)

    def _release(self, arn: DestinationArn) -> None:
        """Leave an adopted destination; what is not this resource's by its tags may have become so just now."""
        adoption = self._adoption(self.appfabric)
        if not adoption.release(arn, if_it=lambda _: True):
            self.appfabric.clock.sleep(CONSISTENT_AFTER)
            adoption.release(arn, if_it=lambda _: True)

    def _delete_what_a_create_left(self) -> None:
        """Delete or release what a Create without a response left, again and again until none can be in flight.

        Even after one was found: a Create whose container died is retried by Lambda, and creates another one when the
        first is gone.
        """
        desired = Desired.parse_if_valid(self.request.properties)
        if desired is None:
            return  # nor could the Create have created anything
        names_its_create = self.id.startswith(UNCONFIRMED)
        reported: set[DestinationArn] = set()
        found, failure = False, None
        for _ in self._until_no_create_is_in_flight():
            try:
                found = self._delete_once(desired, self.appfabric, reported) or found
                failure = next(iter(self.search.unreadable.values()), None) if not found else None
            except HandlerError as error:
                failure = error
            if found and names_its_create and failure is None:
                return
        if failure:
            raise failure

    def _delete_once(self, desired: Desired, appfabric: AppFabric, reported: set[DestinationArn]) -> bool:
        if desired.adopt:
            return self._adoption(appfabric).release(desired.adopt, if_it=self._may_be_of_the_create)
        owned = self.search.owned(appfabric, desired.parents)
        left = [each for each in owned if self._may_be_of_the_create(each.ownership)]
        if not self.id.startswith(UNCONFIRMED):
            left = self._without_what_is_not_certain(left, desired, reported)
        for each in left:
            self._dispose_of(each, appfabric)
        return bool(left)

    def _dispose_of(self, owned: Owned, appfabric: AppFabric) -> None:
        """Delete what this resource created and nobody will hear of; release what it adopted."""
        if owned.ownership.adopted:
            self._adoption(appfabric).release(owned.arn, if_it=lambda found: found == owned.ownership)
        else:
            delete_orphan(owned.arn, appfabric)

    def _may_be_of_the_create(self, ownership: Ownership) -> bool:
        """Whether a destination may be what this id stands for."""
        if self.id.startswith(UNCONFIRMED):
            return ownership.token == self.id.removeprefix(UNCONFIRMED)
        return (
            self.owner.is_unique
            and not ownership.is_in_place_of(self.id)  # the successor that an update created
            and not ownership.is_later_than(self.request)
        )

    def _without_what_is_not_certain(
        self, left: list[Owned], desired: Desired, reported: set[DestinationArn]
    ) -> list[Owned]:
        """A made-up id does not name its Create: what is old, or of several requests, or differs, is only reported."""
        recent = [each for each in left if each.ownership.age_at(self.request) <= LEFT_WITHIN]
        equal = [each for each in left if desired.equals(each.destination)]
        certain = [each for each in recent if each in equal]
        if len({each.ownership.token for each in certain}) > 1:
            certain = []
        for each in left:
            suspicious = each in recent or each in equal
            if suspicious and each not in certain and each.arn not in reported:
                reported.add(each.arn)
                report(each.arn, "it may be what a cancelled Create left, or may have been retained")
        return certain

    def _until_no_create_is_in_flight(self) -> Iterator[None]:
        """Now, after a second, and ever more rarely."""
        clock, pause = self.appfabric.clock, FIRST_BACK_OFF
        yield
        while (left := self.deadline.search_ends - clock.monotonic()) > 0:
            clock.sleep(min(pause, left))
            pause = min(2 * pause, LONGEST_PAUSE)
            yield

    # What Create and Update share

    def _create(self, desired: Desired, *, accepts_equal: bool = False) -> Destination:
        """Create a destination, once for all invocations of this request.

        A create call whose effect is not known is not simply sent again: how long AppFabric remembers a client token is
        not documented, so that what the call may have created is searched for first.

        Args:
            desired: What to create.
            accepts_equal: Whether an equal destination of this resource serves an invocation that is not the first.
        """
        appfabric = self.appfabric.until(self.deadline.create_ends)
        doubt = not self.request.is_first
        self.journal.record(create_in_doubt=doubt)
        if doubt and (earlier := self._created_before(desired, accepts_equal=accepts_equal)):
            return earlier
        failure: HandlerError | None = None
        created: Destination | None = None
        while created is None:
            self.journal.record(create_in_doubt=True)
            try:
                created = self._create_once(appfabric, desired)
            except (ResourceConflict, IdempotentParameterMismatch) as error:
                created = self._search_for(desired, error)
                if created is None:
                    raise self._advise(error) from None
            except HandlerError as error:
                if not error.in_doubt:
                    self.journal.record(create_in_doubt=doubt)
                    raise failure or self._advise(error) from None
                failure, doubt = error, True
                created = self._search_for(desired, error)
                if created is None:
                    appfabric.clock.sleep(FIRST_BACK_OFF)
        self.journal.record(created=created.arn, create_in_doubt=False)
        if self._is_late:
            report(created.arn, "created late, perhaps by a duplicate invocation: is it in its stack?")
        return created

    @property
    def _is_late(self) -> bool:
        """Whether nobody may find what is created now, should CloudFormation never hear of it.

        The Delete of a cancelled Create searches as long as that can be at work. The rollback of a cancelled Update
        does not: it would take minutes each time an update fails.
        """
        too_late = self.request.type == "Update" and self.appfabric.clock.monotonic() > self.deadline.early_ends
        return too_late or not self.request.is_first

    def _create_once(self, appfabric: AppFabric, desired: Desired) -> Destination:
        return appfabric.create(
            desired.parents,
            processing=desired.processing,
            target=desired.target,
            tags={**desired.tags, **self.ownership.tags},
            token=self.ownership.token,
        )

    def _advise(self, failure: HandlerError) -> HandlerError:
        """Say why there may be one destination too many: CloudFormation creates first, and deletes afterwards."""
        if isinstance(failure, (ServiceLimitExceeded, ResourceConflict)) and self.id:
            failure.message += (
                ". This change needs a replacement, which is created before the old destination is deleted. An"
                " ingestion takes five destinations, a quota that cannot be raised: delete one that is not needed, or"
                " remove this resource in one deployment and add it again in the next"
            )
        elif isinstance(failure, (ServiceLimitExceeded, ResourceConflict)):
            failure.message += (
                ". A resource that is renamed is created before the old one is deleted. An ingestion takes five"
                " destinations, a quota that cannot be raised: delete one that is not needed, or remove the old"
                " resource in one deployment and add the new one in the next"
            )
        return failure

    def _search_for(self, desired: Desired, failure: HandlerError) -> Destination | None:
        """What a create call that failed created all the same.

        Raises:
            HandlerError: The call's own failure, when that cannot be searched for: no further call must follow.
        """
        try:
            return self._created_before(desired)
        except HandlerError:
            raise failure from None

    def _created_before(self, desired: Desired, *, accepts_equal: bool = False) -> Destination | None:
        """What this request created, whichever invocation of it did.

        Raises:
            ResourceConflict: A later request created something: this one is over.
            HandlerError: Not all could be read that may be this resource's. What the role must not read is not.
        """
        owned = self.search.owned(self.appfabric, desired.parents)
        created = [each for each in owned if each.ownership.token == self.ownership.token]
        if created:
            self.journal.record(created=created[0].arn, create_in_doubt=False)
            for each in created if len(created) > 1 else []:
                report(each.arn, "AppFabric forgot the client token: one of several that a single request created")
            return created[0].destination
        if failure := next((each for each in self.search.unreadable.values() if each.transient), None):
            raise failure
        if not self.owner.is_unique:
            return None
        if any(each.ownership.is_later_than(self.request) for each in owned):
            raise ResourceConflict(OVERTAKEN)
        equal = (each.destination for each in owned if str(each.arn) != self.id and desired.equals(each.destination))
        return next(equal, None) if accepts_equal else None

    def _adopt(self, arn: DestinationArn, desired: Desired) -> Destination:
        self.journal.record(create_in_doubt=not self.request.is_first, adopting=arn)
        adoption = self._adoption(self.appfabric.until(self.deadline.create_ends))
        destination, newly_adopted = adoption.adopt(arn, desired)
        if newly_adopted and not self.request.is_first:
            report(arn, "adopted late, perhaps by a duplicate invocation: is it in its stack?")
        return destination

    def _adoption(self, appfabric: AppFabric) -> Adoption:
        return Adoption(
            ownership=replace(self.ownership, adopted=True),
            appfabric=appfabric,
            afterwards=appfabric.until(self.deadline.rollback_ends),
            journal=self.journal,
        )

    def _observe(self, arn: DestinationArn, desired: Desired) -> Observed | None:
        """The destination with its tags, None when it is gone.

        What is not as the last request left it is read again: it may have been changed by hand, or be rolled back, or
        the reading may be an old one.
        """
        if not self.appfabric.is_in_region(arn):
            raise InvalidRequest("PhysicalResourceId is not an ingestion destination of this Region")
        observed = self._read(arn)
        if observed is None:
            self.appfabric.clock.sleep(CONSISTENT_AFTER)
            observed = self._read(arn)
        if observed is None or self.old is None or self._is_as_left(observed, self.old, desired):
            return observed
        self._settle(observed.destination, desired)
        return self._read(arn)

    def _settle(self, destination: Destination, desired: Desired) -> None:
        """Wait until what is there can be believed.

        CloudFormation may have cancelled the update before this one, which is at work still. What that does within its
        first seconds is visible afterwards, unless it has just restored the destination: then it is over.
        """
        clock, wait = self.appfabric.clock, CONSISTENT_AFTER
        if destination.target != desired.target or not self._was_updated_just_now(destination):
            wait += max(self.deadline.early_ends + CLOCK_TOLERANCE - clock.monotonic(), 0)
        clock.sleep(min(wait, (self.deadline.work_ends - clock.monotonic()) / 2))

    def _was_updated_just_now(self, destination: Destination) -> bool:
        updated_at = destination.updated_at
        if updated_at is None or updated_at == destination.created_at or self.request.signed_at is None:
            return False
        return (self.request.signed_at - updated_at).total_seconds() <= RESTORED_WITHIN

    @staticmethod
    def _is_as_left(observed: Observed, old: Desired, desired: Desired) -> bool:
        """Whether a destination is as a request with the old properties leaves it, and not yet as the new ones want."""
        new = {key: value for key, value in desired.tags.items() if old.tags.get(key) != value}
        return (
            old.equals(observed.destination)
            and old.tags.items() <= observed.tags.items()
            and not new.items() & observed.tags.items()
        )

    def _read(self, arn: DestinationArn) -> Observed | None:
        destination = self.appfabric.get(arn)
        if destination is None:
            return None
        try:
            return Observed(destination=destination, tags=self.appfabric.tags(arn))
        except NotFound:
            return None

    def _succeed(self, destination: Destination) -> Response:
        return Response(physical_resource_id=str(destination.arn), data=attributes_of(destination))
