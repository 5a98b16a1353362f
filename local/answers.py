"""Where CloudFormation's answers are PUT: presigned addresses on this machine that record what arrives.

Stands in for the S3 bucket behind a ResponseURL. Standard library only, like `runtime`.
https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/crpg-ref-responses.html
"""

import contextlib
import json
import secrets
import socket
import ssl
import threading
import time
import urllib.parse
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

from local.certificates import Certificates

_STACK_ID = "arn:aws:cloudformation:us-east-1:123456789012:stack/local/51af3dc0-da77-11e4-872e-1234567db123"


class Fault(Enum):
    """What an address does instead of answering with a status code."""

    REDIRECT = "answers 307 with another address of the same sink"
    CUT_BEFORE = "closes the connection without storing"
    CUT_AFTER = "stores, then closes the connection without answering"
    HANG = "reads, and neither stores nor answers"
    DRIP = "stores, then answers one byte a second"


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
        self._server = _Server(sink=self, context=context)
        self._orders: dict[str, list[int | Fault]] = {}
        self._requests: list[Request] = []
        self._arrived = threading.Condition()
        self._closing = threading.Event()

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing.set()
        self._server.shutdown()
        self._server.server_close()

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
        """Record one request and say what it gets. Called by the server."""
        with self._arrived:
            outcome = self._outcome(method=method, target=target, headers=headers)
            stored = outcome in (200, Fault.CUT_AFTER, Fault.DRIP)
            self._requests.append(Request(method, target, headers, body, time.time(), outcome, stored))
            self._arrived.notify_all()
        return outcome

    def wait_until_closed(self, seconds: float | None = None) -> bool:
        """Wait for the end of the `with` block, at most `seconds`; whether it came. Called by the server."""
        return self._closing.wait(seconds)

    def _outcome(self, *, method: str, target: str, headers: tuple[tuple[str, str], ...]) -> int | Fault:
        # A presigned address is good for its own method and its own exact bytes. CloudFormation asks
        # for an empty Content-Type, because an address signed without one is good for no other.
        content_type = next((value for name, value in headers if name.lower() == "content-type"), "")
        if target not in self._orders or method != "PUT" or content_type:
            return 403
        order = self._orders[target]
        return order.pop(0) if order else 200


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 32

    def __init__(self, *, sink: AnswerSink, context: ssl.SSLContext) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.sink = sink
        self._context = context

    def get_request(self) -> tuple[socket.socket, Any]:
        # The handshake is left to the connection's own thread: a client that hangs holds up no other.
        connection, address = super().get_request()
        return (
            self._context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False),
            address,
        )

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: a client that hangs up or distrusts the certificate is what tests order."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_PUT(self) -> None:
        # requestline, because self.path has its leading slashes tidied
        method, target, _ = self.requestline.split(" ")
        length = int(self.headers.get("Content-Length") or 0)
        outcome = self.server.sink.receive(
            method=method,
            target=target,
            headers=tuple(self.headers.items()),
            body=self.rfile.read(length),
        )
        if isinstance(outcome, int):
            self.send_response(outcome)
            self.send_header("Content-Length", "0")
            self.end_headers()
        elif outcome is Fault.REDIRECT:
            self.send_response(307)
            self.send_header("Location", self.server.sink.address())
            self.send_header("Content-Length", "0")
            self.end_headers()
        else:
            self.close_connection = True
            if outcome is Fault.HANG:
                self.server.sink.wait_until_closed()
            elif outcome is Fault.DRIP:
                self._drip(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
            with contextlib.suppress(OSError):
                self.connection.shutdown(socket.SHUT_RDWR)

    do_POST = do_GET = do_DELETE = do_HEAD = do_PATCH = do_PUT  # noqa: N815 - http.server's names

    def _drip(self, answer: bytes) -> None:
        for byte in answer:
            self.wfile.write(bytes([byte]))
            if self.server.sink.wait_until_closed(1.0):
                return

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - http.server's name
        """Log nothing: requests are recorded."""
