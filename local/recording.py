"""Steps of the demo as a picture of a terminal, which is the same for each run: docs/demo.svg.

What differs from run to run is left out or replaced: there are no times, and the ends of identifiers are numbered.
"""

import io
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from local.timeline import table

# On GitHub a picture is about 830 pixels wide, and then this font has 12.
_WIDTH = 112
_TITLE = "make demo DETAIL=1: two of its six steps, without the times"
# GitHub serves pictures with a policy that forbids fonts from other hosts, so rich's are left out, and the reader's own
# are used. Every text has a length of its own, so that the columns stay aligned.
_FONTS_OF_ANOTHER_HOST = re.compile(r" *@font-face \{.*?\}\n", re.DOTALL)
_RICHS_FONT, _FONTS = "Fira Code, monospace", "ui-monospace, SFMono-Regular, Menlo, Consolas, monospace"
_SHORTENED = re.compile(r"…([0-9a-f]{6})\b")  # as `shorten` leaves an identifier


class Recording:
    """A terminal that nobody sees, and that becomes a picture.

    Args:
        path: Of the SVG to write.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._steps = 0
        self._console = Console(
            file=io.StringIO(),
            record=True,
            width=_WIDTH,
            force_terminal=True,
            color_system="truecolor",
            highlight=False,
        )

    def add(self, line: Text, entries: Iterable[Mapping[str, Any]], *, failure_expected: bool) -> None:
        """Record a step: its line, and what happened.

        Args:
            line: What the demo prints for the step.
            entries: Those of the activity log.
            failure_expected: Whether what fails is meant to.
        """
        if self._steps:
            self._console.print()
        self._steps += 1
        self._console.print(line)
        self._console.print(table(entries, began=None, width=_WIDTH, failure_expected=failure_expected))

    def write(self) -> None:
        """Write the picture."""
        picture = self._console.export_svg(title=_TITLE, unique_id="demo")
        picture = _FONTS_OF_ANOTHER_HOST.sub("", picture).replace(_RICHS_FONT, _FONTS)
        numbers: dict[str, str] = {}
        picture = _SHORTENED.sub(lambda found: f"…{numbers.setdefault(found[1], f'{len(numbers) + 1:06}')}", picture)
        self._path.write_text(re.sub(r"[ \t]+$", "", picture, flags=re.MULTILINE), encoding="utf-8")
