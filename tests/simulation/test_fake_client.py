"""The simulation's client behaves as a real boto3 client does, operation by operation, fault by fault.

Both are attached to emulators in the same state; the real one through botocore's serializer, parser and error factory.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from ingestion_destination.appfabric.client import refuse_unreadable
from local import appfabric
from local.appfabric import Fault, Outcome, operations
from tests.simulation.aws import Behavior, Client, Invocation, Plan, Request, Simulation, installed
from tests.simulation.aws import Fault as Planned
from tests.simulation.scenarios import HAND_MADE
from tests.support.properties import BUNDLE, INGESTION, OTHER_INGESTION

ARN = HAND_MADE[0]
GONE = f"{INGESTION}/ingestiondestination/99999999-9999-4999-8999-000000000000"
TARGET = {"auditLog": {"destination": {"s3Bucket": {"bucketName": "one", "prefix": "p"}}}}
PROCESSING = {"auditLog": {"schema": "ocsf", "format": "json"}}
PARENTS = {"appBundleIdentifier": BUNDLE, "ingestionIdentifier": INGESTION}
NAMED = {**PARENTS, "ingestionDestinationIdentifier": ARN}
CREATES = {
    **PARENTS,
    "processingConfiguration": PROCESSING,
    "destinationConfiguration": TARGET,
    "clientToken": "11111111-1111-4111-8111-111111111111",
    "tags": [{"key": "a", "value": "1"}],
}
# Members of ResponseMetadata on which nothing depends.
UNCOMPARED = {"RequestId", "HTTPHeaders", "RetryAttempts", "MaxAttemptsReached"}

CALLS: dict[str, dict[str, Any]] = {
    "create_ingestion_destination": CREATES,
    "get_ingestion_destination": NAMED,
    "update_ingestion_destination": {**NAMED, "destinationConfiguration": TARGET},
    "delete_ingestion_destination": NAMED,
    "list_ingestion_destinations": PARENTS,
    "tag_resource": {"resourceArn": ARN, "tags": [{"key": "b", "value": "2"}]},
    "untag_resource": {"resourceArn": ARN, "tagKeys": ["a"]},
    "list_tags_for_resource": {"resourceArn": ARN},
}
REFUSED: dict[str, tuple[str, dict[str, Any]]] = {
    "get of a deleted destination": ("get_ingestion_destination", {**NAMED, "ingestionDestinationIdentifier": GONE}),
    "update of a deleted destination": (
        "update_ingestion_destination",
        {**NAMED, "ingestionDestinationIdentifier": GONE, "destinationConfiguration": TARGET},
    ),
    "delete of a deleted destination": (
        "delete_ingestion_destination",
        {**NAMED, "ingestionDestinationIdentifier": GONE},
    ),
    "tags of a deleted destination": ("list_tags_for_resource", {"resourceArn": GONE}),
    "tag of a deleted destination": ("tag_resource", {"resourceArn": GONE, "tags": [{"key": "b", "value": "2"}]}),
    "untag of a deleted destination": ("untag_resource", {"resourceArn": GONE, "tagKeys": ["a"]}),
    "reserved tag": ("tag_resource", {"resourceArn": ARN, "tags": [{"key": "aws:b", "value": "2"}]}),
    "bucket name too long": (
        "create_ingestion_destination",
        CREATES | {"destinationConfiguration": {"auditLog": {"destination": {"s3Bucket": {"bucketName": "x" * 99}}}}},
    ),
    "stream with parquet": (
        "create_ingestion_destination",
        CREATES
        | {
            "processingConfiguration": {"auditLog": {"schema": "ocsf", "format": "parquet"}},
            "destinationConfiguration": {"auditLog": {"destination": {"firehoseStream": {"streamName": "one"}}}},
        },
    ),
    "an unknown page token": ("list_ingestion_destinations", {**PARENTS, "nextToken": "x"}),
}
FAULTS: dict[str, dict[str, Any]] = {
    "throttled": {"error": "ThrottlingException"},
    "403": {"error": "AccessDeniedException"},
    "500 before the effect": {"error": "InternalServerException"},
    "500 after the effect": {"error": "InternalServerException", "after": True},
    "404 of a proxy": {"error": "404", "http_status": 404},
    "connection cut before the effect": {"cut": True},
    "connection cut after the effect": {"cut": True, "after": True},
    "hangs before the effect": {"hang": 60},
    "hangs after the effect": {"hang": 60, "after": True},
}


class Pair:
    """Two clients of two emulators that are in the same state."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, behavior: Behavior = Behavior()) -> None:
        self.simulation = Simulation(behavior=behavior)
        self.service = appfabric.AppFabricEmulator(
            now=self.simulation.appfabric_now, new_id=lambda: str(self.simulation.uuid()), sleep=self._pass
        )
        self.service.page_size = 2
        for account in (self.simulation.appfabric, self.service):
            account.place(arn=ARN, processing=PROCESSING, destination=copy.deepcopy(TARGET), tags={"a": "1"})
            account.place(arn=HAND_MADE[1], processing=PROCESSING, destination=copy.deepcopy(TARGET))
        self.simulation.take_snapshot(ARN)
        self.simulation._snapshots[:] = self.simulation._snapshots[-1:]
        self.plan = Plan(latency=0)
        self.real = boto3.client(
            "appfabric",
            region_name="us-east-1",
            aws_access_key_id="AKIDEXAMPLE",
            aws_secret_access_key="secret-key-of-the-role",
            config=Config(read_timeout=30, retries={"mode": "standard", "total_max_attempts": 1}),
        )
        appfabric.attach(self.real, self.service)
        self.passed = 0.0

    def _pass(self, seconds: float) -> None:
        self.passed += seconds

    def call(self, method: str, parameters: dict[str, Any]) -> tuple[Any, Any]:
        """Return the outcomes of a call by the simulation's client and by the real one."""
        return self._fake(method, parameters), outcome_of(lambda: getattr(self.real, method)(**parameters))

    def _fake(self, method: str, parameters: dict[str, Any]) -> Any:
        results: list[Any] = []

        def body() -> None:
            request = Request("a request", {"RequestType": "Create"}, 0.0, 720, 1)
            invocation = Invocation(self.simulation, request, self.plan, 0, duplicate=False)
            task = self.simulation.scheduler.running
            assert task is not None
            invocation.main, task.owner = task, invocation
            results.append(outcome_of(lambda: getattr(Client(self.simulation), method)(**parameters)))

        self.simulation.scheduler.start(body)
        self.simulation.scheduler.run()
        return results[0]


