"""Every fault at every call of every step of a life: one answer in time, and nothing left that no id names.

The calls are not written down but taken from a run without a fault. After each fault CloudFormation does what it does:
it deletes what failed to be created, sends an update back, deletes again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from ingestion_destination.delivery import Undelivered
from local.appfabric import Fault
from tests.contract.laptop import (
    INGESTION,
    OTHER_INGESTION,
    Answer,
    Context,
    CustomResource,
    processing,
    properties,
    to_stream,
)

OLD = properties(Tags=[{"Key": "gone", "Value": "1"}, {"Key": "changed", "Value": "1"}])
TAGGED = properties(Tags=[{"Key": "changed", "Value": "2"}])
MOVED = properties(DestinationConfiguration=to_stream("elsewhere"), Tags=OLD["Tags"])
REPLACED = properties(ProcessingConfiguration=processing("raw", "json"), Tags=OLD["Tags"])
REPARENTED = properties(IngestionIdentifier=OTHER_INGESTION, Tags=OLD["Tags"])
MADE_UP = "audit-logs-Destination-1A2B3C4D5E6F"
FOREIGN = f"{INGESTION}/ingestiondestination/99999999-9999-4999-8999-999999999999"


@dataclass(frozen=True)
class Step:
    """One request, and what was there before it."""

    request_type: str
    properties: dict[str, Any]
    of: Callable[[CustomResource], str] | None = None

    def begin(self) -> tuple[CustomResource, dict[str, Any]]:
        """A world in which the request comes next."""
        resource = CustomResource(timeout=15)
        resource.place(FOREIGN, tags={"team": "somebody else"})
        more: dict[str, Any] = {}
        if self.of:
            more["PhysicalResourceId"] = self.of(resource)
        if self.request_type == "Update":
            more["OldResourceProperties"] = OLD
        resource.time.sleep(90)  # the container is no longer new, and clocks tell the requests apart
        resource.forget_calls()
        return resource, resource.event(self.request_type, ResourceProperties=self.properties, **more)


def made(resource: CustomResource) -> str:
    return resource.create(OLD).id


def lost(resource: CustomResource) -> str:
    resource.create(OLD)
    return MADE_UP


STEPS = {
    "create": Step("Create", OLD),
    "move": Step("Update", MOVED, made),
    "tag": Step("Update", TAGGED, made),
    "change nothing": Step("Update", OLD, made),
    "replace": Step("Update", REPLACED, made),
    "replace elsewhere": Step("Update", REPARENTED, made),
    "delete": Step("Delete", OLD, made),
    "delete what a lost create left": Step("Delete", OLD, lost),
}
FAULTS: dict[str, dict[str, Any]] = {
    "throttle": {"error": "ThrottlingException"},
    "500": {"error": "InternalServerException"},
    "500 after the effect": {"error": "InternalServerException", "after": True},
    "403": {"error": "AccessDeniedException"},
    "cut before the effect": {"cut": True},
    "cut after the effect": {"cut": True, "after": True},
    "hang": {"hang": 600},
    "hang after the effect": {"hang": 600, "after": True},
    "slow": {"delay": 2},
}


def calls_of(step: Step) -> list[str]:
    resource, event = step.begin()
    assert resource.send(event).status == "SUCCESS"
    return [call.operation for call in resource.calls()]


CASES = [
    pytest.param(name, operation, calls[:index].count(operation), fault, times, id=f"{name}-{index}-{fault}-{times}")
    for name, calls in ((name, calls_of(step)) for name, step in STEPS.items())
    for index, operation in enumerate(calls)
    for fault in FAULTS
    for times in (1, 9999)
]


@pytest.mark.parametrize(("name", "operation", "skip", "fault", "times"), CASES)
def test_a_fault_of_appfabrics(name: str, operation: str, skip: int, fault: str, times: int) -> None:
    step = STEPS[name]
    resource, event = step.begin()
    before = set(resource.appfabric.destinations)
    resource.appfabric.order(Fault(operation=operation, skip=skip, times=times, **FAULTS[fault]))
    answer = resource.send(event)
    resource.appfabric.cancel_orders()
    looks = step.of is lost  # until the time is up: its last call has none for another try
    if times == 1 and fault != "403" and not looks:
        assert answer.status == "SUCCESS"
    finish(resource, step, event, answer, before)


@pytest.mark.parametrize("name", STEPS)
@pytest.mark.parametrize("refused", [False, True])
def test_an_answer_that_does_not_arrive(name: str, refused: bool) -> None:
    step = STEPS[name]
    resource, event = step.begin()
    before = set(resource.appfabric.destinations)
    resource.mailbox.refuse.append(Undelivered("HTTP 403" if refused else "TimeoutError", refused=refused))
    with pytest.raises(Undelivered):
        resource.provider(event, Context(resource.time, resource.timeout))
    if refused and step.request_type in {"Create", "Update"}:
        assert set(resource.appfabric.destinations) == before
    resource.cold_start()
    resource.time.sleep(60)
    finish(resource, step, event, resource.send(event), before)


def finish(resource: CustomResource, step: Step, event: dict[str, Any], answer: Answer, before: set[str]) -> None:
    """What CloudFormation does with the answer, and what must be left then."""
    there = resource.appfabric.destinations
    was = event.get("PhysicalResourceId")
    if step.request_type == "Create":
        if answer.status == "FAILED":
            assert resource.delete(answer.id, OLD).status == "SUCCESS"
            assert set(there) == {FOREIGN}
        else:
            assert set(there) == {FOREIGN, answer.id}
    elif step.request_type == "Update":
        if answer.status == "FAILED":
            assert answer.id == was
            back = resource.update(was, OLD, step.properties)
            assert (back.status, back.id) == ("SUCCESS", was)
            assert set(there) == {FOREIGN, was}
        else:
            assert set(there) == {FOREIGN, was, answer.id}
    else:
        if answer.status == "FAILED":
            assert answer.id == was
            assert resource.delete(was, OLD).status == "SUCCESS"
        assert set(there) == {FOREIGN}
    assert there[FOREIGN].tags == {"team": "somebody else"}


def test_the_cases_are_of_every_call() -> None:
    """A generator that finds nothing would pass."""
    assert {case.values[1] for case in CASES} == {
        "CreateIngestionDestination",
        "DeleteIngestionDestination",
        "GetIngestionDestination",
        "ListIngestionDestinations",
        "ListTagsForResource",
        "TagResource",
        "UntagResource",
        "UpdateIngestionDestination",
    }
    assert len(CASES) > 300
