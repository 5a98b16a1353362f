"""CloudFormation's side of the contract, in-process: requests as it sends them, responses as it reads them.

Time is simulated: nothing sleeps, and a call that would be interrupted is interrupted.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
from botocore.config import Config

from ingestion_destination.appfabric.client import refuse_unreadable
from ingestion_destination.cloudformation.delivery import Undelivered
from ingestion_destination.deadline import Clock
from ingestion_destination.provider import Provider
from local import appfabric
from local.appfabric import Call
from tests.support.properties import STACK_ID, properties

MUTATING = {
    "CreateIngestionDestination",
    "UpdateIngestionDestination",
    "DeleteIngestionDestination",
    "TagResource",
    "UntagResource",
}


@dataclass
class FakeTime:
    """A clock that advances only when somebody sleeps."""

    passed: float = 0.0
    began: datetime = datetime(2026, 11, 22, 12, 0, 0, tzinfo=UTC)
    cuts: list[float] = field(default_factory=list)

    def clock(self) -> float:
        return 1000 + self.passed

    def now(self) -> datetime:
        return self.began + timedelta(seconds=self.passed)

    def sleep(self, seconds: float) -> None:
        end = self.passed + seconds
        if self.cuts and min(self.cuts) < end:
            self.passed = max(self.passed, min(self.cuts))
            raise TimeoutError("cut")
        self.passed = end

    @contextmanager
    def interrupt_after(self, seconds: float) -> Iterator[None]:
        self.cuts.append(self.passed + seconds)
        try:
            yield
        finally:
            self.cuts.pop()

    def as_clock(self) -> Clock:
        return Clock(monotonic=self.clock, now=self.now, sleep=self.sleep, interrupt_after=self.interrupt_after)


@dataclass
class Context:
    """The part of Lambda's context that the function uses."""

    time: FakeTime
    timeout: float
    aws_request_id: str = "lambda-request"

    def __post_init__(self) -> None:
        self._ends = self.time.passed + self.timeout

    def get_remaining_time_in_millis(self) -> int:
        return max(int((self._ends - self.time.passed) * 1000), 0)


@dataclass(frozen=True)
class ReceivedResponse:
    """A response as CloudFormation reads it."""

    status: str
    id: str
    reason: str
    data: dict[str, str]
    body: dict[str, Any]
    size: int
    seconds: float


@dataclass
class Mailbox:
    """Receives the responses; each error in `refuse` makes one of the next attempts fail."""

    time: FakeTime
    received: list[tuple[str, bytes]] = field(default_factory=list)
    refuse: list[Undelivered] = field(default_factory=list)

    def put(self, url: str, body: bytes, *, ends: float) -> None:
        assert self.time.clock() <= ends, "responded too late"
        if self.refuse:
            raise self.refuse.pop(0)
        self.received.append((url, body))


