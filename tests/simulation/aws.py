"""AWS for one scenario: AppFabric, Lambda and the bucket that receives responses, with the planned faults.

Everything but the network is the function's own code: AppFabric's calls end in the emulator's operations, and each
attempt to deliver a response ends in a dictionary. Each invocation has its own container.
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
from functools import cache
from types import SimpleNamespace
from typing import Any

import pytest
from botocore import xform_name
from botocore.errorfactory import ClientExceptionsFactory
from botocore.exceptions import ClientError, ConnectionClosedError, ReadTimeoutError

from ingestion_destination import observability, provider
from ingestion_destination.appfabric.client import refuse_unreadable
from ingestion_destination.cloudformation import responder as responder_module
from ingestion_destination.cloudformation.delivery import Delivery, Undelivered
from ingestion_destination.deadline import Clock
from ingestion_destination.provider import Provider
from local import appfabric
from local.appfabric import model, operations
from local.appfabric.destinations import Destination
from local.appfabric.errors import ServiceError, not_found
from local.appfabric.responses import members_of
from tests.simulation.scheduler import FOREVER, Killed, Scheduler, Task
from tests.support.troubleshooting import is_explained

START = datetime(2026, 11, 22, 12, 0, 0, tzinfo=UTC)
RETRY_DELAYS = (60.0, 120.0)
MAXIMUM_EVENT_AGE = 360.0
READ_TIMEOUT = 30.0
REGION = "us-east-1"
ENDPOINT = f"https://appfabric.{REGION}.amazonaws.com"
OPERATIONS = {xform_name(name): name for name in model.service_model().operation_names}
MUTATING = {
    *("CreateIngestionDestination", "UpdateIngestionDestination", "DeleteIngestionDestination"),
    *("TagResource", "UntagResource"),
}
READS_ONE = {"GetIngestionDestination", "ListTagsForResource"}

# The faults of a call to AppFabric. "The effect" is what the call changes or reads.
CALL_FAULTS = (
    "throttled",
    "500 before the effect",
    "500 after the effect",
    "403",
    "404 of a proxy",
    "404 though it exists",
    "unreadable response",
    "connection cut before the effect",
    "connection cut after the effect",
    "hangs before the effect",
    "hangs after the effect",
    "hangs until it is given up, then takes effect",
    "takes effect long after it was given up",
    "hangs beyond any interrupt, after the effect",
    "hangs beyond any interrupt, before the effect",
    "slow",
    "the container dies before the effect",
    "the container dies after the effect",
)
# The faults of an attempt to deliver a response.
PUT_FAULTS = (
    "500",
    "connection cut before it is stored",
    "connection cut after it is stored",
    "hangs before it is stored",
    "hangs after it is stored",
    "slow",
    "the container dies before it is stored",
    "the container dies after it is stored",
)


@dataclass(frozen=True)
class Fault:
    """What goes wrong with the calls (or the attempts to respond) of one invocation from `at` on, `times` of them."""

    at: int
    kind: str
    times: int = 1

    def hits(self, number: int) -> bool:
        return self.at <= number < self.at + self.times


@dataclass(frozen=True)
class Plan:
    """What goes wrong with one invocation.

    Attributes:
        calls: Faults of calls to AppFabric.
        puts: Faults of attempts to respond.
        latency: Seconds that each call takes.
        queued: Seconds that Lambda keeps the event before the invocation.
        duplicate_after: Seconds after which Lambda delivers the event a second time; None if it does not.
        cold: Whether the container is a new one.
    """

    calls: tuple[Fault, ...] = ()
    puts: tuple[Fault, ...] = ()
    latency: float = 0.1
    queued: float = 0
    duplicate_after: float | None = None
    cold: bool = False

    def __repr__(self) -> str:
        shown = [f"{name}={value!r}" for name, value in vars(self).items() if value != getattr(NOTHING_WRONG, name)]
        return f"Plan({', '.join(shown)})"


NOTHING_WRONG = Plan.__new__(Plan)
NOTHING_WRONG.__init__()  # type: ignore[misc]


@dataclass(frozen=True)
class Behavior:
    """How AppFabric behaves where AWS documents nothing, for a whole scenario.

    Attributes:
        lags: By how many seconds reads are behind, one after another, over and over.
        skew: How many seconds its clock is ahead of everybody else's.
        tokens: "kept" as long as the destination exists, "forgotten" after 30 s, or "replayed" even for a
            destination that is gone.
        unreadable: The error with which the tags of an unreadable destination are never read.
        roomy: Whether the quota of an ingestion is out of reach.
    """

    lags: tuple[float, ...] = (0,)
    skew: float = 0
    tokens: str = "kept"
    unreadable: str = "AccessDeniedException"
    roomy: bool = True

    def __repr__(self) -> str:
        shown = [f"{name}={value!r}" for name, value in vars(self).items() if value != getattr(Behavior, name)]
        return f"Behavior({', '.join(shown)})"


@dataclass(eq=False)
class Request:
    """A request from CloudFormation, and its result.

    Attributes:
        response: The response that was stored first, as CloudFormation reads it.
        over: When CloudFormation stopped waiting: at the response, at the timeout, or when it canceled.
        refused: Whether the pre-signed URL rejects every response.
        given_up: Whether CloudFormation did not wait for the response.
        canceled: Whether it stopped waiting because something else in the stack failed.
        rollback: Whether it rolls back an earlier update.
    """

    name: str
    event: dict[str, Any]
    at: float
    service_timeout: float
    number: int
    waiting: Task | None = None
    response: dict[str, Any] | None = None
    responded_by: Invocation | None = None
    over: float | None = None
    refused: bool = False
    given_up: bool = False
    canceled: bool = False
    rollback: bool = False
    invocations: list[Invocation] = field(default_factory=list)

    @property
    def type(self) -> str:
        return str(self.event["RequestType"])

    @property
    def token(self) -> str:
        return str(self.event["RequestId"])

    @property
    def resource(self) -> tuple[str, str]:
        return self.event["StackId"], self.event["LogicalResourceId"]

    @property
    def id(self) -> str:
        return str(self.event.get("PhysicalResourceId", ""))

    @property
    def old_properties(self) -> Mapping[str, Any]:
        old: Mapping[str, Any] = self.event.get("OldResourceProperties", {})
        return old

    @property
    def properties(self) -> Mapping[str, Any]:
        properties: Mapping[str, Any] = self.event["ResourceProperties"]
        return properties

    @property
    def shortest_service_timeout(self) -> float:
        """While an update changes the ServiceTimeout, either value may apply."""
        old = self.event.get("OldResourceProperties", {})
        return min(self.service_timeout, float(old.get("ServiceTimeout", self.service_timeout)))

    @property
    def succeeded(self) -> bool:
        """Whether CloudFormation considers it successful."""
        return self.response is not None and not self.given_up and self.response["Status"] == "SUCCESS"

    @property
    def result(self) -> str:
        """The PhysicalResourceId of its response, "" without one."""
        return str(self.response["PhysicalResourceId"]) if self.response else ""


@dataclass(eq=False)
class Call:
    """A mutating call.

    Attributes:
        effect_at: When it took effect, None if it did not.
        after_response: Whether the invocation had begun to respond when the call began.
        outcome_received: Whether the invocation received its outcome; a 5xx leaves it open.
        created: Whether this call created the destination.
        removed: Whether this call deleted the destination.
        before: The destination before it took effect.
    """

    invocation: Invocation
    operation: str
    parameters: Mapping[str, Any]
    began: float
    fault: str
    after_response: bool
    ended: float | None = None
    effect_at: float | None = None
    arn: str = ""
    outcome_received: bool = False
    created: bool = False
    removed: bool = False
    before: Destination | None = None

    @property
    def request(self) -> Request:
        return self.invocation.request


class Invocation:
    """One invocation of the function with one event, and Lambda's context for it."""

    aws_request_id = "lambda-request"

    def __init__(self, simulation: Simulation, request: Request, plan: Plan, attempt: int, duplicate: bool) -> None:
        self.simulation, self.request, self.plan, self.attempt = simulation, request, plan, attempt
        self.duplicate = duplicate
        self.name = f"{request.name}, invocation {len(request.invocations) + 1}"
        request.invocations.append(self)
        self.began = simulation.scheduler.now
        self.ended: float | None = None
        self.ends = self.began + simulation.timeout
        self.dead = False
        self.uninterruptible = False
        self.noted: set[str] = set()
        self.outcome = "runs"
        self.calls: list[Call] = []
        self.number_of_calls = 0
        self.number_of_puts = 0
        self.failed_reads = 0  # for any reason but ResourceNotFoundException
        self.bodies: list[bytes] = []
        self.response: dict[str, Any] | None = None
        self.delivered = False
        self.first_put_at: float | None = None
        self.last_put_ended: float | None = None
        self.errors: list[dict[str, Any]] = []
        self.pending: Counter[str] = Counter()
        self.counted: Counter[str] = Counter()
        self._interrupts: list[float] = []

    def __call__(self) -> None:
        """Run the function, as Lambda does."""
        simulation = self.simulation
        scheduler = simulation.scheduler
        task = scheduler.running
        assert task is not None
        self.main, task.owner = task, self
        simulation.note(f"{self.name} begins")
        function = Provider(
            client=lambda: Client(simulation),
            delivery=_Delivery(self),
            clock=self.clock(),
            started=1000 + self.began - (0 if self.plan.cold else 3600),
        )
        try:
            result = function(_copy(self.request.event), self)
            self.check_alive()  # the container may have died in the watchdog's thread
            assert result is None
            self.outcome = "returned"
        except Undelivered as failure:
            self.outcome = "raised"
            simulation.note(f"{self.name} raises: {failure}")
        except Killed:
            self.outcome = "died"
            simulation.note(f"{self.name} dies")
        finally:
            self.dead = True  # Lambda freezes what is left
            self.ended = scheduler.now
        if self.outcome != "returned":
            simulation.retry(self)

    def clock(self) -> Clock:
        scheduler = self.simulation.scheduler
        return Clock(
            monotonic=lambda: 1000 + scheduler.now,
            now=self.simulation.now,
            sleep=self.sleep,
            interrupt_after=self.interrupt_after,
        )

    @property
    def deadline(self) -> float:
        """When everything must have ended, including the response."""
        return min(self.ends, self.request.at + self.request.shortest_service_timeout - 5)

    @property
    def age(self) -> float:
        """How old the request was when this invocation began."""
        return self.began - self.request.at

    def get_remaining_time_in_millis(self) -> int:
        return max(int((self.ends - self.simulation.scheduler.now) * 1000), 0)

    def check_alive(self) -> None:
        """Stop the task if its container is dead."""
        if self.dead:
            raise Killed

    def die(self) -> None:
        self.dead = True
        raise Killed

    def sleep(self, seconds: float) -> None:
        """Sleep as `time.sleep` does, until a signal interrupts it or Lambda's timeout ends it."""
        self.check_alive()
        scheduler = self.simulation.scheduler
        until = scheduler.now + seconds
        interrupted_at = FOREVER
        if self._interrupts and not self.uninterruptible and scheduler.running is self.main:
            interrupted_at = min(self._interrupts)
        stop = min(until, interrupted_at, self.ends)
        scheduler.wait(max(stop - scheduler.now, 0))
        self.check_alive()
        if stop == self.ends and until > self.ends:
            self.simulation.note(f"{self.name} is ended by Lambda's timeout")
            self.die()
        if stop < until:
            raise TimeoutError("interrupted")

    @contextmanager
    def interrupt_after(self, seconds: float) -> Iterator[None]:
        if self.simulation.scheduler.running is not self.main:  # signals go to the main thread only
            yield
            return
        self._interrupts.append(self.simulation.scheduler.now + seconds)
        try:
            yield
        finally:
            self._interrupts.pop()

    def hang(self, *, uninterruptible: bool) -> None:
        """Wait for a response that never comes."""
        self.uninterruptible = uninterruptible
        try:
            self.sleep(3600.0 if uninterruptible else READ_TIMEOUT)
        finally:
            self.uninterruptible = False


