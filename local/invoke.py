"""Send one event through the built function, under Lambda's runtime and with the AppFabric emulator.

    make invoke EVENT=events/create-s3.json

The response that CloudFormation would receive goes to standard output as it was received, everything else to standard
error. The event's own ResponseURL is not used. Before an Update or a Delete, the destination that the event names is
created as the event describes it. Everything is in the Region of the event's ARNs.
"""

import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

from ingestion_destination.appfabric.errors import REGIONS
from ingestion_destination.properties import Desired
from local.appfabric import AppFabricEmulator, Call, serve
from local.appfabric.destinations import Arn
from local.certificates import Certificates
from local.console import Problem
from local.regions import RegionMismatch, region_of
from local.response_receiver import ResponseReceiver
from local.runtime import ROOT, LambdaRuntime

ARTIFACT = ROOT / ".aws-sam" / "build" / "ProviderFunction"
RESPONSE_SECONDS = 5.0


def main() -> int:
    """Send the event in the file that the variable EVENT names.

    Returns:
        0 when the response is SUCCESS, 1 when it is FAILED or there is none.
    """
    name = os.environ.get("EVENT", "")
    if not name:
        raise Problem("usage: make invoke EVENT=events/create-s3.json", status=2)
    try:
        event = json.loads(Path(name).read_text(encoding="utf-8"))
    except OSError as error:
        raise Problem(f"{name}: {error.strerror}", status=2) from None
    except ValueError as error:
        raise Problem(f"{name} is not JSON: {error}", status=2) from None
    if not isinstance(event, dict):
        raise Problem(f"{name}: an event must be a JSON object", status=2)
    try:
        region = region_of(event) or REGIONS[0]
    except RegionMismatch as mismatch:
        raise Problem(f"{name}: {mismatch}", status=2) from None
    return _invoke(event, region)


def _invoke(event: dict[str, Any], region: str) -> int:
    appfabric = AppFabricEmulator(region=region)
    appfabric.subscribe(_print_call)
    create_existing_destination(appfabric, event)
    with tempfile.TemporaryDirectory() as directory:
        certificates = Certificates.create(Path(directory))
        with ResponseReceiver(certificates) as receiver, serve(appfabric) as endpoint:
            url = receiver.response_url()
            with LambdaRuntime(
                task_root=ARTIFACT,
                handler="app.lambda_handler",
                timeout=300,
                region=region,
                environment={"AWS_ENDPOINT_URL_APPFABRIC": endpoint, "SSL_CERT_FILE": str(certificates.ca)},
            ) as function:
                invocation = function.invoke({**event, "ResponseURL": url})
                sys.stderr.write(invocation.log)
            try:
                response = receiver.wait(url, timeout=0 if invocation.failed else RESPONSE_SECONDS)
            except TimeoutError:
                print(
                    f"no response: {invocation.error_message or 'the function returned without one'}", file=sys.stderr
                )
                return 1
    print(response.body.decode())
    return 0 if response.json()["Status"] == "SUCCESS" else 1


def create_existing_destination(appfabric: AppFabricEmulator, event: dict[str, Any]) -> None:
    """Add the destination that an Update or a Delete is about, as it was before the event."""
    arn = Arn.parse(str(event.get("PhysicalResourceId")))
    if arn is None or arn.destination is None:
        return
    before = Desired.parse_if_valid(event.get("OldResourceProperties") or event.get("ResourceProperties") or {})
    if before:
        appfabric.place(
            arn=str(arn),
            processing={**before.processing.to_configuration()},
            destination={**before.target.to_configuration()},
            tags=dict(before.tags),
        )


def _print_call(call: Call) -> None:
    print(f"AppFabric: {call.operation} -> {call.status} {call.error or ''}".rstrip(), file=sys.stderr)
