"""2,000 lives in each run of the tests, 50,000 under `make soak`; see `lives` for what a life is."""

import os

from hypothesis.stateful import run_state_machine_as_test

from tests.reliability.lives import PROFILES, Lives
from tests.reliability.world import installed


def test_no_life_leaves_an_orphan_or_a_request_without_an_answer() -> None:
    with installed():
        run_state_machine_as_test(Lives, settings=PROFILES[os.environ.get("LIVES", "ci")])
