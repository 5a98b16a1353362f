"""How long an Update waits between two reads at the end of its time."""

from types import SimpleNamespace
from typing import Any

from ingestion_destination.appfabric.destination import Destination, DestinationArn
from ingestion_destination.deadline import Clock, Deadline
from ingestion_destination.observation import observe
from ingestion_destination.properties import Desired
from tests.support.properties import INGESTION, processing, properties

ARN = f"{INGESTION}/ingestiondestination/44444444-4444-4444-8444-444444444444"


def test_an_update_does_not_sleep_when_its_last_read_used_up_the_time() -> None:
    """`time.sleep` raises ValueError for a negative duration."""
    slept: list[float] = []
    desired, old = (Desired.parse(properties(ProcessingConfiguration=processing(x, "json"))) for x in ("ocsf", "raw"))
    live = Destination.parse(
        {
            "arn": ARN,
            "processingConfiguration": desired.processing.to_configuration(),
            "destinationConfiguration": desired.target.to_configuration(),
        }
    )
    invocation: Any = SimpleNamespace(
        appfabric=SimpleNamespace(
            clock=Clock(monotonic=lambda: 300.001, sleep=slept.append), get=lambda _: live, get_tags=lambda _: {}
        ),
        deadline=Deadline(
            early_ends=10, create_ends=200, search_ends=200, work_ends=300, rollback_ends=310, response_ends=320
        ),
        old=old,
        request=SimpleNamespace(signed_at=None),
    )
    arn = DestinationArn.parse(ARN)
    assert arn
    observed = observe(arn, desired, invocation)
    assert observed
    assert observed.destination == live
    assert slept == [0]
