"""2,000 random scenarios in each run of the tests, 50,000 in `make soak`; `scenarios` describes what a scenario is.

SCENARIOS=soak selects the long profile, SEED=n fixes Hypothesis' seed.
"""

import os
import re
from pathlib import Path

import hypothesis
import pytest
from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test

from tests.simulation.aws import installed
from tests.simulation.residuals import RESIDUALS
from tests.simulation.scenarios import PROFILES, Scenario

PROFILE = PROFILES[os.environ.get("SCENARIOS", "ci")]
SEED = os.environ.get("SEED") or None


@pytest.mark.no_cover  # it would take nearly twice as long, and other tests run the same lines
def test_no_live_destination_is_lost_and_nothing_is_left_behind(capfd: pytest.CaptureFixture[str]) -> None:
    machine, profile = Scenario, PROFILE
    if SEED is not None:
        machine, profile = hypothesis.seed(int(SEED))(Scenario), settings(PROFILE, derandomize=False)
    with capfd.disabled(), installed():
        run_state_machine_as_test(machine, settings=profile)


def test_the_residuals_are_numbered_and_documented() -> None:
    assert sorted(RESIDUALS) == list(range(1, len(RESIDUALS) + 1))
    assert all(residual.__doc__ for residual in RESIDUALS.values())
    page = (Path(__file__).parents[2] / "docs" / "reliability.md").read_text().partition("## Residuals")[2]
    assert [int(number) for number in re.findall(r"^(\d+)\. ", page, re.MULTILINE)] == list(RESIDUALS)
