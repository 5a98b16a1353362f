"""The emulated service: handles every call, whichever front end carries it."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from botocore import xform_name
from botocore.model import OperationModel

from local.appfabric import model, operations
from local.appfabric.account import Account
from local.appfabric.errors import ServiceError, invalid
from local.appfabric.faults import Fault, Injections, Outcome
from local.appfabric.rate_limit import RateLimit
from local.appfabric.responses import failure, success
from local.appfabric.transport import Connection, HttpRequest, HttpResponse


@dataclass(kw_only=True)
class Call:
    """A call as it arrived; `status` and `error` are set when it has its response or is given up.

    Attributes:
        operation: its name, or method and path where there is no such operation.
        parameters: decoded, by their names in the API; empty where they cannot be decoded.
        at: when it arrived.
        status: HTTP status of the response, None as long as there is none.
        error: code of the error in the response, or the fault that prevented one: "cut" or "hang".
    """

    operation: str
    parameters: dict[str, Any]
    at: datetime
    status: int | None = None
    error: str | None = None


class AppFabricEmulator(Account):
    """AppFabric for ingestion destinations, in one Region. Safe to be called from many threads.

    Attributes:
        calls: every call in the order of arrival.
        rate_limit: of all calls together, none by default.
        sleep: called with the seconds that an in-process client waits; does nothing by default.
    """

    def __init__(
        self,
        *,
        region: str = "us-east-1",
        account_id: str = "111122223333",
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        new_id: Callable[[], str] = lambda: str(uuid4()),
        sleep: Callable[[float], None] = lambda _: None,
        rate_limit: RateLimit | None = None,
    ) -> None:
        """Start without destinations; `now` is an aware time of day, `new_id` a new UUID in lower case."""
        super().__init__(region=region, account_id=account_id, now=now, new_id=new_id)
        self.calls: list[Call] = []
        self.rate_limit = rate_limit
        self.sleep = sleep
        self._faults = Injections[Fault]()
        self._subscribers: list[Callable[[Call], None]] = []

    def inject(self, injected: Fault | Outcome) -> None:
        """Inject a fault into calls, or an outcome into destinations, after those injected before."""
        with self.lock:
            if isinstance(injected, Fault):
                self._faults.add(injected)
            else:
                self.outcomes.add(injected)

    def clear_injections(self) -> None:
        """Forget all injected faults and outcomes."""
        with self.lock:
            self._faults.clear()
            self.outcomes.clear()

    def reset(self) -> None:
        """Forget all state, injected faults and calls; settings and subscribers stay."""
        with self.lock:
            self.calls.clear()
            self._faults.clear()
            self.clear()

    def subscribe(self, callback: Callable[[Call], None]) -> None:
        """Have `callback` called once for each call, when its outcome is known."""
        self._subscribers.append(callback)

    def handle(self, request: HttpRequest, connection: Connection) -> HttpResponse:
        """Respond to a request; `connection` carries out an injected cut, hang or delay."""
        call = Call(operation=f"{request.method} {request.target}", parameters={}, at=self.now())
        fault = None
        try:
            with self.lock:
                self.calls.append(call)
                operation = model.route(request)
                call.operation = operation.name
                call.parameters = model.parameters(operation, request)
                self._limit_rate()
                fault = self._faults.take(operation.name)
            if fault and not fault.after:
                self._carry_out(fault, call, connection)
            response = self._perform(operation, call)
            if fault and fault.after:
                self._carry_out(fault, call, connection)
        except ServiceError as error:
            call.error = error.code
            response = failure(error)
        call.status = response.status
        self._notify(call)
        return replace(response, drip=fault.drip) if fault else response

    def _perform(self, operation: OperationModel, call: Call) -> HttpResponse:
        perform = getattr(operations, xform_name(operation.name), None)
        try:
            if perform is None:
                raise invalid(f"{operation.name} is not emulated", reason="unknownOperation")
            model.validate(operation, call.parameters)
            with self.lock:
                return success(operation, perform(self, call.parameters))
        except ServiceError as error:
            call.error = error.code
            return failure(error)

    def _limit_rate(self) -> None:
        wait = self.rate_limit.take(now=self.now().timestamp()) if self.rate_limit else None
        if wait is not None:
            raise ServiceError("ThrottlingException", retry_after=wait)

    def _carry_out(self, fault: Fault, call: Call, connection: Connection) -> None:
        if fault.error:
            raise fault.service_error()
        if fault.delay is not None:
            connection.wait(fault.delay)
        if fault.cut:
            call.error = "cut"
            self._notify(call)
            connection.cut()
        if fault.hang is not None:
            call.error = "hang"
            self._notify(call)
            connection.hang(fault.hang)

    def _notify(self, call: Call) -> None:
        with self.lock:
            for callback in self._subscribers:
                callback(call)
