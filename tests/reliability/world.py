"""A small AWS for one life: AppFabric, Lambda and the place for answers, with what goes wrong as ordered.

Everything is the function's own code but what touches the network: AppFabric's calls end in the stand-in's
operations, and one try to put an answer ends in a dictionary. Each run of the function has a container of its own.
"""

from __future__ import annotations

import copy
import json
import ssl
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from botocore import xform_name
from botocore.exceptions import ClientError, ConnectionClosedError, ReadTimeoutError

import app
from ingestion_destination import observability, responder
from ingestion_destination.deadline import Time
from ingestion_destination.delivery import Delivery, Undelivered
from local import appfabric
from local.appfabric import model, operations
from local.appfabric.errors import ServiceError, not_found
from tests.reliability.clockwork import Clockwork, Ended, Task

BEGAN = datetime(2026, 11, 22, 12, 0, 0, tzinfo=UTC)
LAMBDAS_PAUSES = (60.0, 120.0)
GREATEST_AGE = 360.0
OPERATIONS = {xform_name(name): name for name in model.service_model().operation_names}
MUTATING = {
    *("CreateIngestionDestination", "UpdateIngestionDestination", "DeleteIngestionDestination"),
    *("TagResource", "UntagResource"),
}

# What can befall a call of AppFabric's. "the effect" is what the call does; a run that crashes is run again by Lambda.
CALL_MISHAPS = (
    "throttled",
    "500 before the effect",
    "500 after the effect",
    "403",
    "cut before the effect",
    "cut after the effect",
    "hangs before the effect",
    "hangs after the effect",
    "hangs until it is given up, then takes effect",
    "hangs beyond any cut, after the effect",
    "hangs beyond any cut, before the effect",
    "slow",
    "the container dies before the effect",
    "the container dies after the effect",
)
# What can befall a try to put an answer.
PUT_MISHAPS = (
    "500",
    "cut before it is stored",
    "cut after it is stored",
    "hangs before it is stored",
    "hangs after it is stored",
    "slow",
    "the container dies before it is stored",
    "the container dies after it is stored",
)


@dataclass(frozen=True)
class Mishap:
    """What befalls the calls (or the tries to answer) of one run from `at` on, `times` of them."""

    at: int
    kind: str
    times: int = 1

    def strikes(self, number: int) -> bool:
        return self.at <= number < self.at + self.times


@dataclass(frozen=True)
class Plan:
    """What befalls one run of the function.

    Attributes:
        calls: Mishaps of AppFabric's calls.
        puts: Mishaps of the tries to answer.
        latency: Seconds that each call takes.
        queued: Seconds that Lambda keeps the event before the run.
        again: Seconds after which Lambda delivers the event a second time for no reason; None if it does not.
        cold: Whether the container is a new one.
    """

    calls: tuple[Mishap, ...] = ()
    puts: tuple[Mishap, ...] = ()
    latency: float = 0.1
    queued: float = 0
    again: float | None = None
    cold: bool = False

    def __repr__(self) -> str:
        said = [f"{name}={value!r}" for name, value in vars(self).items() if value != getattr(PLAIN, name)]
        return f"Plan({', '.join(said)})"


PLAIN = Plan.__new__(Plan)
PLAIN.__init__()  # type: ignore[misc]


@dataclass
class Asked:
    """A request of CloudFormation's, with what became of it.

    Attributes:
        answer: What was stored first, as CloudFormation reads it.
        over: When nothing more was expected of it: answered, or, for one that was given up, when what undoes it
            was answered. What another run makes after that is beyond anybody's knowledge.
        refused: Whether the address takes no answer at all.
        given_up: Whether CloudFormation did not wait for the answer.
    """

    name: str
    event: dict[str, Any]
    at: float
    waiting: Task | None = None
    answer: dict[str, Any] | None = None
    answered_by: Run | None = None
    over: float | None = None
    refused: bool = False
    given_up: bool = False
    runs: list[Run] = field(default_factory=list)

    @property
    def type(self) -> str:
        return str(self.event["RequestType"])


