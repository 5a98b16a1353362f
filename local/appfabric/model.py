"""Parses and validates requests by AppFabric's service model, as botocore ships it (protocol rest-json)."""

import json
import re
from collections.abc import Mapping
from dataclasses import asdict
from functools import cache
from typing import Any, cast
from urllib.parse import parse_qs, unquote

from botocore.loaders import create_loader
from botocore.model import ListShape, OperationModel, ServiceModel, Shape, StructureShape

from local.appfabric.constraints import mistakes
from local.appfabric.errors import invalid
from local.appfabric.transport import HttpRequest


@cache
def service_model() -> ServiceModel:
    """The newest model of AppFabric in the installed botocore."""
    return ServiceModel(create_loader().load_service_model("appfabric", "service-2"), "appfabric")


def error_shape(code: str) -> Shape | None:
    """The shape of an error, None for a code that is not modeled."""
    return next((shape for shape in service_model().error_shapes if shape.name == code), None)


@cache
def errors_of(operation: str) -> frozenset[str]:
    """The codes of the errors that an operation can have."""
    return frozenset(shape.name for shape in service_model().operation_model(operation).error_shapes)


def route(request: HttpRequest) -> OperationModel:
    """The operation a request is for, matched before anything is percent-decoded.

    So an ARN that identifies a resource must be one segment, its slashes quoted as %2F.

    Raises:
        ServiceError: no operation has this method and path. Its code is a guess, from the model's reason
            of that name.
    """
    segments = _segments(request)
    for name in service_model().operation_names:
        operation = service_model().operation_model(name)
        template = operation.http["requestUri"].split("/")
        if operation.http["method"] == request.method and len(template) == len(segments):
            pairs = zip(template, segments, strict=True)
            if all(wanted == found or (wanted.startswith("{") and found) for wanted, found in pairs):
                return operation
    raise invalid("The request is for no operation of this service", reason="unknownOperation")


def parameters(operation: OperationModel, request: HttpRequest) -> dict[str, Any]:
    """The request's parameters by their names in the API, decoded but not validated.

    What the model does not know is left out, and so is null.

    Raises:
        ServiceError: the path, the query or the body cannot be decoded.
    """
    try:
        template = operation.http["requestUri"].split("/")
        segments = [unquote(segment, errors="strict") for segment in _segments(request)]
        query = parse_qs(request.target.partition("?")[2], keep_blank_values=True, errors="strict")
        body = json.loads(request.body or b"{}")
    except (ValueError, RecursionError):
        raise invalid("The request cannot be parsed", reason="cannotParse") from None
    if not isinstance(body, dict):
        raise invalid("The body of the request must be a JSON object", reason="cannotParse")
    found: dict[str, Any] = {}
    for name, shape in _input(operation).members.items():
        sent_as = shape.serialization.get("name", name)
        match shape.serialization.get("location"):
            case "uri":
                found[name] = segments[template.index(f"{{{sent_as}}}")]
            case "querystring":
                found[name] = _from_query(shape, query.get(sent_as))
            case _:
                found[name] = _known(shape, body.get(sent_as))
    return {name: value for name, value in found.items() if value is not None}


def validate(operation: OperationModel, found: Mapping[str, Any]) -> None:
    """Refuse parameters that break constraints of the model.

    Raises:
        ServiceError: a ValidationException that names all mistakes in its `fieldList`.
    """
    fields = [asdict(mistake) for mistake in mistakes(_input(operation), found)]
    if fields:
        text = "; ".join(f"{field['name']} {field['message']}" for field in fields)
        raise invalid(f"Invalid request: {text}", reason="fieldValidationFailed", fieldList=fields)


def _input(operation: OperationModel) -> StructureShape:
    return cast("StructureShape", operation.input_shape)  # every operation of this service has one


def _segments(request: HttpRequest) -> list[str]:
    return request.target.partition("?")[0].split("/")


def _from_query(shape: Shape, values: list[str] | None) -> Any:
    if values is None or isinstance(shape, ListShape):
        return values
    # A number that is none stays text, for `validate` to refuse.
    if shape.type_name == "integer" and re.fullmatch(r"-?[0-9]{1,18}", values[0]):
        return int(values[0])
    return values[0]


def _known(shape: Shape, value: Any) -> Any:
    if isinstance(shape, StructureShape) and isinstance(value, dict):
        members = {name: _known(member, value.get(name)) for name, member in shape.members.items()}
        return {name: member for name, member in members.items() if member is not None}
    if isinstance(shape, ListShape) and isinstance(value, list):
        return [_known(shape.member, item) for item in value]
    return value
