"""How an invocation's time is divided, and that what takes longer is cut."""

import socket
import threading
import time

import pytest

from ingestion_destination.deadline import Deadline, Time, cut_after


@pytest.mark.parametrize("limit", [1, 3, 15, 60, 300, 900])
def test_work_undoing_and_answer_follow_each_other_within_any_limit(limit: float) -> None:
    deadline = Deadline.of(time=Time(clock=lambda: 1000.0), remaining=limit, age=0)
    assert 1000 < deadline.work_ends < deadline.undo_ends < deadline.answer_ends < 1000 + limit
    assert deadline.work_ends - 1000 >= limit / 2


def test_with_the_templates_limit_a_delete_can_look_as_long_as_a_create_may_make() -> None:
    deadline = Deadline.of(time=Time(clock=lambda: 0.0), remaining=300, age=0)
    assert deadline.create_begins_by == 240
    assert deadline.look_ends(None) == 275
    assert deadline.look_ends(720) == 275
    assert deadline.look_ends(120) == 90


def test_both_count_from_the_request() -> None:
    deadline = Deadline.of(time=Time(clock=lambda: 0.0), remaining=300, age=100)
    assert deadline.create_begins_by == 140
    assert deadline.look_ends(None) == 175


def test_a_dripping_read_is_cut() -> None:
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
        with pytest.raises(TimeoutError), cut_after(0.2):
            while ours.recv(1):
                pass
    finally:
        done.set()
        dripping.join()
        ours.close()
        theirs.close()
    assert time.monotonic() - began < 4


def test_what_is_caught_once_is_cut_again() -> None:
    cut = 0
    with pytest.raises(TimeoutError), cut_after(0.05):
        try:
            threading.Event().wait(5)
        except TimeoutError:
            cut += 1
            threading.Event().wait(5)
    assert cut == 1


def test_nothing_is_cut_afterwards() -> None:
    with cut_after(0.05):
        pass
    assert not threading.Event().wait(0.1)


def test_elsewhere_than_in_the_main_thread_nothing_is_cut() -> None:
    passed = []

    def body() -> None:
        with cut_after(0.01):
            passed.append(threading.Event().wait(0.05))

    thread = threading.Thread(target=body)
    thread.start()
    thread.join()
    assert passed == [False]
