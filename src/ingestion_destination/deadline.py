"""How long a request may take, and how a call that takes longer is cut.

An invocation ends with Lambda's limit, whatever that is. Its last part belongs to the answer, the part before
to undoing what must not stay, the rest to the work. The limits beside these are CloudFormation's view of time:
they count from the moment at which it made the request.
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from types import FrameType

CREATE_BEGINS_WITHIN = 240.0
LOOK_WITHIN = 275.0
# A first run begins within seconds of its request; Lambda waits a minute before it runs an event again.
FIRST_RUN_WITHIN = 10.0


@contextmanager
def cut_after(seconds: float) -> Iterator[None]:
    """Raise TimeoutError in the body when it takes longer.

    A socket's timeout starts anew with every byte, so a dripping answer outlives it; and a thread that is left
    behind would go on sending when Lambda thaws it. A signal ends the call where it stands, in the main thread,
    which is where Lambda runs a handler. Elsewhere (a timer's thread) the socket's timeout is all there is.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGALRM, _raise)
    try:
        # Again every half second: a library may catch the first one and try another address.
        signal.setitimer(signal.ITIMER_REAL, max(seconds, 0.001), 0.5)
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _raise(_number: int, _frame: FrameType | None) -> None:
    raise TimeoutError("cut")


@dataclass(frozen=True, kw_only=True)
class Time:
    """How time passes; tests pass it themselves.

    Attributes:
        clock: Seconds that never go back.
        now: The time of day, with a time zone.
        sleep: Waits for seconds.
        cut_after: Raises TimeoutError in its body after seconds.
    """

    clock: Callable[[], float] = time.monotonic
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    sleep: Callable[[float], None] = time.sleep
    cut_after: Callable[[float], AbstractContextManager[None]] = cut_after


@dataclass(frozen=True, kw_only=True)
class Deadline:
    """When each part of an invocation must end: instants of the clock, in seconds.

    Attributes:
        again: Whether the event may have been run before.
    """

    time: Time
    again: bool
    requested: float
    work_ends: float
    undo_ends: float
    answer_ends: float

    @classmethod
    def of(cls, *, time: Time, remaining: float, age: float) -> Deadline:
        """Divide an invocation.

        Args:
            time: Whose clock all instants are of.
            remaining: Seconds until Lambda ends the invocation.
            age: Seconds since CloudFormation made the request.
        """
        now = time.clock()
        answer_ends = now + remaining - min(0.5, remaining / 20)
        undo_ends = answer_ends - min(15.0, remaining / 4)
        return cls(
            time=time,
            again=age > FIRST_RUN_WITHIN,
            requested=now - age,
            work_ends=undo_ends - min(7.5, remaining / 8),
            undo_ends=undo_ends,
            answer_ends=answer_ends,
        )

    @property
    def create_begins_by(self) -> float:
        """No create call begins later, so that a Delete knows how long to look for its effect."""
        return min(self.work_ends, self.requested + CREATE_BEGINS_WITHIN)

    def look_ends(self, service_timeout: float | None) -> float:
        """Until when a Delete looks for what a Create that still runs may make.

        Args:
            service_timeout: The resource's ServiceTimeout in seconds; the answer must be there before.
        """
        within = LOOK_WITHIN if service_timeout is None else min(LOOK_WITHIN, service_timeout - 30)
        # The last look, and what it finds to delete, are part of the work.
        return min(self.work_ends - min(1.5, (self.work_ends - self.requested) / 6), self.requested + within)