class CustomResource:
    """One resource of a stack, with its provider and its AppFabric emulator."""

    def __init__(self, *, timeout: float = 300, logical_id: str = "Destination") -> None:
        self.time = FakeTime()
        self.appfabric = appfabric.AppFabricEmulator(now=self.time.now, sleep=self.time.sleep)
        self.mailbox = Mailbox(self.time)
        self.timeout = timeout
        self.logical_id = logical_id
        self.readings = 0
        self.cold_start()

    def cold_start(self) -> None:
        """Start a new container."""
        client = boto3.client(
            "appfabric",
            region_name="us-east-1",
            aws_access_key_id="AKIDEXAMPLE",
            aws_secret_access_key="secret-key-of-the-role",
            config=Config(read_timeout=30, retries={"mode": "standard", "total_max_attempts": 1}),
        )
        appfabric.attach(client, self.appfabric)
        client.meta.events.register("after-call.appfabric", refuse_unreadable)
        self.client: Any = client
        self.provider = Provider(
            client=lambda: client,
            delivery=self.mailbox,  # type: ignore[arg-type]
            clock=self.time.as_clock(),
            started=self.time.clock(),
        )

    def delay_tags(self, seconds: float, *, only: int | None = None) -> None:
        """Let lists of tags be as old as that, or only one of those that each request reads, the first one being 1."""
        history: dict[str, list[tuple[float, dict[str, str]]]] = {}
        list_tags = self.client.list_tags_for_resource

        def remember(call: Call | None = None) -> None:
            at = self.time.passed if call else float("-inf")
            for arn, destination in self.appfabric.destinations.items():
                history.setdefault(arn, []).append((at, dict(destination.tags)))

        def list_old_tags(**parameters: Any) -> Any:
            returned = list_tags(**parameters)
            self.readings += 1
            if only not in {None, self.readings}:
                return returned
            arn = parameters["resourceArn"]
            old = [tags for at, tags in history.get(arn, []) if at <= self.time.passed - seconds]
            if old:
                returned["tags"] = [{"key": key, "value": value} for key, value in old[-1].items()]
            return returned

        remember()
        self.appfabric.subscribe(remember)
        self.client.list_tags_for_resource = list_old_tags

    def event(self, request_type: str, **changed: Any) -> dict[str, Any]:
        """Return a request as CloudFormation sends it; `None` removes a member."""
        signed = self.time.now().strftime("%Y%m%dT%H%M%SZ")
        request_id = str(uuid.uuid4())
        event = {
            "RequestType": request_type,
            "ServiceToken": properties()["ServiceToken"],
            "ResponseURL": f"https://responses.example/{request_id}%7CDestination?X-Amz-Date={signed}"
            "&X-Amz-Signature=0123456789abcdef",
            "StackId": STACK_ID,
            "RequestId": request_id,
            "LogicalResourceId": self.logical_id,
            "ResourceType": "Custom::AppFabricIngestionDestination",
            "ResourceProperties": properties(),
            **changed,
        }
        return {name: value for name, value in event.items() if value is not None}

    def send(self, event: dict[str, Any]) -> ReceivedResponse:
        """Invoke the provider, which must respond exactly once, in time and as CloudFormation documents."""
        before, began, self.readings = len(self.mailbox.received), self.time.passed, 0
        result = self.provider(event, Context(self.time, self.timeout))
        assert result is None
        (received,) = self.mailbox.received[before:]
        return self.read(event, received, self.time.passed - began)

    def read(self, event: dict[str, Any], received: tuple[str, bytes], seconds: float) -> ReceivedResponse:
        url, raw = received
        body = json.loads(raw)
        assert url == event["ResponseURL"]
        assert len(raw) <= 4096
        assert {key: body[key] for key in ("StackId", "RequestId", "LogicalResourceId")} == {
            key: event[key] for key in ("StackId", "RequestId", "LogicalResourceId")
        }
        assert 0 < len(body["PhysicalResourceId"].encode()) <= 1024
        assert all(isinstance(value, str) for value in body["Data"].values())
        assert body["Status"] in {"SUCCESS", "FAILED"}
        assert body["Status"] == "SUCCESS" or body["Reason"]
        assert body["NoEcho"] is False
        assert seconds < self.timeout
        return ReceivedResponse(
            status=body["Status"],
            id=body["PhysicalResourceId"],
            reason=body["Reason"],
            data=body["Data"],
            body=body,
            size=len(raw),
            seconds=seconds,
        )

    def create(self, request: dict[str, Any] | None = None, **changed: Any) -> ReceivedResponse:
        return self.send(self.event("Create", ResourceProperties=request or properties(), **changed))

    def update(
        self, id: str, new: dict[str, Any], old: dict[str, Any] | None = None, **changed: Any
    ) -> ReceivedResponse:
        return self.send(
            self.event(
                "Update",
                PhysicalResourceId=id,
                ResourceProperties=new,
                OldResourceProperties=old or properties(),
                **changed,
            )
        )

    def delete(self, id: str, request: dict[str, Any] | None = None, **changed: Any) -> ReceivedResponse:
        return self.send(
            self.event("Delete", PhysicalResourceId=id, ResourceProperties=request or properties(), **changed)
        )

    def ownership_tags(
        self, token: str, *, replaces: str = "none", requested_at: datetime | None = None, how: str = ""
    ) -> dict[str, str]:
        """Return the ownership tags of a destination that a request of this resource created, by default now."""
        prefix = "custom-appfabric-ingestion-destination:"
        return {
            f"{prefix}StackId": STACK_ID,
            f"{prefix}LogicalResourceId": self.logical_id,
            f"{prefix}Request": f"{token}@{requested_at or self.time.now():%Y%m%dT%H%M%SZ}{how}",
            f"{prefix}Replaces": replaces,
        }

    def tags_of(self, arn: str) -> dict[str, str]:
        """Return the tags of a destination without the ownership tags."""
        tags = self.appfabric.destinations[arn].tags
        return {key: value for key, value in tags.items() if not key.startswith("custom-appfabric-")}

    def place(self, arn: str, **changed: Any) -> None:
        """Place a destination in AppFabric, as if somebody else had just created it."""
        existing = {
            "processing": {"auditLog": {"schema": "ocsf", "format": "json"}},
            "destination": {"auditLog": {"destination": {"s3Bucket": {"bucketName": "audit-logs", "prefix": "saas"}}}},
        }
        self.appfabric.place(arn=arn, **existing | changed)

    def calls(self, *operations: str) -> list[appfabric.Call]:
        """Return the calls so far: all, or those of some operations."""
        return [call for call in self.appfabric.calls if not operations or call.operation in operations]

    def mutations(self) -> list[str]:
        """Return the operations of the mutating calls so far."""
        return [call.operation for call in self.appfabric.calls if call.operation in MUTATING]

    def forget_calls(self) -> None:
        self.appfabric.calls.clear()
