"""The response fits CloudFormation's limit, whatever its content."""

import json
from typing import Any

import pytest

from ingestion_destination.cloudformation.request import Request
from ingestion_destination.cloudformation.responder import Callbacks, make_responder
from ingestion_destination.cloudformation.response import MAX_BYTES, Response
from tests.support.custom_resource import Context, CustomResource


def request(**changed: Any) -> Request:
    resource = CustomResource()
    return Request.parse(resource.event("Create", **changed), now=resource.time.now())


@pytest.mark.parametrize("character", ["x", "é", "😀", '"', "\\", "\x00", "\ud800"])
def test_long_text_is_truncated_and_short_text_is_not(character: str) -> None:
    data = {"Arn": "arn:aws:appfabric:x", "StatusReason": character * 10_000}
    body = Response(physical_resource_id="id", data=data).body(request())
    assert len(body) <= MAX_BYTES
    assert json.loads(body)["Data"]["Arn"] == data["Arn"]
    assert len(json.loads(body)["Data"]["StatusReason"]) > 300


def test_ids_that_are_too_long_by_themselves_still_get_a_response() -> None:
    body = Response(physical_resource_id="id", failure="why").body(request(LogicalResourceId="L" * 5000))
    assert json.loads(body)["Status"] == "FAILED"


def test_a_success_is_sent_although_the_event_lacks_what_crhelper_reads() -> None:
    resource, sent = CustomResource(), list[Response]()
    event = resource.event("Delete", StackId="dev")  # of which crhelper cannot make a PhysicalResourceId
    done = Response(physical_resource_id="")
    make_responder().respond(
        event,
        Context(resource.time, timeout=300),
        Callbacks(
            fulfill=lambda: done,
            timed_out=lambda: Response(physical_resource_id="", failure="timed out"),
            send=sent.append,
            watchdog_after=300,
        ),
    )
    assert sent == [done]


@pytest.mark.parametrize("error", [ValueError, KeyError])
def test_an_error_in_the_work_does_not_keep_the_other_response_from_being_sent(error: type[Exception]) -> None:
    resource, sent = CustomResource(), list[Response]()
    timed_out = Response(physical_resource_id="", failure="timed out")

    def fulfill() -> Response:
        raise error

    make_responder().respond(
        resource.event("Create"),
        Context(resource.time, timeout=300),
        Callbacks(fulfill=fulfill, timed_out=lambda: timed_out, send=sent.append, watchdog_after=300),
    )
    assert sent == [timed_out]
