"""One invocation, from the event to the response, and what happens when either fails.

Two threads may respond: the one that does the work, and crhelper's timer as a watchdog, for calls that Python cannot
interrupt. One lock lets one of them through (`Responder._send_once`). After the response nothing is changed: if it did
not arrive, Lambda retries the event; and if no retry arrives either, the Delete or the rollback's Update that
CloudFormation sends finds by ownership tags what it never heard of.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ingestion_destination.appfabric.client import AppFabric
from ingestion_destination.cloudformation.delivery import Delivery, Undelivered
from ingestion_destination.cloudformation.request import REQUEST_TYPES, NotARequest, Request
from ingestion_destination.cloudformation.responder import Callbacks, make_responder
from ingestion_destination.cloudformation.response import Response
from ingestion_destination.deadline import Clock, Deadline
from ingestion_destination.exceptions import HandlerError, InternalFailure, InvalidRequest, NotStabilized, Throttling
from ingestion_destination.invocation import Invocation
from ingestion_destination.journal import Entry, Journal
from ingestion_destination.lifecycle import Lifecycle
from ingestion_destination.observability import count, flush, logger
from ingestion_destination.ownership import NOT_CREATED, UNCONFIRMED
from ingestion_destination.rollback import report_unfinished

if TYPE_CHECKING:
    from types_boto3_appfabric import AppFabricClient

# For the response to a request that CloudFormation probably no longer waits for.
EXPIRED_RESPONSE_WITHIN = 10.0

_responder = make_responder()


@dataclass(frozen=True, kw_only=True)
class Provider:
    """What Lambda calls, with its dependencies.

    Args:
        client: Returns the boto3 client.
        delivery: Puts responses to their URLs.
        clock: How time passes.
        started: When the container did, by the monotonic clock.
        sam_local: Whether `sam local invoke` calls it: a response that cannot be delivered is no fault then.
    """

    client: Callable[[], AppFabricClient]
    delivery: Delivery
    clock: Clock
    started: float
    sam_local: bool = False

    def __call__(self, event: Any, context: Any) -> dict[str, Any] | None:
        """Fulfill one request and respond to it.

        Args:
            event: The request.
            context: Lambda's.

        Returns:
            Under `sam local invoke` the response, for people to see; else nothing.

        Raises:
            NotARequest: The event is not a request of CloudFormation's: nothing was done.
            Undelivered: The response did not arrive. Lambda retries the event, twice at most.
        """
        request = self._receive(event, context)
        now, remaining = self.clock.monotonic(), context.get_remaining_time_in_millis() / 1000
        deadline = Deadline.of(
            now=now,
            remaining=remaining,
            age=request.age,
            service_timeout=request.service_timeout,
            is_delete=request.type == "Delete",
        )
        expired = deadline.response_ends <= now
        response_ends = now + min(EXPIRED_RESPONSE_WITHIN, remaining / 2) if expired else deadline.response_ends
        outbox, calls = Outbox(request, self.delivery, ends=response_ends), Calls()
        if not request.type:
            mistake = InvalidRequest(f"RequestType must be one of {', '.join(REQUEST_TYPES)}")
            outbox.send(_failed(request, Entry(), mistake))
        elif expired:
            outbox.send(_expired(request))
        else:
            invocation = Invocation(
                request=request,
                appfabric=self._appfabric(deadline, calls),
                journal=Journal(),
                deadline=deadline,
            )
            self._respond(invocation, outbox, event, context)
        logger.info(
            "request completed",
            status=outbox.response.status,
            id=outbox.response.physical_resource_id,
            seconds=round(self.clock.monotonic() - now, 1),
            calls=calls.sent,
            throttled=calls.throttled,
        )
        count(f"{request.type or 'Unknown'}{'Failed' if outbox.response.failure else 'Succeeded'}")
        flush()
        if self.sam_local:
            return outbox.response.members(request)
        if outbox.undelivered and not expired:  # else nobody waits for it, and a retry would be pointless
            raise outbox.undelivered
        return None

    def _receive(self, event: Any, context: Any) -> Request:
        """The request that an event is; every line of its log names it, and never the event or its URL."""
        logger.clear_state()
        try:
            schemes = ("https", "http") if self.sam_local else ("https",)
            request = Request.parse(event, now=self.clock.now(), schemes=schemes)
        except NotARequest as refusal:
            logger.error("not a request of CloudFormation's", reason=str(refusal))
            raise
        logger.set_correlation_id(request.request_id)
        logger.append_keys(
            RequestType=request.type,
            StackId=request.stack_id,
            LogicalResourceId=request.logical_resource_id,
            function_request_id=context.aws_request_id,
        )
        return request

    def _appfabric(self, deadline: Deadline, calls: Calls) -> AppFabric:
        return AppFabric(
            client=self.client,
            clock=self.clock,
            ends=deadline.work_ends,
            container_age=lambda: self.clock.monotonic() - self.started,
            attempted=calls.add,
        )

    def _respond(self, invocation: Invocation, outbox: Outbox, event: Mapping[str, Any], context: Any) -> None:
        """Let crhelper fulfill the request and send the response, or the watchdog's."""
        callbacks = Callbacks(
            fulfill=lambda: _fulfill(invocation),
            timed_out=lambda: _timed_out(invocation),
            send=outbox.send,
            watchdog_after=invocation.deadline.watchdog - self.clock.monotonic(),
        )
        _responder.respond(event, context, callbacks)


