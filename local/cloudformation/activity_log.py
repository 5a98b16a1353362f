"""A log of every custom resource request, written in ministack's process and read by tests and the demo.

A file of JSON lines, each `{"at": seconds since the epoch, "kind": ..., "request_id": ..., ...}`:

| kind         | is written when                                | holds                                         |
| ------------ | ---------------------------------------------- | --------------------------------------------- |
| `request`    | CloudFormation sends a request                 | `event`                                       |
| `invocation` | Lambda has run the function with it            | `seconds`, `error` (None when it returned)    |
| `response`   | something arrived at its ResponseURL           | `method`, `body`, `status`                    |
| `outcome`    | CloudFormation has its response, or gave it up | `problem` (None for success), `physical_resource_id` |
"""

import json
import threading
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


class ActivityLog:
    """A file that only grows. Safe for several threads of one process to write."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._path.touch()
        self._lock = threading.Lock()

    def write(self, kind: str, *, request_id: str, **details: object) -> None:
        """Add a line."""
        line = json.dumps({"at": time.time(), "kind": kind, "request_id": request_id, **details})
        with self._lock, self._path.open("a", encoding="utf-8") as file:
            file.write(line + "\n")

    def entries(self) -> list[dict[str, Any]]:
        """Every line so far, in the order in which they were written."""
        lines = self._path.read_text(encoding="utf-8").splitlines(keepends=True)
        return [json.loads(line) for line in lines if line.endswith("\n")]  # the last may be in the making

    def requests(self) -> list[CustomResourceRequest]:
        """The same, grouped by request, in the order in which these were sent."""
        entries = self.entries()

        def of(request_id: str, kind: str) -> tuple[dict[str, Any], ...]:
            return tuple(e for e in entries if e["request_id"] == request_id and e["kind"] == kind)

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
