"""Responses are sent through the proxy that HTTPS_PROXY names, as AppFabric's calls are."""

import base64
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import pytest

from ingestion_destination.cloudformation.delivery import Delivery, Undelivered
from ingestion_destination.deadline import Clock
from local.certificates import Certificates
from local.response_receiver import ResponseReceiver


@dataclass
class Proxy:
    """An HTTP proxy for CONNECT; `close` ends all of its connections and threads."""

    asked: list[str] = field(default_factory=list)
    status: str = "200 OK"

    def __post_init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"127.0.0.1:{self._socket.getsockname()[1]}"
        self._clients: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._serve)]
        self._threads[0].start()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._socket.accept()
                self._clients.append(client)
                self._threads.append(threading.Thread(target=self._connect, args=(client,)))
                self._threads[-1].start()

    def _connect(self, client: socket.socket) -> None:
        with client:
            head = b""
            while b"\r\n\r\n" not in head:
                if not (data := client.recv(4096)):
                    return
                head += data
            self.asked.append(head.decode())
            client.sendall(f"HTTP/1.1 {self.status}\r\n\r\n".encode())
            if self.status.startswith("200"):
                host, _, port = head.split()[1].decode().partition(":")
                with socket.create_connection((host, int(port))) as server:
                    back = threading.Thread(target=_copy, args=(server, client))
                    back.start()
                    _copy(client, server)
                    back.join()

    def close(self) -> None:
        # Shutting down a connection wakes a thread that waits for it; closing the socket does not.
        for each in (self._socket, *self._clients):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        self._socket.close()


def _copy(one: socket.socket, other: socket.socket) -> None:
    with suppress(OSError):
        while data := one.recv(65536):
            other.sendall(data)
    with suppress(OSError):
        other.shutdown(socket.SHUT_WR)


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    proxy = Proxy()
    yield proxy
    proxy.close()


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates.create(tmp_path_factory.mktemp("certificates"))


@pytest.fixture
def receiver(certificates: Certificates) -> Iterator[ResponseReceiver]:
    with ResponseReceiver(certificates) as receiver:
        yield receiver


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("https_proxy", "HTTPS_PROXY", "http_proxy", "HTTP_PROXY", "no_proxy", "NO_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)


def put(certificates: Certificates, url: str, seconds: float = 5) -> None:
    context = ssl.create_default_context(cafile=str(certificates.ca))
    Delivery(context=context, clock=Clock()).put(url, b"{}", ends=time.monotonic() + seconds)


def test_a_response_is_sent_through_the_proxy(
    certificates: Certificates, receiver: ResponseReceiver, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", f"http://user:p%40ss@{proxy.url}")
    url = receiver.response_url()
    put(certificates, url)
    (request,) = receiver.requests(url)
    assert url.endswith(request.target)
    (asked,) = proxy.asked
    assert asked.startswith(f"CONNECT {urlsplit(url).netloc} ")
    assert f"Proxy-Authorization: Basic {base64.b64encode(b'user:p@ss').decode()}" in asked
    assert "Signature" not in asked


def test_the_no_proxy_variable_is_respected(
    certificates: Certificates, receiver: ResponseReceiver, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", proxy.url)
    monkeypatch.setenv("NO_PROXY", "localhost,127.0.0.1")
    put(certificates, receiver.response_url())
    assert not proxy.asked


def test_a_proxy_that_rejects_the_connection_is_a_failure(
    certificates: Certificates, receiver: ResponseReceiver, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy.status = "407 Proxy Authentication Required"
    monkeypatch.setenv("HTTPS_PROXY", proxy.url)
    with pytest.raises(Undelivered) as failure:
        put(certificates, receiver.response_url(), seconds=1)
    assert not failure.value.refused
