"""The AppFabric emulator over HTTP: byte by byte, and with capo, a client that is not made from botocore."""

import json
import socket
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest
from capo_appfabric import AppFabricClient
from capo_appfabric.errors import (
    ResourceNotFoundException,
    ServiceQuotaExceededException,
    ThrottlingException,
    ValidationException,
)

from local.appfabric import AppFabricEmulator, Fault, serve

BUNDLE = "arn:aws:appfabric:us-east-1:111122223333:appbundle/0a0a0a0a-1111-4222-8333-444444444444"
INGESTION = f"{BUNDLE}/ingestion/0b0b0b0b-1111-4222-8333-444444444444"
UUIDS = BUNDLE.rpartition("/")[2], INGESTION.rpartition("/")[2]
TARGET = f"/appbundles/{UUIDS[0]}/ingestions/{UUIDS[1]}/ingestiondestinations"
CREATE = {
    "processingConfiguration": {"auditLog": {"schema": "ocsf", "format": "json"}},
    "destinationConfiguration": {"auditLog": {"destination": {"s3Bucket": {"bucketName": "logs"}}}},
}
BODY = json.dumps(CREATE).encode()
LIST = f"GET {TARGET} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode()


class Clock:
    def __init__(self) -> None:
        self.passed = timedelta()

    def now(self) -> datetime:
        return datetime(2026, 11, 22, 12, 0, tzinfo=UTC) + self.passed


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def service(clock: Clock) -> AppFabricEmulator:
    return AppFabricEmulator(now=clock.now)


@pytest.fixture
def url(service: AppFabricEmulator) -> Iterator[str]:
    with serve(service) as url:
        yield url


def exchange(url: str, sent: bytes) -> bytes:
    """Send bytes, shut down writing, and read until the server closes."""
    parts = urlsplit(url)
    with socket.create_connection((parts.hostname or "", parts.port or 0), timeout=10) as connection:
        connection.sendall(sent)
        connection.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: connection.recv(65536), b""))


def statuses(received: bytes) -> list[int]:
    return [int(part.split()[0]) for part in received.split(b"HTTP/1.1 ")[1:]]


def post(headers: str, body: bytes) -> bytes:
    return f"POST {TARGET} HTTP/1.1\r\nHost: x\r\n{headers}\r\n\r\n".encode() + body


# The body


def test_a_chunked_body_and_the_request_after_it_are_read(url: str, service: AppFabricEmulator) -> None:
    first, second = BODY[:7], BODY[7:]
    chunks = b"%x;name=value\r\n%b\r\n%X\r\n%b\r\n0\r\nTrailer: x\r\n\r\n" % (len(first), first, len(second), second)
    received = exchange(url, post("Transfer-Encoding: chunked", chunks) + LIST)
    assert statuses(received) == [201, 200]
    assert next(iter(service.destinations)) in received.decode()


REFUSED = {
    "no number": ("Content-Length: abc", BODY, 400),
    "negative": ("Content-Length: -1", BODY, 400),
    "signed": (f"Content-Length: +{len(BODY)}", BODY, 400),
    "two that differ": (f"Content-Length: {len(BODY)}\r\nContent-Length: 3", BODY, 400),
    "a list": (f"Content-Length: {len(BODY)}, 3", BODY, 400),
    "length and chunks": (f"Content-Length: {len(BODY)}\r\nTransfer-Encoding: chunked", b"0\r\n\r\n", 400),
    "another encoding": ("Transfer-Encoding: gzip", BODY, 501),
    "more than chunked": ("Transfer-Encoding: gzip, chunked", b"0\r\n\r\n", 501),
    "no size": ("Transfer-Encoding: chunked", b"zz\r\n\r\n", 400),
    "a signed size": ("Transfer-Encoding: chunked", b"+1\r\nx\r\n0\r\n\r\n", 400),
    "a chunk that is too long": ("Transfer-Encoding: chunked", b"1\r\nxyz\r\n0\r\n\r\n", 400),
    "too large": ("Content-Length: 99999999999", b"", 413),
    "too large in chunks": ("Transfer-Encoding: chunked", b"fffffff\r\n", 413),
}


@pytest.mark.parametrize(("headers", "body", "status"), REFUSED.values(), ids=REFUSED.keys())
def test_a_body_with_an_unclear_end_is_rejected_and_the_connection_closed(
    url: str, service: AppFabricEmulator, headers: str, body: bytes, status: int
) -> None:
    received = exchange(url, post(headers, body) + LIST)
    assert statuses(received) == [status]  # what follows is not taken for a request
    assert b"\r\nConnection: close\r\n" in received
    assert json.loads(received.partition(b"\r\n\r\n")[2])["message"]
    assert not service.calls


