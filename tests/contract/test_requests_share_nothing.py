"""Size, text, state and secrets: what a request passes on to the next, to the log and to CloudFormation."""

import logging
import random
from typing import Any

import pytest

from ingestion_destination.cloudformation.delivery import Undelivered
from ingestion_destination.lifecycle import Lifecycle
from local.appfabric import Fault, Outcome
from tests.conftest import Logs
from tests.support.custom_resource import Context, CustomResource
from tests.support.properties import processing, properties, to_bucket, to_stream


def test_a_long_status_reason_is_truncated_and_the_arn_is_not(resource: CustomResource) -> None:
    resource.appfabric.inject(
        Outcome(operation="CreateIngestionDestination", status="Active", status_reason="😀" * 5000)
    )
    response = resource.create()
    assert response.status == "SUCCESS"
    assert response.data["Arn"] == response.id
    assert response.data["StatusReason"].startswith("😀😀")


@pytest.mark.parametrize("text", ["x", "é", "漢", "😀", '"', "\\", "\n", "\ud800"])
def test_a_long_error_is_truncated_and_keeps_its_code(resource: CustomResource, text: str) -> None:
    resource.appfabric.inject(Fault(error="ConflictException", message=text * 10_000))
    response = resource.create()
    assert response.reason.startswith("ConflictException: ")
    assert response.size <= 4096
    assert len(response.reason) > 300


def test_non_ascii_text_is_sent_unchanged(resource: CustomResource) -> None:
    resource.create(properties(DestinationConfiguration=to_bucket("abc", prefix="é/漢字/😀")))
    (call,) = resource.calls()
    assert "é/漢字/😀" in str(call.parameters)


def test_requests_in_any_order_share_nothing(resource: CustomResource) -> None:
    """Each response is the one that a new container would send."""
    kinds: dict[str, dict[str, Any]] = {
        "good": properties(),
        "wrong": properties(Tagz="x"),
        "stream": properties(DestinationConfiguration=to_stream("abc")),
        "conflict": properties(ProcessingConfiguration=processing("raw", "parquet")),
    }
    rng = random.Random(7)
    for _ in range(100):
        kind = rng.choice(list(kinds))
        if kind == "conflict":
            resource.appfabric.inject(Fault(error="ConflictException", message="A twin"))
        event = resource.event("Create", ResourceProperties=kinds[kind])
        response = resource.send(event)
        if kind == "wrong":
            assert response.reason.startswith("InvalidRequest: Tagz")
        elif kind == "conflict":
            assert response.reason.startswith("ConflictException: A twin")
        else:
            assert response.reason == ""
            assert response.data["Arn"] == response.id
            resource.delete(response.id)
        assert (response.status == "FAILED") == (kind in {"wrong", "conflict"})
        assert bool(response.data) == (response.status == "SUCCESS")


def test_any_exception_is_reported_without_a_value(
    resource: CustomResource, monkeypatch: pytest.MonkeyPatch, logs: Logs
) -> None:
    for raised in (SystemExit("s3cr3t"), KeyboardInterrupt("s3cr3t"), ZeroDivisionError("s3cr3t"), MemoryError()):

        def fail(*_: object, raised: BaseException = raised) -> None:
            raise raised

        monkeypatch.setattr(Lifecycle, "create", fail)
        response = resource.create()
        assert response.reason.startswith(f"InternalFailure: {type(raised).__name__}")
    assert "s3cr3t" not in logs.text
    assert "in fail" in logs.text


def test_the_root_loggers_level_and_handlers_do_not_change(
    resource: CustomResource, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging.root, "level", logging.WARNING)
    before = list(logging.root.handlers)
    resource.create()
    assert logging.root.level == logging.WARNING
    assert logging.root.handlers == before


