"""HTTP requests and responses as the emulator sees them, whichever front end carries them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from http.client import responses
from typing import NoReturn, Protocol


@dataclass(frozen=True, kw_only=True)
class HttpRequest:
    """An HTTP request; `target` is path and query as sent, still percent-encoded."""

    method: str
    target: str
    body: bytes = b""


@dataclass(frozen=True, kw_only=True)
class HttpResponse:
    """An HTTP response; `drip` is the pause in seconds between its bytes, None to send it at once."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    drip: float | None = None

    def to_bytes(self) -> bytes:
        """The response as HTTP/1.1 sends it."""
        headers = dict(self.headers)
        if self.status != 204:  # RFC 9110, 8.6: no Content-Length in a 204
            headers["Content-Length"] = str(len(self.body))
        lines = [f"HTTP/1.1 {self.status} {responses.get(self.status, '')}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        return "\r\n".join([*lines, "", ""]).encode() + self.body


class Connection(Protocol):
    """The connection a call came by, as far as a fault can affect it."""

    def wait(self, seconds: float) -> None:
        """Let time pass before the call goes on."""

    def hang(self, seconds: float) -> NoReturn:
        """Leave the client without a response until it gives up; `seconds` is for a client without a socket."""

    def cut(self) -> NoReturn:
        """Close the connection without a response."""
