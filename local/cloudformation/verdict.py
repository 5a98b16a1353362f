"""What CloudFormation makes of an answer to a custom resource request.

https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/crpg-ref-responses.html
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

LIMIT = 4096  # bytes of a whole answer, inclusive
_ID_LIMIT = 1024  # bytes of a PhysicalResourceId, inclusive
_COPIED = ("StackId", "RequestId", "LogicalResourceId")


@dataclass(frozen=True)
class Verdict:
    """How a request ended.

    Attributes:
        problem: Why it failed, as the stack's event tells it; None when it succeeded.
        physical_resource_id: The answer's; None when the answer gave none that can be used.
        data: The attributes for Fn::GetAtt; empty when the request failed.
    """

    problem: str | None
    physical_resource_id: str | None = None
    data: Mapping[str, Any] = field(default_factory=dict)


def judge(*, event: Mapping[str, Any], body: bytes) -> Verdict:
    """Judge the answer `body` to the request `event`.

    An answer that breaks the contract fails the request, whatever its Status says, and its
    PhysicalResourceId is lost with it.
    """
    try:
        answer = json.loads(body)
    except ValueError:
        answer = None
    problem = next(_broken_rules(event=event, answer=answer, size=len(body)), None)
    if problem:
        return Verdict(problem=problem)
    physical_id = answer["PhysicalResourceId"]
    if answer["Status"] == "FAILED":
        return Verdict(
            problem="Received response status [FAILED] from custom resource. "
            f"Message returned: {answer['Reason']} (RequestId: {event['RequestId']})",
            physical_resource_id=physical_id,
        )
    if event["RequestType"] == "Delete" and physical_id != event["PhysicalResourceId"]:
        return Verdict(problem="A Delete must be answered with the PhysicalResourceId of its request")
    return Verdict(problem=None, physical_resource_id=physical_id, data=answer.get("Data") or {})


def _broken_rules(*, event: Mapping[str, Any], answer: Any, size: int) -> Iterator[str]:
    """The rules of the contract that an answer breaks. AWS's own words where they are known."""
    if size > LIMIT:
        yield "Response object is too long."
    if not isinstance(answer, dict):
        yield "Response is not valid JSON"
        return
    if answer.get("Status") not in {"SUCCESS", "FAILED"}:
        yield "Invalid Status"
    physical_id = answer.get("PhysicalResourceId")
    if not isinstance(physical_id, str) or not 0 < len(physical_id.encode()) <= _ID_LIMIT:
        yield "Invalid PhysicalResourceId"
    for name in _COPIED:
        if answer.get(name) != event[name]:
            yield f"Invalid {name}"
    if answer.get("Status") == "FAILED" and not answer.get("Reason"):
        yield "Invalid Reason"
    data = answer.get("Data") or {}
    if not isinstance(data, dict) or not all(isinstance(v, str | int | float) for v in data.values()):
        yield "Value of property Data must be an object with String (or simple type) properties"