class Client:
    """AppFabric's boto3 client without a socket; `test_fake_client.py` compares it with a real one."""

    meta = SimpleNamespace(region_name=REGION, endpoint_url=ENDPOINT)

    def __init__(self, simulation: Simulation) -> None:
        self._simulation = simulation

    def __getattr__(self, method: str) -> Callable[..., Any]:
        operation = OPERATIONS[method]
        return lambda **parameters: self._simulation.call(operation, parameters)


class _Delivery(Delivery):
    """How one invocation's response is delivered: each attempt is the simulation's."""

    def __init__(self, invocation: Invocation) -> None:
        super().__init__(context=_NO_TLS, clock=invocation.clock())
        self._invocation = invocation

    def _attempt(self, url: str, body: bytes, timeout: float) -> int:
        return self._invocation.simulation.put(self._invocation, url, body, timeout)


_NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


class Simulation:
    """Everything outside the function, for one scenario.

    Args:
        timeout: The Lambda function's, in seconds.
        behavior: How AppFabric behaves.

    Attributes:
        calls: Every call that changes something, in the order in which they began.
        created: By ARN, the calls that returned it as created, the one that created it first.
        names: What the trace calls an ARN.
        unreadable: ARNs whose tags nobody can read.
        trace: What happened, for people.
    """

    def __init__(self, *, timeout: float = 300, behavior: Behavior | None = None) -> None:
        global current
        current = self
        self.scheduler = Scheduler()
        self.timeout = timeout
        self.behavior = behavior or Behavior()
        self.appfabric = appfabric.AppFabricEmulator(now=self.appfabric_now, new_id=lambda: str(self.uuid()))
        self.appfabric.page_size = 2
        self.plans: list[Plan] = []
        self.requests: dict[str, Request] = {}
        self.invocations: list[Invocation] = []
        self.calls: list[Call] = []
        self.created: dict[str, list[Call]] = {}
        self.names: dict[str, str] = {}
        self.unreadable: set[str] = set()
        self.trace: list[str] = []
        self._past = appfabric.AppFabricEmulator(now=self.appfabric_now)
        self._past.page_size, self._past.pages = 2, self.appfabric.pages
        self._snapshots: list[tuple[float, dict[str, Destination]]] = [(-FOREVER, {})]
        self._destinations_created = 0
        self._reads = 0
        self._uuids = 0

    def now(self) -> datetime:
        return START + timedelta(seconds=self.scheduler.now)

    def appfabric_now(self) -> datetime:
        return START + timedelta(seconds=self.scheduler.now + self.behavior.skew)

    def note(self, text: str) -> None:
        self.trace.append(f"{self.scheduler.now:8.1f} s  {text}")

    def name_of(self, text: Any) -> str:
        """Return an ARN as the trace shows it."""
        return self.names.get(str(text), str(text).rpartition("/")[2])

    def uuid(self) -> uuid.UUID:
        """Return a UUID that is the same whenever the scenario is repeated."""
        self._uuids += 1
        return uuid.UUID(f"{self._uuids:08x}-0000-4000-8000-{self._uuids:012x}")

    @property
    def invocation(self) -> Invocation:
        """The invocation that is running."""
        task = self.scheduler.running
        assert task is not None
        owner = task.owner
        assert isinstance(owner, Invocation)
        return owner

    # Lambda

    def invoke(self, request: Request) -> None:
        self.requests[request.event["ResponseURL"]] = request
        plan = self._next_plan()
        self._deliver(request, plan, attempt=0, after=plan.queued)
        if plan.duplicate_after is not None:
            after = plan.queued + plan.duplicate_after
            self._deliver(request, self._next_plan(), attempt=0, after=after, why="delivered once more")

    def retry(self, invocation: Invocation) -> None:
        if invocation.attempt < len(RETRY_DELAYS):
            attempt, after = invocation.attempt + 1, RETRY_DELAYS[invocation.attempt]
            self._deliver(invocation.request, self._next_plan(), attempt=attempt, after=after, why="retried")

    def _next_plan(self) -> Plan:
        return self.plans.pop(0) if self.plans else NOTHING_WRONG

    def _deliver(self, request: Request, plan: Plan, *, attempt: int, after: float, why: str = "") -> None:
        def body() -> None:
            if self.scheduler.now - request.at > MAXIMUM_EVENT_AGE:
                return
            if why:
                self.note(f"{request.name}: the event is {why}")
            invocation = Invocation(self, request, plan, attempt, duplicate=bool(why))
            self.invocations.append(invocation)
            invocation()

        self.scheduler.start(body, after=after)

    # AppFabric

    def call(self, operation: str, parameters: dict[str, Any]) -> Any:
        """Perform one call of the function to AppFabric."""
        invocation = self.invocation
        invocation.check_alive()
        number, invocation.number_of_calls = invocation.number_of_calls, invocation.number_of_calls + 1
        kind = next((fault.kind for fault in invocation.plan.calls if fault.hits(number)), "")
        if kind == "404 though it exists" and operation not in {
            "GetIngestionDestination",
            "ListTagsForResource",
            "DeleteIngestionDestination",
        }:
            kind = "throttled"
        if kind in _LATE and operation not in MUTATING:
            kind = "hangs before the effect"  # a caller cannot see the difference
        if operation not in MUTATING:
            try:
                return self._play(invocation, operation, parameters, kind, None)
            except Exception as error:
                invocation.failed_reads += _short(error) != "ResourceNotFoundException"
                raise
        call = Call(
            invocation,
            operation,
            parameters,
            self.scheduler.now,
            kind,
            after_response=invocation.first_put_at is not None,
            arn=parameters.get("resourceArn") or parameters.get("ingestionDestinationIdentifier") or "",
        )
        invocation.calls.append(call)
        self.calls.append(call)
        try:
            response = self._play(invocation, operation, parameters, kind, call)
        except ClientError as error:
            call.outcome_received = error.response["ResponseMetadata"]["HTTPStatusCode"] < 500
            raise
        else:
            call.outcome_received = True
            return response
        finally:
            call.ended = self.scheduler.now

    def _play(
        self, invocation: Invocation, operation: str, parameters: dict[str, Any], kind: str, call: Call | None
    ) -> Any:
        half = invocation.plan.latency / 2
        invocation.sleep(half)
        if kind:
            self._fail_before(invocation, operation, parameters, kind, call)
        effect = self._perform(operation, parameters, call)
        self._note_call(invocation, operation, parameters, kind or _short(effect))
        if kind:
            self._fail_after(invocation, operation, kind)
        invocation.sleep(half)
        if isinstance(effect, Exception):
            raise effect
        if kind == "unreadable response":
            # The function's own hook sees it first; botocore would parse it as an empty object.
            refuse_unreadable(SimpleNamespace(status_code=200, content=b""), _model_of(operation))
        return _with_metadata(operation, effect)

    def _fail_before(
        self, invocation: Invocation, operation: str, parameters: dict[str, Any], kind: str, call: Call | None
    ) -> None:
        if kind in _errors or kind in _FATAL_BEFORE:
            self._note_call(invocation, operation, parameters, kind)
        if kind in _errors and "after" not in kind:
            raise _errors[kind](operation, parameters)
        match kind:
            case "the container dies before the effect":
                invocation.die()
            case "connection cut before the effect":
                raise ConnectionClosedError(endpoint_url=ENDPOINT)
            case "hangs before the effect" | "hangs beyond any interrupt, before the effect":
                invocation.hang(uninterruptible="beyond" in kind)
                raise ReadTimeoutError(endpoint_url=ENDPOINT)
            case _ if kind in _LATE:
                if "long" in kind and operation == "CreateIngestionDestination":
                    self.scheduler.start(lambda: self._take_effect_late(operation, parameters, call), after=45)
                    invocation.hang(uninterruptible=False)
                else:
                    try:
                        invocation.hang(uninterruptible=False)
                    finally:
                        self._perform(operation, parameters, call)
                raise ReadTimeoutError(endpoint_url=ENDPOINT)
            case "slow":
                invocation.sleep(7)

    def _take_effect_late(self, operation: str, parameters: dict[str, Any], call: Call | None) -> None:
        assert call is not None
        self.note(f"{call.invocation.name}: {operation} takes effect now")
        self._perform(operation, parameters, call)

    @staticmethod
    def _fail_after(invocation: Invocation, operation: str, kind: str) -> None:
        match kind:
            case "the container dies after the effect":
                invocation.die()
            case "500 after the effect":
                raise _errors[kind](operation, {})
            case "connection cut after the effect":
                raise ConnectionClosedError(endpoint_url=ENDPOINT)
            case "hangs after the effect" | "hangs beyond any interrupt, after the effect":
                invocation.hang(uninterruptible="beyond" in kind)
                raise ReadTimeoutError(endpoint_url=ENDPOINT)

    def _perform(self, operation: str, parameters: dict[str, Any], call: Call | None) -> Any:
        """Perform the call now; a ClientError is returned."""
        try:
            if call is None:
                return self._read(operation, parameters)
            return self._change(operation, parameters, call)
        except ServiceError as error:
            return client_error(error, operation)

    def _read(self, operation: str, parameters: dict[str, Any]) -> Any:
        lags = self.behavior.lags
        lag, self._reads = lags[self._reads % len(lags)], self._reads + 1
        if operation == "ListTagsForResource" and parameters["resourceArn"] in self.unreadable:
            raise ServiceError(self.behavior.unreadable)
        account = self.appfabric
        if lag and self._snapshots[-1][0] > self.scheduler.now - lag:
            account = self._past
            seen_at = self.scheduler.now - lag
            account.destinations = next(view for at, view in reversed(self._snapshots) if at <= seen_at)
        return getattr(operations, xform_name(operation))(account, parameters)

    def _change(self, operation: str, parameters: dict[str, Any], call: Call) -> Any:
        account = self.appfabric
        model.validate(_model_of(operation), parameters)
        parameters = _copy(parameters)
        there = account.destinations
        if operation == "CreateIngestionDestination":
            replayed = self._apply_token_memory(parameters)
            if replayed is not None:
                return replayed
            count = len(there)
            response = operations.create_ingestion_destination(account, parameters)
            call.arn = response["ingestionDestination"]["arn"]
            call.created = len(there) > count
            if call.created:
                self._destinations_created += 1
                self.names[call.arn] = f"destination {self._destinations_created}"
            self.created.setdefault(call.arn, []).append(call)
        else:
            live = there.get(call.arn)
            call.before = copy.copy(live) if live else None
            response = getattr(operations, xform_name(operation))(account, parameters)
            call.removed = call.before is not None and call.arn not in there
        call.effect_at = self.scheduler.now
        self.take_snapshot(call.arn)
        return response

    def _apply_token_memory(self, parameters: Mapping[str, Any]) -> Any:
        """Forget a token, or replay what it created, if AppFabric behaves like that."""
        token = parameters.get("clientToken", "")
        known = self.appfabric.created_by.get(token)
        if known is None or self.behavior.tokens == "kept":
            return None
        wanted, arn = known
        first = self.created[arn][0]
        if self.behavior.tokens == "forgotten":
            if self.scheduler.now - (first.effect_at or 0) > 30:
                del self.appfabric.created_by[token]
            return None
        if arn in self.appfabric.destinations:
            return None
        if {name: value for name, value in parameters.items() if name != "clientToken"} != wanted:
            raise ServiceError("IdempotentParameterMismatch", "clientToken was used with other parameters")
        return {"ingestionDestination": self._gone[arn]}

    @property
    def _gone(self) -> Mapping[str, Any]:
        return {arn: view[arn].described() for _, view in self._snapshots for arn in view}

    def take_snapshot(self, arn: str) -> None:
        """Remember the state of a destination from now on, for stale reads."""
        live = self.appfabric.destinations.get(arn)
        view = dict(self._snapshots[-1][1])
        if live is None:
            view.pop(arn, None)
        else:
            view[arn] = copy.copy(live)
        self._snapshots.append((self.scheduler.now, view))

    def state_at(self, at: float) -> Mapping[str, Destination]:
        """Return the destinations at some time."""
        return next(view for since, view in reversed(self._snapshots) if since <= at)

    def history_of(self, arn: str) -> list[tuple[float, Destination | None]]:
        """Return the states of a destination and since when it had each."""
        history: list[tuple[float, Destination | None]] = []
        for at, view in self._snapshots:
            destination = view.get(arn)
            if not history or history[-1][1] is not destination:
                history.append((at, destination))
        return history

    def _note_call(self, invocation: Invocation, operation: str, parameters: Mapping[str, Any], what: str) -> None:
        about = parameters.get("resourceArn") or parameters.get("ingestionDestinationIdentifier")
        text = f"{invocation.name}: {operation}{f' of {self.name_of(about)}' if about else ''}: {what or 'done'}"
        self.note_once(invocation, text, always=operation in MUTATING and not what)

    def note_once(self, invocation: Invocation, text: str, *, always: bool = False) -> None:
        """Note only once a read that finds nothing new or a repeated failure."""
        if always or text not in invocation.noted:
            invocation.noted.add(text)
            self.note(text)

    # Responses

    def put(self, invocation: Invocation, url: str, body: bytes, timeout: float) -> int:
        """Perform one attempt to deliver a response."""
        invocation.check_alive()
        number, invocation.number_of_puts = invocation.number_of_puts, invocation.number_of_puts + 1
        invocation.bodies.append(body)
        if invocation.first_put_at is None:
            invocation.first_put_at, invocation.response = self.scheduler.now, json.loads(body)
        try:
            return self._put(invocation, self.requests[url], body, timeout, number)
        finally:
            invocation.last_put_ended = self.scheduler.now

    def _put(self, invocation: Invocation, request: Request, body: bytes, timeout: float, number: int) -> int:
        kind = next((fault.kind for fault in invocation.plan.puts if fault.hits(number)), "")
        said = json.loads(body)
        self.note_once(
            invocation,
            f"{invocation.name} responds {said['Status']} {self.name_of(said['PhysicalResourceId'])}"
            f"{' because ' + said['Reason'][:150] if said['Reason'] else ''}"
            f"{': refused' if request.refused else f': {kind}' if kind else ''}",
        )
        if request.refused:
            raise Undelivered("responses.example responded HTTP 403", refused=True)
        match kind:
            case "the container dies before it is stored":
                invocation.die()
            case "500" | "403":
                raise Undelivered(f"responses.example responded HTTP {kind}", refused=kind == "403")
            case "connection cut before it is stored":
                raise Undelivered("responses.example: RemoteDisconnected")
            case "hangs before it is stored":
                self._hang(invocation, timeout)
            case "slow":
                invocation.sleep(min(4.0, timeout))
        self._store(request, invocation, body)
        match kind:
            case "the container dies after it is stored":
                invocation.die()
            case "connection cut after it is stored":
                raise Undelivered("responses.example: RemoteDisconnected")
            case "hangs after it is stored":
                self._hang(invocation, timeout)
        invocation.delivered = True
        return 200

    @staticmethod
    def _hang(invocation: Invocation, timeout: float) -> None:
        try:
            with invocation.interrupt_after(timeout):
                invocation.sleep(max(timeout / 2, 0.1))
        except TimeoutError:
            pass
        raise Undelivered("responses.example: TimeoutError")

    def _store(self, request: Request, invocation: Invocation, body: bytes) -> None:
        said = json.loads(body)
        event = request.event
        assert len(body) <= 4096
        assert {said[name] == event[name] for name in ("StackId", "RequestId", "LogicalResourceId")} == {True}
        assert 0 < len(said["PhysicalResourceId"].encode()) <= 1024
        assert said["Status"] == "SUCCESS" or is_explained(said["Reason"])
        if request.type == "Delete" or (request.type == "Update" and said["Status"] == "FAILED"):
            assert said["PhysicalResourceId"] == event["PhysicalResourceId"], "another id would be a replacement"
        if request.response is None:
            request.response, request.responded_by = said, invocation
            if request.waiting and request.over is None:
                self.scheduler.wake(request.waiting)


