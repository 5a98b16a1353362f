"""The local environment: CloudFormation, Lambda and AppFabric at fixed ports, with the provider deployed.

One process runs it (`make local`), others use it (`make local-deploy` and its like). They find it by the folder
`.local`, where it keeps its certificates and says where it is, and know by a lock there whether it runs.
"""

import contextlib
import fcntl
import json
import os
import shutil
import socket
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from ingestion_destination.appfabric.errors import REGIONS
from local.appfabric import AppFabricEmulator, Call, serve
from local.certificates import Certificates
from local.cloudformation import CloudFormation, emulate
from local.console import Problem
from local.runtime import ROOT

STATE = Path.cwd() / ".local"  # of the folder that make runs in
PROVIDER = ROOT / ".aws-sam" / "build" / "template.yaml"
PROVIDER_STACK = "appfabric-ingestion-destination"
DEFAULT_PORT = 4570
# What the examples and the emulator's documentation name; every other well-formed ARN exists as well.
BUNDLE = "arn:aws:appfabric:{region}:111122223333:appbundle/11111111-1111-4111-8111-111111111111"
INGESTION = f"{BUNDLE}/ingestion/22222222-2222-4222-8222-222222222222"


@dataclass(frozen=True)
class Environment:
    """What another process needs to know of the local environment.

    Attributes:
        region: The Region that everything is in.
        port: Where CloudFormation and the other services listen; AppFabric is at the next one.
        pid: The process that runs it.
        directory: Where the emulator of CloudFormation has its logs.
    """

    region: str
    port: int
    pid: int
    directory: str

    @property
    def endpoint(self) -> str:
        """The endpoint of every service but AppFabric."""
        return f"https://127.0.0.1:{self.port}"

    @property
    def appfabric_endpoint(self) -> str:
        """The endpoint of AppFabric."""
        return f"http://127.0.0.1:{self.port + 1}"

    @property
    def prepare(self) -> str:
        """The command after which sam, aws, cdk and boto3 in a terminal reach it."""
        variables = "" if self.region == REGIONS[0] else f" REGION={self.region}"
        variables += "" if self.port == DEFAULT_PORT else f" PORT={self.port}"
        return f'eval "$(make -s local-env{variables})"'

    def cloudformation(self) -> CloudFormation:
        """A client of its CloudFormation."""
        ca = Certificates(STATE).ca
        return CloudFormation(endpoint=self.endpoint, region=self.region, ca=ca, directory=Path(self.directory))


def running() -> Environment:
    """The environment that runs on this machine.

    Raises:
        Problem: None does, or it is starting.
    """
    try:
        with (STATE / "lock").open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        with contextlib.suppress(OSError, ValueError):
            return Environment(**json.loads((STATE / "environment.json").read_text(encoding="utf-8")))
        raise Problem("the local environment is starting: try again once `make local` says that it is up") from None
    except OSError:
        pass
    raise Problem("no local environment is running: start one with `make local` in another terminal", status=2)


@contextlib.contextmanager
def start(*, region: str, port: int) -> Iterator[Environment]:
    """Start the environment and deploy the provider; everything ends with the context.

    Args:
        region: The Region that everything is in.
        port: Where CloudFormation and the other services listen.

    Raises:
        Problem: One is running already, or a port is in use.
        CloudFormationError: CloudFormation did not start, or the provider could not be deployed.
    """
    appfabric = AppFabricEmulator(region=region)
    with _locked():
        for each in (port, port + 1):
            _check_is_free(each)
        certificates = Certificates.create(STATE)
        with (
            serve(appfabric, port=port + 1) as appfabric_endpoint,
            emulate(certificates=certificates, region=region, port=port) as cloudformation,
        ):
            log_calls(appfabric, cloudformation)
            cloudformation.deploy(
                PROVIDER, stack_name=PROVIDER_STACK, parameters={"AppFabricEndpointUrl": appfabric_endpoint}
            )
            environment = Environment(
                region=region, port=port, pid=os.getpid(), directory=str(cloudformation.directory)
            )
            (STATE / "environment.json").write_text(json.dumps(asdict(environment)), encoding="utf-8")
            yield environment


def check_is_not_the_provider(stack_name: str) -> None:
    """Check that a stack is not the provider's, without which nothing else can be deployed or deleted.

    Raises:
        Problem: It is.
    """
    if stack_name == PROVIDER_STACK:
        raise Problem(f"{stack_name} is the provider: `make local` deploys it, and sam or aws can change it", status=2)


def log_calls(appfabric: AppFabricEmulator, cloudformation: CloudFormation) -> None:
    """Write AppFabric's calls to the activity log of CloudFormation."""

    def write(call: Call) -> None:
        cloudformation.activity.write(
            "appfabric_call",
            operation=call.operation,
            parameters=call.parameters,
            status=call.status,
            error=call.error,
        )

    appfabric.subscribe(write)


@contextlib.contextmanager
def _locked() -> Iterator[None]:
    STATE.mkdir(mode=0o700, exist_ok=True)
    with (STATE / "lock").open("ab") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Problem(f"one is running already{_where()}") from None
        (STATE / "environment.json").unlink(missing_ok=True)
        try:
            yield
        finally:
            shutil.rmtree(STATE, ignore_errors=True)


def _where() -> str:
    try:
        other = running()
    except Problem:
        return ", and is starting"
    return f", in {other.region} at {other.endpoint} (process {other.pid})"


def _check_is_free(port: int) -> None:
    try:
        socket.create_server(("127.0.0.1", port)).close()
    except OSError:
        raise Problem(f"port {port} is in use: choose two free ones, e.g. PORT={port + 100}") from None
