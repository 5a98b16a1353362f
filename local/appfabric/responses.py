"""Writes responses and errors as AppFabric's service model describes them."""

import json
import re
from collections.abc import Mapping
from datetime import UTC
from typing import Any
from uuid import uuid4

from botocore.model import ListShape, OperationModel, Shape, StructureShape

from local.appfabric.errors import ServiceError
from local.appfabric.model import error_shape
from local.appfabric.transport import HttpResponse

# The value of a required member of an error where nobody gave one: guesses, since AWS publishes none.
_DEFAULTS = {
    "resourceId": "unknown",
    "resourceType": "IngestionDestination",
    "serviceCode": "appfabric",
    "quotaCode": "L-00000000",
    "reason": "other",
}


def success(operation: OperationModel, output: Mapping[str, Any]) -> HttpResponse:
    """The response to a call that took effect, with the status and the members of the operation's model."""
    status = operation.http["responseCode"]
    if status == 204:
        return HttpResponse(status=status, headers=_headers())
    return HttpResponse(status=status, headers=_headers(), body=_json(serialized(operation.output_shape, output)))


def failure(error: ServiceError) -> HttpResponse:
    """The response to a call that failed; a modeled error has its model's status and required members.

    The default message is the model's own description of the error.
    """
    status = error.http_status
    message = error.message
    if shape := error_shape(error.code):
        status = status or shape.metadata["error"]["httpStatusCode"]
        message = message or re.sub("<[^>]+>", "", shape.documentation)
    headers = _headers() | {"x-amzn-ErrorType": error.code}
    if error.retry_after is not None:
        headers["Retry-After"] = str(error.retry_after)
    return HttpResponse(status=status or 400, headers=headers, body=_json({"message": message, **members_of(error)}))


def members_of(error: ServiceError) -> dict[str, Any]:
    """The members of an error: those given, and those that its model requires."""
    shape = error_shape(error.code)
    required = shape.required_members if shape else ()
    return {name: _DEFAULTS[name] for name in required if name in _DEFAULTS} | dict(error.members)


def serialized(shape: Shape | None, value: Any) -> Any:
    """`value` as JSON carries it; a member that is None or unknown to `shape` is left out."""
    if value is None:
        return None
    if isinstance(shape, StructureShape):
        members = {name: serialized(member, value.get(name)) for name, member in shape.members.items()}
        return {name: member for name, member in members.items() if member is not None}
    if isinstance(shape, ListShape):
        return [serialized(shape.member, item) for item in value]
    if shape is not None and shape.type_name == "timestamp":
        return value.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return value


def _headers() -> dict[str, str]:
    return {"Content-Type": "application/json", "x-amzn-RequestId": str(uuid4())}


def _json(value: Any) -> bytes:
    return json.dumps(value).encode()
