"""crhelper with one answer a request: delivered, or known not to be.

What crhelper 2.0.12 does by itself and this does not: an answer for ever tried again, any HTTP status taken for
success, a second answer after its timer's, an empty PhysicalResourceId, the end of a long reason in the place of
its head. The body is what CloudFormation documents, at most 4096 bytes:
https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/crpg-ref-responses.html
"""

from __future__ import annotations

import json
import logging
import os
import threading
from collections.abc import Callable, Mapping
from typing import Any

from crhelper import FAILED, CfnResource

from ingestion_destination.deadline import Deadline
from ingestion_destination.delivery import Delivery, Undelivered
from ingestion_destination.exceptions import HandlerError, shorten
from ingestion_destination.identity import NOT_CREATED
from ingestion_destination.observability import count, logger

MOST_BYTES = 4096


class Responder(CfnResource):
    """crhelper for one request; made anew for each, so that requests share nothing.

    Args:
        deadline: When the request must be answered.
        delivery: Puts an answer to an address.
        failed_id: Gives the PhysicalResourceId of a FAILED answer at the moment it is asked.

    Attributes:
        answer: What was (to be) delivered, None before.
        undelivered: Why the answer did not arrive, None when it did.
        timed_out: Whether the timer answered while the work went on.
    """

    def __init__(self, *, deadline: Deadline, delivery: Delivery, failed_id: Callable[[], str]) -> None:
        # crhelper makes three clients for its polling, which this resource does not use, unless this is set.
        before = os.environ.get("AWS_SAM_LOCAL")
        os.environ["AWS_SAM_LOCAL"] = "true"
        try:
            # Levels stay as they are: crhelper's own default is DEBUG, for everybody.
            super().__init__(log_level=logging.root.level, sleep_on_delete=0)  # type: ignore[arg-type]
        finally:
            if before is None:
                del os.environ["AWS_SAM_LOCAL"]
            else:
                os.environ["AWS_SAM_LOCAL"] = before
        self.answer: dict[str, Any] | None = None
        self.undelivered: Undelivered | None = None
        self.timed_out = False
        self._deadline = deadline
        self._delivery = delivery
        self._failed_id = failed_id
        self._answering = threading.Lock()

    def fail(self, failure: HandlerError) -> str:
        """Let crhelper answer FAILED with this reason; returns the PhysicalResourceId for it."""
        self.Status, self.Reason = FAILED, failure.reason
        return self._failed_id()

    def reject(self, event: Mapping[str, Any], failure: HandlerError) -> None:
        """Answer FAILED to a request that crhelper cannot take."""
        self.StackId, self.RequestId = event["StackId"], event["RequestId"]
        self.LogicalResourceId, self._response_url = event["LogicalResourceId"], event["ResponseURL"]
        self._send(FAILED, failure.reason)

    def _log_setup(self, event: Any, context: Any) -> None:
        """Logging is Powertools' and stays as it is."""

    def _set_timeout(self) -> None:
        """A back-stop: every call is cut long before, save one that Python cannot interrupt."""
        ends = self._deadline.undo_ends + (self._deadline.answer_ends - self._deadline.undo_ends) / 4
        self._timer = threading.Timer(max(ends - self._deadline.time.clock(), 0), self._timeout)
        self._timer.daemon = True
        self._timer.start()

    def _timeout(self) -> None:
        with self._answering:
            self.timed_out = self.answer is None
            self._answer(FAILED, "NotStabilized: the time for this request was up before it ended")

    def _send(self, status: str | None = None, reason: str = "", _send_response: object = None) -> None:
        """The one place through which each of crhelper's paths answers."""
        with self._answering:
            self._answer(status or self.Status, reason if status else str(self.Reason))

    def _answer(self, status: str, reason: str) -> None:
        if self.answer is not None:
            return
        self.answer = {
            "Status": status,
            "PhysicalResourceId": self._id(status),
            "StackId": self.StackId,
            "RequestId": self.RequestId,
            "LogicalResourceId": self.LogicalResourceId,
            "Reason": shorten(reason),
            "NoEcho": False,
            "Data": {} if status == FAILED else self.Data,
        }
        body = fit(self.answer)
        try:
            self._delivery.put(self._response_url, body, ends=self._deadline.answer_ends)
        except Undelivered as failure:
            self.undelivered = failure
            count("AnswersUndelivered")
            logger.error("the answer was not delivered", status=status, why=str(failure))

    def _id(self, status: str) -> str:
        if status != FAILED and self.PhysicalResourceId:
            return str(self.PhysicalResourceId)
        return self._failed_id() or f"{NOT_CREATED}{self.RequestId}"


def fit(answer: Mapping[str, Any]) -> bytes:
    """The answer as JSON, its longest texts cut until it has at most 4096 bytes."""
    fitted = {**answer, "Data": dict(answer["Data"])}
    while len(body := json.dumps(fitted, ensure_ascii=False).encode(errors="replace")) > MOST_BYTES:
        holder, key = max(
            [(fitted, "Reason"), *((fitted["Data"], key) for key in fitted["Data"])],
            key=lambda place: len(json.dumps(place[0][place[1]])),
        )
        holder[key] = shorten(str(holder[key]), len(str(holder[key])) * 3 // 4)
    return body
