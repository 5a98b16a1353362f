"""What is logged about a request: enough to see what happened, and for AWS Support to find a call."""

import pytest

from ingestion_destination.cloudformation.delivery import Undelivered
from local.appfabric import Fault
from tests.conftest import Logs
from tests.support.custom_resource import CustomResource


def lines(logs: Logs, message: str) -> list[dict[str, object]]:
    return [line for line in logs.lines if line["message"] == message]


def test_the_last_line_summarizes_the_request(resource: CustomResource, logs: Logs) -> None:
    created = resource.create()
    (line,) = lines(logs, "request completed")
    assert logs.lines[-1] == line
    assert (line["level"], line["status"], line["id"]) == ("INFO", "SUCCESS", created.id)
    assert (line["calls"], line["throttled"]) == (len(resource.calls()), 0)
    assert line["seconds"] == 0  # by the test's clock


def test_a_failed_request_is_summarized_too(resource: CustomResource, logs: Logs) -> None:
    failed = resource.send(resource.event("Create", ResourceProperties={}))
    (line,) = lines(logs, "request completed")
    assert (line["status"], line["id"], line["calls"]) == ("FAILED", failed.id, 0)


def test_each_retried_call_is_logged_with_appfabrics_request_id(resource: CustomResource, logs: Logs) -> None:
    resource.appfabric.inject(Fault(operation="CreateIngestionDestination", error="ThrottlingException", times=2))
    resource.create()
    again = lines(logs, "sending a call again")
    assert [(line["level"], line["operation"]) for line in again] == [("WARNING", "CreateIngestionDestination")] * 2
    ids = {line["appfabric_request_id"] for line in again}
    assert len(ids) == 2
    assert all(ids)
    (line,) = lines(logs, "request completed")
    assert line["throttled"] == 2
    assert str(line["seconds"]) != "0"


def test_a_rejected_call_is_logged_with_appfabrics_request_id(resource: CustomResource, logs: Logs) -> None:
    resource.appfabric.inject(Fault(operation="CreateIngestionDestination", error="ServiceQuotaExceededException"))
    resource.create()
    (error,) = logs.errors()
    assert error["appfabric_request_id"]


def test_an_undelivered_response_is_logged_with_the_physical_id(resource: CustomResource, logs: Logs) -> None:
    resource.mailbox.refuse.append(Undelivered("HTTP 500"))
    event = resource.event("Create", ResourceProperties={})
    with pytest.raises(Undelivered):
        resource.send(event)
    (line,) = lines(logs, "the response was not delivered")
    assert line["id"] == f"not-created:{event['RequestId']}"
