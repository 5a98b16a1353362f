"""Where CloudFormation's answers are PUT: presigned addresses on this machine that record what arrives.

Stands in for the S3 bucket behind a ResponseURL. Standard library only, like `runtime`.
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

from local.answer_server import AnswerServer, Fault
from local.certificates import Certificates

__all__ = ["AnswerSink", "Fault", "Request"]

_STACK_ID = "arn:aws:cloudformation:us-east-1:123456789012:stack/local/51af3dc0-da77-11e4-872e-1234567db123"


@dataclass(frozen=True)
class Request:
    """One request as it arrived.

    Attributes:
        method: The HTTP method.
        target: The request target exactly as it was sent, still quoted.
        headers: Names as sent, in order.
        body: The bytes of the body.
        at: Seconds since the epoch when the body had arrived.
        outcome: The status code that was answered, or the fault.
        stored: Whether it is now the answer of its address.
    """

    method: str
    target: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    at: float
    outcome: int | Fault
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


class AnswerSink:
    """HTTPS on 127.0.0.1, at a port of its own, for as long as the `with` block runs.

        with AnswerSink(certificates) as sink:
            address = sink.address(order=[503, Fault.CUT_BEFORE])
            ...                                   # the third request to it is stored
            answer = sink.wait(address, timeout=5).json()

    Args:
        certificates: Whose server certificate to show. A client must trust its authority.
    """

    def __init__(self, certificates: Certificates) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificates.certificate, certificates.key)
        self._server = AnswerServer(context=context, receive=self.receive, redirect=self.address)
        self._orders: dict[str, list[int | Fault]] = {}
        self._requests: list[Request] = []
        self._arrived = threading.Condition()

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()

    def address(
        self,
        *,
        order: Sequence[int | Fault] = (),
        stack_id: str = _STACK_ID,
        logical_id: str = "Destination",
        request_id: str | None = None,
    ) -> str:
        """A new ResponseURL, presigned for two hours as CloudFormation's are.

        Args:
            order: What the first requests get, one each; every later one gets 200. Only 200,
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
            "/us-east-1/s3/aws4_request",
            "X-Amz-Signature": secrets.token_hex(32),
        }
        target = f"/{urllib.parse.quote(object_key)}?{urllib.parse.urlencode(query)}"
        with self._arrived:
            self._orders[target] = list(order)
        return f"https://localhost:{self._server.server_port}{target}"

    def requests(self, address: str | None = None) -> list[Request]:
        """Every request so far, in order of arrival; those to one address when it is given."""
        with self._arrived:
            return [r for r in self._requests if address is None or address.endswith(r.target)]

    def wait(self, address: str, *, timeout: float) -> Request:
        """The first answer that was stored at `address`, as soon as it is there.

        Args:
            address: One that `address` gave.
            timeout: How many seconds to wait for it.

        Raises:
            TimeoutError: Nothing was stored in that time.
        """

        def stored() -> Request | None:
            return next((request for request in self.requests(address) if request.stored), None)

        with self._arrived:
            answer = self._arrived.wait_for(stored, timeout)
        if answer is None:
            raise TimeoutError(f"no answer was stored within {timeout} s")
        return answer

    def receive(self, *, method: str, target: str, headers: tuple[tuple[str, str], ...], body: bytes) -> int | Fault:
        """Record one request and say what it gets. The server calls this."""
        with self._arrived:
            outcome = self._outcome(method=method, target=target, headers=headers)
            stored = outcome in (200, Fault.CUT_AFTER, Fault.DRIP)
            self._requests.append(Request(method, target, headers, body, time.time(), outcome, stored))
            self._arrived.notify_all()
        return outcome

    def _outcome(self, *, method: str, target: str, headers: tuple[tuple[str, str], ...]) -> int | Fault:
        # A presigned address is good for its own method and its own exact bytes. CloudFormation asks
        # for an empty Content-Type, because an address signed without one is good for no other.
        content_type = next((value for name, value in headers if name.lower() == "content-type"), "")
        if target not in self._orders or method != "PUT" or content_type:
            return 403
        order = self._orders[target]
        return order.pop(0) if order else 200
