"""What earlier requests of a resource left, which no resource will ever own: found, and deleted or reported."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from ingestion_destination.adoption import Adoption
from ingestion_destination.appfabric.client import CONSISTENT_AFTER, INITIAL_BACKOFF, MAX_PAUSE, AppFabric
from ingestion_destination.appfabric.destination import Destination, DestinationArn
from ingestion_destination.exceptions import HandlerError
from ingestion_destination.invocation import Invocation
from ingestion_destination.observability import count, logger, report_possible_orphan
from ingestion_destination.observation import Observed
from ingestion_destination.ownership import NOTHING, UNCONFIRMED, Ownership
from ingestion_destination.properties import Desired
from ingestion_destination.search import Owned, Search

# What is older was responded to long ago: it was retained, or the native type has it now.
LEFT_WITHIN = 3 * 3600.0
MAY_BE_LEFT = "it may be what a canceled Create left, or may have been retained"


def delete_orphan(arn: DestinationArn, appfabric: AppFabric) -> None:
    """Delete a destination that no resource will ever own."""
    appfabric.delete(arn)
    logger.info("deleted an orphaned ingestion destination", arn=str(arn))
    count("OrphansDeleted")


class Orphans:
    """The orphans that a request may find.

    Args:
        invocation: Whose request it is.
    """

    def __init__(self, invocation: Invocation) -> None:
        self.invocation = invocation
        self.request, self.appfabric = invocation.request, invocation.appfabric
        self.owner, self.id = invocation.owner, invocation.request.physical_resource_id
        self.arn = DestinationArn.parse(self.id)  # None for a marker
        self.search = Search(owner=self.owner)

    # After an Update

    def sweep(self, desired: Desired, *, result: Destination, started_from: Observed | None) -> None:
        """Delete what replaced the request's id in an earlier update that CloudFormation never had a response to.

        Args:
            desired: What the template describes.
            result: What the Update ends with.
            started_from: What was live under the id when the Update began, None when nothing was.

        Raises:
            ResourceConflict: CloudFormation canceled this update, and a later request has been here.
        """
        if not self.owner.is_unique:
            return
        old = self.invocation.old
        parents = [each.parents for each in (desired, old) if each]
        follows_a_failed_create = self.owner.may_have_left_a_destination(self.id)
        try:
            found = self.search.find(self.appfabric, *parents)
            overtaken = any(owned.ownership.is_later_than(self.request) for owned in found)
            if not overtaken:
                self._delete_what_replaced_this_id(found, old, result, started_from)
                self._report_another_of_the_same(found, desired, result)
                if follows_a_failed_create and old and old != desired:
                    self._sweep_after_a_create(found, old, desired)
        except HandlerError as failure:  # the update itself is done
            # What the Create before a marker adopted is known; what it created is not.
            adopted = old.adopt_arn if old and follows_a_failed_create else None
            reason = f"what an earlier update may have left cannot be searched for: {failure.reason}"
            report_possible_orphan(adopted, reason)
            return
        if overtaken:
            raise self.invocation.record_overtaken()
        self._report_unreadable(result)
        live = {owned.arn for owned in found} | self.search.unreadable.keys() | {result.arn}
        start = started_from.destination.arn if started_from else None
        if start and start not in live and any(each.contain(start) for each in parents):
            report_possible_orphan(
                result.arn, "it replaces what was deleted before this update had ended: is it in its stack?"
            )

    def _sweep_after_a_create(self, found: list[Owned], old: Desired, desired: Desired) -> None:
        """Search for what the Create before this id left: the Delete that follows may come with the new properties."""
        there = [owned for owned in found if old.parents.contain(owned.arn)]
        adopts_another = desired.adopt_arn is not None and desired.adopt_arn != old.adopt_arn
        made_up = self.owner.has_made_up(self.id)
        if not old.parents.are(desired.parents) or adopts_another:
            left = self._dispose_of_what_the_create_left(old, there, set(), dispose_of=self._try_to_dispose_of)
            if made_up and not left:  # waiting for it would take minutes
                report_possible_orphan(old.adopt_arn, "a canceled Create may still create, or adopt, a destination")
        elif made_up:
            self._report_what_the_delete_may_overlook(there, old, desired)

    def _report_what_the_delete_may_overlook(self, there: list[Owned], old: Desired, desired: Desired) -> None:
        """Report what is not recent and matches the old properties but not the new ones."""
        for owned in there:
            equal = old.matches(owned.destination) and not desired.matches(owned.destination)
            if equal and not self._is_recent(owned) and self._may_be_of_the_create(owned.ownership):
                report_possible_orphan(owned.arn, MAY_BE_LEFT)

    def _report_unreadable(self, result: Destination) -> None:
        """Report what may be what is searched for, and could not be read."""
        others = []
        for arn, failure in self.search.may_be_own.items():
            if arn in {self.arn, result.arn}:
                continue
            if arn in self.search.unreadable_own:
                report_possible_orphan(
                    arn, f"an earlier request may have left it, and it cannot be read: {failure.reason}"
                )
            else:
                others.append(failure)
        if others:
            report_possible_orphan(None, f"what an earlier request may have left cannot be read: {others[0].reason}")

    def _delete_what_replaced_this_id(
        self, found: list[Owned], old: Desired | None, result: Destination, started_from: Observed | None
    ) -> None:
        replaced = next((owned.ownership for owned in found if owned.arn == self.arn), None)
        if replaced is None and started_from:
            replaced = started_from.ownership
        for owned in found:
            if owned.arn == result.arn or not self._replaced_this_id(owned.ownership):
                continue
            # Else CloudFormation knew it, and may have retained it, before an update went back to this id.
            follows = replaced is None or owned.ownership.follows(replaced)
            if (
                self._is_recent(owned)
                and old
                and _equals(owned, old)
                and owned.ownership.is_earlier_than(self.request)
                and follows
            ):
                self._try_to_dispose_of(owned)
            elif self._is_recent(owned) or follows or not (replaced and replaced.returned_at):
                report_possible_orphan(owned.arn, "created by an earlier update of this resource")
        # Only the Update of a marker adopts.
        if old and old.adopt_arn and old.adopt_arn != result.arn and self.arn is None:
            Adoption(self.invocation).release(old.adopt_arn, only_if=self._replaced_this_id)

    def _report_another_of_the_same(self, found: list[Owned], desired: Desired, result: Destination) -> None:
        """Report what could have become what is wanted, and was not used again: a rollback came too late for it."""
        if self.arn is None or result.arn == self.arn:
            return
        for owned in found:
            is_known = owned.arn in {self.arn, result.arn} or self._replaced_this_id(owned.ownership)
            if not is_known and not desired.needs_replacement(owned.destination):
                report_possible_orphan(
                    owned.arn,
                    "at most its bucket, stream or tags differ from those of this update's result: is it in its stack?",
                )

    def _replaced_this_id(self, ownership: Ownership) -> bool:
        return (
            ownership.is_in_place_of(self.id)
            and ownership.token != self.request.client_token
            and not ownership.is_later_than(self.request)
        )

    # After a Create

    def clean_up_after_create(self) -> None:
        """Delete or release what a Create without a response left, again and again until none can be in flight.

        Even after one was found: a Create whose container died is retried by Lambda, and creates another one when the
        first is gone.
        """
        desired, names_its_create = Desired.parse_if_valid(self.request.properties), self.id.startswith(UNCONFIRMED)
        if desired is None:
            # A Create with these created nothing, but they may be those of an update that failed since.
            adopted = DestinationArn.parse(str(self.request.properties.get("AdoptArn")))
            report_possible_orphan(adopted, "what a Create left cannot be searched for: the properties are invalid")
            return
        reported: set[DestinationArn] = set()
        found, failure = False, None
        for _ in self._until_no_create_is_in_flight():
            try:
                owned = self.search.find(self.appfabric, desired.parents)
                left = self._dispose_of_what_the_create_left(desired, owned, reported, dispose_of=self._dispose_of)
                found = left or found
                unreadable = self.search.unreadable if not (found or desired.adopt_arn) else {}
                failure = next(iter(unreadable.values()), None)
            except HandlerError as error:
                failure = error
            if found and names_its_create and failure is None:
                return
        if desired.adopt_arn:
            Adoption(self.invocation).drop_claim(desired.adopt_arn)
        if failure:
            raise failure

    def _until_no_create_is_in_flight(self) -> Iterator[None]:
        """Now, after a second, and ever more rarely."""
        clock, pause = self.appfabric.clock, INITIAL_BACKOFF
        yield
        while (left := self.invocation.deadline.search_ends - clock.monotonic()) > 0:
            clock.sleep(min(pause, left))
            pause = min(2 * pause, MAX_PAUSE)
            yield

    def _dispose_of_what_the_create_left(
        self,
        desired: Desired,
        owned: list[Owned],
        reported: set[DestinationArn],
        *,
        dispose_of: Callable[[Owned], None],
    ) -> bool:
        """Delete what the Create left of the resource's destinations, or release it; whether there was something.

        Both when there is an AdoptArn: it may have come with an update that failed since.
        """
        released = desired.adopt_arn is not None and Adoption(self.invocation).release(
            desired.adopt_arn, only_if=self._may_be_adopted_by_the_create
        )
        left = [each for each in owned if each.arn != desired.adopt_arn and self._may_be_of_the_create(each.ownership)]
        if not self.id.startswith(UNCONFIRMED):
            left = self._without_what_is_not_certain(left, desired, reported)
        for each in left:
            dispose_of(each)
        return released or bool(left)

    def _may_be_of_the_create(self, ownership: Ownership) -> bool:
        """Whether a destination may be what this id stands for."""
        if self.id.startswith(UNCONFIRMED):
            return ownership.token == self.id.removeprefix(UNCONFIRMED)
        return (
            self.owner.is_unique
            and ownership.replaces == NOTHING  # else an update created it, after this id
            and not ownership.is_later_than(self.request)
        )

    def _may_be_adopted_by_the_create(self, ownership: Ownership) -> bool:
        """The same for one that AdoptArn names, which an earlier resource may have created and retained."""
        return ownership.adopted and self._may_be_of_the_create(ownership)

    def _without_what_is_not_certain(
        self, left: list[Owned], desired: Desired, reported: set[DestinationArn]
    ) -> list[Owned]:
        """A made-up id does not name its Create: what is old, or of several requests, or differs, is only reported."""
        recent = [each for each in left if self._is_recent(each)]
        certain = [each for each in recent if _equals(each, desired)]
        if len({each.ownership.token for each in certain}) > 1:
            certain = []
        for each in left:
            suspicious = each in recent or desired.matches(each.destination)
            if suspicious and each not in certain and each.arn not in reported:
                reported.add(each.arn)
                report_possible_orphan(each.arn, MAY_BE_LEFT)
        return certain

    # After both

    def _is_recent(self, owned: Owned) -> bool:
        return owned.ownership.age_at(self.request) <= LEFT_WITHIN

    def _try_to_dispose_of(self, owned: Owned) -> None:
        try:
            self._dispose_of(owned)
        except HandlerError as failure:
            report_possible_orphan(owned.arn, f"an earlier request left it: {failure.reason}")

    def _dispose_of(self, owned: Owned) -> None:
        """Delete what this resource created; release what it adopted, perhaps just now: tags are read again."""
        if owned.ownership.adopted:
            Adoption(self.invocation).release(owned.arn, only_if=owned.ownership.is_held_as)
            return
        self.appfabric.clock.sleep(CONSISTENT_AFTER)
        now = Ownership.read(self.appfabric.get_tags(owned.arn) or {})
        if now and now.is_held_as(owned.ownership):
            delete_orphan(owned.arn, self.appfabric)


def _equals(owned: Owned, desired: Desired) -> bool:
    """Whether a destination is what a request with these properties creates; others may have tagged it as well."""
    return desired.matches(owned.destination) and desired.tags.items() <= owned.tags.items()
