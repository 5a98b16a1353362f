"""Reads the body of an HTTP request, with a length or in chunks, and refuses one whose end is not certain.

RFC 9112, 6.3 and 7.1. What is lax here could take a part of one request for the next one.
"""

import json
import re
from email.message import Message
from io import BufferedIOBase

from local.appfabric.transport import HttpResponse

_MAX_BYTES = 1024 * 1024
_MAX_LINE = 1024


class BodyRefused(Exception):
    """The body cannot be read, and neither can what follows it on the connection."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status

    def response(self) -> HttpResponse:
        """What to send before the connection is closed."""
        headers = {"Content-Type": "application/json", "Connection": "close"}
        return HttpResponse(status=self.status, headers=headers, body=json.dumps({"message": str(self)}).encode())


def read_body(headers: Message, stream: BufferedIOBase) -> bytes:
    """Read the body of the request with these headers; empty when it has none.

    Raises:
        BodyRefused: Its length or its chunks are wrong, or it is too large.
        EOFError: The connection ended before the body.
    """
    lengths = set(headers.get_all("Content-Length", []))
    encodings = headers.get_all("Transfer-Encoding", [])
    if lengths and encodings:
        raise BodyRefused(400, "A request has a Content-Length or a Transfer-Encoding, not both")
    if encodings:
        if [each.strip().lower() for each in encodings] != ["chunked"]:
            raise BodyRefused(501, "The only Transfer-Encoding is chunked")
        return _read_chunks(stream)
    if not lengths:
        return b""
    if len(lengths) > 1 or not re.fullmatch("[0-9]+", length := lengths.pop()):
        raise BodyRefused(400, "The Content-Length is not a number")
    return _read(stream, int(length), of=0)


def _read_chunks(stream: BufferedIOBase) -> bytes:
    body = b""
    while size := _chunk_size(_read_line(stream)):
        body += _read(stream, size, of=len(body))
        if _read_line(stream):
            raise BodyRefused(400, "A chunk is longer than its size")
    while _read_line(stream):
        pass  # trailers, of which none is known
    return body


def _chunk_size(line: bytes) -> int:
    size = line.partition(b";")[0].strip()
    if not re.fullmatch(b"[0-9a-fA-F]{1,16}", size):
        raise BodyRefused(400, "A chunk has no size")
    return int(size, 16)


def _read(stream: BufferedIOBase, size: int, *, of: int) -> bytes:
    """Read `size` bytes of a body, of which `of` bytes were read before."""
    if of + size > _MAX_BYTES:
        raise BodyRefused(413, f"A body has at most {_MAX_BYTES} bytes")
    read = stream.read(size)
    if len(read) < size:
        raise EOFError
    return read


def _read_line(stream: BufferedIOBase) -> bytes:
    line = stream.readline(_MAX_LINE)
    if len(line) == _MAX_LINE:
        raise BodyRefused(400, "A line between the chunks is too long")
    if not line.endswith(b"\n"):
        raise EOFError
    return line.rstrip(b"\r\n")
