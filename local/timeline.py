"""CloudFormation's events beside AppFabric's calls, in the order in which they came."""

from __future__ import annotations

import json
import math
import threading
from dataclasses import dataclass
from typing import Any

from rich.table import Table
from rich.text import Text

from local.appfabric import AppFabricEmulator, Call
from local.cloudformation import CloudFormation


@dataclass(frozen=True)
class Entry:
    """One thing that happened; `at` in seconds since the epoch."""

    at: float
    lane: str
    text: str
    good: bool


class Timeline:
    """Collects what happens in both, from now on.

    Args:
        cloudformation: Whose stacks' events and custom resource requests to show.
        appfabric: Whose calls to show.
    """

    def __init__(self, *, cloudformation: CloudFormation, appfabric: AppFabricEmulator) -> None:
        self._cloudformation = cloudformation
        self._calls: list[Entry] = []
        self._lock = threading.Lock()
        self._shown = 0.0
        self._began: float | None = None
        appfabric.subscribe(self._add)

    def table(self, stack: str) -> Table:
        """What happened to a stack since the last table, as a table of three columns."""
        new = [entry for entry in self._entries(stack) if entry.at > self._shown]
        entries = sorted(new, key=lambda entry: entry.at)
        if entries:
            self._shown = entries[-1].at
            self._began = self._began or entries[0].at
        table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
        table.add_column("seconds", justify="right", style="dim")
        table.add_column("CloudFormation", overflow="fold")
        table.add_column("AppFabric", overflow="fold")
        for entry in entries:
            text = Text(entry.text, style="" if entry.good else "red")
            columns = (text, "") if entry.lane == "CloudFormation" else ("", text)
            table.add_row(f"{entry.at - (self._began or entry.at):.2f}", *columns)
        return table

    def _entries(self, stack: str) -> list[Entry]:
        with self._lock:
            entries = list(self._calls)
        for line in self._cloudformation.activity.entries():
            if line["kind"] == "request":
                entries.append(Entry(line["at"], "CloudFormation", _request(line["event"]), good=True))
            elif line["kind"] == "response":
                answer = json.loads(line["body"])
                # Stacks' events are told in whole milliseconds: what an answer brought about comes after it.
                at = math.floor(line["at"] * 1000) / 1000
                entries.append(
                    Entry(at, "CloudFormation", f"  answer {answer['Status']}", answer["Status"] == "SUCCESS")
                )
        for event in self._cloudformation.events(stack):
            reason = f": {event.reason}" if event.reason else ""
            bad = "FAILED" in event.status or "ROLLBACK" in event.status
            text = f"{event.logical_id} {event.status}{reason}"
            entries.append(Entry(event.at, "CloudFormation", text, not bad))
        return entries

    def _add(self, call: Call) -> None:
        outcome = call.error or call.status or "no answer"
        text = f"{call.operation} {_interesting(call.parameters)} → {outcome}".replace("  ", " ")
        with self._lock:
            self._calls.append(Entry(call.at.timestamp(), "AppFabric", text, call.error is None))


def _request(event: dict[str, Any]) -> str:
    identifier = str(event.get("PhysicalResourceId", ""))
    return f"  request {event['RequestType']} {_short(identifier)}".rstrip()


def _interesting(parameters: dict[str, Any]) -> str:
    told = []
    for name, value in parameters.items():
        if name == "processingConfiguration":
            told.append(" ".join(value["auditLog"].values()))
        elif name == "destinationConfiguration":
            (destination,) = value["auditLog"]["destination"].values()
            place, *prefix = destination.values()
            told.append("/".join([_short(place), *prefix]))
        elif name in {"ingestionDestinationIdentifier", "resourceArn"}:
            told.append(_short(value))
    return " ".join(told)


def _short(identifier: str) -> str:
    """Enough of a long name to tell it from another."""
    return f"…{identifier[-6:]}" if len(identifier) > 24 else identifier
