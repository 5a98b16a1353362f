"""Inject faults into the emulator and observe it over HTTP, from another process.

POST   /_emulator/faults        a JSON list of faults, with the fields of `Fault`
POST   /_emulator/outcomes      a JSON list of outcomes, with the fields of `Outcome`
DELETE /_emulator/faults        forget all faults and outcomes
GET    /_emulator/calls         the calls so far, with the fields of `Call`
GET    /_emulator/destinations  the destinations there are, by the API's names, with their tags
POST   /_emulator/destinations  add one destination, by the same names
POST   /_emulator/reset         forget everything
"""

import json
from dataclasses import asdict
from datetime import datetime
from typing import Any

from local.appfabric.destinations import Destination
from local.appfabric.emulator import AppFabricEmulator
from local.appfabric.faults import Fault, Outcome
from local.appfabric.model import service_model
from local.appfabric.responses import serialized
from local.appfabric.transport import HttpRequest, HttpResponse

PREFIX = "/_emulator/"


def control(service: AppFabricEmulator, request: HttpRequest) -> HttpResponse:
    """Carry out one of the requests above: 200 with JSON, or 400 with a message that names the mistake."""
    named = request.method, request.target.removeprefix(PREFIX)
    try:
        body = json.loads(request.body or b"null")
        result = _observe(service, named) if request.method == "GET" else _change(service, named, body)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        return _respond(400, {"message": f"{type(error).__name__}: {error}"})
    return _respond(200, result)


def _observe(service: AppFabricEmulator, named: tuple[str, str]) -> Any:
    with service.lock:
        match named:
            case "GET", "calls":
                return [asdict(call) | {"at": call.at.isoformat()} for call in service.calls]
            case "GET", "destinations":
                return [_shown(destination) for destination in service.destinations.values()]
    raise _unknown(named)


def _change(service: AppFabricEmulator, named: tuple[str, str], body: Any) -> Any:
    match named:
        case "POST", "faults":
            for fault in [Fault(**fields) for fields in body]:
                service.inject(fault)
        case "POST", "outcomes":
            for outcome in [Outcome(**fields) for fields in body]:
                service.inject(outcome)
        case "DELETE", "faults":
            service.clear_injections()
        case "POST", "destinations":
            return _shown(_place(service, body))
        case "POST", "reset":
            service.reset()
        case _:
            raise _unknown(named)
    return {}


def _unknown(named: tuple[str, str]) -> ValueError:
    return ValueError(f"there is no {named[0]} {PREFIX}{named[1]}")


def _place(service: AppFabricEmulator, named: dict[str, Any]) -> Destination:
    moments = {name: datetime.fromisoformat(named[name]) for name in ("createdAt", "updatedAt") if name in named}
    return service.place(
        arn=named["arn"],
        processing=named["processingConfiguration"],
        destination=named["destinationConfiguration"],
        tags={tag["key"]: tag["value"] for tag in named.get("tags", [])},
        status=named.get("status"),
        status_reason=named.get("statusReason"),
        created_at=moments.get("createdAt"),
        updated_at=moments.get("updatedAt"),
    )


def _shown(destination: Destination) -> dict[str, Any]:
    described: dict[str, Any] = serialized(service_model().shape_for("IngestionDestination"), destination.described())
    return described | {"tags": [{"key": key, "value": value} for key, value in destination.tags.items()]}


def _respond(status: int, value: Any) -> HttpResponse:
    return HttpResponse(status=status, headers={"Content-Type": "application/json"}, body=json.dumps(value).encode())
