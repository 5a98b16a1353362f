"""How the boto3 client is set up: what a warm request would otherwise spend time on, with the same results."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import boto3
import botocore
import botocore.utils
import pytest
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from hypothesis import given
from hypothesis import strategies as st

from ingestion_destination.appfabric.client import Connection, parse_timestamp
from tests.support.properties import BUNDLE, INGESTION

ARN = f"{INGESTION}/ingestiondestination/44444444-4444-4444-8444-444444444444"
NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


class Raw:
    def __init__(self, body: bytes) -> None:
        self._body = body

    def stream(self, **_: Any) -> Iterator[bytes]:
        yield self._body


@pytest.mark.parametrize(
    "returned",
    [
        "2026-11-22T12:00:00Z",
        "2026-11-22T12:00:00.000Z",
        "2026-11-22T12:00:00.000000000Z",
        "2026-11-22T13:00:00+01:00",
        "20261122T120000Z",
        "Sun, 22 Nov 2026 12:00:00 GMT",
        NOON.timestamp(),
        int(NOON.timestamp()),
        str(int(NOON.timestamp())),
    ],
    ids=str,
)
def test_a_timestamp_is_the_same_as_botocores(returned: Any) -> None:
    assert parse_timestamp(returned) == botocore.utils.parse_timestamp(returned) == NOON


@given(
    st.datetimes(timezones=st.sampled_from([UTC])),
    st.sampled_from(["seconds", "milliseconds", "microseconds"]),
)
def test_every_iso_8601_timestamp_is_the_same_as_botocores(moment: datetime, precision: str) -> None:
    returned = moment.isoformat(timespec=precision).replace("+00:00", "Z")
    assert parse_timestamp(returned) == botocore.utils.parse_timestamp(returned)


def test_a_timestamp_without_a_time_zone_is_in_utc() -> None:
    assert parse_timestamp("2026-11-22T12:00:00") == NOON


@pytest.mark.parametrize("returned", ["", "soon", "2026-13-01T00:00:00Z"])
def test_what_is_not_a_timestamp_is_refused(returned: str) -> None:
    with pytest.raises(ValueError, match="Invalid timestamp"):
        parse_timestamp(returned)


def test_the_client_uses_this_parser_and_names_this_function(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret-key-of-the-role")
    client, agents = Connection()(), []

    def respond(request: AWSPreparedRequest, **_: Any) -> AWSResponse:
        agents.append(request.headers["User-Agent"])
        returned = {"ingestionDestination": {"arn": ARN, "createdAt": "2026-11-22T12:00:00"}}
        return AWSResponse(request.url, 200, {}, Raw(json.dumps(returned).encode()))

    client.meta.events.register("before-send.appfabric", respond)
    destination = client.get_ingestion_destination(
        appBundleIdentifier=BUNDLE, ingestionIdentifier=INGESTION, ingestionDestinationIdentifier=ARN
    )["ingestionDestination"]
    assert destination["createdAt"] == NOON
    assert (
        agents[0]
        .decode()
        .startswith(f"appfabric-ingestion-destination Boto3/{boto3.__version__} Botocore/{botocore.__version__}")
    )