def test_every_log_line_identifies_the_request(resource: CustomResource, logs: Logs) -> None:
    event = resource.event("Create", ResourceProperties=properties(Tagz="x"))
    resource.send(event)
    for line in logs.lines:
        assert line["correlation_id"] == event["RequestId"]
        assert line["StackId"] == event["StackId"]
        assert line["LogicalResourceId"] == event["LogicalResourceId"]
    assert logs.lines


def test_the_debug_log_contains_no_secret(
    resource: CustomResource, logs: Logs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("POWERTOOLS_LOGGER_LOG_EVENT", "true")
    monkeypatch.setenv("POWERTOOLS_DEBUG", "true")
    monkeypatch.setattr(logging.root, "level", logging.DEBUG)
    from ingestion_destination.observability import logger

    level = logger.log_level
    logger.setLevel(logging.DEBUG)
    try:
        resource.create(properties(Tags=[{"Key": "t", "Value": "s3cr3t" * 50}]))
        resource.create(properties(DestinationConfiguration=to_bucket("s3cr3t" * 20)))
        resource.mailbox.refuse.append(Undelivered("responses.example responded HTTP 403", refused=True))
        with pytest.raises(Undelivered) as undelivered:
            resource.provider(resource.event("Create"), Context(resource.time, 300))
        resource.appfabric.inject(Fault(error="ConflictException"))
        resource.create()
    finally:
        logger.setLevel(level)
    text = logs.text + str(undelivered.value)
    for secret in ("Signature", "0123456789abcdef", "s3cr3t", "secret-key-of-the-role", "AKIDEXAMPLE"):
        assert secret not in text


# Responses that CloudFormation rejects or never gets


def test_a_create_whose_response_is_rejected_makes_no_more_changes(resource: CustomResource, logs: Logs) -> None:
    """CloudFormation gives up on the request, and its own Delete finds the destination."""
    resource.mailbox.refuse.append(Undelivered("HTTP 403", refused=True))
    with pytest.raises(Undelivered):
        resource.provider(resource.event("Create"), Context(resource.time, 300))
    assert resource.mutations() == ["CreateIngestionDestination"]
    assert logs.counted("ResponsesUndelivered") == 1
    assert resource.delete("audit-logs-Destination-1A2B3C4D5E6F").status == "SUCCESS"
    assert not resource.appfabric.destinations


def test_a_replacement_whose_response_is_rejected_is_deleted_by_the_rollback(resource: CustomResource) -> None:
    created = resource.create()
    resource.time.sleep(1)  # by CloudFormation's times, which are whole seconds
    event = resource.event(
        "Update",
        PhysicalResourceId=created.id,
        ResourceProperties=properties(ProcessingConfiguration=processing("raw", "json")),
        OldResourceProperties=properties(),
    )
    resource.mailbox.refuse.append(Undelivered("HTTP 403", refused=True))
    with pytest.raises(Undelivered):
        resource.provider(event, Context(resource.time, 300))
    assert len(resource.appfabric.destinations) == 2
    resource.time.sleep(720)
    rolled_back = resource.update(created.id, properties(), event["ResourceProperties"])
    assert (rolled_back.status, rolled_back.id) == ("SUCCESS", created.id)
    assert list(resource.appfabric.destinations) == [created.id]


def test_an_update_whose_response_is_rejected_keeps_its_destination(resource: CustomResource) -> None:
    created = resource.create()
    resource.mailbox.refuse.append(Undelivered("HTTP 403", refused=True))
    event = resource.event("Update", PhysicalResourceId=created.id, ResourceProperties=properties())
    with pytest.raises(Undelivered):
        resource.provider(event, Context(resource.time, 300))
    assert list(resource.appfabric.destinations) == [created.id]


def test_a_response_that_was_lost_is_sent_by_the_next_invocation(resource: CustomResource) -> None:
    event = resource.event("Create")
    resource.mailbox.refuse.append(Undelivered("TimeoutError"))
    with pytest.raises(Undelivered):
        resource.provider(event, Context(resource.time, 300))
    response = resource.send(event)
    assert list(resource.appfabric.destinations) == [response.id]
