import io
import json
import os
import random
import sys
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

# Whatever the machine's environment says of AWS, of certificates or of Powertools, no test may depend on it; nor on the
# `make --jobs` that runs it.
FOREIGN = {"SSL_CERT_FILE", "SSL_CERT_DIR", "LOG_LEVEL", "MAKEFLAGS", "MAKELEVEL", "MFLAGS"}
for name in list(os.environ):
    if name.startswith(("AWS_", "POWERTOOLS_")) or name in FOREIGN:
        del os.environ[name]
os.environ["AWS_DEFAULT_REGION"] = "us-east-1"
os.environ["AWS_EC2_METADATA_DISABLED"] = "true"
os.environ["AWS_CONFIG_FILE"] = os.environ["AWS_SHARED_CREDENTIALS_FILE"] = os.devnull

LAMBDAS_PYTHON = (3, 13)
# Lambda's runtime interface emulator is a program for Linux.
collect_ignore = [] if sys.platform == "linux" else ["lifecycle"]


# The modules that take longest, so that none of them is left alone at the end.
LONGEST = [
    "test_broken_states",
    "test_make_local",
    "test_every_fault",
    "test_built_function",
    "test_operations",
    "test_scenarios",
    "test_lint_rules",
]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes longest begins first, then what waits: what computes fills the time, in other workers."""

    def order(item: pytest.Item) -> tuple[int, bool]:
        name = item.path.stem
        return LONGEST.index(name) if name in LONGEST else len(LONGEST), "lifecycle" not in item.path.parts

    items.sort(key=order)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """What excused a scenario, so that nobody hides behind it; and what was not tested on this machine."""
    if (scenarios := played())["scenarios"]:
        from tests.simulation.residuals import RESIDUALS

        terminalreporter.section("residuals")
        terminalreporter.line(f"{scenarios['scenarios']} scenarios, excused by docs/reliability.md's residuals:")
        for number, residual in sorted(RESIDUALS.items()):
            terminalreporter.line(f"{scenarios[number]:7d}  {number:2d}. {residual.__doc__}")
    if sys.version_info[:2] != LAMBDAS_PYTHON:
        version = ".".join(map(str, sys.version_info[:2]))
        terminalreporter.write_line(
            f"not tested: the function on Python 3.13, Lambda's; this is {version}", yellow=True
        )
    if collect_ignore:
        terminalreporter.write_line("not tested: tests/lifecycle, which needs Linux", yellow=True)


OF_WORKERS: Counter[int | str] = Counter()


def played() -> Counter[int | str]:
    """How many scenarios this process and its workers played, and how many each residual excused, by its number."""
    counted = OF_WORKERS.copy()
    if "tests.simulation.scenarios" in sys.modules:
        from tests.simulation import residuals, scenarios

        counted.update(scenarios.played)
        counted.update(residuals.EXCUSED)
    return counted


def pytest_sessionfinish(session: pytest.Session) -> None:
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["played"] = dict(played())


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """A worker of pytest-xdist has ended."""
    OF_WORKERS.update(getattr(node, "workeroutput", {}).get("played", {}))


@pytest.fixture(autouse=True)
def same_pauses() -> None:
    """The pauses between attempts are random: each test gets the same ones every time."""
    random.seed(0)


@pytest.fixture(autouse=True)
def same_environment() -> Iterator[None]:
    """A test that changes the environment for others is a defect."""
    before = dict(os.environ)
    yield
    after = {name: value for name, value in os.environ.items() if name != "PYTEST_CURRENT_TEST"}
    assert after == {name: value for name, value in before.items() if name != "PYTEST_CURRENT_TEST"}


class Logs:
    """What the function wrote: Powertools' lines and CloudWatch's embedded metrics."""

    def __init__(self, stream: io.StringIO, capsys: pytest.CaptureFixture[str]) -> None:
        self._stream = stream
        self._capsys = capsys
        self._printed = ""

    @property
    def text(self) -> str:
        self._printed += self._capsys.readouterr().out
        return self._stream.getvalue() + self._printed

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self._stream.getvalue().splitlines()]

    def errors(self) -> list[dict[str, Any]]:
        return [line for line in self.lines if line["level"] == "ERROR"]

    def counted(self, metric: str) -> int:
        """How often a metric was counted."""
        lines = [json.loads(line) for line in self.text.splitlines() if '"_aws"' in line]
        return int(sum(sum(line.get(metric, [])) for line in lines))


@pytest.fixture
def logs(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Logs:
    from ingestion_destination.observability import logger

    stream = io.StringIO()
    monkeypatch.setattr(logger.registered_handler, "stream", stream)
    return Logs(stream, capsys)
