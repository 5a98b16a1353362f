"""How an answer reaches CloudFormation: a PUT to the address that came with the request.

The address is a credential for two hours: it is never logged, only its host is.
"""

from __future__ import annotations

import os
import random
import select
import ssl
from contextlib import suppress
from datetime import datetime, timedelta
from http.client import HTTPException, HTTPSConnection, InvalidURL
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from ingestion_destination import roots
from ingestion_destination.deadline import Time
from ingestion_destination.observability import logger

# Lambda runs an event again 60 and 120 s after a run that failed: all three fit the event's greatest age.
ANSWER_WITHIN = 60.0
LONGEST_TRY = 10.0
LONGEST_PAUSE = 8.0
# All answers of a Region go to one host, and those of a stack come at once. S3 leaves a connection open for longer.
KEPT_FOR = timedelta(seconds=3)


class Undelivered(Exception):
    """An answer did not arrive.

    Args:
        why: The last failure, without the address.
        refused: Whether it was refused for good, so that another try is pointless.
        unheard: Whether nothing was heard, so that it may have arrived all the same.
    """

    def __init__(self, why: str, *, refused: bool = False, unheard: bool = False) -> None:
        super().__init__(why)
        self.refused = refused
        self.unheard = unheard


def tls() -> ssl.SSLContext:
    """Certificates are verified: by SSL_CERT_FILE's, the build's or the system's roots, and by AWS_CA_BUNDLE's."""
    context = ssl.create_default_context(capath=roots.for_answers())
    bundle = Path(os.environ.get("AWS_CA_BUNDLE") or "/nowhere")
    if bundle.exists():
        context.load_verify_locations(**{"capath" if bundle.is_dir() else "cafile": str(bundle)})
    return context


class Delivery:
    """Puts answers to addresses.

    Args:
        context: Made once, for loading the roots takes longer than all the rest.
        within: Seconds after which an answer is given up.
    """

    def __init__(
        self,
        *,
        context: ssl.SSLContext,
        time: Time,
        within: float = ANSWER_WITHIN,
    ) -> None:
        self._context = context
        self._time = time
        self._within = within
        self._kept: _Kept | None = None

    def __del__(self) -> None:
        if self._kept:
            self._kept.connection.close()

    def put(self, address: str, body: bytes, *, ends: float) -> None:
        """Deliver an answer: 2xx is delivered, what may pass is tried again, the same body each time.

        Args:
            address: An https URL, sent byte for byte as it is, for it is signed.
            body: The answer.
            ends: An instant of the clock after which no try begins, and at which a running one is cut.

        Raises:
            Undelivered: It was refused, or the time was up. After a try of which nothing was heard it counts as not
                refused: CloudFormation may have the answer.
        """
        pause, ends, doubt = 0.5, min(ends, self._time.clock() + self._within), False
        while True:
            try:
                left = ends - self._time.clock()
                status = self._try(address, body, min(LONGEST_TRY, max(left / 2, 0.5), left))
                logger.info("answered", host=urlsplit(address).hostname, http_status=status)
                return
            except Undelivered as failure:
                wait = random.uniform(pause / 2, pause)  # noqa: S311
                if failure.refused or self._time.clock() + wait + 0.5 > ends:
                    failure.refused = failure.refused and not doubt
                    raise
                doubt = doubt or failure.unheard
                logger.warning("the answer is tried again", why=str(failure))
            self._time.sleep(wait)
            pause = min(2 * pause, LONGEST_PAUSE)

    def _try(self, address: str, body: bytes, longest: float) -> int:
        parts = urlsplit(address)
        # What follows the host, as it is: urllib and urllib3 would normalise it.
        target = address[address.index(parts.netloc) + len(parts.netloc) :]
        try:
            with self._time.cut_after(longest):
                status, text = self._exchange(parts, target, body, max(longest / 2, 0.1))
        except (InvalidURL, UnicodeError) as error:
            raise Undelivered(f"{parts.hostname}: {type(error).__name__}", refused=True) from None
        except (OSError, HTTPException) as error:
            raise Undelivered(f"{parts.hostname}: {type(error).__name__}", unheard=True) from None
        if status // 100 == 2:
            return status
        passes = status >= 500 or status in {408, 429} or b"<Code>RequestTimeout</Code>" in text
        raise Undelivered(f"{parts.hostname} answered HTTP {status}", refused=not passes)

    def _exchange(self, parts: SplitResult, target: str, body: bytes, timeout: float) -> tuple[int, bytes]:
        """One request: on the connection of the last answer, when that was delivered a moment ago to the same host."""
        host, kept = (parts.hostname or "", parts.port or 443), self._kept
        self._kept = None
        if kept and kept.leads_to(host, now=self._time.now()):
            kept.connection.sock.settimeout(timeout)
            # Closed at the other end meanwhile? That says nothing about the service, a new one is made at once.
            with suppress(ConnectionError, HTTPException, ssl.SSLError):
                return self._send(kept.connection, host, target, body)
        elif kept:
            kept.connection.close()
        return self._send(HTTPSConnection(*host, timeout=timeout, context=self._context), host, target, body)

    def _send(self, connection: HTTPSConnection, host: tuple[str, int], target: str, body: bytes) -> tuple[int, bytes]:
        try:
            connection.request("PUT", target, body, {"content-type": "", "content-length": str(len(body))})
            response = connection.getresponse()
            text = response.read(2000)
            if response.status // 100 == 2 and response.isclosed() and connection.sock:
                self._kept = _Kept(connection, host, self._time.now())
        finally:
            if self._kept is None:
                connection.close()
        return response.status, text


class _Kept:
    """A connection on which an answer was delivered; no dataclass, for making one takes part of start-up."""

    def __init__(self, connection: HTTPSConnection, host: tuple[str, int], since: datetime) -> None:
        self.connection = connection
        self._host = host
        self._since = since

    def leads_to(self, host: tuple[str, int], *, now: datetime) -> bool:
        """Whether it can be used: it is young, and nothing was heard on it since (an end, most likely)."""
        young = timedelta() <= now - self._since <= KEPT_FOR
        return young and self._host == host and not select.select([self.connection.sock], [], [], 0)[0]