@dataclass
class Calls:
    """How many calls AppFabric got in one invocation, and how many of them it throttled."""

    sent: int = 0
    throttled: int = 0

    def add(self, failure: HandlerError | None) -> None:
        """Count one."""
        self.sent += 1
        self.throttled += isinstance(failure, Throttling)


class Outbox:
    """Delivers the response to one request.

    Attributes:
        response: What was (to be) delivered.
        undelivered: Why it did not arrive, None when it did.
    """

    def __init__(self, request: Request, delivery: Delivery, *, ends: float) -> None:
        self.request = request
        self.delivery = delivery
        self.ends = ends
        self.response = Response(physical_resource_id="", failure="none was sent")
        self.undelivered: Undelivered | None = None

    def send(self, response: Response) -> None:
        """Deliver a response; that it did not arrive is logged and counted."""
        self.response = response
        try:
            self.delivery.put(self.request.response_url, response.body(self.request), ends=self.ends)
        except Exception as error:  # one that is not expected too: else nobody would know that there was no response
            failure = error if isinstance(error, Undelivered) else Undelivered(type(error).__name__)
            self.undelivered = failure
            count("ResponsesUndelivered")
            logger.error(
                "the response was not delivered",
                status=response.status,
                id=response.physical_resource_id,
                # By which somebody can find it, should CloudFormation never hear of it.
                arn=response.physical_resource_id if response.data else None,
                reason=str(failure),
            )


def _fulfill(invocation: Invocation) -> Response:
    """The response to a request, whatever happens."""
    try:
        lifecycle = Lifecycle(invocation)
        handler = {"Create": lifecycle.create, "Update": lifecycle.update, "Delete": lifecycle.delete}
        return handler[invocation.request.type]()
    except HandlerError as error:
        failure = error
        logger.error(failure.reason, appfabric_request_id=failure.service_request_id)
    except BaseException as error:  # sys.exit included
        failure = InternalFailure(f"{type(error).__name__}: see the function's log for the stack trace")
        # Without its text, which may hold values.
        logger.error("unexpected", type=type(error).__name__, stack=traceback.format_tb(error.__traceback__))
    return _failed(invocation.request, invocation.journal.entry, failure)


def _timed_out(invocation: Invocation) -> Response:
    """The watchdog's response. Nothing is undone: the work is stuck in a call, until that returns or Lambda ends it."""
    request, done = invocation.request, invocation.journal.entry
    if request.type == "Update" or request.may_be_duplicate:  # no Delete may follow, which would search for it
        report_unfinished(done)
    return _failed(request, done, NotStabilized("timed out before the request was completed"))


def _expired(request: Request) -> Response:
    logger.warning("this request has expired: CloudFormation no longer waits for it, and nothing was done")
    # An earlier invocation may have created one.
    return _failed(request, Entry(create_in_doubt=True), NotStabilized("the request expired before it was received"))


def _failed(request: Request, done: Entry, failure: HandlerError) -> Response:
    """A failure, with the id by which the Delete that follows a failed Create knows what to do.

    An Update and a Delete keep theirs: another id would be a replacement.
    """
    marker = f"{UNCONFIRMED if done.create_in_doubt else NOT_CREATED}{request.client_token}"
    return Response(
        physical_resource_id=request.physical_resource_id or str(done.created or marker), failure=failure.reason
    )
