"""The connection of an answer serves the next one, and is never the reason why one does not arrive."""

import ssl
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from http.client import HTTPSConnection
from pathlib import Path

import pytest

from ingestion_destination.deadline import Time
from ingestion_destination.delivery import KEPT_FOR, Delivery, Undelivered
from local.answers import AnswerSink, Fault
from local.certificates import Certificates

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates.create(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def sink(certificates: Certificates) -> Iterator[AnswerSink]:
    with AnswerSink(certificates) as sink:
        yield sink


@pytest.fixture
def connections(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """One entry a connection that was made."""
    made: list[str] = []
    connect = HTTPSConnection.connect

    def count(self: HTTPSConnection) -> None:
        made.append(self.host)
        connect(self)

    monkeypatch.setattr(HTTPSConnection, "connect", count)
    return made


class Rig:
    """A delivery whose time of day stands still, and which never sleeps."""

    def __init__(self, ca: Path) -> None:
        self.now = NOW
        self.slept: list[float] = []
        time_ = replace(Time(), sleep=self.slept.append, now=lambda: self.now)
        self.delivery = Delivery(context=ssl.create_default_context(cafile=str(ca)), time=time_)

    def put(self, address: str) -> None:
        self.delivery.put(address, b"{}", ends=time.monotonic() + 5)


@pytest.fixture
def rig(certificates: Certificates) -> Rig:
    return Rig(certificates.ca)


def test_answers_of_a_moment_share_a_connection(rig: Rig, sink: AnswerSink, connections: list[str]) -> None:
    addresses = [sink.address() for _ in range(3)]
    for address in addresses:
        rig.put(address)
        rig.now += KEPT_FOR
    assert all(sink.requests(address)[0].stored for address in addresses)
    assert connections == ["localhost"]


@pytest.mark.parametrize("later", [KEPT_FOR + timedelta(seconds=1), timedelta(hours=1), timedelta(seconds=-1)])
def test_an_older_one_is_not_asked(rig: Rig, sink: AnswerSink, connections: list[str], later: timedelta) -> None:
    rig.put(sink.address())
    rig.now += later
    rig.put(sink.address())
    assert len(connections) == 2


@pytest.mark.parametrize("fault", [Fault.CUT_BEFORE, Fault.CUT_AFTER])
def test_one_that_ends_under_an_answer_costs_no_try(
    rig: Rig, sink: AnswerSink, connections: list[str], fault: Fault
) -> None:
    rig.put(sink.address())
    address = sink.address(order=[fault])
    rig.put(address)
    assert [request.outcome for request in sink.requests(address)] == [fault, 200]
    assert len(connections) == 2
    assert rig.slept == []


def test_one_that_the_other_side_closed_is_not_asked(
    certificates: Certificates, rig: Rig, connections: list[str]
) -> None:
    with AnswerSink(certificates) as closing:
        rig.put(closing.address())
        kept = rig.delivery._kept
        assert kept is not None
        kept.connection.sock.shutdown(2)
        address = closing.address()
        rig.put(address)
        assert len(closing.requests(address)) == 1
    assert len(connections) == 2


@pytest.mark.parametrize("order", [[503], [403]])
def test_after_a_failure_none_is_kept(rig: Rig, sink: AnswerSink, connections: list[str], order: list[int]) -> None:
    try:
        rig.put(sink.address(order=order))
    except Undelivered:
        assert order == [403]
    made = len(connections)
    rig.put(sink.address())
    assert len(connections) == made + (order == [403])


def test_another_host_gets_its_own(
    certificates: Certificates, rig: Rig, sink: AnswerSink, connections: list[str]
) -> None:
    with AnswerSink(certificates) as other:
        rig.put(sink.address())
        rig.put(other.address())
        rig.put(other.address().replace("localhost", "127.0.0.1"))
    assert connections == ["localhost", "localhost", "127.0.0.1"]
