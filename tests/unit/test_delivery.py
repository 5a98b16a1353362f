"""The delivery of a response: the exact URL, TLS verified, retries bounded."""

import ssl
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from ingestion_destination.cloudformation.delivery import Delivery, Undelivered
from ingestion_destination.deadline import Clock
from ingestion_destination.trust_store import first_context
from local.certificates import Certificates
from local.response_receiver import ResponseFault, ResponseReceiver
from tests.conftest import Logs

BODY = '{"Status": "SUCCESS", "Reason": "é😀"}'.encode()


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates.create(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def receiver(certificates: Certificates) -> Iterator[ResponseReceiver]:
    with ResponseReceiver(certificates) as receiver:
        yield receiver


@pytest.fixture
def slept() -> list[float]:
    return []


@pytest.fixture
def delivery(certificates: Certificates, slept: list[float]) -> Delivery:
    """A delivery that trusts the receiver and does not really sleep."""
    time_ = replace(Clock(), sleep=slept.append)
    return Delivery(context=ssl.create_default_context(cafile=str(certificates.ca)), clock=time_)


def put(delivery: Delivery, url: str, seconds: float = 5) -> None:
    delivery.put(url, BODY, ends=time.monotonic() + seconds)


def test_the_response_and_its_url_are_sent_unchanged(delivery: Delivery, receiver: ResponseReceiver) -> None:
    url = receiver.response_url()
    assert "%7C" in url
    assert "%3A" in url
    put(delivery, url)
    (request,) = receiver.requests(url)
    assert request.method == "PUT"
    assert url.endswith(request.target)
    assert request.header("content-type") == ""
    assert request.header("content-length") == str(len(BODY))
    assert request.body == BODY


def test_transient_failures_are_retried_with_the_same_body(
    delivery: Delivery, receiver: ResponseReceiver, slept: list[float]
) -> None:
    url = receiver.response_url(outcomes=[500, 503, 408, 429, ResponseFault.CUT_BEFORE, ResponseFault.CUT_AFTER])
    put(delivery, url, seconds=60)
    requests = receiver.requests(url)
    assert len(requests) == 7
    assert {request.body for request in requests} == {BODY}
    assert len(slept) == 6
    assert slept[-1] > slept[0]


@pytest.mark.parametrize("status", [400, 401, 403, 404, 301, 302, 308, 304])
def test_a_rejected_response_is_not_retried(delivery: Delivery, receiver: ResponseReceiver, status: int) -> None:
    url = receiver.response_url(outcomes=[status, status])
    with pytest.raises(Undelivered) as failure:
        put(delivery, url)
    assert failure.value.refused
    assert str(status) in str(failure.value)
    assert len(receiver.requests(url)) == 1


def test_a_redirect_is_retried_and_not_followed(delivery: Delivery, receiver: ResponseReceiver) -> None:
    before, url = len(receiver.requests()), receiver.response_url(outcomes=[ResponseFault.REDIRECT])
    put(delivery, url)
    assert len(receiver.requests()) == before + 2
    assert len(receiver.requests(url)) == 2


def test_delivery_gives_up_after_persistent_5xx(certificates: Certificates, receiver: ResponseReceiver) -> None:
    passed = [0.0]

    def sleep(seconds: float) -> None:
        passed[0] += seconds

    delivery = Delivery(
        context=ssl.create_default_context(cafile=str(certificates.ca)),
        clock=replace(Clock(), sleep=sleep, monotonic=lambda: passed[0]),
    )
    url = receiver.response_url(outcomes=[500] * 1000)
    with pytest.raises(Undelivered) as failure:
        delivery.put(url, BODY, ends=1000)
    assert not failure.value.refused
    assert 50 < passed[0] <= 60
    assert len(receiver.requests(url)) < 20


@pytest.mark.parametrize("fault", [ResponseFault.HANG, ResponseFault.DRIP])
def test_a_delivery_that_hangs_or_drips_is_interrupted(
    delivery: Delivery, receiver: ResponseReceiver, fault: ResponseFault
) -> None:
    url = receiver.response_url(outcomes=[fault])
    began = time.monotonic()
    with pytest.raises(Undelivered):
        put(delivery, url, seconds=0.4)
    assert time.monotonic() - began < 5


def test_an_untrusted_receiver_counts_as_unreachable(receiver: ResponseReceiver) -> None:
    untrusting = Delivery(context=ssl.create_default_context(), clock=Clock())
    url = receiver.response_url()
    with pytest.raises(Undelivered) as failure:
        put(untrusting, url, seconds=0.3)
    assert not failure.value.refused
    assert not receiver.requests(url)


@pytest.mark.parametrize("where", ["https://127.0.0.1:9/x", "https://nowhere.invalid/x"])
def test_delivery_to_an_unreachable_url_gives_up(delivery: Delivery, where: str) -> None:
    with pytest.raises(Undelivered) as failure:
        put(delivery, where, seconds=0.3)
    assert not failure.value.refused


@pytest.mark.parametrize("where", ["https://127.0.0.1:9/a b", "https://127.0.0.1:9/é"])
def test_an_invalid_url_is_rejected(delivery: Delivery, where: str) -> None:
    with pytest.raises(Undelivered) as failure:
        put(delivery, where)
    assert failure.value.refused


def test_a_delivered_response_is_left_to_the_closing_line(
    delivery: Delivery, receiver: ResponseReceiver, logs: Logs
) -> None:
    put(delivery, receiver.response_url())
    assert not logs.lines


def test_neither_log_nor_error_contains_the_url(delivery: Delivery, receiver: ResponseReceiver, logs: Logs) -> None:
    with pytest.raises(Undelivered) as failure:
        put(delivery, receiver.response_url(outcomes=[503, 403]))
    put(delivery, receiver.response_url())
    assert "localhost" in logs.text
    for text in (logs.text, str(failure.value), repr(failure.value)):
        assert "Signature" not in text
        assert "%7C" not in text
    assert failure.value.__cause__ is None


def test_s3s_request_timeout_is_retried(
    delivery: Delivery, certificates: Certificates, monkeypatch: pytest.MonkeyPatch
) -> None:
    import http.server
    import threading

    class S3(http.server.BaseHTTPRequestHandler):
        statuses = [400, 200]

        def do_PUT(self) -> None:
            body = b"<Error><Code>RequestTimeout</Code></Error>"
            self.send_response(self.statuses.pop(0))
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.HTTPServer(("127.0.0.1", 0), S3)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates.certificate, certificates.key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        put(delivery, f"https://localhost:{server.server_port}/x")
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
    assert not S3.statuses


@pytest.mark.parametrize("name", ["SSL_CERT_FILE", "AWS_CA_BUNDLE"])
def test_certificates_from_the_environment_are_trusted(
    certificates: Certificates, receiver: ResponseReceiver, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    with monkeypatch.context() as environment:
        environment.setenv(name, str(certificates.ca))
        context = first_context()
    put(Delivery(context=context, clock=Clock()), receiver.response_url())


def test_a_missing_certificate_bundle_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """botocore uses it, too: each call would fail, and so would the Delete that follows."""
    with monkeypatch.context() as environment:
        environment.setenv("AWS_CA_BUNDLE", str(tmp_path / "missing.pem"))
        with pytest.raises(FileNotFoundError, match=r"AWS_CA_BUNDLE names .*missing\.pem, which does not exist"):
            first_context()
