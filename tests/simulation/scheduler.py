"""Simulated time: the clock advances only when every task waits, and only one task runs at a time.

A scenario of hours with a dozen concurrent invocations takes milliseconds, and the same choices always give the same
scenario. A task is a thread, because the function under test does not know about the simulation.
"""

from __future__ import annotations

import heapq
import threading
from collections.abc import Callable
from itertools import count
from typing import Any

FOREVER = float("inf")


class Killed(BaseException):
    """Raised to end a task at once; no `except Exception` catches it."""


class Task:
    """An activity that runs concurrently with others.

    Attributes:
        killed: Whether it must end at its next wait.
        done: Whether it has ended.
        owner: The object that it runs for.
    """

    __slots__ = ("begun", "body", "done", "killed", "owner", "turn", "worker")

    def __init__(self, body: Callable[[], None], owner: Any = None) -> None:
        self.body = body
        self.owner = owner
        self.killed = False
        self.done = False
        self.begun = False
        self.turn = 0  # entries of the queue with an older turn are void
        self.worker: _Worker | None = None


class Scheduler:
    """The clock, and which task runs.

    A waiting task itself hands over to the next one, so that a turn costs one switch between threads, and none if the
    task itself is next.
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
        """Start a task after some seconds."""
        task = Task(body, owner)
        self._tasks.append(task)
        self._enqueue(task, self.now + after)
        return task

    def cancel(self, task: Task) -> None:
        """Keep a task that has not begun from beginning."""
        if not task.begun:
            task.done = True

    def wait(self, seconds: float = FOREVER) -> None:
        """Suspend the running task until `wake`, or until the seconds have passed.

        Raises:
            Killed: The task was killed meanwhile.
        """
        task = self.running
        assert task is not None
        until = self.now + seconds
        if until != FOREVER and not (self._queue and self._queue[0][0] <= until):
            self.now = until  # no other task runs before
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
        """Let a waiting task continue now."""
        task.turn += 1
        self._enqueue(task, self.now)

    def run(self, stop: Callable[[], bool] | None = None) -> None:
        """Run until no task has anything left to do, or until `stop` returns true.

        Raises:
            BaseException: The first exception that a task raised.
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
        """End all tasks at once."""
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
        """Return the task whose turn it is; None for the main thread."""
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
        _idle.append(task.worker)  # no task can take it before the next line hands over
        self._resume(self._next())


class _Worker:
    """A reusable thread."""

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
