"""The commands that README shows, as a newcomer runs them."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return python("-m", *arguments)


def python(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}", "HOME": os.devnull},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_the_demo_shows_a_whole_life() -> None:
    demo = run("local.demo")
    assert demo.returncode == 0, demo.stdout + demo.stderr
    assert "\x1b" not in demo.stdout
    shown = re.findall(
        r"(?:request|answer) \w+|(?:Create|Update|Delete)IngestionDestination|Destination [A-Z_]+\b", demo.stdout
    )
    assert [word for word in shown if word.startswith("request")] == [
        "request Create",
        "request Update",
        "request Update",
        "request Delete",
        "request Update",
        "request Update",
        "request Delete",
    ]
    assert shown.count("CreateIngestionDestination") == 2
    assert shown.count("DeleteIngestionDestination") == 2
    assert shown.count("answer FAILED") == 1
    assert "UPDATE_ROLLBACK_COMPLETE" in demo.stdout
    assert "The bucket's storage is full." in " ".join(demo.stdout.split())


def test_a_demo_that_goes_wrong_says_so() -> None:
    nowhere = "local.demo.EXAMPLE = pathlib.Path('nowhere.yaml')"
    demo = python("-c", f"import local.demo, pathlib, sys; {nowhere}; sys.exit(local.demo.main())")
    assert demo.returncode == 1
    assert "sam deploy failed" in demo.stdout


@pytest.mark.parametrize("event", sorted((ROOT / "events").glob("*.json")), ids=lambda path: path.stem)
def test_every_event_works_by_hand(event: Path) -> None:
    invoked = run("local.invoke", str(event))
    assert invoked.returncode == 0, invoked.stderr
    answer = json.loads(invoked.stdout)
    assert answer["Status"] == "SUCCESS"
    was = json.loads(event.read_text()).get("PhysicalResourceId")
    replaced = event.stem == "update-replacement"
    assert (answer["PhysicalResourceId"] == was) == (was is not None and not replaced)


def test_an_event_that_fails_or_is_none_says_so(tmp_path: Path) -> None:
    event = json.loads((ROOT / "events" / "create-s3.json").read_text())
    event["ResourceProperties"]["Typo"] = "x"
    wrong = tmp_path / "wrong.json"
    wrong.write_text(json.dumps(event))
    failed = run("local.invoke", str(wrong))
    assert failed.returncode == 1
    assert json.loads(failed.stdout)["Reason"] == "InvalidRequest: Typo is unknown"
    wrong.write_text("{}")
    refused = run("local.invoke", str(wrong))
    assert refused.returncode == 1
    assert "the event has no " in refused.stderr
    wrong.write_text("[]")
    assert "must be a JSON object" in run("local.invoke", str(wrong)).stderr
    wrong.write_text("{")
    assert run("local.invoke", str(wrong)).returncode == 2
    assert run("local.invoke").returncode == 2
