"""Simulated time: the clock advances only when every task waits, and only one task runs at a time.

A scenario of hours with a dozen concurrent invocations takes milliseconds, and the same choices give the same scenario
again. A task is a thread, because the function under test is written without knowing of any of this.
"""

from __future__ import annotations

import heapq
import threading
from collections.abc import Callable
from itertools import count
from typing import Any

FOREVER = float("inf")


class Killed(BaseException):
    """Ends a task where it stands, past every `except Exception`."""


class Task:
    """Something that happens concurrently with other things.

    Attributes:
        killed: Whether it must end at the next thing that it does.
        done: Whether it has ended.
        owner: Whatever it runs for.
    """

    __slots__ = ("begun", "body", "done", "killed", "owner", "turn", "worker")

    def __init__(self, body: Callable[[], None], owner: Any = None) -> None:
        self.body = body
        self.owner = owner
        self.killed = False
        self.done = False
        self.begun = False
        self.turn = 0  # an entry of the queue that is older than this is void
        self.worker: _Worker | None = None


class Scheduler:
    """The one clock, and whose turn it is.

    A task that waits hands over to the next one itself, so that a turn costs one switch between threads, and none where
    the next turn is its own.
    """

    def __init__(self) -> None:
        self.now = 0.0
        self.running: Task | None = None
        self._queue: list[tuple[float, int, Task, int]] = []
        self._number = count()
        self._tasks: list[Task] = []
        self._failure: BaseException | None = None
        self._main = threading.Lock()  # held: the main thread waits until it is released
        self._main.acquire()
        self._stopped: Callable[[], bool] = lambda: False

    def start(self, body: Callable[[], None], *, after: float = 0, owner: Any = None) -> Task:
        """Let a task begin after some seconds."""
        task = Task(body, owner)
        self._tasks.append(task)
        self._enqueue(task, self.now + after)
        return task

    def cancel(self, task: Task) -> None:
        """Keep a task that has not begun from beginning."""
        if not task.begun:
            task.done = True

    def wait(self, seconds: float = FOREVER) -> None:
        """End the turn of the running task, until `wake` or until the seconds are over.

        Raises:
            Killed: The task was killed meanwhile.
        """
        task = self.running
        assert task is not None
        until = self.now + seconds
        if until != FOREVER and not (self._queue and self._queue[0][0] <= until):
            self.now = until  # nobody else wants the time
        else:
            task.turn += 1
            self._enqueue(task, until)
            following = self._next()
            if following is not task:
                self._resume(following)
                assert task.worker is not None
                task.worker.turn.acquire()
        if task.killed:
            raise Killed

    def wake(self, task: Task) -> None:
        """Let a task that waits go on now."""
        task.turn += 1
        self._enqueue(task, self.now)

    def run(self, stop: Callable[[], bool] | None = None) -> None:
        """Run until nobody has anything to do any more, or until `stop` says so.

        Raises:
            BaseException: What a task raised first.
        """
        self._stopped = stop or (lambda: False)
        first = self._next()
        if first is not None:
            self._resume(first)
            self._main.acquire()
        self.running = None
        self._tasks = [task for task in self._tasks if not task.done]
        if self._failure:
            failure, self._failure = self._failure, None
            raise failure

    def kill_all(self) -> None:
        """End all tasks where they stand."""
        self._stopped = lambda: True
        for task in self._tasks:
            task.killed = True
            while task.begun and not task.done:
                self._resume(task)
                self._main.acquire()
        self._tasks.clear()
        self._queue.clear()
        self._failure = None

    def _enqueue(self, task: Task, at: float) -> None:
        if at != FOREVER:
            heapq.heappush(self._queue, (at, next(self._number), task, task.turn))

    def _next(self) -> Task | None:
        """Whose turn it is now; None for the main thread's."""
        queue = self._queue
        if self._failure is None and not self._stopped():
            while queue:
                at, _, task, turn = heapq.heappop(queue)
                if not task.done and turn == task.turn:
                    self.now = max(self.now, at)
                    self.running = task
                    return task
        return None

    def _resume(self, task: Task | None) -> None:
        if task is None:
            self._main.release()
            return
        self.running = task
        if task.worker is None:
            task.begun = True
            task.worker = _idle.pop() if _idle else _Worker()
            task.worker.job = lambda: self._perform(task)
        task.worker.turn.release()

    def _perform(self, task: Task) -> None:
        try:
            task.body()
        except Killed:
            pass
        except BaseException as error:
            self._failure = self._failure or error
        task.done = True
        assert task.worker is not None
        _idle.append(task.worker)  # nobody takes it before the next line hands over
        self._resume(self._next())


class _Worker:
    """A thread that is used again and again."""

    __slots__ = ("job", "turn")

    def __init__(self) -> None:
        self.turn = threading.Lock()  # held: nothing to do
        self.turn.acquire()
        self.job: Callable[[], None] = lambda: None
        threading.Thread(target=self._work, daemon=True).start()

    def _work(self) -> None:
        while True:
            self.turn.acquire()
            self.job()


_idle: list[_Worker] = []
