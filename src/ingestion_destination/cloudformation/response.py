"""The response to a request: its members, and its limit of 4096 bytes. Standard library only.

https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/crpg-ref-responses.html
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ingestion_destination.cloudformation.request import Request

MAX_BYTES = 4096


@dataclass(frozen=True, kw_only=True)
class Response:
    """What CloudFormation reads: Ref, what Fn::GetAtt can get, and why a request failed."""

    physical_resource_id: str
    data: Mapping[str, str] = field(default_factory=dict)
    failure: str = ""

    @property
    def status(self) -> str:
        """SUCCESS or FAILED."""
        return "FAILED" if self.failure else "SUCCESS"

    def members(self, request: Request) -> dict[str, Any]:
        """The members of the response that CloudFormation documents."""
        return {
            "Status": self.status,
            "PhysicalResourceId": self.physical_resource_id,
            "StackId": request.stack_id,
            "RequestId": request.request_id,
            "LogicalResourceId": request.logical_resource_id,
            "Reason": self.failure,
            "NoEcho": False,
            "Data": dict(self.data),
        }

    def body(self, request: Request) -> bytes:
        """The response as JSON; its longest texts are cut until it has at most 4096 bytes."""
        members = self.members(request)
        while len(body := json.dumps(members, ensure_ascii=False).encode(errors="replace")) > MAX_BYTES:
            holder, key = max(
                [(members, "Reason"), *((members["Data"], key) for key in members["Data"])],
                key=lambda place: len(json.dumps(place[0][place[1]])),
            )
            text = str(holder[key])
            if len(text) <= 1:  # the ids alone are too long, which only an event made by hand can cause
                break
            holder[key] = text[: len(text) * 3 // 4 - 1] + "…"
        return body
