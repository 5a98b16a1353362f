"""Prints at the end of the test run which residuals excused how many scenarios, so that nobody hides behind them."""

import pytest

from tests.simulation.residuals import EXCUSED, RESIDUALS
from tests.simulation.scenarios import played


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if played["scenarios"]:
        terminalreporter.section("residuals")
        terminalreporter.line(f"{played['scenarios']} scenarios, excused by docs/reliability.md's residuals:")
        for number, residual in sorted(RESIDUALS.items()):
            terminalreporter.line(f"{EXCUSED[number]:7d}  {number:2d}. {residual.__doc__}")