current: Simulation | None = None

_LATE = {"hangs until it is given up, then takes effect", "takes effect long after it was given up"}
_FATAL_BEFORE = {
    "the container dies before the effect",
    "connection cut before the effect",
    "hangs before the effect",
    "hangs beyond any interrupt, before the effect",
    *_LATE,
}


def _copy(value: Any) -> Any:
    """Return a deep copy of a JSON value."""
    if isinstance(value, dict):
        return {name: _copy(member) for name, member in value.items()}
    if isinstance(value, list | tuple):
        return [_copy(member) for member in value]
    return value


def _short(effect: Any) -> str:
    return str(effect.response["Error"]["Code"]) if isinstance(effect, ClientError) else ""


def _with_metadata(operation: str, output: Any) -> Any:
    """Return a response as boto3 parses it: without members that have no value, times in milliseconds at most."""
    response = {name: _parsed(member) for name, member in output.items() if member is not None}
    response["ResponseMetadata"] = {
        "RequestId": "appfabric-request",
        "HTTPStatusCode": _success_status(operation),
        "HTTPHeaders": {},
        "RetryAttempts": 0,
    }
    return response


def _parsed(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _parsed(member) for name, member in value.items() if member is not None}
    if isinstance(value, list):
        return [_parsed(member) for member in value]
    if isinstance(value, datetime):
        return value.replace(microsecond=value.microsecond // 1000 * 1000)
    return value


@cache
def _model_of(operation: str) -> Any:
    return model.service_model().operation_model(operation)


@cache
def _success_status(operation: str) -> int:
    return int(_model_of(operation).http["responseCode"])


_exceptions = ClientExceptionsFactory().create_client_exceptions(model.service_model())


def client_error(error: ServiceError, operation: str) -> ClientError:
    """Return the exception that botocore raises for an error of the service."""
    shape = model.error_shape(error.code)
    status = error.http_status or (shape.metadata["error"]["httpStatusCode"] if shape else 400)
    response: Any = {
        **members_of(error),
        "Error": {"Code": error.code, "Message": error.message or error.code},
        "ResponseMetadata": {
            "RequestId": "appfabric-request",
            "HTTPStatusCode": status,
            "HTTPHeaders": {},
            "RetryAttempts": 0,
        },
    }
    return _exceptions.from_code(error.code)(response, operation)


def _error(code: str, http_status: int | None = None) -> Callable[[str, Mapping[str, Any]], ClientError]:
    return lambda operation, _: client_error(ServiceError(code, http_status=http_status), operation)


_errors: dict[str, Callable[[str, Mapping[str, Any]], ClientError]] = {
    "throttled": _error("ThrottlingException"),
    "403": _error("AccessDeniedException"),
    "404 of a proxy": _error("404", http_status=404),
    "404 though it exists": lambda operation, parameters: client_error(
        not_found(parameters.get("resourceArn") or parameters["ingestionDestinationIdentifier"]), operation
    ),
    "500 before the effect": _error("InternalServerException"),
    "500 after the effect": _error("InternalServerException"),
}


# What the function has once per process is replaced by the running invocation's own.


class _Timer:
    """threading.Timer, by the simulation's clock."""

    daemon = False

    def __init__(self, seconds: float, body: Callable[[], None]) -> None:
        self._seconds, self._body = seconds, body

    def start(self) -> None:
        assert current is not None
        simulation, invocation = current, current.invocation

        def body() -> None:
            if not invocation.dead:
                simulation.note(f"{invocation.name}: the watchdog fires")
                self._body()

        self._task = simulation.scheduler.start(body, after=self._seconds, owner=invocation)

    def cancel(self) -> None:
        assert current is not None
        current.scheduler.cancel(self._task)


class _Lock:
    """threading.Lock, between tasks."""

    def __init__(self) -> None:
        self._holder: Task | None = None
        self._waiting: list[Task] = []

    def __enter__(self) -> None:
        assert current is not None
        scheduler = current.scheduler
        while self._holder is not None:
            assert scheduler.running is not None
            self._waiting.append(scheduler.running)
            scheduler.wait()
            current.invocation.check_alive()
        self._holder = scheduler.running

    def __exit__(self, *_: object) -> None:
        assert current is not None
        self._holder = None
        for task in self._waiting:
            current.scheduler.wake(task)
        self._waiting.clear()

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        if not blocking and self._holder is not None:
            return False
        self.__enter__()
        return True

    def release(self) -> None:
        self.__exit__()


class _Metrics:
    @property
    def metric_set(self) -> bool:
        return True

    @staticmethod
    def add_metric(*, name: str, unit: object, value: int) -> None:
        assert current is not None
        current.invocation.pending[name] += value

    @staticmethod
    def flush_metrics() -> None:
        assert current is not None
        invocation = current.invocation
        if not invocation.dead:
            invocation.counted.update(invocation.pending)
            invocation.pending.clear()


def _emit(record: Any) -> None:
    assert current is not None
    invocation = current.invocation
    if invocation.dead:
        return
    if record.levelname == "ERROR":
        invocation.errors.append({"message": record.getMessage(), "arn": getattr(record, "arn", None)})
        about = f" {current.name_of(record.arn)}" if hasattr(record, "arn") else ""
        why = f" ({record.why})" if hasattr(record, "why") else ""
        current.note(f"{invocation.name} logs: {record.getMessage()[:150]}{about}{why}")


def _uuid() -> uuid.UUID:
    assert current is not None
    return current.uuid()


@contextmanager
def installed() -> Iterator[None]:
    """Run the function in the simulation: timers, locks, metrics, log lines and UUIDs are the simulation's."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(responder_module, "threading", SimpleNamespace(Timer=_Timer, Lock=_Lock))
        patch.setattr(observability, "_metrics", _Metrics())
        patch.setattr(observability.logger.registered_handler, "emit", _emit)
        patch.setattr(observability.logger._logger, "propagate", False)
        # Scenarios change it.
        patch.setattr(operations, "DESTINATIONS_PER_INGESTION", operations.DESTINATIONS_PER_INGESTION)
        patch.setattr(operations.secrets, "token_urlsafe", lambda: str(_uuid()))
        # A container dies by an exception, whose traceback nobody reads.
        if hasattr(provider, "traceback"):
            patch.setattr(provider.traceback, "format_tb", lambda _: [])
        yield
