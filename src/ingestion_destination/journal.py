"""What an invocation has done so far that may have to be rolled back or reported."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from ingestion_destination.appfabric.destination import Destination, DestinationArn


@dataclass(frozen=True, kw_only=True)
class Entry:
    """What is known at one moment.

    Attributes:
        created: The destination that this request created, this invocation or an earlier one.
        create_in_doubt: Whether the request may have created or adopted a destination that is not known.
        adopting: The destination that the request adopts, when it adopts one.
        before_move: The destination as it was before this invocation pointed it elsewhere.
        overtaken: Whether a later request has been here, so that what was done may be relied on.
    """

    created: DestinationArn | None = None
    create_in_doubt: bool = False
    adopting: DestinationArn | None = None
    before_move: Destination | None = None
    overtaken: bool = False


class Journal:
    """The latest entry, written before each effect and again once its outcome is known.

    It is replaced in one assignment: the watchdog reads it from a thread of its own, and never sees half of it.
    """

    def __init__(self) -> None:
        self.entry = Entry()

    def record(self, **changes: Any) -> None:
        """Write what changes; the rest stays."""
        self.entry = replace(self.entry, **changes)
