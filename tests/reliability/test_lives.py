"""2,000 lives in each run of the tests, 50,000 under `make soak`; see `lives` for what a life is."""

import os

from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test

from tests.reliability.lives import PROFILES, Lives, Reruns
from tests.reliability.world import installed

PROFILE = PROFILES[os.environ.get("LIVES", "ci")]


def test_no_life_leaves_an_orphan_or_a_request_without_an_answer() -> None:
    with installed():
        run_state_machine_as_test(Lives, settings=PROFILE)


def test_what_is_made_after_a_request_was_over_is_told_and_counted() -> None:
    with installed():
        run_state_machine_as_test(Reruns, settings=settings(PROFILE, max_examples=PROFILE.max_examples // 4))
