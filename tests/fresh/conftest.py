"""Environments created from the registries, with the newest of everything: `make test-all`."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., str]


def command(*parts: object, codes: tuple[int, ...] = (0,), env: dict[str, str] | None = None, **options: Any) -> str:
    """The output of a command that may reach the registries, and knows nothing of the caller's AWS."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "PYTHON", "SAM_"))}
    ended = subprocess.run(
        [str(part) for part in parts],
        env={**inherited, "AWS_DEFAULT_REGION": "us-east-1", "CDK_DISABLE_VERSION_CHECK": "1", **(env or {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=600,
        check=False,
        **options,
    )
    assert ended.returncode in codes, ended.stdout
    return ended.stdout


@pytest.fixture
def environment(tmp_path: Path) -> Callable[..., Path]:
    """A function that makes a virtual environment which holds some packages, and gives its folder of programs."""

    def make(*packages: object) -> Path:
        command(sys.executable, "-m", "venv", tmp_path / "an environment")
        programs = tmp_path / "an environment" / "bin"
        command(programs / "python", "-m", "pip", "install", "--quiet", *packages)
        return programs

    return make
