"""The response fits CloudFormation's limit, whatever its content."""

import json
from typing import Any

import pytest

from ingestion_destination.cloudformation.request import Request
from ingestion_destination.cloudformation.response import MOST_BYTES, Response
from tests.support.custom_resource import CustomResource


def request(**changed: Any) -> Request:
    resource = CustomResource()
    return Request.parse(resource.event("Create", **changed), now=resource.time.now())


@pytest.mark.parametrize("character", ["x", "é", "😀", '"', "\\", "\x00", "\ud800"])
def test_long_text_is_truncated_and_short_text_is_not(character: str) -> None:
    data = {"Arn": "arn:aws:appfabric:x", "StatusReason": character * 10_000}
    body = Response(physical_resource_id="id", data=data).body(request())
    assert len(body) <= MOST_BYTES
    assert json.loads(body)["Data"]["Arn"] == data["Arn"]
    assert len(json.loads(body)["Data"]["StatusReason"]) > 300


def test_ids_that_are_too_long_by_themselves_still_get_a_response() -> None:
    body = Response(physical_resource_id="id", failure="why").body(request(LogicalResourceId="L" * 5000))
    assert json.loads(body)["Status"] == "FAILED"
