"""Sends one response to a request, whatever happens: a subclass of crhelper's CfnResource.

What crhelper 2.0.12 does by itself and this does not: retry a response forever, take any HTTP status for success, send
a second response after its timer's, send an empty PhysicalResourceId, keep the end of a long reason instead of its
head.
"""

from __future__ import annotations

import copy
import logging
import os
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from crhelper import CfnResource

from ingestion_destination.cloudformation.response import Response


@dataclass(frozen=True, kw_only=True)
class Callbacks:
    """What crhelper calls in one invocation.

    Attributes:
        fulfill: Returns the response to the request.
        timed_out: Returns the response when that takes too long.
        send: Delivers a response.
        watchdog_after: Seconds after which it takes too long.
    """

    fulfill: Callable[[], Response]
    timed_out: Callable[[], Response]
    send: Callable[[Response], None]
    watchdog_after: float


class Responder(CfnResource):
    """crhelper, made once and copied for each invocation, so that invocations share nothing."""

    _callbacks: Callbacks
    _response: Response
    _sending: threading.Lock
    _sent: bool

    def respond(self, event: Mapping[str, Any], context: Any, callbacks: Callbacks) -> None:
        """Send one response, whichever of crhelper's paths leads to it."""
        invocation = copy.copy(self)
        invocation._callbacks, invocation._sending, invocation._sent = callbacks, threading.Lock(), False
        for register in (invocation.create, invocation.update, invocation.delete):
            register(invocation._run)
        invocation(event, context)

    def _run(self, _event: Any, _context: Any) -> str:
        self._response = self._callbacks.fulfill()
        return "the response has the id"  # without one crhelper would make one from the event, which may fail

    def _send(self, status: str | None = None, _reason: str = "", _send_response: object = None) -> None:
        # There is a status only when crhelper itself failed.
        self._send_once(lambda: self._callbacks.timed_out() if status else self._response)

    def _send_once(self, response: Callable[[], Response]) -> None:
        with self._sending:
            if not self._sent:
                made = response()
                self._sent = True
                self._callbacks.send(made)

    def _set_timeout(self) -> None:
        """A watchdog: every call is interrupted long before, except one that Python cannot interrupt."""
        after = max(self._callbacks.watchdog_after, 0)
        self._timer = threading.Timer(after, lambda: self._send_once(self._callbacks.timed_out))
        self._timer.daemon = True
        self._timer.start()

    def _log_setup(self, event: Any, context: Any) -> None:
        """Logging is Powertools' and stays as it is."""


def make_responder() -> Responder:
    """Make crhelper's object, without the three clients for its polling, which this resource does not use."""
    before = os.environ.get("AWS_SAM_LOCAL")
    os.environ["AWS_SAM_LOCAL"] = "true"  # what crhelper asks for that
    try:
        # Levels stay as they are: crhelper's own default is DEBUG, for everybody.
        return Responder(log_level=logging.root.level, sleep_on_delete=0)  # type: ignore[arg-type]
    finally:
        os.environ.pop("AWS_SAM_LOCAL") if before is None else os.environ.update(AWS_SAM_LOCAL=before)
