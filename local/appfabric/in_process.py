"""The in-process front end: responds to a boto3 client without a socket."""

import math
from collections.abc import Iterator
from typing import Any, NoReturn, cast
from urllib.parse import urlsplit

from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.client import BaseClient
from botocore.exceptions import ConnectionClosedError, ReadTimeoutError

from local.appfabric.emulator import AppFabricEmulator
from local.appfabric.transport import HttpRequest


def attach(client: BaseClient, service: AppFabricEmulator) -> None:
    """Let `service` handle the calls of `client`, a boto3 client for AppFabric.

    A cut raises ConnectionClosedError and a hang ReadTimeoutError, as botocore does for a socket; so does a
    delay longer than the client's read timeout, though that call takes effect. No time passes but by
    `service.sleep`, and the client's own pauses between its retries are real.
    """
    read_timeout: float | None = client.meta.config.read_timeout  # type: ignore[attr-defined]

    def handle(request: AWSPreparedRequest, **_: Any) -> Any:
        url = urlsplit(request.url)
        body = cast("bytes", request.body or b"")
        connection = _Connection(service=service, url=request.url, read_timeout=read_timeout)
        response = service.handle(
            HttpRequest(method=request.method, target=f"{url.path}?{url.query}", body=body), connection
        )
        if response.drip:
            service.sleep(response.drip * len(response.to_bytes()))
        if connection.given_up:
            raise ReadTimeoutError(endpoint_url=request.url)
        headers: Any = response.headers
        return AWSResponse(request.url, response.status, headers, _Raw(response.body))

    client.meta.events.register("before-send.appfabric", handle)


class _Connection:
    def __init__(self, *, service: AppFabricEmulator, url: str, read_timeout: float | None) -> None:
        self._service = service
        self._url = url
        self._read_timeout = math.inf if read_timeout is None else read_timeout
        self.given_up = False

    def wait(self, seconds: float) -> None:
        self._service.sleep(min(seconds, self._read_timeout))
        self.given_up = seconds > self._read_timeout

    def hang(self, seconds: float) -> NoReturn:
        self.wait(seconds)
        raise ReadTimeoutError(endpoint_url=self._url)

    def cut(self) -> NoReturn:
        raise ConnectionClosedError(endpoint_url=self._url)


class _Raw:
    """A body as AWSResponse reads it."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    def stream(self) -> Iterator[bytes]:
        yield self._body
