"""The report: a line for each assumption, without what identifies the account."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

HOLDS, DIFFERS, NOT_SEEN = "holds", "DIFFERS", "not seen"
_PRINCIPAL = re.compile(r"(arn:[\w-]+:(?:iam|sts)::[^:\s]*:)\S+")
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


@dataclass(frozen=True)
class Assumption:
    """Something of AWS that this project relies on, and that AWS documents nowhere or only in part.

    Attributes:
        name: Its name in the report and in docs/canary.md.
        text: What is assumed.
        where: The page or the module that relies on it.
    """

    name: str
    text: str
    where: str


class Report:
    """What became of each assumption.

    Args:
        assumptions: All of them, in the order of the report.
        secrets: What to replace in it, by what: the names that identify the account.
    """

    def __init__(self, assumptions: Iterable[Assumption], secrets: Mapping[str, str]) -> None:
        self._assumptions = {each.name: each for each in assumptions}
        self._secrets = dict(secrets)
        self._seen: dict[str, tuple[str, str]] = {}

    def redact(self, value: str, replacement: str) -> None:
        """Replace a value in the report from now on."""
        self._secrets[value] = replacement

    def settle(self, name: str, holds: bool | None, seen: str) -> None:
        """Record what was seen; the first record of an assumption counts, unless a later one contradicts it.

        Args:
            name: The assumption's name.
            holds: Whether it is as assumed; None when it cannot be said.
            seen: What was seen, in a few words.
        """
        result = {True: HOLDS, False: DIFFERS, None: NOT_SEEN}[holds]
        if name not in self._assumptions:
            raise KeyError(name)
        if name not in self._seen or (result == DIFFERS and self._seen[name][0] != DIFFERS):
            self._seen[name] = result, self._redacted(seen)
            print(f"{result:8}  {name}: {self._seen[name][1]}", flush=True)

    def is_settled(self, name: str) -> bool:
        """Whether something was recorded of an assumption."""
        return name in self._seen

    @property
    def differing(self) -> list[str]:
        """The names of the assumptions that do not hold."""
        return [name for name, (result, _) in self._seen.items() if result == DIFFERS]

    def text(self, *, version: str, region: str, date: str) -> str:
        """The report as Markdown, to be shared as it is."""
        lines = [
            f"Canary of Custom::AppFabricIngestionDestination {version}, {region}, {date}",
            "",
            "| assumption | assumed | seen | | relied on in |",
            "| --- | --- | --- | --- | --- |",
        ]
        for name, assumption in self._assumptions.items():
            result, seen = self._seen.get(name, (NOT_SEEN, ""))
            cells = [name, assumption.text, seen, result, assumption.where]
            lines.append(f"| {' | '.join(cell.replace('|', '/').replace(chr(10), ' ') for cell in cells)} |")
        return "\n".join(lines)

    def _redacted(self, text: str) -> str:
        for value in sorted(self._secrets, key=len, reverse=True):
            text = text.replace(value, self._secrets[value])
        text = _PRINCIPAL.sub(r"\1PRINCIPAL", text)
        text = _UUID.sub("UUID", text)
        return re.sub(r"(?<!\d)\d{12}(?!\d)", "ACCOUNT", text)
