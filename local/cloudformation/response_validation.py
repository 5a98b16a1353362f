"""Validates a response to a custom resource request as CloudFormation does.

https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/crpg-ref-responses.html
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

LIMIT = 4096  # bytes of a whole response, inclusive
_ID_LIMIT = 1024  # bytes of a PhysicalResourceId, inclusive
_COPIED = ("StackId", "RequestId", "LogicalResourceId")


@dataclass(frozen=True)
class Result:
    """How a request ended.

    Attributes:
        problem: Why it failed, as the stack's event says; None when it succeeded.
        physical_resource_id: The response's; None when it has none that can be used.
        data: The attributes for Fn::GetAtt; empty when the request failed.
    """

    problem: str | None
    physical_resource_id: str | None = None
    data: Mapping[str, Any] = field(default_factory=dict)


def validate(*, event: Mapping[str, Any], body: bytes) -> Result:
    """Validate the response `body` to the request `event`.

    A response that breaks the contract fails the request, whatever its Status says, and its
    PhysicalResourceId is lost with it.
    """
    try:
        response = json.loads(body)
    except ValueError:
        response = None
    problem = next(_broken_rules(event=event, response=response, size=len(body)), None)
    if problem:
        return Result(problem=problem)
    physical_id = response["PhysicalResourceId"]
    if response["Status"] == "FAILED":
        return Result(
            problem="Received response status [FAILED] from custom resource. "
            f"Message returned: {response['Reason']} (RequestId: {event['RequestId']})",
            physical_resource_id=physical_id,
        )
    if event["RequestType"] == "Delete" and physical_id != event["PhysicalResourceId"]:
        return Result(problem="The response to a Delete must have the PhysicalResourceId of the request")
    return Result(problem=None, physical_resource_id=physical_id, data=response.get("Data") or {})


def _broken_rules(*, event: Mapping[str, Any], response: Any, size: int) -> Iterator[str]:
    """The rules of the contract that a response breaks. In AWS's own words where they are known."""
    if size > LIMIT:
        yield "Response object is too long."
    if not isinstance(response, dict):
        yield "Response is not valid JSON"
        return
    if response.get("Status") not in {"SUCCESS", "FAILED"}:
        yield "Invalid Status"
    physical_id = response.get("PhysicalResourceId")
    if not isinstance(physical_id, str) or not 0 < len(physical_id.encode()) <= _ID_LIMIT:
        yield "Invalid PhysicalResourceId"
    for name in _COPIED:
        if response.get(name) != event[name]:
            yield f"Invalid {name}"
    if response.get("Status") == "FAILED" and not response.get("Reason"):
        yield "Invalid Reason"
    data = response.get("Data") or {}
    if not isinstance(data, dict) or not all(isinstance(v, str | int | float) for v in data.values()):
        yield "Value of property Data must be an object with String (or simple type) properties"
