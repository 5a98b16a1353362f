"""The commands of a page, so that a test runs what the page shows."""

import os
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).parents[2]


def blocks(page: str, heading: str, language: str) -> list[str]:
    """The code blocks of a section.

    Args:
        page: The page's name in docs.
        heading: The section's heading, without its number signs.
        language: What the blocks say that they are.
    """
    text = (ROOT / "docs" / page).read_text()
    section = re.split(r"^#+ ", text.partition(f"# {heading}\n")[2], maxsplit=1, flags=re.MULTILINE)[0]
    return re.findall(rf"^```{language}\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)


def commands(page: str, heading: str, block: int = 0) -> str:
    """The commands that a section's n-th console block shows after its prompts."""
    shown = blocks(page, heading, "console")[block]
    assert shown.startswith("$ ")
    return re.sub(r"^\$ ", "", shown, flags=re.MULTILINE)


def run(
    script: str, variables: Mapping[str, str], *, home: Path, timeout: float = 180
) -> subprocess.CompletedProcess[str]:
    """Run commands in bash, in the project's folder, with its AWS CLI and SAM CLI; the first failure ends them."""
    path = os.pathsep.join([str(ROOT / ".venv/bin"), str(ROOT / ".venv-sam/bin"), os.environ["PATH"]])
    return subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=ROOT,
        env={"PATH": path, "HOME": str(home), **variables},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
