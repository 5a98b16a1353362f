"""`scripts/list_destinations.py` on a machine that is not ready for it: one clear line."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "list_destinations.py"


@pytest.mark.parametrize(
    ("options", "arguments", "line"),
    [
        (["-S"], [], "boto3 is needed: pip install boto3"),  # no site-packages
        ([], [], "You must specify a region."),
        ([], ["--region", "us-east-1"], "Unable to locate credentials"),
        ([], ["--profile", "nobodys"], "The config profile (nobodys) could not be found"),
    ],
    ids=["no boto3", "no Region", "no credentials", "no profile"],
)
def test_what_is_missing_is_named(options: list[str], arguments: list[str], line: str) -> None:
    nothing = {"AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull}
    ended = subprocess.run(
        [sys.executable, *options, str(SCRIPT), *arguments],
        env={"HOME": os.devnull, "AWS_EC2_METADATA_DISABLED": "true", **nothing},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (ended.returncode, ended.stderr, ended.stdout) == (1, f"{line}\n", "")
