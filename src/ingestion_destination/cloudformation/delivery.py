"""How a response reaches CloudFormation: a PUT to the pre-signed URL that came with the request.

The URL is a credential for two hours: it is never logged, only its host is. Standard library only, so that a function
that cannot load anything else can still respond.
"""

from __future__ import annotations

import logging
import random
import ssl
from base64 import b64encode
from collections.abc import Callable
from http.client import HTTPException, HTTPSConnection, InvalidURL
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

if TYPE_CHECKING:
    from ingestion_destination.deadline import Clock

# Lambda retries an event 60 and 120 s after an invocation that failed: all three fit the event's maximum age.
RESPOND_WITHIN = 60.0
MAX_ATTEMPT = 10.0
MAX_PAUSE = 8.0

logger = logging.getLogger(__name__)


class Undelivered(Exception):
    """A response did not arrive.

    Args:
        reason: The last failure, without the URL.
        refused: Whether it was refused for good, so that another attempt is pointless.
    """

    def __init__(self, reason: str, *, refused: bool = False) -> None:
        super().__init__(reason)
        self.refused = refused


class Delivery:
    """Puts responses to pre-signed URLs, by the proxy that HTTPS_PROXY and NO_PROXY name, as boto3 does.

    Args:
        context: Made once: loading the trust store takes longer than all the rest.
        full_context: Makes the one that takes its place, for good, when it has refused a certificate; None for none.
        clock: How time passes.
        within: Seconds after which a response is given up.
    """

    def __init__(
        self,
        *,
        context: ssl.SSLContext,
        clock: Clock,
        full_context: Callable[[], ssl.SSLContext] | None = None,
        within: float = RESPOND_WITHIN,
    ) -> None:
        self._context = context
        self._full_context = full_context
        self._clock = clock
        self._within = within

    def put(self, url: str, body: bytes, *, ends: float) -> None:
        """Deliver a response: 2xx is delivered, what may pass is tried again with the same body.

        Args:
            url: An https URL, sent byte for byte as it is, because it is signed.
            body: The response.
            ends: By the monotonic clock; no attempt begins after it, and one in flight is interrupted then.

        Raises:
            Undelivered: It was refused, or the time was up.
        """
        pause, ends = 0.5, min(ends, self._clock.monotonic() + self._within)
        while True:
            left = ends - self._clock.monotonic()
            try:
                self._attempt(url, body, max(min(MAX_ATTEMPT, max(left / 2, 0.5), left), 0.1))
                return
            except Undelivered as failure:
                wait = random.uniform(pause / 2, pause)  # noqa: S311
                if failure.refused or self._clock.monotonic() + wait + 0.5 > ends:
                    raise
                logger.warning("retrying the response", extra={"reason": str(failure)})
            self._clock.sleep(wait)
            pause = min(2 * pause, MAX_PAUSE)

    def _attempt(self, url: str, body: bytes, timeout: float) -> None:
        parts = urlsplit(url)
        # What follows the host, as it is: urllib and urllib3 would normalize it.
        target = url[url.index(parts.netloc) + len(parts.netloc) :].partition("#")[0]
        try:
            with self._clock.interrupt_after(timeout):
                status, text = self._exchange(parts, target if target[:1] == "/" else f"/{target}", body, timeout / 2)
        except (InvalidURL, UnicodeError) as error:
            raise Undelivered(f"{parts.hostname}: {type(error).__name__}", refused=True) from None
        except (OSError, HTTPException) as error:
            if isinstance(error, ssl.SSLCertVerificationError) and self._full_context:
                self._context, self._full_context = self._full_context(), None
            raise Undelivered(f"{parts.hostname}: {type(error).__name__}") from None
        if status // 100 != 2:
            # S3 says 307 for a while after a bucket was created, and RequestTimeout with a 400.
            passes = status // 100 == 5 or status in {307, 408, 429} or b"<Code>RequestTimeout</Code>" in text
            raise Undelivered(f"{parts.hostname} responded with HTTP {status}", refused=not passes)

    def _exchange(self, parts: SplitResult, target: str, body: bytes, timeout: float) -> tuple[int, bytes]:
        connection = self._connect(parts, max(timeout, 0.1))
        try:
            connection.request("PUT", target, body, {"content-type": "", "content-length": str(len(body))})
            response = connection.getresponse()
            # With a 2xx the response has arrived, whatever becomes of the rest.
            return response.status, b"" if response.status // 100 == 2 else response.read(2000)
        finally:
            connection.close()

    def _connect(self, parts: SplitResult, timeout: float) -> HTTPSConnection:
        host, port = parts.hostname or "", parts.port or 443
        proxy_url = "" if proxy_bypass(parts.netloc) else getproxies().get("https", "")
        if not proxy_url:
            return HTTPSConnection(host, port, timeout=timeout, context=self._context)
        proxy = urlsplit(proxy_url if "://" in proxy_url else f"http://{proxy_url}")
        connection = HTTPSConnection(proxy.hostname or "", proxy.port or 80, timeout=timeout, context=self._context)
        connection.set_tunnel(host, port, _proxy_authorization(proxy))
        return connection


def _proxy_authorization(proxy: SplitResult) -> dict[str, str]:
    if proxy.username is None:
        return {}
    credentials = f"{unquote(proxy.username)}:{unquote(proxy.password or '')}"
    return {"Proxy-Authorization": f"Basic {b64encode(credentials.encode()).decode()}"}