class Run:
    """One run of the function with one event."""

    def __init__(self, world: World, asked: Asked, plan: Plan, attempt: int) -> None:
        self.world, self.asked, self.plan, self.attempt = world, asked, plan, attempt
        self.name = f"{asked.name}, run {len(asked.runs) + 1}"
        asked.runs.append(self)
        self.began = world.clock.now
        self.ended: float | None = None
        self.ends = self.began + world.limit
        self.tasks: list[Task] = []
        self.dead = False
        self.deaf = False
        self.looked_at: float | None = None
        self.told: set[str] = set()
        self.outcome = "runs"
        self.calls = 0
        self.puts = 0
        self.bodies: list[bytes] = []
        self.stored = False
        self.first_put_at: float | None = None
        self.after_the_answer: list[tuple[str, Mapping[str, Any]]] = []
        self.errors: list[dict[str, Any]] = []
        self.pending: Counter[str] = Counter()
        self.counted: Counter[str] = Counter()
        self._cuts: list[float] = []

    def __call__(self) -> None:
        """What Lambda does."""
        world, self.main = self.world, self.world.clock.running
        self.tasks.append(self.main)
        world.runs[self.main] = self
        world.tell(f"{self.name} begins")
        provider = app.Provider(
            client=lambda: Client(world),
            delivery=Courier(self),
            time=Time(clock=lambda: 1000 + world.clock.now, now=world.now, sleep=self.sleep, cut_after=self.cut_after),
            started=1000 + self.began - (0 if self.plan.cold else 3600),
        )
        try:
            result = provider(copy.deepcopy(self.asked.event), self)
            self.alive()  # the timer's thread may have met the end of the container
            assert result is None
            self.outcome = "returned"
        except Undelivered as failure:
            self.outcome = "raised"
            world.tell(f"{self.name} raises: {failure}")
        except Ended:
            self.outcome = "died"
            world.tell(f"{self.name} dies")
        finally:
            self.dead = True  # Lambda freezes what is left
            self.ended = world.clock.now
        if self.outcome != "returned":
            world.retry(self)

    aws_request_id = "lambda-request"

    def get_remaining_time_in_millis(self) -> int:
        return max(int((self.ends - self.world.clock.now) * 1000), 0)

    def alive(self) -> None:
        """A run that is dead does nothing any more."""
        if self.dead:
            raise Ended

    def die(self) -> None:
        self.dead = True
        raise Ended

    def sleep(self, seconds: float) -> None:
        """As `time.sleep`, with a signal that cuts it and Lambda's limit that kills it."""
        self.alive()
        clock, main = self.world.clock, self.world.clock.running is self.main
        until = clock.now + seconds
        cut = min(self._cuts) if main and self._cuts and not self.deaf else float("inf")
        stop = min(until, cut, self.ends)
        clock.wait(max(stop - clock.now, 0))
        self.alive()
        if stop == self.ends and until > self.ends:
            self.world.tell(f"{self.name} is ended by Lambda's limit")
            self.die()
        if stop < until:
            raise TimeoutError("cut")

    @contextmanager
    def cut_after(self, seconds: float) -> Iterator[None]:
        if self.world.clock.running is not self.main:  # signals go to the main thread only
            yield
            return
        self._cuts.append(self.world.clock.now + seconds)
        try:
            yield
        finally:
            self._cuts.pop()

    def forever(self, *, deaf: bool) -> None:
        """Wait for an answer that never comes."""
        self.deaf = deaf
        try:
            self.sleep(30.0 if not deaf else 3600.0)  # the socket's own timeout
        finally:
            self.deaf = False


@dataclass(frozen=True)
class Change:
    """What a run changed in AppFabric."""

    run: Run
    operation: str
    arn: str
    at: float
    made: bool

    @property
    def is_late(self) -> bool:
        """Whether the run went on though its request was over, and not by an answer of its own.

        What an undone request made must be found until the last look of what undid it.
        """
        asked, run = self.run.asked, self.run
        if asked.over is None or (self.operation == "CreateIngestionDestination" and not self.made):
            return False
        if asked.given_up:
            return self.at >= asked.over
        return asked.answered_by is not run and (run.ended is None or run.ended >= asked.over)


class Client:
    """AppFabric's boto3 client, without the wire; `test_world.py` shows that it tells what boto3's tells."""

    meta = SimpleNamespace(region_name="us-east-1")

    def __init__(self, world: World) -> None:
        self._world = world

    def __getattr__(self, method: str) -> Callable[..., Any]:
        return lambda **parameters: self._world.call(OPERATIONS[method], parameters)


class Courier(Delivery):
    """The way of one run's answers, one try of which is the world's."""

    def __init__(self, run: Run) -> None:
        super().__init__(context=_NO_TLS, time=Time(clock=lambda: 1000 + run.world.clock.now, sleep=run.sleep))
        self._run = run

    def _try(self, address: str, body: bytes, longest: float) -> int:
        return self._run.world.put(self._run, address, body, longest)


_NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


