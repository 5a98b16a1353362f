"""The request that CloudFormation sends, checked before anything is done. Standard library only.

https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/crpg-ref-requests.html
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import NAMESPACE_URL, uuid5

REQUEST_TYPES = ("Create", "Update", "Delete")
# The first invocation begins within seconds of its request; Lambda waits for a minute before it retries an event.
FIRST_WITHIN = 10.0
# Within a shorter ServiceTimeout hardly anything can be done.
SHORTEST_TIMEOUT = 30.0
_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


class NotARequest(Exception):
    """The event is not a request that can be responded to. The text holds nothing of the event."""


@dataclass(frozen=True, kw_only=True)
class Request:
    """One request of CloudFormation's.

    Attributes:
        type: Create, Update or Delete; "" when it is anything else.
        physical_resource_id: "" for a Create.
        signed_at: When CloudFormation signed the ResponseURL, which it does when it makes the request, in whole
            seconds; None when the URL does not say.
        age: Seconds from then until this invocation began, 0 when the URL does not say.
    """

    type: str
    response_url: str
    stack_id: str
    request_id: str
    logical_resource_id: str
    physical_resource_id: str
    properties: Mapping[str, Any]
    old_properties: Mapping[str, Any]
    signed_at: datetime | None
    age: float

    @classmethod
    def parse(cls, event: object, *, now: datetime, schemes: tuple[str, ...] = ("https",)) -> Request:
        """Check an event.

        Args:
            event: What Lambda was invoked with.
            now: The time of day, with a time zone.
            schemes: What the ResponseURL may begin with.

        Raises:
            NotARequest: There is nowhere to respond to, or it is one of crhelper's own polls.
        """
        if not isinstance(event, Mapping):
            raise NotARequest("the event is not an object")
        if any(str(name).startswith("CrHelper") for name in event):
            raise NotARequest("the event is a poll of crhelper's, which this function never asks for")
        texts = {}
        for name in ("ResponseURL", "StackId", "RequestId", "LogicalResourceId"):
            texts[name] = event.get(name)
            if not isinstance(texts[name], str) or not texts[name]:
                raise NotARequest(f"the event has no {name}")
        url = str(texts["ResponseURL"])
        if not _is_url(url, schemes):
            raise NotARequest(f"the ResponseURL is not an {' or '.join(schemes)} URL")
        request_type = event.get("RequestType")
        signed_at = _signed_at(url)
        return cls(
            type=request_type if request_type in REQUEST_TYPES else "",
            response_url=url,
            stack_id=str(texts["StackId"]),
            request_id=str(texts["RequestId"]),
            logical_resource_id=str(texts["LogicalResourceId"]),
            # A Create has none, whatever the event says.
            physical_resource_id="" if request_type == "Create" else str(event.get("PhysicalResourceId") or ""),
            properties=_object(event.get("ResourceProperties")),
            old_properties=_object(event.get("OldResourceProperties")),
            signed_at=signed_at,
            age=max((now - signed_at).total_seconds(), 0.0) if signed_at else 0.0,
        )

    @property
    def client_token(self) -> str:
        """The RequestId, which is a UUID in every real request; anything else gives a stable UUID."""
        if _UUID.fullmatch(self.request_id):
            return self.request_id
        return str(uuid5(NAMESPACE_URL, f"{self.stack_id}|{self.request_id}"))

    @property
    def may_be_duplicate(self) -> bool:
        """Whether this invocation may not be the request's first one, as far as its age shows."""
        return self.age > FIRST_WITHIN

    @property
    def service_timeout(self) -> float | None:
        """Seconds that CloudFormation waits for the response, None when the template does not say.

        While an update changes it, which of the two values is in force is not documented: the shorter one is assumed,
        unless the old one leaves no time to work: the rollback of such a mistake could never succeed.
        """
        new, old = _service_timeout(self.properties), _service_timeout(self.old_properties)
        if old is None or old < SHORTEST_TIMEOUT:
            return new
        return old if new is None else min(new, old)


def _service_timeout(properties: Mapping[str, Any]) -> float | None:
    seconds = str(properties.get("ServiceTimeout", ""))
    return float(seconds) if re.fullmatch(r"[0-9]{1,4}", seconds) and 1 <= int(seconds) <= 3600 else None


def _is_url(url: str, schemes: tuple[str, ...]) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in schemes and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def _signed_at(url: str) -> datetime | None:
    date = parse_qs(urlsplit(url).query).get("X-Amz-Date", [""])[0]
    try:
        return datetime.fromisoformat(date).replace(tzinfo=UTC)  # strptime would load a module for it
    except ValueError:
        return None


def _object(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
