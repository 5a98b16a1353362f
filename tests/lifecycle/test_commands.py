"""The commands that README shows, as a newcomer runs them."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

ROOT = Path(__file__).parents[2]


def run(command: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return python("-m", "local", command, **variables)


def invoke(event: Path) -> subprocess.CompletedProcess[str]:
    return run("invoke", EVENT=str(event))


def python(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}", "HOME": os.devnull, **variables},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_the_demo_says_its_point_in_a_line_for_each_step_and_shows_all_of_it_in_detail(tmp_path: Path) -> None:
    picture = tmp_path / "demo.svg"
    demo = run("demo", DETAIL="1", RECORD=str(picture))
    assert demo.returncode == 0, demo.stdout + demo.stderr
    assert demo.stderr == ""
    assert "\x1b" not in demo.stdout
    steps = [line for line in demo.stdout.splitlines() if line.startswith("✓ ")]
    expected = (
        r"✓ Deploy the provider  sam deploy, as on AWS",
        r"✓ Create               created …(?P<first>\w{6}), Active, 1 call",
        r"✓ Change the prefix    updated in place, same ARN …(?P=first), \d calls",
        r"✓ Change the format    replaced …(?P=first) → …\w{6}, old one deleted, \d+ calls",
        r'✓ Let an update fail   rolled back as it should: "The bucket\'s storage is full\."',
        r"✓ Delete               destination deleted; its bucket is kept, as the template says",
    )
    assert re.fullmatch("\n".join(expected), "\n".join(steps))
    assert demo.stdout.endswith("\nNext:\n  make local           try templates of your own\n")
    # and in detail every event, request and call
    shown = re.findall(
        r"(?:request|response) \w+|(?:Create|Update|Delete)IngestionDestination|Destination [A-Z_]+\b", demo.stdout
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
    assert shown.count("response FAILED") == 1
    assert "UPDATE_ROLLBACK_COMPLETE" in demo.stdout
    headings = [line.rstrip() for line in demo.stdout.splitlines() if line.startswith("seconds ")]
    assert len(headings) == 6
    assert len(set(headings)) == 1
    # and the picture in README shows what it shows now
    drawn = picture.read_text()
    assert drawn == (ROOT / "docs" / "demo.svg").read_text(), "make demo RECORD=docs/demo.svg"
    assert ElementTree.fromstring(drawn).tag == "{http://www.w3.org/2000/svg}svg"
    assert re.findall(r"url\((?!#)", drawn) == []


def test_a_demo_that_goes_wrong_says_so() -> None:
    nowhere = "local.demo.EXAMPLE = pathlib.Path('nowhere.yaml')"
    program = f"import local.__main__, local.demo, pathlib, sys; {nowhere}; sys.exit(local.__main__.main(['demo']))"
    demo = python("-c", program)
    assert demo.returncode == 1
    assert "sam deploy failed" in demo.stderr
    assert "Traceback" not in demo.stderr


@pytest.mark.parametrize("event", sorted((ROOT / "events").glob("*.json")), ids=lambda path: path.stem)
def test_every_event_works_by_hand(event: Path) -> None:
    invoked = invoke(event)
    assert invoked.returncode == 0, invoked.stderr
    response = json.loads(invoked.stdout)
    assert response["Status"] == "SUCCESS"
    was = json.loads(event.read_text()).get("PhysicalResourceId")
    replaced = event.stem == "update-replacement"
    assert (response["PhysicalResourceId"] == was) == (was is not None and not replaced)


@pytest.mark.parametrize("region", ["eu-west-1", "ap-northeast-1"])
@pytest.mark.parametrize("name", ["create-s3", "delete"])
def test_an_event_of_another_region_works_by_hand(name: str, region: str, tmp_path: Path) -> None:
    event = tmp_path / "event.json"
    event.write_text((ROOT / "events" / f"{name}.json").read_text().replace("us-east-1", region))
    invoked = invoke(event)
    assert invoked.returncode == 0, invoked.stderr
    assert json.loads(invoked.stdout)["PhysicalResourceId"].startswith(f"arn:aws:appfabric:{region}:")


def test_an_event_with_arns_of_two_regions_is_reported_as_one(tmp_path: Path) -> None:
    event = json.loads((ROOT / "events" / "create-s3.json").read_text())
    properties = event["ResourceProperties"]
    for name in ("AppBundleIdentifier", "IngestionIdentifier"):
        properties[name] = properties[name].replace("us-east-1", "eu-west-1")
    mixed = tmp_path / "mixed.json"
    mixed.write_text(json.dumps(event))
    invoked = invoke(mixed)
    assert (invoked.returncode, invoked.stdout) == (2, "")
    assert invoked.stderr == (
        f"{mixed}: the ARNs are of 2 Regions: eu-west-1 in ResourceProperties.AppBundleIdentifier, "
        "ResourceProperties.IngestionIdentifier; us-east-1 in ResourceProperties.ServiceToken, ServiceToken, StackId\n"
    )


def test_an_event_of_a_region_without_appfabric_is_refused(tmp_path: Path) -> None:
    event = tmp_path / "event.json"
    event.write_text((ROOT / "events" / "create-s3.json").read_text().replace("us-east-1", "eu-central-1"))
    invoked = invoke(event)
    assert (invoked.returncode, invoked.stdout) == (2, "")
    assert "AppFabric is in us-east-1, eu-west-1, ap-northeast-1" in invoked.stderr
    assert "names eu-central-1" in invoked.stderr


def test_an_event_that_fails_or_is_none_says_so(tmp_path: Path) -> None:
    event = json.loads((ROOT / "events" / "create-s3.json").read_text())
    event["ResourceProperties"]["Typo"] = "x"
    wrong = tmp_path / "wrong.json"
    wrong.write_text(json.dumps(event))
    failed = invoke(wrong)
    assert failed.returncode == 1
    assert json.loads(failed.stdout)["Reason"] == "InvalidRequest: Typo is unknown"
    wrong.write_text("{}")
    refused = invoke(wrong)
    assert refused.returncode == 1
    assert "the event has no " in refused.stderr
    wrong.write_text("[]")
    assert "must be a JSON object" in invoke(wrong).stderr
    wrong.write_text("{")
    assert invoke(wrong).returncode == 2
    assert run("invoke").returncode == 2
