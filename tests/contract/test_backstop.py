"""The watchdog: a call that Python cannot interrupt, such as a hanging DNS lookup."""

import json
import signal
import threading
import time
from dataclasses import dataclass, field
from typing import Any

import pytest

from ingestion_destination.deadline import Clock
from ingestion_destination.provider import Provider
from tests.conftest import Logs
from tests.support.custom_resource import CustomResource
from tests.support.properties import processing, properties

TIMEOUT = 2.0


@dataclass
class RealContext:
    aws_request_id: str = "lambda-request"
    began: float = field(default_factory=time.monotonic)

    def get_remaining_time_in_millis(self) -> int:
        return int((self.began + TIMEOUT - time.monotonic()) * 1000)


@dataclass
class RealMailbox:
    responded: threading.Event = field(default_factory=threading.Event)
    bodies: list[dict[str, Any]] = field(default_factory=list)

    def put(self, url: str, body: bytes, *, ends: float) -> None:
        self.bodies.append(json.loads(body))
        self.responded.set()


@pytest.mark.parametrize("request_type", ["Create", "Delete"])
def test_the_watchdog_responds_once_and_no_call_begins_afterward(
    resource: CustomResource, request_type: str, monkeypatch: pytest.MonkeyPatch, logs: Logs
) -> None:
    created = resource.create() if request_type == "Delete" else None
    mailbox = RealMailbox()
    client = resource.provider.client()
    operation = f"{request_type.lower()}_ingestion_destination"
    call = getattr(client, operation)

    def stuck(**parameters: Any) -> Any:
        signal.signal(signal.SIGALRM, signal.SIG_IGN)  # nothing interrupts it
        assert mailbox.responded.wait(10)
        return call(**parameters)

    monkeypatch.setattr(client, operation, stuck)
    provider = Provider(client=lambda: client, delivery=mailbox, clock=Clock(), started=0)  # type: ignore[arg-type]
    event = resource.event(
        request_type,
        ResponseURL="https://responses.example/x",
        **({"PhysicalResourceId": created.id} if created else {}),
    )
    assert provider(event, RealContext()) is None
    (response,) = mailbox.bodies
    assert response["Status"] == "FAILED"
    assert response["Reason"].startswith("NotStabilized: timed out before the request was completed")
    assert response["PhysicalResourceId"] == (created.id if created else f"unconfirmed:{event['RequestId']}")
    # The call took effect after all; the Delete that follows a failed Create searches for what it created.
    assert len(resource.appfabric.destinations) == (request_type == "Create")
    if request_type == "Create":
        assert resource.delete(response["PhysicalResourceId"]).status == "SUCCESS"
        assert not resource.appfabric.destinations
    assert logs.counted(f"{request_type}Failed") == 1


def test_the_watchdog_reports_a_replacement_that_may_have_been_created(
    resource: CustomResource, monkeypatch: pytest.MonkeyPatch, logs: Logs
) -> None:
    current = resource.create()
    mailbox, client = RealMailbox(), resource.provider.client()
    reported: list[dict[str, Any]] = []

    def stuck(**_: Any) -> Any:
        signal.signal(signal.SIGALRM, signal.SIG_IGN)
        assert mailbox.responded.wait(10)
        reported.extend(logs.errors())  # by the watchdog: this thread may never go on
        raise TimeoutError

    monkeypatch.setattr(client, "create_ingestion_destination", stuck)
    provider = Provider(client=lambda: client, delivery=mailbox, clock=Clock(), started=0)  # type: ignore[arg-type]
    update = {
        "ResponseURL": "https://responses.example/x",
        "PhysicalResourceId": current.id,
        "ResourceProperties": properties(ProcessingConfiguration=processing("raw", "json")),
        "OldResourceProperties": properties(),
    }
    provider(resource.event("Update", **update), RealContext())
    (response,) = mailbox.bodies
    assert (response["Status"], response["PhysicalResourceId"]) == ("FAILED", current.id)
    assert [line["message"] for line in reported] == ["possible orphaned ingestion destination"]
