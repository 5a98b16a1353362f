"""The HTTP front end, on 127.0.0.1 unless another address is given."""

import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler
from socketserver import ThreadingTCPServer
from threading import Event, Thread
from typing import Any, NoReturn

from local.appfabric.control import PREFIX, control
from local.appfabric.emulator import AppFabricEmulator
from local.appfabric.request_body import BodyRefused, read_body
from local.appfabric.transport import HttpRequest, HttpResponse


@contextmanager
def serve(service: AppFabricEmulator, *, host: str = "127.0.0.1", port: int = 0) -> Iterator[str]:
    """Serve `service` while the context lasts; yields its URL.

    Args:
        service: What handles the requests.
        host: The address to listen at; a container reaches its host's loopback on some systems only.
        port: 0 takes any free one.

    The end of the context closes all connections, those that hang as well.

    Raises:
        OSError: the port is taken.
    """
    server = _Server(service, host, port)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield f"http://{host}:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.close_connections()
        server.server_close()
        thread.join()


class _Server(ThreadingTCPServer):  # HTTPServer would look up the name of the host
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, service: AppFabricEmulator, host: str, port: int) -> None:
        self.service = service
        self.closing = Event()
        self._connections: set[Any] = set()
        super().__init__((host, port), _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        self._connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self._connections.discard(request)
        super().shutdown_request(request)

    def close_connections(self) -> None:
        self.closing.set()
        for connection in list(self._connections):
            with suppress(OSError):  # closed already
                connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        # A client that has left is no error of the server's.
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def _handle(self) -> None:
        try:
            body = read_body(self.headers, self.rfile)
        except BodyRefused as refused:  # where the next request begins is not known
            self.close_connection = True
            self._send(refused.response())
            return
        except EOFError:
            self.cut()
        request = HttpRequest(method=self.command, target=self.path, body=body)
        if request.target.startswith(PREFIX):
            self._send(control(self.server.service, request))
        else:
            self._send(self.server.service.handle(request, self))

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _handle  # noqa: N815 - http.server's names

    def _send(self, response: HttpResponse) -> None:
        if response.drip is None:
            self.wfile.write(response.to_bytes())
            return
        for byte in response.to_bytes():
            self.wfile.write(bytes([byte]))
            self.wait(response.drip)

    def wait(self, seconds: float) -> None:
        """Wait, unless the server closes: then the call has no effect any more."""
        if self.server.closing.wait(seconds):
            self.cut()

    def hang(self, seconds: float) -> NoReturn:  # noqa: ARG002 - a client on a socket has its own timeout
        """Wait for the client to leave, or for the server to close the connection."""
        self.connection.recv(1, socket.MSG_PEEK)
        self.cut()

    def cut(self) -> NoReturn:
        """Leave the handler; the server then closes the connection."""
        raise ConnectionAbortedError

    def log_message(self, *_: Any) -> None:
        """Write nothing: subscribers of the service see the calls."""
