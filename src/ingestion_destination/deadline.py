"""How much time an invocation has, and how a call that takes longer is interrupted.

Three parties limit it. Lambda ends an invocation at the function's timeout. CloudFormation stops waiting after the
resource's ServiceTimeout and then undoes the request: what changes later is never undone. And a Delete that searches
for the destination of a Create still in flight has to know when no Create can be in flight any more.
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

# CloudFormation's, for a resource that sets none of its own.
DEFAULT_SERVICE_TIMEOUT = 3600.0
# Seconds after the request, unless the ServiceTimeout is short: see `Deadline`.
EARLY_WITHIN = 10.0
CREATE_WITHIN = 270.0
SEARCH_WITHIN = 275.0
# How long before the ServiceTimeout everything has ended, the response included.
MARGIN = 5.0


@contextmanager
def interrupt_after(seconds: float) -> Iterator[None]:
    """Raise TimeoutError in the body when it takes longer.

    A socket's timeout starts again with every byte, so a response that trickles in outlives it; and a thread that is
    left behind would go on sending when Lambda thaws it. A signal ends the call where it stands, in the main thread,
    which is where Lambda calls a handler. In any other thread (the watchdog's) the socket's timeout is all there is.

    Args:
        seconds: How long the body may take.

    Raises:
        TimeoutError: In the body.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    armed = True

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        if armed:
            raise TimeoutError("interrupted")

    previous = signal.signal(signal.SIGALRM, interrupt)
    try:
        # Again every half second: a library may catch the first one and try another address.
        signal.setitimer(signal.ITIMER_REAL, max(seconds, 0.001), 0.5)
        yield
    finally:
        armed = False  # an alarm that is delivered from here on must not keep the timer from being stopped
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)


@dataclass(frozen=True, kw_only=True)
class Clock:
    """How time passes; tests pass it themselves.

    Attributes:
        monotonic: Seconds that never go back.
        now: The time of day, with a time zone.
        sleep: Waits for seconds.
        interrupt_after: Raises TimeoutError in its body after seconds.
    """

    monotonic: Callable[[], float] = time.monotonic
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    sleep: Callable[[float], None] = time.sleep
    interrupt_after: Callable[[float], AbstractContextManager[None]] = interrupt_after


@dataclass(frozen=True, kw_only=True)
class Deadline:
    """When each part of an invocation has to end, in seconds of the monotonic clock.

    Attributes:
        early_ends: Until then the rollback of a canceled update is sure to find what a replacement creates.
        create_ends: A call that creates a destination has ended by then.
        search_ends: How long a Delete searches for what a Create in flight may still create.
        work_ends: The end of the request's own work.
        rollback_ends: The end of rolling back; a Delete has nothing to roll back and works until then.
        response_ends: The end of everything.
    """

    early_ends: float
    create_ends: float
    search_ends: float
    work_ends: float
    rollback_ends: float
    response_ends: float

    @classmethod
    def of(
        cls, *, now: float, remaining: float, age: float, service_timeout: float | None, is_delete: bool
    ) -> Deadline:
        """Divide an invocation.

        A Create's calls end two fifths of a ServiceTimeout after its request at the latest, and a Delete searches a
        little longer than that, so that the search covers them whatever the ServiceTimeout is.

        Args:
            now: By the monotonic clock.
            remaining: Seconds until Lambda ends the invocation.
            age: Seconds since CloudFormation made the request.
            service_timeout: The resource's own in seconds, None for CloudFormation's default.
            is_delete: Whether the request is a Delete.
        """
        requested = now - age
        timeout = DEFAULT_SERVICE_TIMEOUT if service_timeout is None else service_timeout
        response_ends = min(
            now + remaining - min(0.5, remaining / 20),
            requested + timeout - min(MARGIN, timeout / 4),
        )
        left = max(response_ends - now, 0.0)
        rollback_ends = response_ends - min(15.0, left / 4)
        work_ends = rollback_ends if is_delete else rollback_ends - min(7.5, left / 8)
        return cls(
            early_ends=requested + EARLY_WITHIN,
            create_ends=min(work_ends, requested + min(CREATE_WITHIN, timeout * 0.4)),
            # The last search, and reading again and deleting what it finds, are part of the work.
            search_ends=min(work_ends - min(6.0, left / 5), requested + min(SEARCH_WITHIN, timeout / 2 + 5)),
            work_ends=work_ends,
            rollback_ends=rollback_ends,
            response_ends=response_ends,
        )

    @property
    def watchdog(self) -> float:
        """When the watchdog responds, because a call that Python cannot interrupt still holds the main thread."""
        return self.rollback_ends + (self.response_ends - self.rollback_ends) / 4