class World:
    """Everything outside of the function, for one life.

    Args:
        limit: Of the Lambda function in seconds.
        reruns: Whether Lambda runs events again whose request is over.

    Attributes:
        hidden: Seconds after its Create in which the request that made a destination does not find it.
    """

    def __init__(self, *, limit: float = 300, reruns: bool = False) -> None:
        global current
        current = self
        self.clock = Clockwork()
        self.limit, self.reruns = limit, reruns
        self.appfabric = appfabric.AppFabric(now=self.now, clock=lambda: self.clock.now)
        self.appfabric.page_size = 2
        self.hidden = 0.0
        self.plans: list[Plan] = []
        self.asked: dict[str, Asked] = {}
        self.runs: dict[Task, Run] = {}
        self.all_runs: list[Run] = []
        self.changes: list[Change] = []
        self.made: dict[str, list[Run]] = {}
        self.touched: dict[str, list[str]] = {}
        self.names: dict[str, str] = {}
        self.story: list[str] = []
        self._minted = 0

    def now(self) -> datetime:
        return BEGAN + timedelta(seconds=self.clock.now)

    def tell(self, text: str) -> None:
        self.story.append(f"{self.clock.now:8.1f} s  {text}")

    def name_of(self, text: Any) -> str:
        """An ARN as the story tells it."""
        return self.names.get(str(text), str(text).rpartition("/")[2])

    def mint(self) -> uuid.UUID:
        """A UUID that is the same in the same life."""
        self._minted += 1
        return uuid.UUID(f"{self._minted:08x}-0000-4000-8000-{self._minted:012x}")

    @property
    def late(self) -> list[Change]:
        """What runs changed that went on though their request was over."""
        return [change for change in self.changes if change.is_late]

    @property
    def run(self) -> Run:
        """The run whose turn it is."""
        return self.runs[self.clock.running]

    # Lambda

    def invoke(self, asked: Asked) -> None:
        self.asked[asked.event["ResponseURL"]] = asked
        plan = self.plans.pop(0) if self.plans else PLAIN
        self._deliver(asked, plan, attempt=0, after=plan.queued)
        if plan.again is not None:
            again = self.plans.pop(0) if self.plans else PLAIN
            self._deliver(asked, again, attempt=0, after=plan.queued + plan.again, why="delivered once more")

    def retry(self, run: Run) -> None:
        if run.attempt < len(LAMBDAS_PAUSES):
            plan = self.plans.pop(0) if self.plans else PLAIN
            self._deliver(run.asked, plan, attempt=run.attempt + 1, after=LAMBDAS_PAUSES[run.attempt], why="retried")

    def _deliver(self, asked: Asked, plan: Plan, *, attempt: int, after: float, why: str = "") -> None:
        def body() -> None:
            if self.clock.now - asked.at > GREATEST_AGE or (asked.over is not None and not self.reruns):
                return
            if why:
                self.tell(f"{asked.name}: the event is {why}")
            run = Run(self, asked, plan, attempt)
            self.all_runs.append(run)
            run()

        self.clock.begin(body, after=after)

    # AppFabric

    def call(self, operation: str, parameters: dict[str, Any]) -> Any:
        run = self.run
        run.alive()
        number, run.calls = run.calls, run.calls + 1
        kind = next((mishap.kind for mishap in run.plan.calls if mishap.strikes(number)), "")
        run.sleep(run.plan.latency / 2)
        if kind == "the container dies before the effect":
            self._told(run, operation, parameters, kind)
            run.die()
        if kind in {"throttled", "403", "500 before the effect"}:
            self._told(run, operation, parameters, kind)
            raise _errors[kind](operation)
        if kind == "cut before the effect":
            self._told(run, operation, parameters, kind)
            raise ConnectionClosedError(endpoint_url="https://appfabric")
        if kind in {"hangs before the effect", "hangs beyond any cut, before the effect"}:
            self._told(run, operation, parameters, kind)
            run.forever(deaf="beyond" in kind)
            raise ReadTimeoutError(endpoint_url="https://appfabric")
        if kind == "hangs until it is given up, then takes effect":
            self._told(run, operation, parameters, kind)
            try:
                run.forever(deaf=False)
            finally:
                self._take_effect(run, operation, parameters)
            raise ReadTimeoutError(endpoint_url="https://appfabric")
        if kind == "slow":
            run.sleep(7)
        if operation == "ListIngestionDestinations":
            run.looked_at = self.clock.now
        effect = self._take_effect(run, operation, parameters)
        self._told(run, operation, parameters, kind or _short(effect))
        if kind == "the container dies after the effect":
            run.die()
        if kind == "500 after the effect":
            raise _errors[kind](operation)
        if kind == "cut after the effect":
            raise ConnectionClosedError(endpoint_url="https://appfabric")
        if kind in {"hangs after the effect", "hangs beyond any cut, after the effect"}:
            run.forever(deaf="beyond" in kind)
            raise ReadTimeoutError(endpoint_url="https://appfabric")
        run.sleep(run.plan.latency / 2)
        if isinstance(effect, Exception):
            raise effect
        return effect

    def _take_effect(self, run: Run, operation: str, parameters: dict[str, Any]) -> Any:
        before = set(self.appfabric.destinations) if operation in MUTATING else set()
        try:
            if operation in MUTATING:
                model.judge(model.service_model().operation_model(operation), parameters)
                parameters = copy.deepcopy(parameters)
            if operation == "GetIngestionDestination" and self._hides(parameters["ingestionDestinationIdentifier"]):
                raise not_found(parameters["ingestionDestinationIdentifier"])
            answer = getattr(operations, xform_name(operation))(self.appfabric, parameters)
        except ServiceError as error:
            return _client_error(error, operation)
        if operation not in MUTATING:
            return answer if operation.startswith("List") else copy.deepcopy(answer)
        if operation == "CreateIngestionDestination":
            arn = answer["ingestionDestination"]["arn"]
            if arn not in before:
                self.names[arn] = (
                    f"destination {sum(name.startswith('destination') for name in self.names.values()) + 1}"
                )
            self.made.setdefault(arn, []).append(run)
        else:
            arn = parameters.get("resourceArn") or parameters.get("ingestionDestinationIdentifier")
        self.touched.setdefault(arn, []).append(f"{operation} by {run.name}")
        if run.first_put_at is not None:
            run.after_the_answer.append((operation, parameters))
        self.changes.append(Change(run, operation, arn, at=self.clock.now, made=arn not in before))
        return copy.deepcopy(answer)

    def _hides(self, arn: str) -> bool:
        there, made = self.appfabric.destinations.get(arn), {run.asked.name for run in self.made.get(arn, [])}
        new = there is not None and self.now() - there.created_at < timedelta(seconds=self.hidden)
        return new and self.run.asked.name in made

    def _told(self, run: Run, operation: str, parameters: Mapping[str, Any], what: str) -> None:
        about = parameters.get("resourceArn") or parameters.get("ingestionDestinationIdentifier")
        text = f"{run.name}: {operation}{f' of {self.name_of(about)}' if about else ''}: {what or 'done'}"
        self._tell_once(run, text, always=operation in MUTATING and not what)

    def _tell_once(self, run: Run, text: str, *, always: bool = False) -> None:
        """Looks that find nothing new, and failures that go on, are told once."""
        if always or text not in run.told:
            run.told.add(text)
            self.tell(text)

    # Answers

    def put(self, run: Run, address: str, body: bytes, longest: float) -> int:
        run.alive()
        number, run.puts = run.puts, run.puts + 1
        run.bodies.append(body)
        if run.first_put_at is None:
            run.first_put_at = self.clock.now
        assert self.clock.now < run.ends
        kind = next((mishap.kind for mishap in run.plan.puts if mishap.strikes(number)), "")
        asked = self.asked[address]
        said = json.loads(body)
        self._tell_once(
            run,
            f"{run.name} answers {said['Status']} {self.name_of(said['PhysicalResourceId'])}"
            f"{' because ' + said['Reason'] if said['Reason'] else ''}"
            f"{': refused' if asked.refused else f': {kind}' if kind else ''}",
        )
        if asked.refused:
            raise Undelivered("answers.example answered HTTP 403", refused=True)
        if kind == "the container dies before it is stored":
            run.die()
        if kind in {"500", "403"}:
            raise Undelivered(f"answers.example answered HTTP {kind}", refused=kind == "403")
        if kind == "cut before it is stored":
            raise Undelivered("answers.example: RemoteDisconnected", unheard=True)
        if kind == "hangs before it is stored":
            self._hang(run, longest)
        if kind == "slow":
            run.sleep(min(4.0, longest))
        self._store(asked, run, body)
        if kind == "the container dies after it is stored":
            run.die()
        if kind == "cut after it is stored":
            raise Undelivered("answers.example: RemoteDisconnected", unheard=True)
        if kind == "hangs after it is stored":
            self._hang(run, longest)
        run.stored = True
        return 200

    @staticmethod
    def _hang(run: Run, longest: float) -> None:
        try:
            with run.cut_after(longest):
                run.sleep(max(longest / 2, 0.1))
        except TimeoutError:
            pass
        raise Undelivered("answers.example: TimeoutError", unheard=True)

    def _store(self, asked: Asked, run: Run, body: bytes) -> None:
        said = json.loads(body)
        event = asked.event
        assert len(body) <= 4096
        assert {said[name] == event[name] for name in ("StackId", "RequestId", "LogicalResourceId")} == {True}
        assert 0 < len(said["PhysicalResourceId"].encode()) <= 1024
        assert said["Status"] == "SUCCESS" or said["Reason"]
        if asked.type != "Create" and (asked.type == "Delete" or said["Status"] == "FAILED"):
            assert said["PhysicalResourceId"] == event["PhysicalResourceId"], "another id would be a replacement"
        if asked.answer is None:
            asked.answer, asked.answered_by = said, run
            if asked.waiting and asked.over is None:
                self.clock.wake(asked.waiting)


