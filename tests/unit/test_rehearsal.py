"""FAIL, which rehearses a failure in the local environment."""

import pytest

from local.rehearsal import EXAMPLE, Rehearsal


@pytest.mark.parametrize(
    ("called", "why"),
    [
        ("UpdateIngestionDestination", ", although UpdateIngestionDestination failed"),
        ("CreateIngestionDestination", ": UpdateIngestionDestination was not called"),
    ],
)
def test_a_rehearsal_without_effect_says_why(called: str, why: str) -> None:
    entries = [{"kind": "stack_event"}, {"kind": "appfabric_call", "operation": called}]
    assert Rehearsal.parse(EXAMPLE).why_without_effect(entries) == why
