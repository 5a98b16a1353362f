"""`make local`: the local environment until Ctrl-C, with a line for everything that happens in it."""

import os
import signal
from threading import Event

from rich.console import Console

from ingestion_destination.appfabric.errors import REGIONS
from local.activity_view import ActivityView
from local.console import Problem, console
from local.environment import DEFAULT_PORT, PROVIDER_STACK, Environment, start


def main() -> int:
    """Run the environment that the variables PORT and REGION describe, until it is interrupted."""
    region, port = os.environ.get("REGION") or REGIONS[0], os.environ.get("PORT") or str(DEFAULT_PORT)
    if region not in REGIONS:
        raise Problem(f"AppFabric is in {', '.join(REGIONS)}: not in REGION={region}", status=2)
    if not (port.isdecimal() and 1024 <= int(port) < 65535):
        raise Problem(f"a PORT is a number from 1024 to 65534: not {port}", status=2)
    ended = Event()
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: ended.set())
    out = console()
    with (
        out.status("Starting CloudFormation, Lambda and AppFabric") as status,
        start(region=region, port=int(port)) as environment,
    ):
        status.stop()
        signal.signal(signal.SIGINT, lambda *_: ended.set())
        _introduce(out, environment)
        with ActivityView(out, environment.cloudformation().activity, region=environment.region):
            ended.wait()
    return 0


def _introduce(out: Console, environment: Environment) -> None:
    out.print(f"CloudFormation, Lambda and AppFabric are up in {environment.region}, until Ctrl-C.")
    out.print(f"The provider is deployed, as the stack {PROVIDER_STACK}.")
    out.print("\nIn another terminal, deploy a template:\n")
    out.print("  make local-deploy TEMPLATE=examples/s3.yaml", style="cyan")
    out.print("\nor prepare that terminal for sam, aws, cdk and boto3:\n")
    out.print(f"  {environment.prepare}", style="cyan", markup=False)
    out.print()
