"""AdoptArn: taking over a destination that this resource did not create, and releasing it again.

The console's quick setup creates destinations, and the native type leaves one behind that is retained. Adopting one
changes nothing but its ownership tags, so that nothing has to be undone. As long as the template has AdoptArn, a Delete
releases the destination instead of deleting it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace

from ingestion_destination.appfabric.client import CONSISTENT_AFTER, AppFabric
from ingestion_destination.appfabric.destination import Destination, DestinationArn
from ingestion_destination.exceptions import HandlerError, InvalidRequest, ResourceConflict
from ingestion_destination.invocation import Invocation
from ingestion_destination.observability import report_possible_orphan
from ingestion_destination.observation import read
from ingestion_destination.ownership import CLAIM, OWNERSHIP_TAGS, Ownership, is_ownership_tag
from ingestion_destination.properties import MAX_TAGS, Desired


class Adoption:
    """Adopts and releases destinations for one request.

    Args:
        invocation: Whose request it is.
    """

    def __init__(self, invocation: Invocation) -> None:
        self.invocation, self.journal = invocation, invocation.journal
        self.ownership = replace(invocation.ownership, adopted=True)

    def adopt(self, arn: DestinationArn, desired: Desired) -> Destination:
        """Take a destination over that is exactly what the template describes.

        Two resources may try at once. Each claims the destination with a tag of its own and looks for the other's claim
        after a while; who sees another one gives up.

        Raises:
            InvalidRequest: There is no such destination, it differs, or it belongs to another resource.
            ResourceConflict: Another resource adopts it at the same time, or a later request of this one has.
        """
        may_be_duplicate = self.invocation.request.may_be_duplicate
        self.journal.record(create_in_doubt=may_be_duplicate, adopting=arn)
        # As with a create call: a Delete searches for as long as this can be at work.
        appfabric = self.invocation.appfabric.until(self.invocation.deadline.create_ends)
        observed = read(arn, appfabric)
        if observed is None:
            raise InvalidRequest("AdoptArn: the destination does not exist")
        destination, tags, recorded = observed.destination, observed.tags, observed.ownership
        if recorded and (recorded.owner, recorded.token) == (self.ownership.owner, self.ownership.token):
            if self.ownership.owner.claim in tags:
                self._drop_claim(arn)
            return destination  # an earlier invocation of this request adopted it
        self._refuse_what_belongs_to_another(arn, tags, recorded)
        self._refuse_after_a_later_adoption(recorded)
        _refuse_what_differs(destination, tags, desired)
        _refuse_without_room(tags)
        if may_be_duplicate:  # before the effect: what follows may never return
            report_possible_orphan(arn, "adopted late, perhaps by a duplicate invocation: is it in its stack?")
        self._claim_and_tag(arn, appfabric)
        return destination

    def _claim_and_tag(self, arn: DestinationArn, appfabric: AppFabric) -> None:
        """Set the four tags, then drop the claim: a Delete that releases the destination meanwhile leaves nothing."""
        mine, was_in_doubt = self.ownership.owner.claim, self.journal.entry.create_in_doubt
        self.journal.record(create_in_doubt=True)
        claimed = False
        try:
            appfabric.tag(arn, {mine: self.ownership.token})
            appfabric.clock.sleep(CONSISTENT_AFTER)
            self._refuse_what_another_adopts(arn, appfabric)
            claimed = True
            appfabric.tag(
                arn, self.ownership.tags, before_retry=lambda: self._refuse_what_another_adopts(arn, appfabric)
            )
            appfabric.untag(arn, [mine])
        except BaseException as failure:
            dropped = self._drop_claim(arn)
            if dropped and not claimed and isinstance(failure, ResourceConflict):
                self.journal.record(create_in_doubt=was_in_doubt)
            raise

    def _refuse_what_another_adopts(self, arn: DestinationArn, appfabric: AppFabric) -> None:
        tags = appfabric.get_tags(arn) or {}
        recorded = Ownership.read(tags)
        if _claims(tags) - {self.ownership.owner.claim} or self._is_of_another(tags, recorded):
            raise ResourceConflict("AdoptArn: another resource is adopting this destination at the same time")
        self._refuse_after_a_later_adoption(recorded)

    def _drop_claim(self, arn: DestinationArn) -> bool:
        """Drop the claim, and return whether that succeeded.

        A claim that is left keeps others from adopting the destination; their error says what to do.
        """
        afterwards = self.invocation.appfabric.until(self.invocation.deadline.rollback_ends)
        try:
            afterwards.untag(arn, [self.ownership.owner.claim])
        except HandlerError:
            return False
        return True

    def release(self, arn: DestinationArn, *, only_if: Callable[[Ownership], bool] | None = None) -> bool:
        """Leave a destination, so that no resource owns it.

        Args:
            arn: The destination.
            only_if: Whether it is meant, by what its tags say; asked only when it is this resource's, and again after a
                while, because another request of this resource may have adopted it just now. None if it surely is.

        Returns:
            Whether it was this resource's and meant.
        """
        appfabric = self.invocation.appfabric
        tags = appfabric.get_tags(arn) or {}
        if only_if and self._is_meant(tags, only_if):  # of two readings either may be the older one: both must say so
            appfabric.clock.sleep(CONSISTENT_AFTER)
            tags = appfabric.get_tags(arn) or {}
        released = self._is_meant(tags, only_if)
        with suppress(_NoLongerOwned):
            if released:  # all of them, because what was read may be out of date
                keys = [*OWNERSHIP_TAGS, self.ownership.owner.claim]
                appfabric.untag(arn, keys, before_retry=lambda: self._expect_ownership(arn, only_if))
        return released

    def drop_claim(self, arn: DestinationArn) -> None:
        """Drop the claim of an adoption that can no longer be in flight; until then it keeps other resources away."""
        if self.ownership.owner.claim in (self.invocation.appfabric.get_tags(arn) or {}):
            self.invocation.appfabric.untag(arn, [self.ownership.owner.claim])

    def _expect_ownership(self, arn: DestinationArn, only_if: Callable[[Ownership], bool] | None) -> None:
        """Raise when the destination is not meant any more: another invocation released it, and others have it."""
        if not self._is_meant(self.invocation.appfabric.get_tags(arn) or {}, only_if):
            raise _NoLongerOwned

    def _is_meant(self, tags: Mapping[str, str], only_if: Callable[[Ownership], bool] | None) -> bool:
        recorded = Ownership.read(tags)
        if recorded is None or recorded.owner != self.ownership.owner:
            return False
        if recorded.is_later_than(self.invocation.request):  # a later request has adopted it: this is a duplicate
            return False
        return only_if is None or only_if(recorded)

    def _refuse_after_a_later_adoption(self, recorded: Ownership | None) -> None:
        """CloudFormation canceled this request, and a later one of this resource has adopted the destination."""
        if recorded and recorded.is_later_than(self.invocation.request):
            raise self.invocation.record_overtaken()

    def _is_of_another(self, tags: Mapping[str, str], recorded: Ownership | None) -> bool:
        mine = self.ownership
        if recorded:
            # An owner that is not unique may be another resource of the same name.
            return recorded.owner != mine.owner or not (mine.owner.is_unique or recorded.token == mine.token)
        return any(key in tags for key in OWNERSHIP_TAGS)

    def _refuse_what_belongs_to_another(
        self, arn: DestinationArn, tags: Mapping[str, str], recorded: Ownership | None
    ) -> None:
        keys = [key for key in OWNERSHIP_TAGS if key in tags] if self._is_of_another(tags, recorded) else []
        keys += sorted(_claims(tags) - {self.ownership.owner.claim})
        if keys:
            raise InvalidRequest(
                "AdoptArn: the destination belongs to another resource. If that resource is gone, or has another"
                " destination by now: "
                f"aws appfabric untag-resource --resource-arn {arn} --tag-keys {' '.join(keys)}"
            )


class _NoLongerOwned(Exception):
    """What was to be released is not this resource's any more."""


