"""`make demo`: a destination from its Create to its Delete on this machine, a line for each step.

Everything in it is real but AWS: the built function under Lambda's runtime, `sam deploy`, CloudFormation's contract.
"""

import contextlib
import itertools
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.text import Text

from local.activity_view import reason_of, shorten
from local.appfabric import AppFabricEmulator, Outcome, serve
from local.appfabric.destinations import Destination
from local.certificates import Certificates
from local.cloudformation import CloudFormation, CloudFormationError, emulate
from local.console import Problem, console
from local.environment import BUNDLE, INGESTION, PROVIDER, PROVIDER_STACK, log_calls
from local.recording import Recording
from local.runtime import ROOT
from local.timeline import table

EXAMPLE = ROOT / "examples" / "s3.yaml"
STACK = "audit-logs"
PARENTS = {"AppBundleArn": BUNDLE.format(region="us-east-1"), "IngestionArn": INGESTION.format(region="us-east-1")}
LAMBDAS_PYTHON = (3, 13)
_TITLE_WIDTH = 20
_WIDTH_WHEN_PIPED = 150


@dataclass(frozen=True)
class Demo:
    """The steps. Each returns what it shows, and raises Problem when it does not end as it should."""

    cloudformation: CloudFormation
    appfabric: AppFabricEmulator
    endpoint: str

    def provider(self) -> str:
        """Deploy the application."""
        parameters = {"AppFabricEndpointUrl": self.endpoint}
        self.cloudformation.deploy(PROVIDER, stack_name=PROVIDER_STACK, parameters=parameters)
        return "sam deploy, as on AWS"

    def create(self) -> str:
        """Deploy the example."""
        calls = self._deploy()
        return f"created …{self._arn()[-6:]}, {self._only().status}, {calls}"

    def update(self) -> str:
        """Change where the logs go."""
        before = self._arn()
        calls = self._deploy(Prefix="security/saas")
        self._expect(self._arn() == before, "the same destination")
        self._expect("security/saas" in str(self._only().destination), "another prefix")
        return f"updated in place, same ARN {shorten(before)}, {calls}"

    def replace(self) -> str:
        """Change the format, which needs another destination."""
        before = self._arn()
        calls = self._deploy(Prefix="security/saas", Format="parquet")
        self._expect(self._arn() != before, "another destination")
        self._expect(self._only().arn == self._arn(), "the old destination deleted")
        return f"replaced {shorten(before)} → {shorten(self._arn())}, old one deleted, {calls}"

    def fail(self) -> str:
        """Let an update fail in AppFabric."""
        seen = len(self.cloudformation.activity.entries())
        update = "UpdateIngestionDestination"
        self.appfabric.inject(Outcome(operation=update, status="Failed", status_reason="The bucket's storage is full."))
        self.appfabric.inject(Outcome(operation=update, status="Active"))
        with contextlib.suppress(CloudFormationError):
            self._deploy(Prefix="somewhere/else", Format="parquet")
        status = self.cloudformation.stack(STACK).status
        self._expect(status == "UPDATE_ROLLBACK_COMPLETE", f"a rollback, not {status}")
        self._expect("security/saas" in str(self._only().destination), "the prefix of before")
        reasons = [
            reason_of(entry)
            for entry in self.cloudformation.activity.entries(after=seen)
            if entry["kind"] == "stack_event" and entry["ResourceStatus"] == "UPDATE_FAILED"
        ]
        return f'rolled back as it should: "{reasons[0].rpartition(": ")[2]}"'

    def delete(self) -> str:
        """Delete the example."""
        stack = self.cloudformation.delete_stack(STACK)
        self._expect(stack.status == "DELETE_COMPLETE", f"a deleted stack, not {stack.status}")
        self._expect(not self.appfabric.destinations, "no destination left")
        return "destination deleted; its bucket is kept, as the template says"

    def _deploy(self, **parameters: str) -> str:
        before = len(self.appfabric.calls)
        self.cloudformation.deploy(EXAMPLE, stack_name=STACK, parameters=PARENTS | parameters)
        calls = len(self.appfabric.calls) - before
        return f"{calls} call{'' if calls == 1 else 's'}"

    def _arn(self) -> str:
        return self.cloudformation.stack(STACK).outputs["DestinationArn"]

    def _only(self) -> Destination:
        self._expect(len(self.appfabric.destinations) == 1, "one destination")
        return next(iter(self.appfabric.destinations.values()))

    def _expect(self, holds: bool, what: str) -> None:
        if not holds:
            raise Problem(f"expected {what}")


STEPS: tuple[tuple[str, Callable[[Demo], str]], ...] = (
    ("Deploy the provider", Demo.provider),
    ("Create", Demo.create),
    ("Change the prefix", Demo.update),
    ("Change the format", Demo.replace),
    ("Let an update fail", Demo.fail),
    ("Delete", Demo.delete),
)
RECORDED = (Demo.replace, Demo.fail)


def main() -> int:
    """Run the steps, each with a line; with the variable DETAIL also with a table of all that happened.

    With the variable RECORD, the path of an SVG, also draw two of them.
    """
    out, detail = console(), bool(os.environ.get("DETAIL"))
    recording = Recording(Path(path)) if (path := os.environ.get("RECORD")) else None
    if not out.is_terminal:
        out.width = _WIDTH_WHEN_PIPED
    if sys.version_info[:2] != LAMBDAS_PYTHON:
        version = ".".join(map(str, sys.version_info[:2]))
        out.print(f"The function runs on Python {version} here; on Lambda it is 3.13.", style="yellow")
    with contextlib.ExitStack() as stack:
        with out.status("Starting CloudFormation, Lambda and AppFabric"):
            demo = stack.enter_context(_started())
        began, seen = time.time(), 0
        for title, step in STEPS:
            try:
                with out.status(title):
                    shown = step(demo)
            except Problem as problem:
                raise Problem(f"✗ {title}: {problem}") from None
            line = Text.assemble(("✓ ", "green"), f"{title:<{_TITLE_WIDTH}} {shown}")
            out.print(line, soft_wrap=True)
            entries = demo.cloudformation.activity.entries(after=seen)
            seen += len(entries)
            failing = step is Demo.fail
            if detail:
                out.print(table(entries, began=began, width=out.width, failure_expected=failing))
                out.print()
            if recording and step in RECORDED:
                recording.add(line, entries, failure_expected=failing)
    if recording:
        recording.write()
    _say_what_is_next(out, detail)
    return 0


@contextlib.contextmanager
def _started() -> Iterator[Demo]:
    # Ids that count upward, so that each run makes the same calls in the same order: the provider reads destinations as
    # AppFabric lists them, which the emulator does by their ids.
    numbers = itertools.count(1)
    appfabric = AppFabricEmulator(new_id=lambda: f"44444444-4444-4444-8444-{next(numbers):012}")
    with (
        tempfile.TemporaryDirectory() as directory,
        serve(appfabric) as endpoint,
        emulate(certificates=Certificates.create(Path(directory))) as cloudformation,
    ):
        log_calls(appfabric, cloudformation)
        yield Demo(cloudformation=cloudformation, appfabric=appfabric, endpoint=endpoint)


def _say_what_is_next(out: Console, detail: bool) -> None:
    out.print("\nNext:")
    steps = [("make local", "try templates of your own")]
    if not detail:
        steps.insert(0, ("make demo DETAIL=1", "see every event and every call"))
    for command, purpose in steps:
        out.print(Text.assemble("  ", (f"{command:<{_TITLE_WIDTH}}", "cyan"), f" {purpose}"))
