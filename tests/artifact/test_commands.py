"""make's commands in realistic places. Slow: each sets up everything, or measures."""

import os
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest

from local.runtime import ROOT

pytestmark = pytest.mark.slow


def run(*command: str, cwd: Path, **environment: str) -> str:
    """Return the output of a command."""
    ended = subprocess.run(
        command,
        cwd=cwd,
        env={"UV_CACHE_DIR": str(ROOT / ".tools/cache/uv"), **os.environ, **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout
    return ended.stdout


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tarball of the commit, unpacked."""
    if not (ROOT / ".git").exists():
        pytest.skip("a tarball is made from a Git checkout, and this is not one")
    directory = tmp_path_factory.mktemp("tarball") / "some dir (x)"
    directory.mkdir()
    run("git", "archive", "--output", str(directory.parent / "project.tar"), "HEAD", cwd=ROOT)
    with tarfile.open(directory.parent / "project.tar") as archive:
        archive.extractall(directory, filter="data")
    return directory


def test_a_tarball_is_checked_built_released_and_cleaned_up_without_a_home(unpacked: Path) -> None:
    """In a folder with a space and parentheses, four jobs at once, with pip set to install for the user."""
    before = set(unpacked.rglob("*"))
    # Nothing can be written below a device, not even by root. The downloads of `make setup` suffice.
    hostile = {"HOME": os.devnull, "PIP_USER": "1", "UV_OFFLINE": "1"}
    output = run("make", "--jobs=4", "check", "build", "release", cwd=unpacked, **hostile)
    run("make", "--question", ".aws-sam/.ready", cwd=unpacked, **hostile)  # though Python added byte code to src
    head = run("git", "rev-parse", "HEAD", cwd=ROOT).strip()
    assert "aws cloudformation deploy" in output
    assert head in next((unpacked / "dist").glob("*.cdx.json")).read_text()
    run("make", "clean", cwd=unpacked)
    assert set(unpacked.rglob("*")) == before


def test_the_benchmark_measures_every_handler_and_changes_no_file() -> None:
    if not (shutil.which("node") and shutil.which("npm")):
        pytest.skip("CDK's handler needs Node.js and npm")
    picture = (ROOT / "docs" / "performance.svg").read_bytes()
    output = run("make", "bench", "ROUNDS=1", cwd=ROOT, COLUMNS="140")
    for name in ("ours", "plain", "crhelper only", "CDK", "floor", "cold CPU ms", "warm CPU ms"):
        assert name in output
    assert (ROOT / "docs" / "performance.svg").read_bytes() == picture
