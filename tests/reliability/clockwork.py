"""Time that passes only when everybody waits, and tasks that take turns: one runs until it waits for something.

So a life of hours with a dozen concurrent runs takes milliseconds, and the same choices give the same life again.
A task is a thread, because the function is written without knowing of any of this; no two ever run at once.
"""

from __future__ import annotations

import heapq
import threading
from collections.abc import Callable
from itertools import count


class Ended(BaseException):
    """Ends a task where it stands, past all that catches exceptions."""


class Task:
    """Something that happens beside other things.

    Attributes:
        dead: Whether it must end at the next thing that it does.
        done: Whether it has ended.
    """

    def __init__(self, body: Callable[[], None]) -> None:
        self.body = body
        self.dead = False
        self.done = False
        self.begun = False
        self.turn = 0  # an order to go on that is older than this is void
        self.worker: _Worker | None = None


class Clockwork:
    """The one clock, and whose turn it is."""

    def __init__(self) -> None:
        self.now = 0.0
        self._queue: list[tuple[float, int, Task, int]] = []
        self._number = count()
        self._running: Task | None = None
        self._tasks: list[Task] = []
        self._failure: BaseException | None = None

    @property
    def running(self) -> Task:
        """The task whose turn it is."""
        assert self._running is not None
        return self._running

    def begin(self, body: Callable[[], None], *, after: float = 0) -> Task:
        """Have a task begin after some seconds."""
        task = Task(body)
        self._tasks.append(task)
        self._order(task, self.now + after)
        return task

    def cancel(self, task: Task) -> None:
        """Let a task that has not begun never begin."""
        if not task.begun:
            task.done = True

    def wait(self, seconds: float = float("inf")) -> None:
        """End the turn of this task, until `wake` or until the seconds are over.

        Raises:
            Ended: The task was declared dead meanwhile.
        """
        task, until = self.running, self.now + seconds
        task.turn += 1
        if until == float("inf") or (self._queue and self._queue[0][0] <= until):
            self._order(task, until)
            _yield(task)
        else:  # nobody else wants the time
            self.now = until
        if task.dead:
            raise Ended

    def wake(self, task: Task) -> None:
        """Let a task that waits go on now."""
        task.turn += 1
        self._order(task, self.now)

    def run(self, stop: Callable[[], bool] = lambda: False) -> None:
        """Until nobody has anything to do any more, or until `stop` says so."""
        while self._queue and not stop():
            at, _, task, turn = heapq.heappop(self._queue)
            if not task.done and turn == task.turn:
                self.now = max(self.now, at)
                self._give(task)
        self._tasks = [task for task in self._tasks if not task.done]
        if self._failure:
            raise self._failure

    def stop(self) -> None:
        """End all tasks where they stand."""
        for task in self._tasks:
            task.dead = True
            while task.begun and not task.done:
                task.turn += 1
                self._give(task)
        self._tasks.clear()
        self._queue.clear()

    def _order(self, task: Task, at: float) -> None:
        if at != float("inf"):
            heapq.heappush(self._queue, (at, next(self._number), task, task.turn))

    def _give(self, task: Task) -> None:
        self._running = task
        if task.worker is None:
            task.begun = True
            task.worker = _idle.pop() if _idle else _Worker()
            task.worker.job = lambda: self._perform(task)
        task.worker.mine.release()
        task.worker.back.acquire()
        if task.done:
            _idle.append(task.worker)

    def _perform(self, task: Task) -> None:
        try:
            task.body()
        except Ended:
            pass
        except BaseException as error:
            self._failure = self._failure or error
        finally:
            task.done = True


class _Worker:
    """A thread that is used again and again."""

    def __init__(self) -> None:
        self.mine, self.back = threading.Lock(), threading.Lock()  # locked: nothing to do
        self.mine.acquire()
        self.back.acquire()
        self.job: Callable[[], None] = lambda: None
        threading.Thread(target=self._work, daemon=True).start()

    def _work(self) -> None:
        while True:
            self.mine.acquire()
            self.job()
            self.back.release()


_idle: list[_Worker] = []


def _yield(task: Task) -> None:
    assert task.worker is not None
    task.worker.back.release()
    task.worker.mine.acquire()
