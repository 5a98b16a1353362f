"""What arrives from CloudFormation, checked before anything is done or answered.

https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/crpg-ref-requests.html
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

from ingestion_destination.identity import Owner
from ingestion_destination.models import Request

REQUEST_TYPES = ("Create", "Update", "Delete")


class NotARequest(Exception):
    """The event is no request of CloudFormation's that could be answered. The text holds nothing of the event."""


@dataclass(frozen=True, kw_only=True)
class Envelope:
    """A request and where its answer goes."""

    request_type: str
    response_url: str
    request: Request

    @classmethod
    def open(cls, event: object, *, now: datetime, schemes: tuple[str, ...] = ("https",)) -> Envelope:
        """Check an event.

        Args:
            event: What Lambda was invoked with.
            now: The time of day, with a time zone.
            schemes: Of the addresses that answers may go to.

        Returns:
            The envelope; its request_type is "" when CloudFormation has no such request type.

        Raises:
            NotARequest: It cannot be answered, or it is one of crhelper's own polls.
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
        if not _is_address(url, schemes):
            raise NotARequest(f"the ResponseURL is no {' or '.join(schemes)} address")
        request_type = event.get("RequestType")
        made_at = min(_signed_at(url) or now, now)
        return cls(
            request_type=request_type if request_type in REQUEST_TYPES else "",
            response_url=url,
            request=Request(
                request_id=str(texts["RequestId"]),
                made_at=made_at,
                owner=Owner(stack_id=str(texts["StackId"]), logical_resource_id=str(texts["LogicalResourceId"])),
                # A Create has none, whatever the event says.
                physical_resource_id="" if request_type == "Create" else str(event.get("PhysicalResourceId") or ""),
                properties=_object(event.get("ResourceProperties")),
                old_properties=_object(event.get("OldResourceProperties")),
            ),
        )


def _is_address(url: str, schemes: tuple[str, ...]) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in schemes and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def _signed_at(url: str) -> datetime | None:
    """When the address was signed, which CloudFormation does when it makes the request; whole seconds."""
    said = parse_qs(urlsplit(url).query).get("X-Amz-Date", [""])[0]
    try:
        return datetime.fromisoformat(said).replace(tzinfo=UTC)  # strptime would load a module for it
    except ValueError:
        return None


def _object(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
