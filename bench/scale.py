"""`make bench-scale`: up to 250 destinations in one stack, against a service that takes ten calls a second.

Real are the handler, crhelper, the boto3 client, the retries and the emulator with its rate limit. Simulated is time,
and with it what Lambda does: each run of the handler has a thread of its own, but only one thread runs at any moment,
the one whose time has come. So the result does not depend on this machine, and 40 minutes pass in some seconds.

Lambda's part is modeled after its documentation. Without reserved concurrency every event finds a container at once.
With it, an event that finds none waits in the queue: one second, then ever twice as long, at most five minutes.
https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-error-handling.html
"""

import argparse
import heapq
import io
import json
import logging
import random
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import boto3
from botocore.config import Config
from rich.console import Console
from rich.table import Table

from bench.stage import BUNDLE
from bench.subjects import KEPT, PROPERTIES, ROOT
from ingestion_destination.deadline import Clock
from ingestion_destination.provider import Provider
from local.appfabric import AppFabricEmulator, RateLimit, attach

RESULTS = KEPT / "scale.json"
SIZES = (1, 10, 50, 100, 250)
RESERVED = (None, 5, 10)  # the template's parameter
RATE, BURST = 10.0, 10  # AppFabric's own limit is not published
ARRIVE_WITHIN = 1.5  # CloudFormation makes the requests of resources that do not depend on each other at once
SERVICE, COLD, WARM = 0.08, 0.35, 0.01  # seconds of a call, of a start-up and of all else in a warm run
BEGAN = datetime(2026, 11, 22, 12, tzinfo=UTC)
TIMEOUT, GREATEST_AGE = 300.0, 360.0  # the template's


class Simulation:
    """Time, and the threads that wait for it."""

    def __init__(self) -> None:
        self.now = 0.0
        self._queue: list[tuple[float, int, threading.Event]] = []
        self._number = 0
        self._turn = threading.Event()

    def run_at(self, moment: float, work: Callable[[], None]) -> None:
        """Have a thread do some work when its time has come."""
        begin = self._enqueue(moment)

        def run() -> None:
            begin.wait()
            try:
                work()
            finally:
                self._turn.set()

        threading.Thread(target=run, daemon=True).start()

    def sleep(self, seconds: float) -> None:
        """Let the others run meanwhile."""
        wake = self._enqueue(self.now + seconds)
        self._turn.set()
        wake.wait()

    def run(self) -> None:
        """Until nobody waits any more."""
        while self._queue:
            self.now, _, next_one = heapq.heappop(self._queue)
            self._turn.clear()
            next_one.set()
            self._turn.wait()

    def _enqueue(self, moment: float) -> threading.Event:
        self._number += 1
        wake = threading.Event()
        heapq.heappush(self._queue, (moment, self._number, wake))
        return wake


@dataclass
class Stack:
    """What came of one."""

    resources: int
    reserved: int | None
    succeeded: int = 0
    failed: int = 0
    dropped: int = 0
    ends: float = 0.0
    billed: float = 0.0
    calls: int = 0

    @property
    def limit(self) -> float:
        """The least time that the service's rate allows."""
        return max((self.resources - BURST) / RATE, 0.0)


class Lambda:
    """The function, its containers and its queue."""

    def __init__(
        self, simulation: Simulation, stack: Stack, appfabric: AppFabricEmulator, chance: random.Random
    ) -> None:
        self._simulation = simulation
        self._stack = stack
        self._chance = chance
        self._running = self._containers = 0
        client = boto3.client(
            "appfabric",
            region_name="us-east-1",
            aws_access_key_id="test",
            aws_secret_access_key="test",  # noqa: S106
            config=Config(retries={"mode": "standard", "total_max_attempts": 1}),
        )
        client.meta.events.register("before-send.appfabric", lambda **_: simulation.sleep(SERVICE / 2))
        attach(client, appfabric)
        clock = Clock(
            monotonic=lambda: simulation.now,
            now=lambda: BEGAN + timedelta(seconds=simulation.now),
            sleep=simulation.sleep,
            interrupt_after=_never_cut,
        )
        self._clock = clock
        self._provider = Provider(client=lambda: client, delivery=self, clock=clock, started=0.0)  # type: ignore[arg-type]

    def put(self, _address: str, body: bytes, *, ends: float) -> None:
        """Take a response, in the place of CloudFormation."""
        self._simulation.sleep(SERVICE / 2)
        succeeded = self._simulation.now <= ends and json.loads(body)["Status"] == "SUCCESS"
        self._stack.succeeded += succeeded
        self._stack.failed += not succeeded
        self._stack.ends = max(self._stack.ends, self._simulation.now)

    def invoke(self, number: int) -> None:
        """Run the Create of one of the resources, when a container is free for it."""
        signed = self._clock.now().strftime("%Y%m%dT%H%M%SZ")
        arrived, wait = self._simulation.now, 1.0
        while self._stack.reserved and self._running >= self._stack.reserved:
            if self._simulation.now - arrived > GREATEST_AGE:
                self._stack.dropped += 1
                return
            self._simulation.sleep(wait * self._chance.uniform(0.5, 1))
            wait = min(2 * wait, 300)
        self._running += 1
        began, cold = self._simulation.now, self._running > self._containers
        self._containers = max(self._containers, self._running)
        self._simulation.sleep(COLD if cold else WARM)
        ends = self._simulation.now + TIMEOUT
        self._provider(_event(number, signed), _Context(lambda: ends - self._simulation.now))
        self._running -= 1
        self._stack.billed += self._simulation.now - began


