"""Size, text, state and secrets: what one request leaves to the next, to the log and to CloudFormation."""

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


def test_a_long_status_reason_is_cut_and_the_arn_kept(resource: CustomResource) -> None:
    resource.appfabric.inject(
        Outcome(operation="CreateIngestionDestination", status="Active", status_reason="😀" * 5000)
    )
    response = resource.create()
    assert response.status == "SUCCESS"
    assert response.data["Arn"] == response.id
    assert response.data["StatusReason"].startswith("😀😀")


@pytest.mark.parametrize("text", ["x", "é", "漢", "😀", '"', "\\", "\n", "\ud800"])
def test_a_long_error_keeps_its_code_and_fits(resource: CustomResource, text: str) -> None:
    resource.appfabric.inject(Fault(error="ConflictException", message=text * 10_000))
    response = resource.create()
    assert response.reason.startswith("ConflictException: ")
    assert response.size <= 4096
    assert len(response.reason) > 300


def test_text_arrives_unchanged(resource: CustomResource) -> None:
    resource.create(properties(DestinationConfiguration=to_bucket("abc", prefix="é/漢字/😀")))
    (call,) = resource.calls()
    assert "é/漢字/😀" in str(call.parameters)


def test_requests_in_any_order_share_nothing(resource: CustomResource) -> None:
    """Each response is the one that a container of its own would give."""
    kinds: dict[str, dict[str, Any]] = {
        "good": properties(),
        "wrong": properties(Tagz="x"),
        "stream": properties(DestinationConfiguration=to_stream("abc")),
        "conflict": properties(ProcessingConfiguration=processing("raw", "parquet")),
    }
    chance = random.Random(7)
    for _ in range(100):
        kind = chance.choice(list(kinds))
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


def test_whatever_the_code_raises_is_answered_and_tells_no_value(
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


def test_levels_and_handlers_of_others_stay(resource: CustomResource, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logging.root, "level", logging.WARNING)
    before = list(logging.root.handlers)
    resource.create()
    assert logging.root.level == logging.WARNING
    assert logging.root.handlers == before


def test_every_line_carries_the_request_and_never_the_address(resource: CustomResource, logs: Logs) -> None:
    event = resource.event("Create", ResourceProperties=properties(Tagz="x"))
    resource.send(event)
    for line in logs.lines:
        assert line["correlation_id"] == event["RequestId"]
        assert line["StackId"] == event["StackId"]
        assert line["LogicalResourceId"] == event["LogicalResourceId"]
    assert logs.lines


def test_no_log_holds_a_secret_at_debug_with_every_switch_on(
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


# What CloudFormation refuses to hear


def test_a_create_whose_response_is_refused_changes_nothing_more(resource: CustomResource, logs: Logs) -> None:
    """CloudFormation gives it up, and its own Delete finds the destination."""
    resource.mailbox.refuse.append(Undelivered("HTTP 403", refused=True))
    with pytest.raises(Undelivered):
        resource.provider(resource.event("Create"), Context(resource.time, 300))
    assert resource.mutations() == ["CreateIngestionDestination"]
    assert logs.counted("ResponsesUndelivered") == 1
    assert resource.delete("audit-logs-Destination-1A2B3C4D5E6F").status == "SUCCESS"
    assert not resource.appfabric.destinations


def test_a_replacement_whose_response_is_refused_is_deleted_by_the_rollback(resource: CustomResource) -> None:
    made = resource.create()
    event = resource.event(
        "Update",
        PhysicalResourceId=made.id,
        ResourceProperties=properties(ProcessingConfiguration=processing("raw", "json")),
        OldResourceProperties=properties(),
    )
    resource.mailbox.refuse.append(Undelivered("HTTP 403", refused=True))
    with pytest.raises(Undelivered):
        resource.provider(event, Context(resource.time, 300))
    assert len(resource.appfabric.destinations) == 2
    resource.time.sleep(720)
    rolled_back = resource.update(made.id, properties(), event["ResourceProperties"])
    assert (rolled_back.status, rolled_back.id) == ("SUCCESS", made.id)
    assert list(resource.appfabric.destinations) == [made.id]


def test_a_change_whose_answer_is_refused_stays(resource: CustomResource) -> None:
    made = resource.create()
    resource.mailbox.refuse.append(Undelivered("HTTP 403", refused=True))
    event = resource.event("Update", PhysicalResourceId=made.id, ResourceProperties=properties())
    with pytest.raises(Undelivered):
        resource.provider(event, Context(resource.time, 300))
    assert list(resource.appfabric.destinations) == [made.id]


def test_an_answer_that_did_not_arrive_is_given_by_the_next_run(resource: CustomResource) -> None:
    event = resource.event("Create")
    resource.mailbox.refuse.append(Undelivered("TimeoutError"))
    with pytest.raises(Undelivered):
        resource.provider(event, Context(resource.time, 300))
    response = resource.send(event)
    assert list(resource.appfabric.destinations) == [response.id]