current: World | None = None


def _short(effect: Any) -> str:
    return str(effect.response["Error"]["Code"]) if isinstance(effect, ClientError) else ""


def _client_error(error: ServiceError, operation: str) -> ClientError:
    """What botocore makes of an error of the service's."""
    shape = model.error_shape(error.code)
    status = error.http_status or (shape.metadata["error"]["httpStatusCode"] if shape else 400)
    response: Any = {
        **error.members,
        "Error": {"Code": error.code, "Message": error.message or error.code},
        "ResponseMetadata": {"HTTPStatusCode": status, "HTTPHeaders": {}},
    }
    return ClientError(response, operation)


_errors: dict[str, Callable[[str], ClientError]] = {
    "throttled": lambda name: _client_error(ServiceError("ThrottlingException"), name),
    "403": lambda name: _client_error(ServiceError("AccessDeniedException"), name),
    "500 before the effect": lambda name: _client_error(ServiceError("InternalServerException"), name),
    "500 after the effect": lambda name: _client_error(ServiceError("InternalServerException"), name),
}


# What the function has once in a process becomes the running run's own.


class _Timer:
    """threading.Timer, by the world's clock."""

    daemon = False

    def __init__(self, seconds: float, body: Callable[[], None]) -> None:
        self._seconds, self._body = seconds, body

    def start(self) -> None:
        assert current is not None
        world, run = current, current.run

        def body() -> None:
            if not run.dead:
                world.runs[world.clock.running] = run
                world.tell(f"{run.name}: the timer strikes")
                self._body()

        self._task = world.clock.begin(body, after=self._seconds)

    def cancel(self) -> None:
        assert current is not None
        current.clock.cancel(self._task)


