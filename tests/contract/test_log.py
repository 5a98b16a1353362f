"""What the log says of a request: enough to see what happened, and for AWS Support to find a call."""

import pytest

from ingestion_destination.cloudformation.delivery import Undelivered
from local.appfabric import Fault
from tests.conftest import Logs
from tests.support.custom_resource import CustomResource


def lines(logs: Logs, message: str) -> list[dict[str, object]]:
    return [line for line in logs.lines if line["message"] == message]


def test_the_last_line_of_a_request_sums_it_up(resource: CustomResource, logs: Logs) -> None:
    created = resource.create()
    (line,) = lines(logs, "request completed")
    assert logs.lines[-1] == line
    assert (line["level"], line["status"], line["id"]) == ("INFO", "SUCCESS", created.id)
    assert (line["calls"], line["throttled"]) == (len(resource.calls()), 0)
    assert line["seconds"] == 0  # by the test's clock


def test_a_failure_is_summed_up_too(resource: CustomResource, logs: Logs) -> None:
    failed = resource.send(resource.event("Create", ResourceProperties={}))
    (line,) = lines(logs, "request completed")
    assert (line["status"], line["id"], line["calls"]) == ("FAILED", failed.id, 0)


def test_each_call_that_is_sent_again_is_logged_with_appfabrics_request_id(
    resource: CustomResource, logs: Logs
) -> None:
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


def test_a_refusal_is_logged_with_appfabrics_request_id(resource: CustomResource, logs: Logs) -> None:
    resource.appfabric.inject(Fault(operation="CreateIngestionDestination", error="ServiceQuotaExceededException"))
    resource.create()
    (error,) = logs.errors()
    assert error["appfabric_request_id"]


def test_a_response_that_is_not_delivered_names_the_resource(resource: CustomResource, logs: Logs) -> None:
    resource.mailbox.refuse.append(Undelivered("HTTP 500"))
    event = resource.event("Create", ResourceProperties={})
    with pytest.raises(Undelivered):
        resource.send(event)
    (line,) = lines(logs, "the response was not delivered")
    assert line["id"] == f"not-created:{event['RequestId']}"
