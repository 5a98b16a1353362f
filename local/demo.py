"""A destination's whole life on this machine: deployed, updated, replaced, rolled back and deleted.

    python -m local.demo

Everything in it is real but AWS: the built function under Lambda's runtime, `sam deploy`, CloudFormation's contract.
"""

from __future__ import annotations

import contextlib
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from local.appfabric import AppFabricEmulator, Outcome, serve
from local.appfabric.destinations import Destination
from local.certificates import Certificates
from local.cloudformation import CloudFormation, CloudFormationError, emulate
from local.runtime import ROOT, LambdaRuntimeError
from local.timeline import Timeline

PROVIDER = ROOT / ".aws-sam" / "build" / "template.yaml"
EXAMPLE = ROOT / "examples" / "s3.yaml"
BUNDLE = "arn:aws:appfabric:us-east-1:111122223333:appbundle/11111111-1111-4111-8111-111111111111"
PARAMETERS = {
    "AppBundleArn": BUNDLE,
    "IngestionArn": f"{BUNDLE}/ingestion/22222222-2222-4222-8222-222222222222",
}
WIDTH_WHEN_PIPED = 150
LAMBDAS_PYTHON = (3, 13)


class Unexpected(Exception):
    """A step did not end as it should."""


@dataclass(frozen=True)
class Demo:
    """The steps, each of which raises Unexpected when it does not end as it should."""

    cloudformation: CloudFormation
    appfabric: AppFabricEmulator
    endpoint: str

    def provider(self) -> str:
        """Deploy the application."""
        stack = self.cloudformation.deploy(
            PROVIDER,
            stack_name="appfabric-ingestion-destination",
            parameters={"AppFabricEndpointUrl": self.endpoint},
        )
        return stack.name

    def create(self) -> str:
        """Deploy the example."""
        self._deploy()
        self._expect(len(self.appfabric.destinations) == 1, "one destination")
        return "audit-logs"

    def update(self) -> str:
        """Change where the logs go."""
        before = self._arn()
        self._deploy(Prefix="security/saas")
        self._expect(self._arn() == before, "the same destination")
        self._expect("security/saas" in str(self._only().destination), "another prefix")
        return "audit-logs"

    def replace(self) -> str:
        """Change the format, which needs another destination."""
        before = self._arn()
        self._deploy(Prefix="security/saas", Format="parquet")
        self._expect(self._arn() != before, "another destination")
        self._expect(self._only().arn == self._arn(), "the old destination deleted")
        return "audit-logs"

    def fail(self) -> str:
        """Let an update fail in AppFabric."""
        self.appfabric.inject(
            Outcome(
                operation="UpdateIngestionDestination", status="Failed", status_reason="The bucket's storage is full."
            )
        )
        self.appfabric.inject(Outcome(operation="UpdateIngestionDestination", status="Active"))
        with contextlib.suppress(CloudFormationError):
            self._deploy(Prefix="somewhere/else", Format="parquet")
        status = self.cloudformation.stack("audit-logs").status
        self._expect(status == "UPDATE_ROLLBACK_COMPLETE", f"a rollback, not {status}")
        self._expect("security/saas" in str(self._only().destination), "the prefix of before")
        return "audit-logs"

    def delete(self) -> str:
        """Delete the example."""
        stack = self.cloudformation.delete_stack("audit-logs")
        self._expect(stack.status == "DELETE_COMPLETE", f"a deleted stack, not {stack.status}")
        self._expect(not self.appfabric.destinations, "no destination left")
        return stack.id

    def _deploy(self, **parameters: str) -> None:
        self.cloudformation.deploy(EXAMPLE, stack_name="audit-logs", parameters=PARAMETERS | parameters)

    def _arn(self) -> str:
        return self.cloudformation.stack("audit-logs").outputs["DestinationArn"]

    def _only(self) -> Destination:
        self._expect(len(self.appfabric.destinations) == 1, "one destination")
        return next(iter(self.appfabric.destinations.values()))

    def _expect(self, holds: bool, what: str) -> None:
        if not holds:
            raise Unexpected(f"expected {what}")


STEPS: tuple[tuple[str, Callable[[Demo], str]], ...] = (
    ("Deploy the provider (sam deploy)", Demo.provider),
    ("Deploy a stack with a destination (sam deploy examples/s3.yaml)", Demo.create),
    ("Change its prefix: an update in place", Demo.update),
    ("Change its format: a replacement", Demo.replace),
    ("Let an update fail: a rollback", Demo.fail),
    ("Delete the stack", Demo.delete),
)


def main() -> int:
    """Run the steps and show what happened; 0 when every step ended as it should, else 1."""
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = WIDTH_WHEN_PIPED
    if sys.version_info[:2] != LAMBDAS_PYTHON:
        version = ".".join(map(str, sys.version_info[:2]))
        console.print(f"The function runs on Python {version} here; on Lambda it is 3.13.", style="yellow")
    try:
        with tempfile.TemporaryDirectory() as directory, _laptop(Path(directory)) as demo:
            timeline = Timeline(cloudformation=demo.cloudformation, appfabric=demo.appfabric)
            for number, (title, step) in enumerate(STEPS, start=1):
                console.print(f"\n[bold]{number}/{len(STEPS)} {title}[/bold]")
                with console.status(title):
                    stack = step(demo)
                console.print(timeline.table(stack))
    except (Unexpected, CloudFormationError, LambdaRuntimeError) as error:
        console.print(f"\n{error}", style="red", markup=False)
        return 1
    console.print(
        "\nThe whole life of a destination. It is gone; its bucket is kept, as examples/s3.yaml says.", style="green"
    )
    return 0


@contextlib.contextmanager
def _laptop(directory: Path) -> Iterator[Demo]:
    appfabric = AppFabricEmulator()
    with (
        serve(appfabric) as endpoint,
        emulate(certificates=Certificates.create(directory)) as cloudformation,
    ):
        yield Demo(cloudformation=cloudformation, appfabric=appfabric, endpoint=endpoint)


if __name__ == "__main__":
    sys.exit(main())
