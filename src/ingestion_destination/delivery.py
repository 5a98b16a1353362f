"""How an answer reaches CloudFormation: a PUT to the address that came with the request.

The address is a credential for two hours: it is never logged, only its host is.
"""

from __future__ import annotations

import os
import random
import ssl
from http.client import HTTPException, HTTPSConnection, InvalidURL
from pathlib import Path
from urllib.parse import urlsplit

from ingestion_destination.deadline import Time
from ingestion_destination.observability import logger

# Lambda runs an event again 60 and 120 s after a run that failed: all three fit the event's greatest age.
ANSWER_WITHIN = 60.0
LONGEST_TRY = 10.0
LONGEST_PAUSE = 8.0


class Undelivered(Exception):
    """An answer did not arrive.

    Args:
        why: The last failure, without the address.
        refused: Whether it was refused for good, so that another try is pointless.
    """

    def __init__(self, why: str, *, refused: bool = False) -> None:
        super().__init__(why)
        self.refused = refused


def tls() -> ssl.SSLContext:
    """Certificates are verified, by SSL_CERT_FILE's or the system's roots, and AWS_CA_BUNDLE's as for boto3."""
    context = ssl.create_default_context()
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

    def put(self, address: str, body: bytes, *, ends: float) -> None:
        """Deliver an answer: 2xx is delivered, what may pass is tried again, the same body each time.

        Args:
            address: An https URL, sent byte for byte as it is, for it is signed.
            body: The answer.
            ends: An instant of the clock after which no try begins, and at which a running one is cut.

        Raises:
            Undelivered: It was refused, or the time was up.
        """
        pause, ends = 0.5, min(ends, self._time.clock() + self._within)
        while True:
            try:
                left = ends - self._time.clock()
                status = self._try(address, body, min(LONGEST_TRY, max(left / 2, 0.5), left))
                logger.info("answered", host=urlsplit(address).hostname, http_status=status)
                return
            except Undelivered as failure:
                wait = random.uniform(pause / 2, pause)  # noqa: S311
                if failure.refused or self._time.clock() + wait + 0.5 > ends:
                    raise
                logger.warning("the answer is tried again", why=str(failure))
            self._time.sleep(wait)
            pause = min(2 * pause, LONGEST_PAUSE)

    def _try(self, address: str, body: bytes, longest: float) -> int:
        parts = urlsplit(address)
        # What follows the host, as it is: urllib and urllib3 would normalise it.
        target = address[address.index(parts.netloc) + len(parts.netloc) :]
        try:
            with self._time.cut_after(longest):
                connection = HTTPSConnection(
                    parts.hostname or "", parts.port, timeout=max(longest / 2, 0.1), context=self._context
                )
                try:
                    connection.request("PUT", target, body, {"content-type": "", "content-length": str(len(body))})
                    response = connection.getresponse()
                    text = response.read(2000)
                finally:
                    connection.close()
        except (InvalidURL, UnicodeError) as error:
            raise Undelivered(f"{parts.hostname}: {type(error).__name__}", refused=True) from None
        except (OSError, HTTPException) as error:
            raise Undelivered(f"{parts.hostname}: {type(error).__name__}") from None
        if response.status // 100 == 2:
            return response.status
        passes = response.status >= 500 or response.status in {408, 429} or b"<Code>RequestTimeout</Code>" in text
        raise Undelivered(f"{parts.hostname} answered HTTP {response.status}", refused=not passes)