def without_update_time(destination: Any) -> Any:
    """Return a destination without the time of its last update, which differs after a hanging call."""
    return replace(destination, updated_at=None)


def outcome_of(call: Callable[[], Any]) -> Any:
    """Return what a call returned, or what a program can see of its exception."""
    try:
        return comparable(call())
    except ClientError as error:
        members = {name: value for name, value in error.response.items() if name not in {"Error", "message"}}
        return type(error).__name__, error.response["Error"]["Code"], error.operation_name, comparable(members)
    except Exception as error:
        return type(error).__module__, type(error).__name__


def comparable(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: comparable(member) for name, member in value.items() if name not in UNCOMPARED}
    if isinstance(value, list):
        return [comparable(member) for member in value]
    if isinstance(value, datetime):
        assert value.utcoffset() is not None
        return value.astimezone(UTC)
    return value


@pytest.fixture
def pair(monkeypatch: pytest.MonkeyPatch) -> Iterator[Pair]:
    with installed():
        # Both sides draw their own UUIDs, which must be equal.
        pair = Pair(monkeypatch)
        numbers = {id(pair.simulation.appfabric): 0, id(pair.service): 0}
        create = operations.create_ingestion_destination
        listed = operations.list_ingestion_destinations

        def numbered(operation: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
            def perform(account: Any, request: Any) -> Any:
                numbers[id(account)] += 1
                pair.simulation._uuids = 1000 + numbers[id(account)]
                return operation(account, request)

            return perform

        monkeypatch.setattr(operations, "create_ingestion_destination", numbered(create))
        monkeypatch.setattr(operations, "list_ingestion_destinations", numbered(listed))
        yield pair


@pytest.mark.parametrize("method", CALLS)
def test_successful_calls_are_equal(method: str, pair: Pair) -> None:
    fake, real = pair.call(method, CALLS[method])
    assert isinstance(real, dict), real
    assert fake == real


@pytest.mark.parametrize("what", REFUSED)
def test_rejected_calls_are_equal(what: str, pair: Pair) -> None:
    fake, real = pair.call(*REFUSED[what])
    assert isinstance(real, tuple), real
    assert fake == real


def test_second_pages_are_equal(pair: Pair) -> None:
    for number in range(3):
        pair.call(
            "create_ingestion_destination", CREATES | {"clientToken": f"{number:08d}-0000-4000-8000-000000000000"}
        )
    fake, real = pair.call("list_ingestion_destinations", PARENTS)
    assert fake == real
    assert len(real["ingestionDestinations"]) == 2
    fake, real = pair.call("list_ingestion_destinations", {**PARENTS, "nextToken": real["nextToken"]})
    assert fake == real


def test_calls_with_a_reused_token_are_equal(pair: Pair) -> None:
    first = pair.call("create_ingestion_destination", CREATES)
    assert pair.call("create_ingestion_destination", CREATES) == first
    fake, real = pair.call("create_ingestion_destination", {**CREATES, "tags": [{"key": "a", "value": "2"}]})
    assert fake == real
    assert real[1] == "IdempotentParameterMismatch"


def test_quota_errors_are_equal(pair: Pair) -> None:
    responses = [
        pair.call("create_ingestion_destination", CREATES | {"clientToken": f"{n:08d}-0000-4000-8000-000000000000"})
        for n in range(6)
    ]
    for fake, real in responses:
        assert fake == real
    assert responses[-1][1][1] == "ServiceQuotaExceededException"


@pytest.mark.parametrize("gets", [0, 1])
@pytest.mark.parametrize("status", ["Active", "Failed"])
def test_pending_statuses_are_equal(status: str, gets: int, pair: Pair) -> None:
    for account in (pair.simulation.appfabric, pair.service):
        account.outcomes.add(
            Outcome(operation="UpdateIngestionDestination", status=status, status_reason="why", pending_gets=gets)
        )
    for method in ("update_ingestion_destination", "get_ingestion_destination", "get_ingestion_destination"):
        fake, real = pair.call(method, CALLS[method])
        assert fake == real


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("method", CALLS)
def test_injected_faults_are_equal(method: str, fault: str, pair: Pair) -> None:
    pair.plan = Plan(calls=(Planned(0, fault),), latency=0)
    pair.service.inject(Fault(**FAULTS[fault]))
    fake, real = pair.call(method, CALLS[method])
    assert isinstance(real, tuple), real
    assert fake == real
    simulated, expected = pair.simulation.appfabric.destinations, pair.service.destinations
    pair.simulation._uuids = 0
    assert [without_update_time(simulated[arn]) for arn in simulated if "9999" in arn] == [
        without_update_time(expected[arn]) for arn in expected if "9999" in arn
    ]
    assert len(simulated) == len(expected)


@pytest.mark.parametrize("method", ["get_ingestion_destination", "delete_ingestion_destination"])
def test_false_not_found_errors_are_equal(method: str, pair: Pair) -> None:
    pair.plan = Plan(calls=(Planned(0, "404 though it exists"),), latency=0)
    members = {"resourceId": ARN, "resourceType": "IngestionDestination"}
    pair.service.inject(Fault(error="ResourceNotFoundException", members=members))
    fake, real = pair.call(method, CALLS[method])
    assert fake == real


@pytest.mark.parametrize("method", CALLS)
def test_unreadable_responses_are_equal(method: str, pair: Pair) -> None:
    """The call took effect, and the function's hook rejects what botocore would parse as an empty object."""
    pair.plan = Plan(calls=(Planned(0, "unreadable response"),), latency=0)

    def cut_short(http_response: Any, **_: Any) -> None:
        http_response._content = b""

    pair.real.meta.events.register_first("after-call.appfabric", cut_short)
    pair.real.meta.events.register("after-call.appfabric", refuse_unreadable)
    fake, real = pair.call(method, CALLS[method])
    if method in {"delete_ingestion_destination", "tag_resource", "untag_resource"}:
        assert isinstance(real, dict), real
    else:
        assert real == ("ingestion_destination.appfabric.errors", "UnreadableResponse")
    assert fake == real


def test_client_metadata_is_equal(pair: Pair) -> None:
    for name in ("region_name", "endpoint_url"):
        assert getattr(Client(pair.simulation).meta, name) == getattr(pair.real.meta, name)


def test_every_operation_is_compared() -> None:
    assert {name.replace("_", "") for name in CALLS} >= {
        name.lower() for name in ("CreateIngestionDestination", "ListTagsForResource", "TagResource", "UntagResource")
    }
    assert OTHER_INGESTION != INGESTION
