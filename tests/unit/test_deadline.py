"""How an invocation's time is divided, and that what takes longer is interrupted."""

import signal
import socket
import threading
import time

import pytest

from ingestion_destination.appfabric.client import CONSISTENT_AFTER
from ingestion_destination.deadline import Deadline, interrupt_after


def divide(
    *, remaining: float = 300, age: float = 0, service_timeout: float | None = 720, is_delete: bool = False
) -> Deadline:
    return Deadline.of(now=1000, remaining=remaining, age=age, service_timeout=service_timeout, is_delete=is_delete)


@pytest.mark.parametrize("limit", [1, 3, 15, 60, 300, 900])
def test_work_rollback_and_response_follow_each_other_within_any_timeout(limit: float) -> None:
    deadline = divide(remaining=limit, service_timeout=3600)
    assert (
        1000 < deadline.work_ends < deadline.rollback_ends < deadline.watchdog < deadline.response_ends < 1000 + limit
    )
    assert deadline.work_ends - 1000 >= limit / 2


def test_a_delete_reserves_no_time_for_a_rollback() -> None:
    assert divide(is_delete=True).work_ends == divide().rollback_ends


@pytest.mark.parametrize("service_timeout", [10, 60, 120, 300])
@pytest.mark.parametrize("age", [0, 0.9])
def test_everything_ends_before_the_service_timeout(service_timeout: float, age: float) -> None:
    deadline = divide(service_timeout=service_timeout, age=age)
    assert deadline.work_ends < deadline.response_ends < 1000 - age + service_timeout
    assert service_timeout < 60 or deadline.response_ends == min(1000 - age + service_timeout - 5, 1299.5)


@pytest.mark.parametrize("service_timeout", [60, 90, 120, 540, 720, 3600, None])
def test_a_delete_searches_longer_than_any_create_call_can_last(service_timeout: float | None) -> None:
    create, delete = divide(service_timeout=service_timeout), divide(service_timeout=service_timeout, is_delete=True)
    assert create.create_ends <= 1000 + min(270, (service_timeout or 3600) * 0.4)
    assert delete.search_ends >= create.create_ends + 5
    # What the last search finds is read again after a while, and deleted.
    assert delete.work_ends - delete.search_ends >= CONSISTENT_AFTER + 2


@pytest.mark.parametrize("service_timeout", [10, 20, 30, 45])
def test_a_delete_searches_longer_than_a_create_call_lasts_within_a_short_service_timeout(
    service_timeout: float,
) -> None:
    create, delete = divide(service_timeout=service_timeout), divide(service_timeout=service_timeout, is_delete=True)
    assert create.create_ends < delete.search_ends < delete.work_ends


def test_deadlines_count_from_the_request() -> None:
    assert divide(age=100).create_ends == 1170
    assert divide(age=100, is_delete=True).search_ends == 1175


def test_an_expired_request_has_no_time_left() -> None:
    assert divide(service_timeout=60, age=70).response_ends <= 1000


def test_a_read_that_drips_is_interrupted() -> None:
    ours, theirs = socket.socketpair()
    done = threading.Event()

    def drip() -> None:
        while not done.wait(0.02):
            theirs.send(b"x")

    dripping = threading.Thread(target=drip)
    dripping.start()
    ours.settimeout(5)
    began = time.monotonic()
    try:
        with pytest.raises(TimeoutError), interrupt_after(0.2):
            while ours.recv(1):
                pass
    finally:
        done.set()
        dripping.join()
        ours.close()
        theirs.close()
    assert time.monotonic() - began < 4


def test_a_caught_interruption_is_repeated() -> None:
    interruptions = 0
    with pytest.raises(TimeoutError), interrupt_after(0.05):
        try:
            threading.Event().wait(5)
        except TimeoutError:
            interruptions += 1
            threading.Event().wait(5)
    assert interruptions == 1


def test_an_alarm_while_the_timer_stops_leaves_no_timer_armed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    setitimer, before = signal.setitimer, signal.getsignal(signal.SIGALRM)

    def pending(which: int, seconds: float, interval: float = 0) -> tuple[float, float]:
        if seconds == 0:
            signal.raise_signal(signal.SIGALRM)
        return setitimer(which, seconds, interval)

    monkeypatch.setattr(signal, "setitimer", pending)
    with interrupt_after(5):
        pass
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)
    assert signal.getsignal(signal.SIGALRM) is before


def test_nothing_is_interrupted_afterward() -> None:
    with interrupt_after(0.05):
        pass
    assert not threading.Event().wait(0.1)


def test_nothing_is_interrupted_outside_the_main_thread() -> None:
    passed = []

    def body() -> None:
        with interrupt_after(0.01):
            passed.append(threading.Event().wait(0.05))

    thread = threading.Thread(target=body)
    thread.start()
    thread.join()
    assert passed == [False]
