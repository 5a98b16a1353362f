"""The live view of `make local` at several widths of a terminal."""

import io
from typing import Any

import pytest
from rich.console import Console

from local.activity_view import line, print_line
from tests.support.properties import BUNDLE, INGESTION

CALL = {
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
            "auditLog": {"destination": {"s3Bucket": {"bucketName": "a-bucket-of-a-company", "prefix": "p" * 70}}}
        },
    },
}


def shown(entry: Any, *, width: int, region: str) -> list[str]:
    console = Console(file=io.StringIO(), force_terminal=True, no_color=True, width=width)
    text = line(entry, region)
    assert text is not None
    print_line(console, text)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue().splitlines()


@pytest.mark.parametrize("width", [80, 120, 200])
def test_an_entry_takes_one_line(width: int) -> None:
    (only,) = shown(CALL, width=width, region="us-east-1")
    assert "CreateIngestionDestination 201" in only
    assert ("…" in only[-8:]) == (width < 200)


@pytest.mark.parametrize("width", [80, 120, 200])
def test_another_region_can_be_read_to_its_end(width: int) -> None:
    lines = shown(CALL, width=width, region="eu-west-1")
    assert "names us-east-1, and the local environment is in eu-west-1" in " ".join(each.strip() for each in lines)
