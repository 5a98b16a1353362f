"""AdoptArn: taking over a destination that this resource did not create, and releasing it again.

The console's quick setup creates destinations, and the native type leaves one behind that is retained. Adopting one
changes nothing but its ownership tags, so that nothing has to be put back; while AdoptArn stands in a template, the
destination is on loan and a Delete releases it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass

from ingestion_destination.appfabric.client import CONSISTENT_AFTER, AppFabric
from ingestion_destination.appfabric.destination import Destination, DestinationArn
from ingestion_destination.exceptions import HandlerError, InvalidRequest, NotFound, ResourceConflict
from ingestion_destination.journal import Journal
from ingestion_destination.ownership import (
    CLAIM,
    OWNERSHIP_TAGS,
    Ownership,
    is_ownership_tag,
)
from ingestion_destination.properties import MOST_TAGS, Desired


@dataclass(frozen=True, kw_only=True)
class Adoption:
    """Adopts and releases destinations for one request.

    Args:
        ownership: What an adopted destination is tagged with.
        appfabric: Until no later than a Delete searches for what a Create in flight adopts.
        afterwards: With time to take back a claim.
        journal: Where it is recorded that the request may have adopted one.
    """

    ownership: Ownership
    appfabric: AppFabric
    afterwards: AppFabric
    journal: Journal

    def adopt(self, arn: DestinationArn, desired: Desired) -> tuple[Destination, bool]:
        """Take a destination over that is exactly what the template describes.

        Two resources may try at once. Each claims the destination with a tag of its own and looks for the other's claim
        after a while; who sees another one gives up.

        Returns:
            The destination, and whether it was not this request's before.

        Raises:
            InvalidRequest: There is no such destination, it differs, or it belongs to another resource.
            ResourceConflict: Another resource adopts it at the same time.
        """
        try:
            destination, tags = self.appfabric.get(arn), self.appfabric.tags(arn)
        except NotFound:
            destination, tags = None, {}
        if destination is None:
            raise InvalidRequest("AdoptArn: there is no such destination")
        recorded = Ownership.read(tags)
        mine = self.ownership.owner.claim
        if recorded and (recorded.owner, recorded.token) == (self.ownership.owner, self.ownership.token):
            self._tag(arn, tags)  # an earlier invocation of this request adopted it
            return destination, False
        self._refuse_what_belongs_to_another(arn, tags, recorded)
        _refuse_what_differs(destination, tags, desired)
        _refuse_without_room(tags)
        before = self.journal.entry.create_in_doubt
        self.journal.record(create_in_doubt=True)
        try:
            self.appfabric.tag(arn, {mine: self.ownership.token})
            self.appfabric.clock.sleep(CONSISTENT_AFTER)
            tags = self.appfabric.tags(arn)
            if _claims(tags) - {mine} or self._is_of_another(tags, Ownership.read(tags)):
                raise ResourceConflict("AdoptArn: another resource adopts this destination at the same time")
            self._tag(arn, tags | {mine: ""})
        except HandlerError as failure:
            self._drop_claim(arn)
            if isinstance(failure, ResourceConflict) and not failure.in_doubt:
                self.journal.record(create_in_doubt=before)
            raise
        return destination, True

    def _drop_claim(self, arn: DestinationArn) -> None:
        """As far as possible: one that is left keeps others from adopting the destination, and they read of it."""
        with suppress(HandlerError):
            self.afterwards.untag(arn, [self.ownership.owner.claim])

    def release(self, arn: DestinationArn, *, if_it: Callable[[Ownership], bool]) -> bool:
        """Leave a destination, which is then nobody's.

        Args:
            arn: The destination.
            if_it: Whether it is meant, by what its tags say; asked only when it is this resource's.

        Returns:
            Whether it was this resource's and meant.
        """
        try:
            return self._release(arn, self.appfabric.tags(arn), if_it)
        except NotFound:
            return False

    def _release(self, arn: DestinationArn, tags: Mapping[str, str], if_it: Callable[[Ownership], bool]) -> bool:
        recorded = Ownership.read(tags)
        released = recorded is not None and recorded.owner == self.ownership.owner and if_it(recorded)
        claim = self.ownership.owner.claim
        if released:  # all of them, for what was read may be older than the last one
            self.appfabric.untag(arn, [*OWNERSHIP_TAGS, claim])
        elif claim in tags:
            self.appfabric.untag(arn, [claim])
        return released

    def _tag(self, arn: DestinationArn, tags: Mapping[str, str]) -> None:
        """Set the four tags, then drop the claim: a Delete that releases the destination meanwhile leaves nothing."""
        missing = {key: value for key, value in self.ownership.tags.items() if tags.get(key) != value}
        if missing:
            self.appfabric.tag(arn, missing)
        if self.ownership.owner.claim in tags:
            self.appfabric.untag(arn, [self.ownership.owner.claim])

    def _is_of_another(self, tags: Mapping[str, str], recorded: Ownership | None) -> bool:
        if recorded:
            return recorded.owner != self.ownership.owner
        return any(key in tags for key in OWNERSHIP_TAGS)

    def _refuse_what_belongs_to_another(
        self, arn: DestinationArn, tags: Mapping[str, str], recorded: Ownership | None
    ) -> None:
        keys = [key for key in OWNERSHIP_TAGS if key in tags] if self._is_of_another(tags, recorded) else []
        keys += sorted(_claims(tags) - {self.ownership.owner.claim})
        if keys:
            raise InvalidRequest(
                "AdoptArn: the destination belongs to another resource. If that is gone: "
                f"aws appfabric untag-resource --resource-arn {arn} --tag-keys {' '.join(keys)}"
            )


def _claims(tags: Mapping[str, str]) -> set[str]:
    return {key for key in tags if key.startswith(CLAIM)}


def _refuse_what_differs(destination: Destination, tags: Mapping[str, str], desired: Desired) -> None:
    differing = list(_differences(destination, tags, desired))
    if differing:
        raise InvalidRequest(
            f"AdoptArn: the destination differs from the template in {', '.join(differing)}: describe it as it is, and"
            " change it with the next update"
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
    of_others = [key for key in tags if not is_ownership_tag(key)]
    if len(of_others) >= MOST_TAGS:
        raise InvalidRequest(
            f"AdoptArn: the destination has {len(of_others)} tags, and AppFabric takes 50: remove some, for an adoption"
            " needs room for five more, one of them for a moment"
        )
