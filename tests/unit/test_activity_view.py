"""The live view of `make local` at several widths of a terminal."""

import io
from typing import Any

import pytest
from rich.console import Console

from local.activity_view import line, print_line
from tests.support.properties import BUNDLE, INGESTION

PREFIX = "p" * 70 + "/end"
CALL: dict[str, Any] = {
    "kind": "appfabric_call",
    "at": 0,
    "operation": "CreateIngestionDestination",
    "status": 201,
    "error": "",
    "parameters": {
        "appBundleIdentifier": BUNDLE,
        "ingestionIdentifier": INGESTION,
        "processingConfiguration": {"auditLog": {"schema": "ocsf", "format": "json"}},
        "destinationConfiguration": {
            "auditLog": {"destination": {"s3Bucket": {"bucketName": "a-bucket-of-a-company", "prefix": PREFIX}}}
        },
    },
}


REASON = "NotStabilized: the destination is Failed: The bucket's storage is full, and nobody empties it"
FAILED = {
    "kind": "stack_event",
    "at": 0,
    "StackId": "arn:aws:cloudformation:us-east-1:111122223333:stack/my/51af3dc0-da77-11e4-872e-1234567db123",
    "StackName": "my",
    "LogicalResourceId": "Destination",
    "ResourceStatus": "UPDATE_FAILED",
    "ResourceStatusReason": f"Received response status [FAILED]. Message returned: {REASON} (RequestId: 1)",
}


def shown(entry: Any, *, width: int, region: str = "us-east-1") -> list[str]:
    console = Console(file=io.StringIO(), force_terminal=True, color_system=None, width=width)
    text = line(entry, region, width=width)
    assert text is not None
    print_line(console, text)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue().splitlines()


@pytest.mark.parametrize("width", [80, 120, 200])
def test_a_call_takes_one_line_that_shows_the_end_of_the_destination(width: int) -> None:
    (only,) = shown(CALL, width=width)
    assert "CreateIngestionDestination 201 " in only
    assert only.endswith("p/end")
    assert ("a-bucket-of-a-company" in only) == (width == 200)


@pytest.mark.parametrize("prefix", ["one", "two"])
def test_what_an_update_changed_can_be_seen(prefix: str) -> None:
    place = {"bucketName": "my-logs-bed5763c0a1b2c3d", "prefix": prefix}
    update = {
        "appBundleIdentifier": BUNDLE,
        "ingestionIdentifier": INGESTION,
        "ingestionDestinationIdentifier": f"{INGESTION}/ingestiondestination/44444444-4444-4444-8444-4444442d4b2a",
        "destinationConfiguration": {"auditLog": {"destination": {"s3Bucket": place}}},
    }
    call = CALL | {"operation": "UpdateIngestionDestination", "status": 200, "parameters": update}
    (only,) = shown(call, width=80)
    assert only.endswith(f"UpdateIngestionDestination 200 …gs-bed5763c0a1b2c3d/{prefix}")
    (failed,) = shown(call | {"error": "ThrottlingException"}, width=80)  # a call that is sent again and again
    assert failed.endswith(f"UpdateIngestionDestination ThrottlingException …c3d/{prefix}")


@pytest.mark.parametrize("width", [40, 80, 120, 200])
@pytest.mark.parametrize(
    ("entry", "text"),
    [
        (FAILED, REASON),
        (CALL | {"error": "ServiceQuotaExceededException"}, "ServiceQuotaExceededException"),
        ({"kind": "invocation", "at": 0, "error": REASON}, REASON),
    ],
    ids=["a resource", "a call", "the function"],
)
def test_a_failure_can_be_read_to_its_end(entry: Any, text: str, width: int) -> None:
    assert text in " ".join(each.strip() for each in shown(entry, width=width))


@pytest.mark.parametrize("width", [80, 120, 200])
def test_another_region_can_be_read_to_its_end(width: int) -> None:
    lines = shown(CALL, width=width, region="eu-west-1")
    assert "names us-east-1, and the local environment is in eu-west-1" in " ".join(each.strip() for each in lines)
