"""What the parts of one invocation share."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

from ingestion_destination.appfabric.client import AppFabric
from ingestion_destination.cloudformation.request import Request
from ingestion_destination.deadline import Deadline
from ingestion_destination.exceptions import ResourceConflict
from ingestion_destination.journal import Journal
from ingestion_destination.ownership import Owner, Ownership
from ingestion_destination.properties import Desired


@dataclass(frozen=True, kw_only=True)
class Invocation:
    """One delivery of one request.

    Attributes:
        request: What CloudFormation asks for.
        appfabric: AppFabric, until the end of the request's work.
        journal: Where each effect is recorded before it is made.
        deadline: When each part has to end.
    """

    request: Request
    appfabric: AppFabric
    journal: Journal
    deadline: Deadline

    @cached_property
    def owner(self) -> Owner:
        """The resource that the request is about."""
        return Owner.of(self.request)

    @cached_property
    def ownership(self) -> Ownership:
        """What a destination is tagged with that the request creates."""
        return Ownership.of(self.request)

    @cached_property
    def old(self) -> Desired | None:
        """What the template described before an Update; None when that was invalid, so that it never took effect."""
        return Desired.parse_if_valid(self.request.old_properties)

    @property
    def is_late(self) -> bool:
        """Whether nobody would look for what is created now, should CloudFormation not hear of it.

        The Delete of a canceled Create searches for as long as that can be at work. The rollback of a canceled Update
        searches for what was created within seconds: else each update that fails would take minutes to roll back.
        """
        if self.request.type == "Update" and self.appfabric.clock.monotonic() > self.deadline.early_ends:
            return True
        return self.request.may_be_duplicate

    def record_overtaken(self) -> ResourceConflict:
        """Record that a later request has been here; the failure of this one, which CloudFormation has given up."""
        self.journal.record(overtaken=True)
        return ResourceConflict("superseded by a later request: CloudFormation canceled this one, or it arrived late")

    def within(self, seconds: float) -> Invocation:
        """The same, with that many seconds for AppFabric at most."""
        return replace(self, appfabric=self.appfabric.within(seconds))
