"""One event by hand: through the built function under Lambda's runtime, to the AppFabric stand-in.

    python -m local.invoke events/create-s3.json

What CloudFormation would receive goes to standard output as it was received, all else to standard error. The event's
own ResponseURL is not used. An Update or a Delete finds the destination that its event tells of.
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
from local.response_receiver import ResponseReceiver
from local.runtime import ROOT, LambdaRuntime

ARTEFACT = ROOT / ".aws-sam" / "build" / "ProviderFunction"
ANSWER_SECONDS = 5.0


def main(arguments: list[str]) -> int:
    """Run one event.

    Args:
        arguments: The event's file.

    Returns:
        0 when the answer is SUCCESS, 1 when it is FAILED or there is none, 2 when there is no such event.
    """
    if len(arguments) != 1:
        print("usage: python -m local.invoke EVENT.json", file=sys.stderr)
        return 2
    try:
        event = json.loads(Path(arguments[0]).read_text(encoding="utf-8"))
        if not isinstance(event, dict):
            raise ValueError("an event must be a JSON object")
    except (OSError, ValueError) as error:
        print(f"{arguments[0]}: {error}", file=sys.stderr)
        return 2
    appfabric = AppFabricEmulator()
    appfabric.subscribe(_tell)
    set_the_stage(appfabric, event)
    with tempfile.TemporaryDirectory() as directory:
        certificates = Certificates.create(Path(directory))
        with ResponseReceiver(certificates) as sink, serve(appfabric) as endpoint:
            address = sink.response_url()
            environment = {"AWS_ENDPOINT_URL_APPFABRIC": endpoint, "SSL_CERT_FILE": str(certificates.ca)}
            with LambdaRuntime(
                task_root=ARTEFACT, handler="app.lambda_handler", timeout=300, environment=environment
            ) as function:
                invocation = function.invoke({**event, "ResponseURL": address})
                sys.stderr.write(invocation.log)
            try:
                answer = sink.wait(address, timeout=0 if invocation.failed else ANSWER_SECONDS)
            except TimeoutError:
                print(f"no answer: {invocation.error_message or 'the function ended without one'}", file=sys.stderr)
                return 1
    print(answer.body.decode())
    return 0 if answer.json()["Status"] == "SUCCESS" else 1


def set_the_stage(appfabric: AppFabricEmulator, event: dict[str, Any]) -> None:
    """Place the destination that an Update or a Delete is about, as it was before."""
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


def _tell(call: Call) -> None:
    print(f"AppFabric: {call.operation} -> {call.status} {call.error or ''}".rstrip(), file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
