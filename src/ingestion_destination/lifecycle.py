"""Create, Update and Delete of an ingestion destination, step by step. What an orphan is, `orphans.py` decides.

A request may be delivered more than once, and at any time; CloudFormation may have given it up; and another request may
have followed. What a destination's ownership tags record, and the times at which CloudFormation made its requests, say
which of them created what. docs/reliability.md argues why that is enough. An invocation that begins more than ten
seconds after its request may be a duplicate (`Request.may_be_duplicate`): it searches for what the request has created
before it creates anything, and deletes nothing that another invocation may have responded with.

A marker is a PhysicalResourceId that stands for a Create that failed: `not-created:` and `unconfirmed:` are this
function's, others are CloudFormation's own, for a Create that it gave up before the response (`Owner.has_made_up`).
What is neither an ARN nor a marker is invalid.

https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/crpg-ref-requesttypes.html
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ingestion_destination.adoption import Adoption
from ingestion_destination.appfabric.client import CONSISTENT_AFTER, AppFabric
from ingestion_destination.appfabric.destination import Destination, DestinationArn
from ingestion_destination.cloudformation.response import Response
from ingestion_destination.creation import Creation
from ingestion_destination.exceptions import HandlerError, InvalidRequest, ResourceConflict
from ingestion_destination.invocation import Invocation
from ingestion_destination.observability import logger, report_possible_orphan
from ingestion_destination.observation import Observed, may_have_been_touched, observe, read, read_until_certain
from ingestion_destination.orphans import Orphans
from ingestion_destination.ownership import NOT_CREATED, REQUEST, Ownership
from ingestion_destination.properties import MOST_TAGS, Desired, attributes_of
from ingestion_destination.rollback import roll_back

# An Update this soon after a replacement that wants the old configuration again is taken for a rollback.
ROLLED_BACK_WITHIN = 3600.0
# Neither sweeping up after earlier updates nor recording a return must delay the response for longer.
SWEEP_WITHIN = 120.0
RECORD_WITHIN = 20.0
CANNOT_ADOPT = "AdoptArn: this resource has a destination, or had one; AdoptArn is for a new resource"


class Lifecycle:
    """One request, fulfilled.

    Each method returns the response of a success and raises a HandlerError for a failure.

    Args:
        invocation: Whose request it is.
    """

    def __init__(self, invocation: Invocation) -> None:
        self.invocation = invocation
        self.request, self.appfabric, self.journal = invocation.request, invocation.appfabric, invocation.journal
        self.owner, self.id = invocation.owner, invocation.request.physical_resource_id
        self.arn = DestinationArn.parse(self.id)  # None for anything else, and for a Create

    def create(self) -> Response:
        """Create the destination, or adopt one, and wait until it is Active.

        Nothing is rolled back: CloudFormation's own Delete follows a Create that failed, with the id of its response.
        A Create that CloudFormation cancels goes on, because the function is not notified. Its Delete follows at once,
        with an id that CloudFormation made up, and searches until no Create can be at work (`Deadline.search_ends`).
        """
        desired = Desired.parse(self.request.properties)
        return self._succeed(self._create_or_adopt(desired))

    def update(self) -> Response:
        """Update the destination in place, or replace what cannot be updated; then sweep up after earlier updates."""
        desired, observed = Desired.parse(self.request.properties), None
        try:
            observed = self._observe_own(self.arn, desired) if self.arn else None
            if self.arn is None:
                destination = self._create_in_place_of_marker(desired)
            elif observed is None:
                destination = self._create_again(desired)
            elif desired.needs_replacement(observed.destination):
                destination = self._replace(observed, desired)
            else:
                destination = self._update_in_place(observed, desired)
            # Of a failure to search it is only reported; it raises when a later request has been here.
            Orphans(self.invocation.within(SWEEP_WITHIN)).sweep(desired, result=destination, started_from=observed)
        except BaseException:  # sys.exit as well
            # Before the response, except for what a duplicate may rely on.
            roll_back(self.invocation, is_id_live=observed is not None)
            raise
        return self._succeed(destination)

    def delete(self) -> Response:
        """Delete what the id stands for; for one that CloudFormation made up, only what its Create certainly left.

        What AdoptArn names, or did when the last Update succeeded, is released instead: which properties CloudFormation
        sends after an Update that failed is not documented. They are not validated: they may be what failed the Create.
        """
        if self.arn and self.appfabric.is_in_region(self.arn):
            if self.request.properties.get("AdoptArn") == self.id:
                self._release(self.arn)
            else:
                self._delete_own(self.arn)
        elif self.owner.may_have_left_a_destination(self.id):
            Orphans(self.invocation).clean_up_after_create()
        elif not self.id.startswith(NOT_CREATED):
            logger.warning("PhysicalResourceId is not an ingestion destination ARN: nothing to delete", id=self.id)
        return Response(physical_resource_id=self.id)

    # Create

    def _create_or_adopt(self, desired: Desired) -> Destination:
        if desired.adopt_arn:
            return Adoption(self.invocation).adopt(desired.adopt_arn, desired)
        return self._create(desired)

    def _create(self, desired: Desired) -> Destination:
        created = Creation(self.invocation, desired).create()
        return self.appfabric.stabilize(created)

    # Update

    def _observe_own(self, arn: DestinationArn, desired: Desired) -> Observed | None:
        if not self.appfabric.is_in_region(arn):
            raise InvalidRequest("PhysicalResourceId is not an ingestion destination in this Region")
        observed = observe(arn, desired, self.invocation)
        ownership = observed.ownership if observed else None
        if ownership and ownership.owner != self.owner:
            raise InvalidRequest(
                "the destination's tags name another owner: resource"
                f" {ownership.owner.logical_resource_id} in stack {ownership.owner.stack_id}"
            )
        if ownership and ownership.is_later_than(self.request):
            raise self.invocation.record_overtaken()
        return observed

    def _create_in_place_of_marker(self, desired: Desired) -> Destination:
        """Create what an id stands for that is not an ARN; CloudFormation then deletes that id."""
        if not (self.id.startswith(NOT_CREATED) or self.owner.may_have_left_a_destination(self.id)):
            raise InvalidRequest("PhysicalResourceId is not an ingestion destination ARN")
        return self._create_or_adopt(desired)

    def _create_again(self, desired: Desired) -> Destination:
        """Create what was deleted by hand; CloudFormation then deletes the old id, which succeeds."""
        old_adopt_arn = DestinationArn.parse(str(self.request.old_properties.get("AdoptArn")))
        if desired.adopt_arn not in {None, self.arn, old_adopt_arn}:
            raise InvalidRequest(CANNOT_ADOPT)
        return self._create_in_place(desired, named=[each.uuid for each in (old_adopt_arn, desired.adopt_arn) if each])

    def _replace(self, observed: Observed, desired: Desired) -> Destination:
        """Create another destination in place of the old one, which CloudFormation then deletes; or roll back to it."""
        predecessor = self._predecessor_wanted_again(observed.ownership, desired)
        if predecessor is None or predecessor.destination.arn != desired.adopt_arn:
            self._refuse_adoption(desired, observed)
        if predecessor is None or predecessor.ownership is None:
            return self._create_in_place(desired, named=_what_adopt_arn_named(observed, desired))
        if not predecessor.ownership.was_returned_to_by(self.request):  # else this is a duplicate: all has been done
            self._update_tags(predecessor, desired)
            self._record_return_to(predecessor.destination.arn, predecessor.ownership, desired)
        return predecessor.destination

    def _create_in_place(self, desired: Desired, *, named: Sequence[str]) -> Destination:
        """Create, and then record what AdoptArn named: a create call has the same tags in every invocation."""
        created = self._create(desired)
        if not named:
            return created
        self.appfabric.clock.sleep(CONSISTENT_AFTER)  # until then it may not be found
        # An earlier invocation of this request may have created it, so that more is recorded by now.
        ownership = Ownership.read(self.appfabric.get_tags(created.arn) or {})
        if ownership and ownership.token == self.request.client_token and not ownership.is_later_than(self.request):
            self._record(created.arn, ownership, ownership.naming(*named), self.appfabric)
        return created

    def _record_return_to(self, arn: DestinationArn, ownership: Ownership, desired: Desired) -> None:
        """Record when a destination was gone back to: what was created in its place before then, CloudFormation knew.

        It may have been retained, and later sweeps are to leave it. A rollback must not fail for that.
        """
        returned_to = _in_step(ownership.returned_to_by(self.request), arn, desired)
        left = self.appfabric.ends - self.appfabric.clock.monotonic()
        try:
            self._record(arn, ownership, returned_to, self.appfabric.within(min(RECORD_WITHIN, left / 3)))
        except HandlerError as failure:
            logger.warning("the return to a destination could not be recorded", arn=str(arn), reason=failure.reason)

    def _record(self, arn: DestinationArn, before: Ownership, after: Ownership, appfabric: AppFabric) -> None:
        """Record something in the Request tag, unless others have, or nobody has, the destination by now.

        Raises:
            ResourceConflict: Its ownership tags are neither as before nor as after.
        """

        def expect_ownership() -> None:
            for wait in (0, CONSISTENT_AFTER):  # one reading may be older than what was read before it
                appfabric.clock.sleep(wait)
                if Ownership.read(appfabric.get_tags(arn) or {}) in {before, after}:
                    return
            raise ResourceConflict("the destination's ownership tags have changed")

        expect_ownership()
        appfabric.tag(arn, {REQUEST: after.tags[REQUEST]}, before_retry=expect_ownership)

    def _predecessor_wanted_again(self, ownership: Ownership | None, desired: Desired) -> Observed | None:
        """The destination that was replaced just now, when it is what is wanted again: this is a rollback."""
        arn = DestinationArn.parse(ownership.replaces) if ownership and self.owner.is_unique else None
        if ownership is None or arn is None or not self.appfabric.is_in_region(arn):
            return None
        if ownership.age_at(self.request) > ROLLED_BACK_WITHIN and arn != desired.adopt_arn:
            return None
        if not self._is_wanted_again(read_until_certain(arn, self.appfabric), desired):
            return None
        # At most its tags will change, and no later call would reveal an old reading: read again.
        self.appfabric.clock.sleep(CONSISTENT_AFTER)
        before = read_until_certain(arn, self.appfabric)
        return before if before and self._is_wanted_again(before, desired) else None

    def _is_wanted_again(self, before: Observed | None, desired: Desired) -> bool:
        if before is None or before.ownership is None or before.ownership.owner != self.owner:
            return False
        if before.ownership.is_later_than(self.request):
            raise self.invocation.record_overtaken()
        return desired.matches(before.destination) and desired.tags.items() <= before.tags.items()

    def _update_in_place(self, observed: Observed, desired: Desired) -> Destination:
        """Point the destination elsewhere if need be, and bring its tags to the template's.

        Only what this request moved is waited for: a bucket that filled up last week must not block an update of tags.
        """
        self._refuse_adoption(desired, observed)
        destination, moves = observed.destination, observed.destination.target != desired.target
        # By an earlier invocation of this request, whose move is waited for then, or by a later request.
        touched = may_have_been_touched(destination, self.invocation)
        if moves and touched:
            raise ResourceConflict(
                "the destination was updated after this request was made, by an earlier invocation that failed or by"
                " a later request; nothing was changed"
            )
        if moves:
            destination = self._move(destination, desired)
        self._update_tags(observed, desired)
        if moves or touched:
            destination = self.appfabric.stabilize(destination)
        self._record_adoption(observed, desired)
        return destination

    def _move(self, destination: Destination, desired: Desired) -> Destination:
        self.journal.record(before_move=destination)
        try:
            return self.appfabric.update(destination.arn, desired.target)
        except HandlerError as failure:
            if not failure.in_doubt:
                self.journal.record(before_move=None)
            raise

    def _update_tags(self, observed: Observed, desired: Desired) -> None:
        """Tags of others stay; so does one that the template no longer has, if others gave it another value."""
        old = self.invocation.old.tags if self.invocation.old else {}
        dropped = {key: value for key, value in old.items() if key not in desired.tags}
        to_remove = sorted(key for key, value in dropped.items() if observed.tags.get(key) == value)
        to_set = {key: value for key, value in desired.tags.items() if observed.tags.get(key) != value}
        arn, has_room = observed.destination.arn, len({*observed.tags, *to_set}) <= MOST_TAGS
        if to_remove and not has_room:
            self.appfabric.untag(arn, to_remove)
        if to_set:
            self.appfabric.tag(arn, to_set)
        if to_remove and has_room:  # last, so that a failure in between loses none
            self.appfabric.untag(arn, to_remove)

    def _record_adoption(self, observed: Observed, desired: Desired) -> None:
        """Record that AdoptArn was removed, or was added for the resource's own destination: see `delete`."""
        arn, ownership = observed.destination.arn, observed.ownership
        if ownership and ownership != (in_step := _in_step(ownership, arn, desired)):
            self._record(arn, ownership, in_step, self.appfabric)

    def _refuse_adoption(self, desired: Desired, observed: Observed) -> None:
        """A resource that has a destination adopts no other one; AdoptArn may go on naming what it named before."""
        if not self._named_before(desired, observed):
            self.appfabric.clock.sleep(CONSISTENT_AFTER)  # what was recorded just now may not be listed yet
            again = read(observed.destination.arn, self.appfabric)
            if again is None or not self._named_before(desired, again):
                raise InvalidRequest(CANNOT_ADOPT)

    def _named_before(self, desired: Desired, observed: Observed) -> bool:
        """Whether AdoptArn names nothing new."""
        arn = desired.adopt_arn
        if arn is None or arn == self.arn:
            return True
        if observed.ownership is None:  # somebody removed the record
            return self.request.old_properties.get("AdoptArn") == str(arn)
        return arn.uuid in observed.ownership.named

    # Delete

    def _delete_own(self, arn: DestinationArn) -> None:
        tags = self.appfabric.get_tags(arn)
        ownership = Ownership.read(tags or {})
        if ownership is None or ownership.adopted:  # it seems to be gone, or AdoptArn may just have changed
            self.appfabric.clock.sleep(CONSISTENT_AFTER)
            tags = self.appfabric.get_tags(arn)
            ownership = Ownership.read(tags or {})
        if tags is None:
            logger.info("it is gone: nothing to delete", arn=str(arn))
        elif ownership is None and self.request.may_be_duplicate:
            report_possible_orphan(
                arn, "not deleted: its tags name no owner, and an earlier invocation may have released it"
            )
        elif ownership and ownership.owner != self.owner:
            report_possible_orphan(arn, "not deleted: its tags name another owner")
        elif ownership and ownership.is_later_than(self.request):
            logger.warning("not deleted: a later request has adopted it or gone back to it", arn=str(arn))
        elif ownership and ownership.adopted:
            logger.warning("not deleted but released: AdoptArn named it when an update last succeeded", arn=str(arn))
            self._release(arn)
        else:
            self.appfabric.delete(arn)

    def _release(self, arn: DestinationArn) -> None:
        """Leave an adopted destination; an adoption just before may not be visible yet, so try once more."""
        adoption = Adoption(self.invocation)
        if not adoption.release(arn):
            self.appfabric.clock.sleep(CONSISTENT_AFTER)
            adoption.release(arn)

    # Every success

    def _succeed(self, destination: Destination) -> Response:
        return Response(physical_resource_id=str(destination.arn), data=attributes_of(destination))


def _in_step(ownership: Ownership, arn: DestinationArn, desired: Desired) -> Ownership:
    """What is recorded of a destination once the template is in effect: whether, and what, AdoptArn names."""
    adopted = desired.adopt_arn == arn
    removed = ownership.adopted and not adopted
    return replace(ownership.naming(arn.uuid) if removed else ownership, adopted=adopted)


def _what_adopt_arn_named(observed: Observed, desired: Desired) -> list[str]:
    """The UUIDs of what AdoptArn names, and named earlier, when a destination is replaced, which may be one of them."""
    named: list[str] = []
    if observed.ownership:
        named += observed.ownership.named
        named += [observed.destination.arn.uuid] if observed.ownership.adopted else []
    return [*named, *([desired.adopt_arn.uuid] if desired.adopt_arn else [])]
