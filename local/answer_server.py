"""The HTTPS side of `answers`: takes requests apart, and misbehaves as ordered."""

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable
from enum import Enum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Protocol


class Fault(Enum):
    """What an address does instead of answering with a status code."""

    REDIRECT = "answers 307 with another address of the same sink"
    CUT_BEFORE = "closes the connection without storing"
    CUT_AFTER = "stores, then closes the connection without answering"
    HANG = "reads, and neither stores nor answers"
    DRIP = "stores, then answers one byte a second"


class Receive(Protocol):
    """What a server hands its requests to."""

    def __call__(self, *, method: str, target: str, headers: tuple[tuple[str, str], ...], body: bytes) -> int | Fault:
        """Take one request and say what it gets: a status code or a fault."""


class AnswerServer(ThreadingHTTPServer):
    """Listens on 127.0.0.1, at a port of its own, as soon as it is made; serves with `serve_forever`.

    Args:
        context: With the server's certificate.
        receive: Decides on every request.
        redirect: Gives the address that a `REDIRECT` leads to.
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
        """Say nothing: a client that hangs up or distrusts the certificate is what tests order."""


class _Handler(BaseHTTPRequestHandler):
    server: AnswerServer
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
                self._answer(outcome)
            case Fault.REDIRECT:
                self._answer(307, location=self.server.redirect())
            case Fault.HANG:
                self.server.closing.wait()
                self._cut()
            case Fault.DRIP:
                self._drip(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
                self._cut()
            case Fault.CUT_BEFORE | Fault.CUT_AFTER:
                self._cut()

    do_POST = do_GET = do_DELETE = do_HEAD = do_PATCH = do_PUT  # noqa: N815 - http.server's names

    def _answer(self, status: int, *, location: str | None = None) -> None:
        self.send_response(status)
        self.send_header("Content-Length", "0")
        if location:
            self.send_header("Location", location)
        self.end_headers()

    def _drip(self, answer: bytes) -> None:
        for byte in answer:
            self.wfile.write(bytes([byte]))
            if self.server.closing.wait(1.0):
                return

    def _cut(self) -> None:
        self.close_connection = True
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - http.server's name
        """Log nothing: requests are recorded."""
