import pytest

from tests.support.custom_resource import CustomResource


@pytest.fixture
def resource() -> CustomResource:
    return CustomResource()


@pytest.fixture
def impatient() -> CustomResource:
    """A provider whose Lambda function has a limit of 15 s."""
    return CustomResource(timeout=15)
