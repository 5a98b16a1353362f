"""The terminal and the mistakes of a user, as all commands of the local environment show them."""

from rich.console import Console
from rich.text import Text


class Problem(Exception):
    """Something that the user can fix; the text is all that they have to read.

    Attributes:
        status: The exit status: 2 when the command cannot be done as asked, 1 when it failed, 130 when it was
            interrupted.
    """

    def __init__(self, text: str, *, status: int = 1) -> None:
        super().__init__(text)
        self.status = status


def console(*, stderr: bool = False) -> Console:
    """A console without rich's own coloring of numbers and paths. It honors NO_COLOR."""
    return Console(highlight=False, stderr=stderr)


def fail(text: str, *, status: int) -> int:
    """Print what is wrong to standard error, and return the exit status."""
    console(stderr=True).print(Text(text, style="red"), soft_wrap=True)
    return status
