"""The messages that docs/troubleshooting.md explains: the first column of its tables."""

import re
from functools import cache
from pathlib import Path

from ingestion_destination import exceptions
from ingestion_destination.exceptions import HandlerError

PAGE = (Path(__file__).parents[2] / "docs" / "troubleshooting.md").read_text()
PROPERTIES = "Invalid properties"
CLOUDFORMATIONS_OWN = "CloudFormation's own messages"
CODES = {
    each.__name__
    for each in vars(exceptions).values()
    if isinstance(each, type) and issubclass(each, HandlerError) and each is not HandlerError
}


@cache
def messages() -> dict[str, re.Pattern[str]]:
    """Return the provider's messages as the page writes them, each with a pattern of its Reasons.

    An … matches any text. A message about properties is one of the mistakes in an InvalidRequest; all others are
    complete, beginning with the error code.
    """
    provider, _, _ = PAGE.partition(f"\n## {CLOUDFORMATIONS_OWN}\n")
    rows = re.findall(r"^\| `([^`]+)` \|", provider, re.MULTILINE)
    return {row: re.compile(".*".join(map(re.escape, row.split("…")))) for row in rows}


@cache
def mistakes() -> frozenset[str]:
    """Return those of the messages that are about properties."""
    (section,) = re.findall(rf"^## {PROPERTIES}\n(.*?)^## ", PAGE, re.MULTILINE | re.DOTALL)
    return frozenset(row for row in messages() if f"\n| `{row}` |" in section)


def explanations(reason: str) -> set[str]:
    """Return the messages of which a Reason consists; empty if the page does not explain all of it."""
    complete = {row for row in messages().keys() - mistakes() if messages()[row].fullmatch(reason)}
    code, _, text = reason.partition(": ")
    if complete or code != "InvalidRequest":
        return complete
    counted = re.compile("… and [0-9]+ more")
    parts = [part for part in text.split("; ") if not counted.fullmatch(part)]
    found = [{row for row in mistakes() if messages()[row].fullmatch(part)} for part in parts]
    return set().union(*found) if all(found) else set()


def is_explained(reason: str) -> bool:
    """Whether the page explains a Reason; a Reason with AppFabric's own code is explained by its text."""
    code, _, text = reason.partition(": ")
    return bool(explanations(reason)) or (bool(text) and code.isidentifier() and code not in CODES)