@dataclass
class _Context:
    left: Callable[[], float]
    aws_request_id: str = "request"

    def get_remaining_time_in_millis(self) -> int:
        return int(self.left() * 1000)


def simulate(resources: int, *, reserved: int | None, seed: int) -> Stack:
    """One stack, from CloudFormation's first request to the last response."""
    random.seed(seed)  # the handler's own jitter, too
    chance = random.Random(seed)  # noqa: S311
    simulation, stack = Simulation(), Stack(resources, reserved)
    appfabric = AppFabricEmulator(
        now=lambda: BEGAN + timedelta(seconds=simulation.now),
        sleep=simulation.sleep,
        rate_limit=RateLimit(rate=RATE, burst=BURST),
    )
    function = Lambda(simulation, stack, appfabric, chance)
    for number in range(resources):
        simulation.run_at(chance.uniform(0, ARRIVE_WITHIN), partial(function.invoke, number))
    simulation.run()
    stack.calls = len(appfabric.calls)
    return stack


def main() -> None:
    """Simulate, print, write."""
    parser = argparse.ArgumentParser(prog="python -m bench.scale", description=__doc__)
    parser.add_argument("--seeds", type=int, default=5, help="stacks of each size (%(default)s)")
    seeds = parser.parse_args().seeds
    logging.disable()
    table = Table(
        title=f"One stack at {RATE:g} calls a second, burst {BURST}: medians of {seeds}", title_justify="left"
    )
    for column in (
        "N",
        "reserved",
        "succeeded",
        "span s",
        "limit s",
        "span/limit",
        "calls/N",
        "billed s",
        "billed s/N",
    ):
        table.add_column(column, justify="right")
    stacks = []
    for reserved in RESERVED:
        for resources in SIZES:
            with redirect_stdout(io.StringIO()):  # the function's metrics
                runs = [simulate(resources, reserved=reserved, seed=seed) for seed in range(seeds)]
            stacks += runs
            median = sorted(runs, key=lambda run: run.ends)[seeds // 2]
            table.add_row(
                str(resources),
                str(reserved or "-"),
                f"{sum(run.succeeded for run in runs)}/{resources * seeds}",
                f"{median.ends:.1f}",
                f"{median.limit:.1f}",
                f"{median.ends / median.limit:.2f}" if median.limit else "-",
                f"{median.calls / resources:.1f}",
                f"{median.billed:.0f}",
                f"{median.billed / resources:.1f}",
            )
    console = Console(width=110)
    console.print(table)
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    RESULTS.write_text(json.dumps([asdict(stack) for stack in stacks], indent=1))
    console.print(f"[dim]{RESULTS.relative_to(ROOT)}")


@contextmanager
def _never_cut(_seconds: float) -> Iterator[None]:
    yield


def _event(number: int, signed: str) -> dict[str, Any]:
    # An ingestion takes five destinations, and an app bundle fifty ingestions.
    ingestion = f"{BUNDLE}/ingestion/22222222-2222-4222-8222-{number // 5:012}"
    return {
        "RequestType": "Create",
        "ResponseURL": f"https://responses.example/{uuid.uuid4()}?X-Amz-Date={signed}",
        "StackId": "arn:aws:cloudformation:us-east-1:111122223333:stack/bench/51af3dc0-da77-11e4-872e-1234567db123",
        "RequestId": str(uuid.uuid4()),
        "LogicalResourceId": f"Destination{number}",
        "ResourceProperties": {**PROPERTIES, "IngestionIdentifier": ingestion},
    }


if __name__ == "__main__":
    main()
