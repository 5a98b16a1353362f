"""Everything that any logger logs at DEBUG, in scenarios with every kind of fault: no URL, no credential, no value."""

import io
import logging
from collections.abc import Iterator

import pytest

from ingestion_destination.observability import logger
from tests.simulation.aws import installed
from tests.simulation.cloudformation import Options
from tests.simulation.scenarios import Scenario, properties
from tests.simulation.test_every_fault import CASES, Case
from tests.support.properties import to_bucket

SECRET = "s3cr3t"
WRONG = [
    properties(AppBundleIdentifier=SECRET),
    properties(IngestionIdentifier={"Secret": SECRET}),
    properties(DestinationConfiguration=to_bucket(SECRET * 20)),
    properties(DestinationConfiguration={"AuditLog": SECRET}),
    properties(ProcessingConfiguration={"AuditLog": {"Schema": SECRET, "Format": SECRET}}),
    properties(Tags=[{"Key": "aws:x", "Value": SECRET}, {"Key": "y", "Value": SECRET * 100}, SECRET]),
    properties(Unknown=SECRET),
]


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    stream = io.StringIO()
    every_logger = logging.StreamHandler(stream)
    every_logger.setFormatter(logger.registered_formatter)
    monkeypatch.setattr(logging.root, "level", logging.DEBUG)
    logging.root.addHandler(every_logger)
    with installed(), pytest.MonkeyPatch.context() as patch:
        patch.setattr(logger.registered_handler, "emit", every_logger.emit)
        level = logger.log_level
        logger.setLevel(logging.DEBUG)
        try:
            yield stream
        finally:
            logger.setLevel(level)
            logging.root.removeHandler(every_logger)


def assert_no_secret_in(text: str) -> None:
    for secret in ("Signature", "0123456789abcdef", "X-Amz-Date", SECRET):
        assert secret not in text


@pytest.mark.parametrize("case", CASES[::60], ids=str)
def test_no_secret_is_logged_after_a_fault(case: Case, log: io.StringIO) -> None:
    case.step.play(case.plan).teardown()
    assert log.getvalue(), "nothing was logged"
    assert_no_secret_in(log.getvalue())


@pytest.mark.parametrize("wrong", WRONG)
def test_no_secret_is_logged_or_sent_for_invalid_properties(wrong: dict[str, object], log: io.StringIO) -> None:
    scenario = Scenario()
    scenario.begin()
    stack = scenario.stacks[0]
    scenario.go(lambda: stack.create({"Destination": wrong}, Options()))
    responses = [str(request.response) for request in scenario.simulation.requests.values()]
    assert "InvalidRequest: " in responses[0]
    assert "InvalidRequest: " in log.getvalue()
    assert_no_secret_in(log.getvalue() + "".join(responses))