class _Lock:
    """threading.Lock, between tasks."""

    def __init__(self) -> None:
        self._holder: Task | None = None
        self._waiting: list[Task] = []

    def __enter__(self) -> None:
        assert current is not None
        clock = current.clock
        while self._holder is not None:
            self._waiting.append(clock.running)
            clock.wait()
            current.run.alive()
        self._holder = clock.running

    def __exit__(self, *_: object) -> None:
        assert current is not None
        self._holder = None
        for task in self._waiting:
            current.clock.wake(task)
        self._waiting.clear()


class _Metrics:
    @property
    def metric_set(self) -> bool:
        return True

    @staticmethod
    def add_metric(*, name: str, unit: object, value: int) -> None:
        assert current is not None
        current.run.pending[name] += value

    @staticmethod
    def flush_metrics() -> None:
        assert current is not None
        run = current.run
        if not run.dead:
            run.counted.update(run.pending)
            run.pending.clear()


def _emit(record: Any) -> None:
    assert current is not None
    run = current.run
    if run.dead:
        return
    if record.levelname == "ERROR":
        run.errors.append({"message": record.getMessage(), "arn": getattr(record, "arn", None)})
        about = f" {current.name_of(record.arn)}" if hasattr(record, "arn") else ""
        current.tell(f"{run.name} logs: {record.getMessage()}{about}{_why(record)}")


def _why(record: Any) -> str:
    return f" ({record.why})" if hasattr(record, "why") else ""


def _mint() -> uuid.UUID:
    assert current is not None
    return current.mint()


@contextmanager
def installed() -> Iterator[None]:
    """Run the function in the world: timers, locks, metrics, log lines and UUIDs are the current world's."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(responder, "threading", SimpleNamespace(Timer=_Timer, Lock=_Lock))
        patch.setattr(observability, "_metrics", _Metrics())
        patch.setattr(observability.logger.registered_handler, "emit", _emit)
        patch.setattr(observability.logger._logger, "propagate", False)
        patch.setattr(operations, "uuid4", _mint)
        patch.setattr(operations.secrets, "token_urlsafe", lambda: str(_mint()))
        # A run that dies does so in an exception, whose traceback nobody reads.
        patch.setattr(app.traceback, "format_tb", lambda _: [])
        yield
