"""Reads properties and notes every mistake with its path, so that all of them are reported at once.

What a user wrote as a value is never reported: it may be secret. What they wrote as a name is.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from ingestion_destination.exceptions import printable, shorten

# A longer name that a user wrote is cut in a message.
MAX_NAME_LENGTH = 64

# Stands for an object that is missing, which has already been noted.
_MISSING: Any = object()


class Reader:
    """One object of the properties.

    Args:
        value: What the template has in this place.
        path: Where that is, "" for the properties themselves.
        allowed: The names of the properties that the object may have.
        problems: Where mistakes are noted.
    """

    def __init__(self, value: object, *, path: str, allowed: Sequence[str], problems: list[str]) -> None:
        self.path = path
        self._problems = problems
        # None: the mistake of the whole object is noted, what would be in it is not asked for.
        self._values = {k: v for k, v in value.items() if v is not None} if isinstance(value, Mapping) else None
        if self._values is None and value is not _MISSING:
            self.problem(f"{path or 'ResourceProperties'} must be an object")
        for name in self._values or {}:
            if name not in allowed:
                shown = shorten(printable(str(name)), MAX_NAME_LENGTH) or '""'
                self.problem(f"{self._at(shown)} is unknown{_did_you_mean(name, allowed)}")

    def problem(self, text: str) -> None:
        """Note a mistake."""
        self._problems.append(text)

    def has(self, name: str) -> bool:
        """Whether the property is there."""
        return self._values is not None and name in self._values

    def object(self, name: str, *, allowed: Sequence[str]) -> Reader:
        """An object that must be there."""
        value = self._value(name) if self.has(name) else _MISSING
        if value is _MISSING:
            self._missing(name)
        return Reader(value, path=self._at(name), allowed=allowed, problems=self._problems)

    def objects(self, name: str, *, allowed: Sequence[str], most: int) -> list[Reader]:
        """A list of objects, empty if it is not there."""
        values = self._value(name) if self.has(name) else []
        if not isinstance(values, list):
            self.problem(f"{self._at(name)} must be a list")
            return []
        if len(values) > most:
            self.problem(f"{self._at(name)} must have at most {most} items (has {len(values)})")
        return [
            Reader(value, path=f"{self._at(name)}[{i}]", allowed=allowed, problems=self._problems)
            for i, value in enumerate(values)
        ]

    def exactly_one(self, *names: str) -> str | None:
        """The one name of these that is there; None, and a mistake, when none or several are."""
        there = [name for name in names if self.has(name)]
        if self._values is not None and len(there) != 1:
            where = f"{self.path} must have" if self.path else "there must be"
            has = " and ".join(there) or "none"
            self.problem(f"{where} exactly one of {', '.join(names)} (has {has})")
        return there[0] if len(there) == 1 else None

    def text(
        self,
        name: str,
        *,
        optional: bool = False,
        length: tuple[int, int] | None = None,
        one_of: Sequence[str] = (),
        pattern: tuple[re.Pattern[str], str] | None = None,
    ) -> str:
        """A string.

        Args:
            name: The property.
            optional: Whether it may be absent.
            length: The least and the most characters.
            one_of: All that it may be.
            pattern: What all of it must match, and how that is said to a user.

        Returns:
            The text, "" when it is absent or no string.
        """
        if not self.has(name):
            if not optional:
                self._missing(name)
            return ""
        value = _recast(self._value(name))
        if value is None:
            self.problem(f"{self._at(name)} must be a string")
            return ""
        if one_of and value not in one_of:
            self.problem(f"{self._at(name)} must be one of {', '.join(one_of)}")
        if pattern and not pattern[0].fullmatch(value):
            # It says what to write instead, which the length of what is not even a name does not.
            self.problem(f"{self._at(name)} must be {pattern[1]}")
        elif length and not length[0] <= len(value) <= length[1]:
            self.problem(f"{self._at(name)} must have {length[0]} to {length[1]} characters (has {len(value)})")
        return value

    def _value(self, name: str) -> Any:
        return (self._values or {})[name]

    def _at(self, name: str) -> str:
        return f"{self.path}.{name}" if self.path else name

    def _missing(self, name: str) -> None:
        if self._values is not None:
            self.problem(f"{self._at(name)} is required")


def _recast(value: object) -> str | None:
    """A scalar as CloudFormation sends it, a string; events written by hand may hold numbers or booleans."""
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, (str, int, float)) else None


def _did_you_mean(name: object, allowed: Sequence[str]) -> str:
    from difflib import get_close_matches  # only a mistake needs it

    by_lower = {known.lower(): known for known in allowed}
    close = get_close_matches(str(name).lower(), by_lower, n=1)
    return f", did you mean {by_lower[close[0]]}?" if close else ""
