"""CloudFormation's events beside AppFabric's calls, in the order in which they came: a table of fixed columns."""

from collections.abc import Iterable, Mapping
from typing import Any

from rich.table import Table
from rich.text import Text

from local.activity_view import describe_call, reason_of, shorten, style_of

_SECONDS_WIDTH = 7


def table(
    entries: Iterable[Mapping[str, Any]], *, began: float | None, width: int, failure_expected: bool = False
) -> Table:
    """What happened, as a table of three columns.

    Args:
        entries: Those of the activity log.
        began: When the clock of the first column started, in seconds since the epoch; None for a table without it.
        width: Of the terminal.
        failure_expected: Whether what fails is meant to, and so is not red.
    """
    lane = (width - 2 - (0 if began is None else _SECONDS_WIDTH + 2)) // 2
    shown = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    if began is not None:
        shown.add_column("seconds", justify="right", style="dim", width=_SECONDS_WIDTH)
    shown.add_column("CloudFormation", overflow="fold", width=lane)
    shown.add_column("AppFabric", overflow="fold", width=lane - 2)
    for entry in entries:
        left, right = _columns(entry)
        if failure_expected and left.style == "red":
            left.style = "yellow"
        if left or right:
            clock = () if began is None else (f"{entry['at'] - began:.2f}",)
            shown.add_row(*clock, left, right)
    return shown


def _columns(entry: Mapping[str, Any]) -> tuple[Text, Text]:
    match entry["kind"]:
        case "stack_event":
            status, reason = entry["ResourceStatus"], reason_of(entry)
            text = f"{entry['LogicalResourceId']} {status}{f': {reason}' if reason else ''}"
            return Text(text, style=style_of(status)), Text()
        case "request":
            identifier = shorten(str(entry["event"].get("PhysicalResourceId", "")))
            return Text(f"  request {entry['event']['RequestType']} {identifier}".rstrip()), Text()
        case "outcome":
            return Text(f"  response {'FAILED' if entry['problem'] else 'SUCCESS'}", _style(entry["problem"])), Text()
        case "appfabric_call":
            outcome = entry["error"] or entry["status"] or "no response"
            words = " ".join(filter(None, [entry["operation"], describe_call(entry), "→", str(outcome)]))
            return Text(), Text(words, style="yellow" if entry["error"] else "")
    return Text(), Text()


def _style(problem: str | None) -> str:
    return "red" if problem else ""
