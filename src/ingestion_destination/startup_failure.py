"""Responds in place of a function that cannot start, so that no stack waits for it. Standard library only.

A function that was deployed without `sam build`, a layer that breaks an import, a variable that a library cannot read:
Lambda would end each invocation before the handler, and each stack would wait for its ServiceTimeout, twice.
"""

from __future__ import annotations

import logging
import os
import ssl
import traceback
from pathlib import Path
from typing import Any

from ingestion_destination.cloudformation.delivery import Delivery
from ingestion_destination.cloudformation.request import NotARequest, Request
from ingestion_destination.cloudformation.response import Response
from ingestion_destination.deadline import Clock
from ingestion_destination.exceptions import printable, shorten
from ingestion_destination.ownership import NOT_CREATED, UNCONFIRMED
from ingestion_destination.trust_store import first_context, full_context

MAX_CAUSE_LENGTH = 500

logger = logging.getLogger(__name__)


class StartupFailure:
    """The handler of a function that cannot start.

    Args:
        error: Why.
        delivery: Puts responses to their URLs; None for the usual one.
        clock: How time passes.
    """

    def __init__(self, error: Exception, *, delivery: Delivery | None = None, clock: Clock | None = None) -> None:
        self.error = error
        self.clock = clock or Clock()
        self.delivery = delivery

    def __call__(self, event: Any, context: Any) -> None:
        """Respond FAILED with the cause; a Delete of what was never created succeeds.

        Raises:
            NotARequest: There is nowhere to respond to.
            Undelivered: The response did not arrive; Lambda retries the event.
        """
        # Lambda's log handler raises for what is not UTF-8, such as a variable of other bytes: nothing would respond.
        trace = "".join(traceback.format_exception(self.error)).encode(errors="backslashreplace").decode()
        logger.error("the function cannot start: %s", trace)
        try:
            request = Request.parse(event, now=self.clock.now())
        except NotARequest as refusal:
            raise refusal from self.error
        remaining = context.get_remaining_time_in_millis() / 1000
        delivery = self.delivery or Delivery(context=_context(), full_context=full_context, clock=self.clock)
        body = self._response(request).body(request)
        delivery.put(request.response_url, body, ends=self.clock.monotonic() + remaining * 0.9)

    def _response(self, request: Request) -> Response:
        if request.type == "Delete" and request.physical_resource_id.startswith(NOT_CREATED):
            return Response(physical_resource_id=request.physical_resource_id)
        marker = UNCONFIRMED if request.may_be_duplicate else NOT_CREATED
        cause = shorten(" ".join(printable(f"{type(self.error).__name__}: {self.error}").split()), MAX_CAUSE_LENGTH)
        return Response(
            physical_resource_id=request.physical_resource_id or f"{marker}{request.client_token}",
            failure=f"InternalFailure: the function cannot start: {cause}",
        )


def _context() -> ssl.SSLContext:
    """The usual trust store, or the system's when it is what cannot be loaded."""
    try:
        return first_context()
    except Exception:
        bundle = os.environ.get("AWS_CA_BUNDLE", "")
        return ssl.create_default_context(cafile=bundle if Path(bundle).is_file() else None)
