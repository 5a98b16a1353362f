"""Shows what happens in the local environment as it happens: a line for each stack event and each AppFabric call."""

import threading
from collections.abc import Mapping
from datetime import datetime
from types import TracebackType
from typing import Any, Self

from rich.console import Console
from rich.text import Text

from local.activity_log import ActivityLog, Ended
from local.regions import RegionMismatch, region_of

_SOURCE_WIDTH = 15
_SUBJECT_WIDTH = 26  # the longest name of an operation
_LEAST_OF_CALL = 8  # characters for a call's description; with fewer, its line is wrapped
_POLL_SECONDS = 0.05
# CloudFormation's words around a message of the provider's.
_BEFORE_MESSAGE, _AFTER_MESSAGE = "Message returned: ", " (RequestId: "


class ActivityView:
    """Prints new entries of an activity log while its `with` block lasts, and those that came last at its end.

    Args:
        console: Where to print. A terminal gets lines of its width, anything else gets whole lines.
        activity: The log.
        region: The Region of the environment; what is of another one is marked.
        stack: Only events of this stack, by its name; of all stacks when None.
    """

    def __init__(self, console: Console, activity: ActivityLog, *, region: str, stack: str | None = None) -> None:
        self._console = console
        self._region = region
        self._activity = activity
        self._stack = stack
        self._seen = len(activity.entries())
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._follow, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end.set()
        self._thread.join()

    def _follow(self) -> None:
        ended = False
        while not ended:
            ended = self._end.wait(_POLL_SECONDS)
            try:
                entries = self._activity.entries(after=self._seen)
            except Ended:
                return
            self._seen += len(entries)
            for entry in entries:
                if self._stack in (None, entry.get("StackName", self._stack)):
                    width = self._console.width if self._console.is_terminal else None
                    if text := line(entry, self._region, width=width):
                        print_line(self._console, text)


def print_line(console: Console, text: Text) -> None:
    """Print one line, cut at the edge of a terminal; a failure is wrapped, so that all of it can be read."""
    if console.is_terminal:
        console.print(text, no_wrap=text.no_wrap, overflow="ellipsis")
    else:
        console.print(text, soft_wrap=True)


def line(entry: Mapping[str, Any], region: str, *, width: int | None) -> Text | None:
    """An entry of the activity log as a line; None for one that is not shown.

    Args:
        entry: The entry.
        region: The Region of the environment.
        width: The terminal's, None for a whole line.
    """
    match entry["kind"]:
        case "stack_event":
            return _stack_event(entry, _mismatch(entry["StackId"], region))
        case "appfabric_call":
            return _call(entry, _mismatch(entry["parameters"], region), width)
        case "invocation" if entry["error"]:
            return _columns(entry, "Lambda", "function error", (entry["error"], "red"), wraps=True)
    return None


def describe_call(entry: Mapping[str, Any], *, width: int | None = None) -> str:
    """What distinguishes one call from another: the configuration and the destination that it names.

    Args:
        entry: The call.
        width: How long the text may be. The last word, where the logs go, is kept longest, and loses its head.
    """
    words = []
    for name, value in entry["parameters"].items():
        if name == "processingConfiguration":
            words.append(" ".join(value["auditLog"].values()))
        elif name == "destinationConfiguration":
            (destination,) = value["auditLog"]["destination"].values()
            place, *prefix = destination.values()
            words.append("/".join([shorten(place), *prefix]))
        elif name in {"ingestionDestinationIdentifier", "resourceArn"}:
            words.append(shorten(value))
    while width is not None and len(words) > 1 and len(" ".join(words)) > width:
        del words[0]
    text = " ".join(words)
    return text if width is None or len(text) <= width else f"…{text[len(text) - width + 1 :]}"


def reason_of(event: Mapping[str, Any]) -> str:
    """The reason of a stack event; the provider's own message where there is one."""
    reason = str(event["ResourceStatusReason"])
    if _BEFORE_MESSAGE in reason:
        return reason.partition(_BEFORE_MESSAGE)[2].partition(_AFTER_MESSAGE)[0]
    return reason


def style_of(status: str) -> str:
    """The color of a stack's or a resource's status."""
    if status.endswith("FAILED"):
        return "red"
    if "ROLLBACK" in status:
        return "yellow"
    return "green" if status.endswith("COMPLETE") else ""


def shorten(identifier: str) -> str:
    """Enough of a long identifier to distinguish it from another."""
    return f"…{identifier[-6:]}" if len(identifier) > 24 else identifier


def _mismatch(document: Any, region: str) -> str:
    try:
        region_of(document, expected=region)
    except RegionMismatch as mismatch:
        return str(mismatch)
    return ""


def _stack_event(entry: Mapping[str, Any], mismatch: str) -> Text:
    status, reason = entry["ResourceStatus"], reason_of(entry)
    of_stack = entry["LogicalResourceId"] == entry["StackName"]
    return _columns(
        entry,
        entry["StackName"],
        "" if of_stack else entry["LogicalResourceId"],
        (status, f"{'bold ' if of_stack else ''}{style_of(status)}"),
        (mismatch, "red"),
        (reason, ""),
        aligned=not reason,  # a reason needs the room
        wraps=bool(mismatch or reason),
    )


def _call(entry: Mapping[str, Any], mismatch: str, width: int | None) -> Text:
    outcome = str(entry["error"] or entry["status"] or "no response")
    words = (outcome, "yellow" if entry["error"] else ""), (mismatch, "red")
    text = _columns(entry, "AppFabric", entry["operation"], *words)
    room = 0 if mismatch or width is None else width - len(text) - 1
    text.no_wrap = room >= _LEAST_OF_CALL
    if described := describe_call(entry, width=room if text.no_wrap else None):
        text.append(f" {' '.join(described.split())}")
    return text


def _columns(
    entry: Mapping[str, Any],
    source: str,
    subject: str,
    *words: tuple[str, str],
    aligned: bool = True,
    wraps: bool = False,
) -> Text:
    at = datetime.fromtimestamp(entry["at"]).astimezone()
    text = Text.assemble((f"{at:%H:%M:%S} ", "dim"), (_fit(source, _SOURCE_WIDTH), "cyan"), no_wrap=not wraps)
    if subject:
        text.append(_fit(subject, _SUBJECT_WIDTH if aligned else 0))
    for word, style in words:
        if word:
            text.append(f"{' '.join(word.split())} ", style=style)
    text.rstrip()
    return text


def _fit(name: str, width: int) -> str:
    """A name padded or cut to a width; as it is when the width is 0."""
    return f"{name if len(name) <= width or not width else f'{name[: width - 1]}…':<{width}} "
