"""All that is logged, at DEBUG and by everybody, in lives with every mishap: no address, no credential, no value."""

import io
import logging
from collections.abc import Iterator

import pytest

from ingestion_destination.observability import logger
from tests.contract.laptop import properties, to_bucket
from tests.reliability.lives import TO_THE_END, Lives
from tests.reliability.stacks import Choices
from tests.reliability.test_faults import CASES, Step
from tests.reliability.world import Plan, installed

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
    everybody = logging.StreamHandler(stream)
    everybody.setFormatter(logger.registered_formatter)
    monkeypatch.setattr(logging.root, "level", logging.DEBUG)
    logging.root.addHandler(everybody)
    with installed():
        monkeypatch.setattr(logger.registered_handler, "emit", everybody.emit)
        level = logger.log_level
        logger.setLevel(logging.DEBUG)
        try:
            yield stream
        finally:
            logger.setLevel(level)
            logging.root.removeHandler(everybody)


def no_secret_in(text: str) -> None:
    for secret in ("Signature", "0123456789abcdef", "X-Amz-Date", SECRET):
        assert secret not in text


@pytest.mark.parametrize(("step", "plan"), CASES[::60])
def test_a_life_with_a_mishap(step: Step, plan: Plan, log: io.StringIO) -> None:
    step.play(plan).teardown()
    assert "answered" in log.getvalue()
    no_secret_in(log.getvalue())


@pytest.mark.parametrize("wrong", WRONG)
def test_a_life_with_wrong_properties(wrong: dict[str, object], log: io.StringIO) -> None:
    life = Lives()
    life.begin(there=[], roomy=True, hidden=0)
    stack = life.stacks[0]
    life._go(lambda: stack.create({"Destination": wrong}, Choices()), [], [], TO_THE_END)
    told = [str(asked.answer) for asked in life.world.asked.values()]
    assert "InvalidRequest: " in told[0]
    assert "InvalidRequest: " in log.getvalue()
    no_secret_in(log.getvalue() + "".join(told))
