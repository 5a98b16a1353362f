"""Finds the destinations of one resource by their ownership tags."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ingestion_destination.appfabric.client import AppFabric
from ingestion_destination.appfabric.destination import Destination, DestinationArn, Parents
from ingestion_destination.exceptions import AccessDenied, HandlerError
from ingestion_destination.observability import logger
from ingestion_destination.ownership import Owner, Ownership

# One unreadable destination must not use up the time for the rest.
READ_WITHIN = 20.0


@dataclass(frozen=True, kw_only=True)
class Owned:
    """A destination with its tags, and with what the ownership tags among them say."""

    destination: Destination
    tags: Mapping[str, str]
    ownership: Ownership

    @property
    def arn(self) -> DestinationArn:
        """The destination's."""
        return self.destination.arn


@dataclass(kw_only=True)
class Search:
    """A search for one resource's destinations.

    Args:
        owner: The resource.

    Attributes:
        unreadable: Destinations that the latest search could not read, each with why.
        unreadable_own: Those of them that surely are the resource's.
    """

    owner: Owner
    unreadable: dict[DestinationArn, HandlerError] = field(default_factory=dict)
    unreadable_own: dict[DestinationArn, HandlerError] = field(default_factory=dict)

    @property
    def may_be_own(self) -> dict[DestinationArn, HandlerError]:
        """What could not be read and may be the resource's, what surely is first.

        What the role is denied is taken for another resource's.
        """
        others = {arn: why for arn, why in self.unreadable.items() if not isinstance(why, AccessDenied)}
        return {**self.unreadable_own, **others}

    def find(self, appfabric: AppFabric, *parents: Parents) -> list[Owned]:
        """The resource's destinations in some ingestions.

        One that cannot be read is skipped and logged: it may well be somebody else's.

        Raises:
            HandlerError: An ingestion cannot be listed.
        """
        found, before, self.unreadable, self.unreadable_own = [], self.unreadable, {}, {}
        for arn in dict.fromkeys(arn for each in dict.fromkeys(parents) for arn in appfabric.list_destinations(each)):
            ownership = None
            try:
                tags = appfabric.within(READ_WITHIN).get_tags(arn) or {}
                ownership = Ownership.read(tags)
                if ownership is None or ownership.owner != self.owner:
                    continue
                destination = appfabric.get(arn)
            except HandlerError as failure:
                self.unreadable[arn] = failure
                if ownership:
                    self.unreadable_own[arn] = failure
                if arn not in before:
                    logger.warning("skipping an unreadable destination", arn=str(arn), reason=failure.reason)
                continue
            if destination:
                found.append(Owned(destination=destination, tags=tags, ownership=ownership))
        return found
