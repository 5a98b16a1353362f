"""An response on the wire: to the byte-exact address, verified, bounded, never hammered."""

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
def sink(certificates: Certificates) -> Iterator[ResponseReceiver]:
    with ResponseReceiver(certificates) as sink:
        yield sink


@pytest.fixture
def slept() -> list[float]:
    return []


@pytest.fixture
def delivery(certificates: Certificates, slept: list[float]) -> Delivery:
    """One that trusts the sink and does not really pause."""
    time_ = replace(Clock(), sleep=slept.append)
    return Delivery(context=ssl.create_default_context(cafile=str(certificates.ca)), clock=time_)


def put(delivery: Delivery, address: str, seconds: float = 5) -> None:
    delivery.put(address, BODY, ends=time.monotonic() + seconds)


def test_the_answer_arrives_as_it_is_at_the_address_as_it_is(delivery: Delivery, sink: ResponseReceiver) -> None:
    address = sink.response_url()
    assert "%7C" in address
    assert "%3A" in address
    put(delivery, address)
    (request,) = sink.requests(address)
    assert request.method == "PUT"
    assert address.endswith(request.target)
    assert request.header("content-type") == ""
    assert request.header("content-length") == str(len(BODY))
    assert request.body == BODY


def test_what_may_pass_is_tried_again_with_the_same_body(
    delivery: Delivery, sink: ResponseReceiver, slept: list[float]
) -> None:
    address = sink.response_url(outcomes=[500, 503, 408, 429, ResponseFault.CUT_BEFORE, ResponseFault.CUT_AFTER])
    put(delivery, address, seconds=60)
    requests = sink.requests(address)
    assert len(requests) == 7
    assert {request.body for request in requests} == {BODY}
    assert len(slept) == 6
    assert slept[-1] > slept[0]


@pytest.mark.parametrize("status", [400, 401, 403, 404, 301, 302, 308, 304])
def test_a_refusal_is_not_hammered(delivery: Delivery, sink: ResponseReceiver, status: int) -> None:
    address = sink.response_url(outcomes=[status, status])
    with pytest.raises(Undelivered) as failure:
        put(delivery, address)
    assert failure.value.refused
    assert str(status) in str(failure.value)
    assert len(sink.requests(address)) == 1


def test_a_redirect_is_not_followed_but_retried(delivery: Delivery, sink: ResponseReceiver) -> None:
    before, address = len(sink.requests()), sink.response_url(outcomes=[ResponseFault.REDIRECT])
    put(delivery, address)
    assert len(sink.requests()) == before + 2
    assert len(sink.requests(address)) == 2


def test_5xx_without_end_is_given_up(certificates: Certificates, sink: ResponseReceiver) -> None:
    passed = [0.0]

    def sleep(seconds: float) -> None:
        passed[0] += seconds

    delivery = Delivery(
        context=ssl.create_default_context(cafile=str(certificates.ca)),
        clock=replace(Clock(), sleep=sleep, monotonic=lambda: passed[0]),
    )
    address = sink.response_url(outcomes=[500] * 1000)
    with pytest.raises(Undelivered) as failure:
        delivery.put(address, BODY, ends=1000)
    assert not failure.value.refused
    assert 50 < passed[0] <= 60
    assert len(sink.requests(address)) < 20


@pytest.mark.parametrize("fault", [ResponseFault.HANG, ResponseFault.DRIP])
def test_an_answer_that_hangs_or_drips_is_cut(delivery: Delivery, sink: ResponseReceiver, fault: ResponseFault) -> None:
    address = sink.response_url(outcomes=[fault])
    began = time.monotonic()
    with pytest.raises(Undelivered):
        put(delivery, address, seconds=0.4)
    assert time.monotonic() - began < 5


def test_a_sink_that_is_not_trusted_is_no_refusal(sink: ResponseReceiver) -> None:
    untrusting = Delivery(context=ssl.create_default_context(), clock=Clock())
    address = sink.response_url()
    with pytest.raises(Undelivered) as failure:
        put(untrusting, address, seconds=0.3)
    assert not failure.value.refused
    assert not sink.requests(address)


@pytest.mark.parametrize("where", ["https://127.0.0.1:9/x", "https://nowhere.invalid/x"])
def test_an_address_that_leads_nowhere_is_given_up(delivery: Delivery, where: str) -> None:
    with pytest.raises(Undelivered) as failure:
        put(delivery, where, seconds=0.3)
    assert not failure.value.refused


@pytest.mark.parametrize("where", ["https://127.0.0.1:9/a b", "https://127.0.0.1:9/é"])
def test_an_address_that_cannot_be_sent_is_refused(delivery: Delivery, where: str) -> None:
    with pytest.raises(Undelivered) as failure:
        put(delivery, where)
    assert failure.value.refused


def test_neither_log_nor_error_tells_the_address(delivery: Delivery, sink: ResponseReceiver, logs: Logs) -> None:
    with pytest.raises(Undelivered) as failure:
        put(delivery, sink.response_url(outcomes=[503, 403]))
    put(delivery, sink.response_url())
    assert "localhost" in logs.text
    for text in (logs.text, str(failure.value), repr(failure.value)):
        assert "Signature" not in text
        assert "%7C" not in text
    assert failure.value.__cause__ is None


def test_s3s_own_timeout_is_tried_again(
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
def test_the_environments_certificates_are_trusted(
    certificates: Certificates, sink: ResponseReceiver, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    with monkeypatch.context() as environment:
        environment.setenv(name, str(certificates.ca))
        context = first_context()
    put(Delivery(context=context, clock=Clock()), sink.response_url())


def test_a_bundle_that_is_not_there_is_no_obstacle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as environment:
        environment.setenv("AWS_CA_BUNDLE", str(tmp_path / "missing.pem"))
        assert first_context().verify_mode is ssl.CERT_REQUIRED
