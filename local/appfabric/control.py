"""Orders and observations over HTTP, for who has no Python object of the service at hand.

POST   /_standin/faults        a JSON list of faults, with the fields of `Fault`
POST   /_standin/outcomes      a JSON list of outcomes, with the fields of `Outcome`
DELETE /_standin/faults        forget all faults and outcomes
GET    /_standin/calls         the calls so far, with the fields of `Call`
GET    /_standin/destinations  the destinations there are, by the API's names, with their tags
POST   /_standin/destinations  place one destination, by the same names
POST   /_standin/reset         forget everything
"""

import json
from dataclasses import asdict
from datetime import datetime
from typing import Any

from local.appfabric.answers import serialised
from local.appfabric.destinations import Destination
from local.appfabric.faults import Fault, Outcome
from local.appfabric.model import service_model
from local.appfabric.service import AppFabric
from local.appfabric.wire import Answer, Request

PREFIX = "/_standin/"


def control(service: AppFabric, request: Request) -> Answer:
    """Carry out one of the requests above: 200 with JSON, or 400 with a message that tells the mistake."""
    named = request.method, request.target.removeprefix(PREFIX)
    try:
        body = json.loads(request.body or b"null")
        said = _observe(service, named) if request.method == "GET" else _change(service, named, body)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        return _answer(400, {"message": f"{type(error).__name__}: {error}"})
    return _answer(200, said)


def _observe(service: AppFabric, named: tuple[str, str]) -> Any:
    with service.lock:
        match named:
            case "GET", "calls":
                return [asdict(call) | {"at": call.at.isoformat()} for call in service.calls]
            case "GET", "destinations":
                return [_shown(destination) for destination in service.destinations.values()]
    raise _unknown(named)


def _change(service: AppFabric, named: tuple[str, str], body: Any) -> Any:
    match named:
        case "POST", "faults":
            for fault in [Fault(**fields) for fields in body]:
                service.order(fault)
        case "POST", "outcomes":
            for outcome in [Outcome(**fields) for fields in body]:
                service.order(outcome)
        case "DELETE", "faults":
            service.cancel_orders()
        case "POST", "destinations":
            return _shown(_place(service, body))
        case "POST", "reset":
            service.reset()
        case _:
            raise _unknown(named)
    return {}


def _unknown(named: tuple[str, str]) -> ValueError:
    return ValueError(f"there is no {named[0]} {PREFIX}{named[1]}")


def _place(service: AppFabric, named: dict[str, Any]) -> Destination:
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
    described: dict[str, Any] = serialised(service_model().shape_for("IngestionDestination"), destination.described())
    return described | {"tags": [{"key": key, "value": value} for key, value in destination.tags.items()]}


def _answer(status: int, value: Any) -> Answer:
    return Answer(status=status, headers={"Content-Type": "application/json"}, body=json.dumps(value).encode())
