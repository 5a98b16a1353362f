"""The Lambda function: checks what arrived, lets crhelper call the handlers, raises what was not answered."""

# ruff: noqa: E402
from __future__ import annotations

import gc
from importlib import import_module

# Start-up, which somebody waits for each time: see docs/performance.md. It makes no garbage, so none is looked for;
# and libraries are loaded from the leaves, for where imports nest deeply Python's stack is mapped again and again.
gc.disable()
for leaf in ("encodings.idna", "urllib3", "botocore.utils", "botocore.session", "boto3"):
    import_module(leaf)

import os
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from typing import Any

from ingestion_destination import handlers
from ingestion_destination.client import AppFabric, connect
from ingestion_destination.deadline import Deadline, Time
from ingestion_destination.delivery import ANSWER_WITHIN, Delivery, tls
from ingestion_destination.envelope import REQUEST_TYPES, Envelope, NotARequest
from ingestion_destination.exceptions import HandlerError, InternalFailure, InvalidRequest
from ingestion_destination.models import Request, Result
from ingestion_destination.observability import count, flush, logger
from ingestion_destination.responder import Responder

Handler = Callable[[Request, AppFabric], Result]
HANDLERS: dict[str, Handler] = {"Create": handlers.create, "Update": handlers.update, "Delete": handlers.delete}


@dataclass(frozen=True, kw_only=True)
class Provider:
    """What Lambda calls, with all that a test replaces.

    Args:
        client: Gives the boto3 client.
        delivery: Puts answers to CloudFormation's addresses.
        started: When the container did, by the clock.
        sam_local: Whether `sam local invoke` runs it: an answer that cannot be delivered is no fault then.
    """

    client: Callable[[], Any]
    delivery: Delivery
    time: Time
    started: float
    sam_local: bool = False

    def __call__(self, event: Any, context: Any) -> dict[str, Any] | None:
        """Fulfil one request of CloudFormation's and answer it.

        Args:
            event: The request.
            context: Lambda's.

        Returns:
            Under `sam local invoke` the answer, for people to see; else nothing.

        Raises:
            NotARequest: The event is none of CloudFormation's: nothing was done.
            Undelivered: The answer did not arrive. Lambda runs the event again, which ends the same way.
        """
        now = self.time.now()
        try:
            envelope = Envelope.open(event, now=now, schemes=("https", "http") if self.sam_local else ("https",))
        except NotARequest as refusal:
            logger.clear_state()
            logger.error("not a request of CloudFormation's", why=str(refusal))
            raise
        request = envelope.request
        _label(envelope, context)
        deadline = Deadline.of(
            time=self.time,
            remaining=context.get_remaining_time_in_millis() / 1000,
            age=(now - request.made_at).total_seconds(),
        )
        appfabric = AppFabric(
            client=self.client,
            deadline=deadline,
            container_age=lambda: self.time.clock() - self.started,
        )
        responder = Responder(
            deadline=deadline, delivery=self.delivery, failed_id=lambda: handlers.failed_id(request, appfabric)
        )
        if envelope.request_type:
            _register(responder, HANDLERS[envelope.request_type], request, appfabric)
            responder(event, context)
        else:
            responder.reject(event, InvalidRequest(f"RequestType must be one of {', '.join(REQUEST_TYPES)}"))
        return self._close(envelope, appfabric, responder)

    def _close(self, envelope: Envelope, appfabric: AppFabric, responder: Responder) -> dict[str, Any] | None:
        undelivered = responder.undelivered
        if responder.timed_out or (undelivered and undelivered.refused and not self.sam_local):
            # CloudFormation will never know what this request made.
            handlers.undo(envelope.request, appfabric, until=appfabric.deadline.answer_ends)
        answer = responder.answer or {}
        count(f"{envelope.request_type or 'Unknown'}{'Succeeded' if answer.get('Status') == 'SUCCESS' else 'Failed'}")
        flush()
        if self.sam_local:
            return answer
        if undelivered:
            raise undelivered
        return None


def _register(responder: Responder, handler: Handler, request: Request, appfabric: AppFabric) -> None:
    """Crhelper calls one function for the three types; which it is was decided by the envelope."""

    def handle(_event: Any, _context: Any) -> str:
        try:
            result = handler(request, appfabric)
        except HandlerError as failure:
            logger.error(failure.reason)
            return responder.fail(failure)
        except BaseException as error:  # sys.exit included: whatever happens is answered
            # Without its text, which may hold values.
            logger.error("unexpected", type=type(error).__name__, stack=traceback.format_tb(error.__traceback__))
            return responder.fail(InternalFailure(f"{type(error).__name__}: the function's log tells where"))
        responder.Data = dict(result.attributes)
        return result.physical_resource_id

    responder.create(handle)
    responder.update(handle)
    responder.delete(handle)


def _label(envelope: Envelope, context: Any) -> None:
    """What every line of this request's log carries; never the event, never the address."""
    logger.clear_state()
    logger.set_correlation_id(envelope.request.request_id)
    logger.append_keys(
        RequestType=envelope.request_type,
        StackId=envelope.request.owner.stack_id,
        LogicalResourceId=envelope.request.owner.logical_resource_id,
        function_request_id=context.aws_request_id,
    )


_client = cache(connect)
with suppress(Exception):  # made at start-up; what prevents it is told to the first request that needs it
    _client()

_time = Time()
_sam_local = bool(os.environ.get("AWS_SAM_LOCAL"))
lambda_handler = Provider(
    client=_client,
    # An event made by hand leads nowhere.
    delivery=Delivery(context=tls(), time=_time, within=3 if _sam_local else ANSWER_WITHIN),
    time=_time,
    started=_time.clock(),
    sam_local=_sam_local,
)

gc.enable()
gc.freeze()  # nor is it looked through later on, with every request
