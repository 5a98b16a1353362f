"""The HTTPS server of `response_receiver`: parses requests, and carries out injected faults."""

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable
from enum import Enum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Protocol


class ResponseFault(Enum):
    """What a URL does instead of responding with a status code."""

    REDIRECT = "responds 307 with another URL of the same receiver"
    CUT_BEFORE = "closes the connection without storing"
    CUT_AFTER = "stores, then closes the connection without responding"
    HANG = "reads, and neither stores nor responds"
    DRIP = "stores, then responds one byte a second"


class Receive(Protocol):
    """What a server passes its requests to."""

    def __call__(
        self, *, method: str, target: str, headers: tuple[tuple[str, str], ...], body: bytes
    ) -> int | ResponseFault:
        """Take one request and return its outcome: a status code or a fault."""


class ResponseServer(ThreadingHTTPServer):
    """Listens on 127.0.0.1, at a port of its own, as soon as it is created; serves with `serve_forever`.

    Args:
        context: With the server's certificate.
        receive: Decides on every request.
        redirect: Gives the URL that a `REDIRECT` leads to.
    """

    daemon_threads = True
    block_on_close = False
    request_queue_size = 32

    def __init__(self, *, context: ssl.SSLContext, receive: Receive, redirect: Callable[[], str]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.receive = receive
        self.redirect = redirect
        self.closing = threading.Event()
        self._context = context

    def close(self) -> None:
        """Stop serving, and end the connections that a fault keeps open."""
        self.closing.set()
        self.shutdown()
        self.server_close()

    def get_request(self) -> tuple[socket.socket, Any]:
        """The next connection. The handshake is left to its own thread: a slow client holds up no other."""
        connection, address = super().get_request()
        return self._context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False), address

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: a client that hangs up or distrusts the certificate is what tests provoke."""


class _Handler(BaseHTTPRequestHandler):
    server: ResponseServer
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_PUT(self) -> None:
        # requestline, because self.path has its leading slashes tidied
        method, target, _ = self.requestline.split(" ")
        length = int(self.headers.get("Content-Length") or 0)
        outcome = self.server.receive(
            method=method, target=target, headers=tuple(self.headers.items()), body=self.rfile.read(length)
        )
        match outcome:
            case int():
                self._respond(outcome)
            case ResponseFault.REDIRECT:
                self._respond(307, location=self.server.redirect())
            case ResponseFault.HANG:
                self.server.closing.wait()
                self._cut()
            case ResponseFault.DRIP:
                self._drip(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
                self._cut()
            case ResponseFault.CUT_BEFORE | ResponseFault.CUT_AFTER:
                self._cut()

    do_POST = do_GET = do_DELETE = do_HEAD = do_PATCH = do_PUT  # noqa: N815 - http.server's names

    def _respond(self, status: int, *, location: str | None = None) -> None:
        self.send_response(status)
        self.send_header("Content-Length", "0")
        if location:
            self.send_header("Location", location)
        self.end_headers()

    def _drip(self, response: bytes) -> None:
        for byte in response:
            self.wfile.write(bytes([byte]))
            if self.server.closing.wait(1.0):
                return

    def _cut(self) -> None:
        self.close_connection = True
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - http.server's name
        """Log nothing: requests are recorded."""
