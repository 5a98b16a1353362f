from collections.abc import Iterator

import pytest

from ingestion_destination.cloudformation.request import Request
from ingestion_destination.cloudformation.response import Response
from tests.support.custom_resource import CustomResource
from tests.support.troubleshooting import is_explained


@pytest.fixture
def resource() -> CustomResource:
    return CustomResource()


@pytest.fixture
def impatient() -> CustomResource:
    """A custom resource whose Lambda function times out after 15 s."""
    return CustomResource(timeout=15)


@pytest.fixture(autouse=True)
def _every_reason_is_explained(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Fail a test in which a response has a Reason that docs/troubleshooting.md does not explain."""
    reasons = []
    members = Response.members

    def record(response: Response, request: Request) -> dict[str, object]:
        reasons.append(response.failure)
        return members(response, request)

    monkeypatch.setattr(Response, "members", record)
    yield
    assert [reason for reason in reasons if reason and not is_explained(reason)] == []
