"""Receives custom resource responses: pre-signed URLs on this machine that record what is PUT to them.

Takes the place of the S3 bucket behind a ResponseURL. Standard library only, like `runtime`.
https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/crpg-ref-responses.html
"""

import json
import secrets
import ssl
import threading
import time
import urllib.parse
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from local.certificates import Certificates
from local.response_server import ResponseFault, ResponseServer

__all__ = ["ReceivedRequest", "ResponseFault", "ResponseReceiver"]

_STACK_ID = "arn:aws:cloudformation:us-east-1:123456789012:stack/local/51af3dc0-da77-11e4-872e-1234567db123"


@dataclass(frozen=True)
class ReceivedRequest:
    """One request as it arrived.

    Attributes:
        method: The HTTP method.
        target: The request target exactly as it was sent, still percent-encoded.
        headers: Names as sent, in order.
        body: The bytes of the body.
        at: Seconds since the epoch when the body had arrived.
        outcome: The status code of the response, or the fault.
        stored: Whether its body is now stored at its URL.
    """

    method: str
    target: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    at: float
    outcome: int | ResponseFault
    stored: bool

    def header(self, name: str) -> str | None:
        """The value of the header `name`, in any case; None when it was not sent."""
        return next((value for key, value in self.headers if key.lower() == name.lower()), None)

    def json(self) -> Any:
        """The body as JSON.

        Raises:
            ValueError: It is none.
        """
        return json.loads(self.body)


class ResponseReceiver:
    """HTTPS on 127.0.0.1, at a port of its own, for as long as the `with` block runs.

        with ResponseReceiver(certificates) as receiver:
            url = receiver.response_url(outcomes=[503, ResponseFault.CUT_BEFORE])
            ...                                   # the third request to it is stored
            response = receiver.wait(url, timeout=5).json()

    Args:
        certificates: Whose server certificate to show. A client must trust its authority.
    """

    def __init__(self, certificates: Certificates) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificates.certificate, certificates.key)
        self._server = ResponseServer(context=context, receive=self.receive, redirect=self.response_url)
        self._outcomes: dict[str, list[int | ResponseFault]] = {}
        self._requests: list[ReceivedRequest] = []
        self._arrived = threading.Condition()

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()

    def response_url(
        self,
        *,
        outcomes: Sequence[int | ResponseFault] = (),
        stack_id: str = _STACK_ID,
        logical_id: str = "Destination",
        request_id: str | None = None,
    ) -> str:
        """A new ResponseURL, pre-signed for two hours as CloudFormation's are.

        Args:
            outcomes: What the first requests get, one each; every later one gets 200. Only 200,
                `CUT_AFTER` and `DRIP` store the body.
            stack_id: Part of the path, as in a real one.
            logical_id: Likewise.
            request_id: Likewise; a new one when None.
        """
        object_key = f"{stack_id}|{logical_id}|{request_id or uuid.uuid4()}"
        query = {
            "X-Amz-Algorithm": "AWS4-HMAC-SHA256",
            "X-Amz-Date": time.strftime("%Y%m%dT%H%M%SZ", time.gmtime()),
            "X-Amz-SignedHeaders": "host",
            "X-Amz-Expires": "7200",
            "X-Amz-Credential": f"AKIAIOSFODNN7EXAMPLE/{time.strftime('%Y%m%d', time.gmtime())}"
            f"/{stack_id.split(':')[3]}/s3/aws4_request",
            "X-Amz-Signature": secrets.token_hex(32),
        }
        target = f"/{urllib.parse.quote(object_key)}?{urllib.parse.urlencode(query)}"
        with self._arrived:
            self._outcomes[target] = list(outcomes)
        return f"https://localhost:{self._server.server_port}{target}"

    def requests(self, url: str | None = None) -> list[ReceivedRequest]:
        """Every request so far, in order of arrival; those to one URL when it is given."""
        with self._arrived:
            return [r for r in self._requests if url is None or url.endswith(r.target)]

    def wait(self, url: str, *, timeout: float) -> ReceivedRequest:
        """The first request whose body was stored at `url`, as soon as it is there.

        Args:
            url: One that `response_url` gave.
            timeout: How many seconds to wait for it.

        Raises:
            TimeoutError: Nothing was stored in that time.
        """

        def stored() -> ReceivedRequest | None:
            return next((request for request in self.requests(url) if request.stored), None)

        with self._arrived:
            request = self._arrived.wait_for(stored, timeout)
        if request is None:
            raise TimeoutError(f"no response was stored within {timeout} s")
        return request

    def receive(
        self, *, method: str, target: str, headers: tuple[tuple[str, str], ...], body: bytes
    ) -> int | ResponseFault:
        """Record one request and return its outcome. The server calls this."""
        with self._arrived:
            outcome = self._outcome(method=method, target=target, headers=headers)
            stored = outcome in (200, ResponseFault.CUT_AFTER, ResponseFault.DRIP)
            self._requests.append(ReceivedRequest(method, target, headers, body, time.time(), outcome, stored))
            self._arrived.notify_all()
        return outcome

    def _outcome(self, *, method: str, target: str, headers: tuple[tuple[str, str], ...]) -> int | ResponseFault:
        # A pre-signed URL is good for its own method and its own exact bytes. CloudFormation asks
        # for an empty Content-Type, because a URL signed without one is good for no other.
        content_type = next((value for name, value in headers if name.lower() == "content-type"), "")
        if target not in self._outcomes or method != "PUT" or content_type:
            return 403
        outcomes = self._outcomes[target]
        return outcomes.pop(0) if outcomes else 200
