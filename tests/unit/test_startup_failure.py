"""A function that cannot start responds with the cause."""

import json
import os
from dataclasses import dataclass, field
from typing import Any

import pytest

from ingestion_destination.cloudformation.request import NotARequest
from ingestion_destination.startup_failure import StartupFailure
from tests.support.custom_resource import Context, CustomResource, FakeTime

CAUSE = ModuleNotFoundError("No module named 'boto3'")


@dataclass
class Outbox:
    bodies: list[dict[str, Any]] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)

    def put(self, url: str, body: bytes, *, ends: float) -> None:
        self.sizes.append(len(body))
        self.bodies.append({"url": url, **json.loads(body)})


def respond(event: Any, *, after: float = 0, error: Exception = CAUSE) -> dict[str, Any]:
    time, outbox = FakeTime(), Outbox()
    time.sleep(after)
    handler = StartupFailure(error, delivery=outbox, clock=time.as_clock())  # type: ignore[arg-type]
    handler(event, Context(time, 300))
    (body,) = outbox.bodies
    return body


@pytest.fixture
def create(resource: CustomResource) -> dict[str, Any]:
    return resource.event("Create")


@pytest.fixture
def resource() -> CustomResource:
    return CustomResource()


@pytest.mark.parametrize(("after", "marker"), [(0, "not-created"), (60, "unconfirmed")])
def test_a_create_fails_with_the_cause(create: dict[str, Any], after: float, marker: str) -> None:
    """Before a later invocation, the first one may have been able to start."""
    body = respond(create, after=after)
    assert body["url"] == create["ResponseURL"]
    assert body["Status"] == "FAILED"
    reason = "InternalFailure: the function cannot start: ModuleNotFoundError: No module named 'boto3'"
    assert body["Reason"] == reason
    assert body["PhysicalResourceId"] == f"{marker}:{create['RequestId']}"
    assert {body[name] for name in ("StackId", "RequestId", "LogicalResourceId")} == {
        create[name] for name in ("StackId", "RequestId", "LogicalResourceId")
    }


@pytest.mark.parametrize("id", ["arn:aws:appfabric:x", "unconfirmed:x", "audit-logs-Destination-1A2B3C4D5E6F"])
@pytest.mark.parametrize("request_type", ["Update", "Delete"])
def test_an_update_or_delete_fails_and_keeps_its_id(resource: CustomResource, request_type: str, id: str) -> None:
    body = respond(resource.event(request_type, PhysicalResourceId=id))
    assert (body["Status"], body["PhysicalResourceId"]) == ("FAILED", id)


def test_the_delete_of_a_not_created_id_succeeds(resource: CustomResource) -> None:
    """So that the stack can be rolled back."""
    body = respond(resource.event("Delete", PhysicalResourceId="not-created:x"))
    assert (body["Status"], body["PhysicalResourceId"]) == ("SUCCESS", "not-created:x")


def test_a_long_cause_is_truncated(create: dict[str, Any]) -> None:
    body = respond(create, error=ImportError("x\n" * 10_000))
    assert len(json.dumps(body)) < 4096
    assert "\n" not in body["Reason"]


@pytest.mark.parametrize(
    "text", ["\U0001f4a5" * 600, "\x1b[31mred\u202e", os.fsdecode(b"\xff")], ids=["long", "control", "undecodable"]
)
def test_a_response_is_short_enough_and_printable_whatever_the_cause(
    create: dict[str, Any], text: str, caplog: pytest.LogCaptureFixture
) -> None:
    time, outbox = FakeTime(), Outbox()
    event = {**create, "LogicalResourceId": "L" * 255}
    StartupFailure(ValueError(text), delivery=outbox, clock=time.as_clock())(event, Context(time, 300))  # type: ignore[arg-type]
    (body,), (size,) = outbox.bodies, outbox.sizes
    assert size <= 4096
    assert body["Reason"].isprintable()
    assert caplog.text.encode()  # as Lambda's log handler does, outside of any try


def test_an_event_that_is_not_a_request_is_rejected_with_the_cause() -> None:
    with pytest.raises(NotARequest) as rejected:
        StartupFailure(CAUSE)({}, Context(FakeTime(), 300))
    assert rejected.value.__cause__ is CAUSE
