"""A scenario chooses the quota of the emulator; what comes after it has the emulator's own."""

import pytest

from local.appfabric import operations


@pytest.fixture(autouse=True)
def same_quota(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(operations, "DESTINATIONS_PER_INGESTION", operations.DESTINATIONS_PER_INGESTION)