@pytest.mark.parametrize(
    ("headers", "body"),
    [(f"Content-Length: {len(BODY)}", BODY[:-1]), ("Transfer-Encoding: chunked", b"%x\r\n%b" % (len(BODY), BODY[:-1]))],
    ids=["length", "chunks"],
)
def test_an_incomplete_body_has_no_effect_and_no_response(
    url: str, service: AppFabricEmulator, headers: str, body: bytes
) -> None:
    assert exchange(url, post(headers, body)) == b""
    assert not service.calls


def test_a_repeated_content_length_counts_once(url: str) -> None:
    twice = f"Content-Length: {len(BODY)}\r\nContent-Length: {len(BODY)}\r\nConnection: close"
    assert statuses(exchange(url, post(twice, BODY))) == [201]


# capo-appfabric, made from AWS's Smithy models


@pytest.fixture
def capo(url: str) -> Iterator[Any]:
    credentials = {"access_key": "test", "secret_key": "test"}
    with AppFabricClient(region="us-east-1", endpoint=url, credentials=credentials, retry_max_attempts=1) as client:
        yield client


PROCESSING: Any = {"auditLog": {"schema": "ocsf", "format": "json"}}
TO_BUCKET: Any = {"auditLog": {"destination": {"s3Bucket": {"bucket_name": "logs", "prefix": "saas"}}}}
TO_STREAM: Any = {"auditLog": {"destination": {"firehoseStream": {"stream_name": "logs"}}}}


def test_capo_creates_reads_updates_and_deletes(capo: Any) -> None:
    token = "0d0d0d0d-1111-4222-8333-444444444444"
    created = capo.create_ingestion_destination(BUNDLE, INGESTION, PROCESSING, TO_BUCKET, client_token=token)
    destination = created["ingestion_destination"]
    arn = destination["arn"]
    assert destination["ingestion_arn"] == INGESTION
    assert (destination["processing_configuration"], destination["destination_configuration"]) == (
        PROCESSING,
        TO_BUCKET,
    )
    assert destination["created_at"] == datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
    again = capo.create_ingestion_destination(BUNDLE, INGESTION, PROCESSING, TO_BUCKET, client_token=token)
    assert again["ingestion_destination"]["arn"] == arn
    capo.update_ingestion_destination(BUNDLE, INGESTION, arn, TO_STREAM)
    read = capo.get_ingestion_destination(BUNDLE, INGESTION, arn)["ingestion_destination"]
    assert read["destination_configuration"] == TO_STREAM
    assert read["status"] == "Active"
    capo.delete_ingestion_destination(BUNDLE, INGESTION, arn)
    with pytest.raises(ResourceNotFoundException) as missing:
        capo.get_ingestion_destination(BUNDLE, INGESTION, arn)
    assert missing.value.data["resource_id"] == arn


def test_capo_tags_and_untags(capo: Any) -> None:
    tags = [{"key": "a/b", "value": "1"}, {"key": "c", "value": ""}]
    created = capo.create_ingestion_destination(BUNDLE, INGESTION, PROCESSING, TO_BUCKET, tags=tags)
    arn = created["ingestion_destination"]["arn"]
    capo.tag_resource(arn, [{"key": "c", "value": "2"}])
    capo.untag_resource(arn, ["a/b"])
    assert capo.list_tags_for_resource(arn)["tags"] == [{"key": "c", "value": "2"}]


def test_capo_paginates(capo: Any, service: AppFabricEmulator) -> None:
    service.page_size = 2
    for _ in range(5):
        capo.create_ingestion_destination(BUNDLE, INGESTION, PROCESSING, TO_BUCKET)
    pages = list(capo.iter_list_ingestion_destinations(BUNDLE, INGESTION))
    assert {each["arn"] for each in pages} == service.destinations.keys()
    with pytest.raises(ServiceQuotaExceededException) as full:
        capo.create_ingestion_destination(BUNDLE, INGESTION, PROCESSING, TO_BUCKET)
    assert full.value.data["resource_id"] == INGESTION


def test_capo_reads_every_validation_error(capo: Any) -> None:
    wrong = {"auditLog": {"destination": {"s3Bucket": {"bucket_name": "ab"}}}}
    with pytest.raises(ValidationException) as refused:
        capo.create_ingestion_destination("x", INGESTION, PROCESSING, wrong)
    assert [each["name"] for each in refused.value.data["field_list"]] == [
        "appBundleIdentifier",
        "destinationConfiguration.auditLog.destination.s3Bucket.bucketName",
    ]


def test_capo_reads_the_type_and_retry_after_of_a_throttling_error(capo: Any, service: AppFabricEmulator) -> None:
    service.inject(Fault(error="ThrottlingException", retry_after=7))
    with pytest.raises(ThrottlingException) as throttled:
        capo.list_ingestion_destinations(BUNDLE, INGESTION)
    assert throttled.value.is_throttling_error
    assert throttled.value.response.headers["retry-after"] == "7"
