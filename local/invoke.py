"""Send one event through the built function, under Lambda's runtime and with the AppFabric emulator.

    python -m local.invoke events/create-s3.json

The response that CloudFormation would receive goes to standard output as it was received, everything else to standard
error. The event's own ResponseURL is not used. Before an Update or a Delete, the destination that the event names is
created as the event describes it. Everything is in the Region of the event's ARNs.
"""

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from ingestion_destination.properties import Desired
from local.appfabric import AppFabricEmulator, Call, serve
from local.appfabric.destinations import Arn
from local.certificates import Certificates
from local.regions import region_of
from local.response_receiver import ResponseReceiver
from local.runtime import ROOT, LambdaRuntime

ARTEFACT = ROOT / ".aws-sam" / "build" / "ProviderFunction"
RESPONSE_SECONDS = 5.0


def main(arguments: list[str]) -> int:
    """Send one event.

    Args:
        arguments: The event's file.

    Returns:
        0 when the response is SUCCESS, 1 when it is FAILED or there is none, 2 when the event cannot be used.
    """
    if len(arguments) != 1:
        print("usage: python -m local.invoke EVENT.json", file=sys.stderr)
        return 2
    try:
        event = json.loads(Path(arguments[0]).read_text(encoding="utf-8"))
        if not isinstance(event, dict):
            raise ValueError("an event must be a JSON object")
        region = region_of(event) or "us-east-1"
    except OSError as error:
        print(f"{arguments[0]}: {error.strerror}", file=sys.stderr)
        return 2
    except ValueError as error:
        print(f"{arguments[0]}: {error}", file=sys.stderr)
        return 2
    try:
        return _invoke(event, region)
    except KeyboardInterrupt:
        return 130


def _invoke(event: dict[str, Any], region: str) -> int:
    appfabric = AppFabricEmulator(region=region)
    appfabric.subscribe(_print_call)
    create_existing_destination(appfabric, event)
    with tempfile.TemporaryDirectory() as directory:
        certificates = Certificates.create(Path(directory))
        with ResponseReceiver(certificates) as receiver, serve(appfabric) as endpoint:
            url = receiver.response_url()
            with LambdaRuntime(
                task_root=ARTEFACT,
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
            processing=before.processing.to_configuration(),
            destination=before.target.to_configuration(),
            tags=dict(before.tags),
        )


def _print_call(call: Call) -> None:
    print(f"AppFabric: {call.operation} -> {call.status} {call.error or ''}".rstrip(), file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
