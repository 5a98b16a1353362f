"""The service: every call comes in here, whichever front end carries it."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from botocore import xform_name
from botocore.model import OperationModel

from local.appfabric import model, operations
from local.appfabric.account import Account
from local.appfabric.answers import failure, success
from local.appfabric.errors import ServiceError
from local.appfabric.faults import Fault, Orders, Outcome
from local.appfabric.rate import RateLimit
from local.appfabric.wire import Answer, Line, Request


@dataclass(kw_only=True)
class Call:
    """A call as it arrived; `status` and `error` are filled in when it is answered or given up.

    Attributes:
        operation: its name, or method and path where there is no such operation.
        parameters: decoded, by their names in the API; empty where they cannot be decoded.
        at: when it arrived.
        status: HTTP status answered, None while or because there is no answer.
        error: code of the error answered, or the fault that kept the answer back: "cut" or "hang".
    """

    operation: str
    parameters: dict[str, Any]
    at: datetime
    status: int | None = None
    error: str | None = None


class AppFabric(Account):
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
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = lambda _: None,
        rate_limit: RateLimit | None = None,
    ) -> None:
        """Start without destinations; `now` is an aware time of day, `clock` counts the rate limit's seconds."""
        super().__init__(region=region, account_id=account_id, now=now)
        self.calls: list[Call] = []
        self.rate_limit = rate_limit
        self.sleep = sleep
        self._clock = clock
        self._faults = Orders[Fault]()
        self._subscribers: list[Callable[[Call], None]] = []

    def order(self, order: Fault | Outcome) -> None:
        """Order what befalls calls or becomes of destinations, after what was ordered before."""
        with self.lock:
            if isinstance(order, Fault):
                self._faults.add(order)
            else:
                self.outcomes.add(order)

    def cancel_orders(self) -> None:
        """Forget all faults and outcomes that were ordered."""
        with self.lock:
            self._faults.clear()
            self.outcomes.clear()

    def reset(self) -> None:
        """Forget all state, orders and calls; settings and subscribers stay."""
        with self.lock:
            self.calls.clear()
            self._faults.clear()
            self.clear()

    def subscribe(self, callback: Callable[[Call], None]) -> None:
        """Have `callback` called once for each call, when its outcome is known."""
        self._subscribers.append(callback)

    def answer(self, request: Request, line: Line) -> Answer:
        """Answer a request; `line` carries out a cut, a hang or a delay that was ordered for it."""
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
                self._strike(fault, call, line)
            answer = self._perform(operation, call)
            if fault and fault.after:
                self._strike(fault, call, line)
        except ServiceError as error:
            call.error = error.code
            answer = failure(error)
        call.status = answer.status
        self._tell(call)
        return replace(answer, drip=fault.drip) if fault else answer

    def _perform(self, operation: OperationModel, call: Call) -> Answer:
        perform = getattr(operations, xform_name(operation.name), None)
        try:
            if perform is None:
                raise ServiceError("NotImplemented", f"{operation.name} is not imitated", http_status=501)
            model.judge(operation, call.parameters)
            with self.lock:
                return success(operation, perform(self, call.parameters))
        except ServiceError as error:
            call.error = error.code
            return failure(error)

    def _limit_rate(self) -> None:
        wait = self.rate_limit.take(now=self._clock()) if self.rate_limit else None
        if wait is not None:
            raise ServiceError("ThrottlingException", retry_after=wait)

    def _strike(self, fault: Fault, call: Call, line: Line) -> None:
        if fault.error:
            raise fault.service_error()
        if fault.delay is not None:
            line.wait(fault.delay)
        if fault.cut:
            call.error = "cut"
            self._tell(call)
            line.cut()
        if fault.hang is not None:
            call.error = "hang"
            self._tell(call)
            line.hang(fault.hang)

    def _tell(self, call: Call) -> None:
        with self.lock:
            for callback in self._subscribers:
                callback(call)