def _claims(tags: Mapping[str, str]) -> set[str]:
    return {key for key in tags if key.startswith(CLAIM)}


def _refuse_what_differs(destination: Destination, tags: Mapping[str, str], desired: Desired) -> None:
    differing = list(_differences(destination, tags, desired))
    if differing:
        raise InvalidRequest(
            f"AdoptArn: the destination differs from the template in {', '.join(differing)}: make the template match"
            " it, and change it in a later update"
        )


def _differences(destination: Destination, tags: Mapping[str, str], desired: Desired) -> Iterator[str]:
    if destination.processing.schema != desired.processing.schema:
        yield "ProcessingConfiguration.AuditLog.Schema"
    if destination.processing.format != desired.processing.format:
        yield "ProcessingConfiguration.AuditLog.Format"
    if destination.target != desired.target:
        yield "DestinationConfiguration.AuditLog.Destination"
    for key, value in desired.tags.items():
        if tags.get(key) != value:
            yield f"the tag {key}"


def _refuse_without_room(tags: Mapping[str, str]) -> None:
    # AWS does not count its own tags (not confirmed for AppFabric); what the native type created has three of them.
    other_tags = [key for key in tags if not is_ownership_tag(key) and not key.startswith("aws:")]
    if len(other_tags) >= MAX_TAGS:
        raise InvalidRequest(
            f"AdoptArn: the destination has {len(other_tags)} tags, and AppFabric allows 50: remove some, because"
            " adoption needs room for five more, one of them temporarily"
        )
