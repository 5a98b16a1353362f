"""Where a measured handler sends its requests: one HTTPS server for the service and for CloudFormation."""

import json
import socket
import ssl
import threading
import time
import uuid
from pathlib import Path
from socketserver import StreamRequestHandler, ThreadingTCPServer
from types import TracebackType
from typing import Any, Self

import trustme

BUNDLE = "arn:aws:appfabric:us-east-1:111122223333:appbundle/11111111-1111-4111-8111-111111111111"
INGESTION = f"{BUNDLE}/ingestion/22222222-2222-4222-8222-222222222222"
MADE = {
    # AppFabric's CreateIngestionDestination
    "ingestionDestination": {
        "arn": f"{INGESTION}/ingestiondestination/33333333-3333-4333-8333-333333333333",
        "ingestionArn": INGESTION,
        "processingConfiguration": {"auditLog": {"schema": "ocsf", "format": "json"}},
        "destinationConfiguration": {"auditLog": {"destination": {"s3Bucket": {"bucketName": "audit-logs"}}}},
        "status": "Active",
        "createdAt": "2026-11-22T12:00:00Z",
        "updatedAt": "2026-11-22T12:00:00Z",
    },
    # EventBridge Scheduler's CreateSchedule
    "ScheduleArn": "arn:aws:scheduler:us-east-1:111122223333:schedule/default/audit-logs",
}


class Authority:
    """A certificate authority that stands for Amazon's: it signs for AWS's names."""

    def __init__(self, directory: Path) -> None:
        authority = trustme.CA(organization_name="Bench", key_type=trustme.KeyType.RSA)
        server = authority.issue_cert("*.us-east-1.amazonaws.com", "*.s3.amazonaws.com", key_type=trustme.KeyType.RSA)
        self.pem = authority.cert_pem.bytes()
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        server.configure_cert(self.context)
        self.file = directory / "authority.pem"
        self.file.write_bytes(self.pem)


class Stage:
    """The server, for as long as the `with` block runs; every response that it gets is recorded with its time."""

    def __init__(self, authority: Authority) -> None:
        self._server = _Server(authority.context)
        self.port = self._server.server_address[1]

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()

    def response_url(self) -> str:
        """A new ResponseURL, as long as CloudFormation's are."""
        key = f"arn%3Aaws%3Acloudformation%3Aus-east-1%3A111122223333%3Astack/bench/{uuid.uuid4()}%7CDestination"
        host = f"cloudformation-custom-resource-response-useast1.s3.amazonaws.com:{self.port}"
        now = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
        return f"https://{host}/{key}?X-Amz-Date={now}&X-Amz-Expires=7200&X-Amz-Signature={'0' * 64}"

    def responses(self) -> list[tuple[float, Any]]:
        """When each response since the last call came, by time.monotonic, and what it was."""
        responses, self._server.responses = self._server.responses, []
        return responses


class _Server(ThreadingTCPServer):
    daemon_threads = True
    request_queue_size = 32

    def __init__(self, context: ssl.SSLContext) -> None:
        self.responses: list[tuple[float, Any]] = []
        self._context = context
        super().__init__(("127.0.0.1", 0), _Handler)

    def get_request(self) -> tuple[Any, Any]:
        connection, address = self.socket.accept()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return self._context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False), address

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: the end of a measured process cuts its connections."""


class _Handler(StreamRequestHandler):
    """HTTP/1.1 as far as it is needed: the less time passes here, the more the differences show."""

    server: _Server

    def handle(self) -> None:
        while method := self.rfile.readline().partition(b" ")[0]:
            length = 0
            while (line := self.rfile.readline().lower()) not in (b"\r\n", b""):
                if line.startswith(b"content-length:"):
                    length = int(line.partition(b":")[2])
            body = self.rfile.read(length)
            if method == b"PUT":
                self.server.responses.append((time.monotonic(), json.loads(body)))
            self.wfile.write(_EMPTY if method == b"PUT" else _MADE)


def _response(body: bytes) -> bytes:
    head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


_EMPTY, _MADE = _response(b""), _response(json.dumps(MADE).encode())
