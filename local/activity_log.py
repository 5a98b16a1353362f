"""A log of what happens in the emulators, written by their processes and read by others.

A file of JSON lines, each `{"at": seconds since the epoch, "kind": ..., ...}`:

* `stack_event`: a stack or one of its resources changed; the members of DescribeStackEvents' StackEvent.
* `request`: CloudFormation sent a custom resource request; `request_id`, `event`.
* `invocation`: Lambda invoked the function with it; `request_id`, `seconds`, `error` (None when it returned).
* `response`: something arrived at its ResponseURL; `request_id`, `method`, `body`, `status`.
* `outcome`: CloudFormation has its response, or gave it up; `request_id`, `problem` (None for success),
  `physical_resource_id`.
* `appfabric_call`: a call of AppFabric has its response; `operation`, `parameters`, `status`, `error`.
"""

import json
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class CustomResourceRequest:
    """One request with all that happened to it so far, each a line of the log.

    Attributes:
        at: When it was sent, in seconds since the epoch.
        event: What the function got.
        invocations: Every invocation of the function with it, in order of their ends.
        responses: Everything that arrived at its ResponseURL, in order.
        outcome: How it ended; None while it is in progress.
    """

    at: float
    event: Mapping[str, Any]
    invocations: tuple[Mapping[str, Any], ...]
    responses: tuple[Mapping[str, Any], ...]
    outcome: Mapping[str, Any] | None


class Ended(Exception):
    """The emulators have ended, and their log with them."""


class ActivityLog:
    """A file that only grows. Safe for several threads and processes to write.

    Raises:
        Ended: Its folder is gone.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._path.touch()
        except FileNotFoundError:
            raise Ended from None

    def write(self, kind: str, **details: object) -> None:
        """Add a line."""
        line = json.dumps({"at": time.time(), "kind": kind, **details}) + "\n"
        descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND)
        try:
            os.write(descriptor, line.encode())  # one write, so that no other one comes in between
        finally:
            os.close(descriptor)

    def entries(self, *, after: int = 0) -> list[dict[str, Any]]:
        """Every entry so far, in the order in which they were written.

        Args:
            after: How many to leave out at the beginning.

        Raises:
            Ended: The log is gone.
        """
        try:
            lines = self._path.read_text(encoding="utf-8").splitlines(keepends=True)[after:]
        except FileNotFoundError:
            raise Ended from None
        return [json.loads(line) for line in lines if line.endswith("\n")]  # the last may be incomplete

    def requests(self) -> list[CustomResourceRequest]:
        """The same, grouped by request, in the order in which these were sent."""
        entries = self.entries()

        def of(request_id: str, kind: str) -> tuple[dict[str, Any], ...]:
            return tuple(e for e in entries if e["kind"] == kind and e["request_id"] == request_id)

        return [
            CustomResourceRequest(
                at=entry["at"],
                event=entry["event"],
                invocations=of(entry["request_id"], "invocation"),
                responses=of(entry["request_id"], "response"),
                outcome=next(iter(of(entry["request_id"], "outcome")), None),
            )
            for entry in entries
            if entry["kind"] == "request"
        ]
