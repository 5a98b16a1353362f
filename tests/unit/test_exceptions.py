"""What a user reads about an error raised by botocore."""

import ssl

import pytest
from botocore.exceptions import (
    ClientError,
    ConnectTimeoutError,
    EndpointConnectionError,
    NoCredentialsError,
    NoRegionError,
    ReadTimeoutError,
    SSLError,
)
from urllib3.exceptions import MaxRetryError, NameResolutionError
from urllib3.exceptions import SSLError as Urllib3SSLError

from ingestion_destination.appfabric.errors import may_have_taken_effect, translate
from ingestion_destination.exceptions import InternalFailure, NetworkFailure, NotFound

REFUSED_CERTIFICATE = Urllib3SSLError(ssl.SSLCertVerificationError("self-signed certificate"))
UNKNOWN_HOST = NameResolutionError("appfabric.eu-central-1.amazonaws.com", None, OSError("unknown"))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (
            EndpointConnectionError(endpoint_url="https://x", error=UNKNOWN_HOST),
            "NetworkFailure: cannot resolve AppFabric's endpoint in eu-central-1; "
            "AppFabric is available in us-east-1, eu-west-1, ap-northeast-1 only",
        ),
        (
            EndpointConnectionError(endpoint_url="https://x"),
            "NetworkFailure: no response to Op (EndpointConnectionError)",
        ),
        (ReadTimeoutError(endpoint_url="https://x"), "NetworkFailure: no response to Op (ReadTimeoutError)"),
        (TimeoutError("cut"), "NetworkFailure: no response to Op (TimeoutError)"),
        (NoRegionError(), "InternalFailure: Op could not be called: You must specify a region."),
        (ValueError("s3cr3t"), "InternalFailure: Op failed with ValueError"),
        (
            ClientError({"Error": {"Code": "500", "Message": ""}, "ResponseMetadata": {"HTTPStatusCode": 500}}, "Op"),
            "ServiceInternalError: Op failed with HTTP 500",
        ),
        (
            ClientError(
                {"Error": {"Code": "403", "Message": "Forbidden"}, "ResponseMetadata": {"HTTPStatusCode": 403}}, "Op"
            ),
            "AccessDenied: Op failed with HTTP 403: Forbidden",
        ),
        (
            ClientError(
                {
                    "Error": {"Code": "ValidationException", "Message": "Bad."},
                    "ResponseMetadata": {"HTTPStatusCode": 400},
                    "fieldList": [{"name": "a.b", "message": "too long"}, {"name": "c", "message": "too short"}],
                },
                "Op",
            ),
            "ValidationException: Bad. (a.b: too long; c: too short)",
        ),
    ],
)
def test_the_reason_begins_with_its_code_and_contains_no_value(error: Exception, reason: str) -> None:
    assert translate(error, operation="Op", region="eu-central-1").reason == reason


@pytest.mark.parametrize(
    ("value", "seconds"), [("7", 7.0), (7, 7.0), ("", 0.0), ("Wed, 21 Oct 2026 07:28:00 GMT", 0.0)]
)
def test_retry_after_is_read_in_seconds(value: object, seconds: float) -> None:
    throttled = ClientError(
        {"ResponseMetadata": {"HTTPStatusCode": 429, "HTTPHeaders": {"retry-after": str(value)}}}, "Op"
    )
    failure = translate(throttled, operation="Op", region="us-east-1")
    assert failure.transient
    assert failure.retry_after == seconds


@pytest.mark.parametrize(
    ("error", "may"),
    [
        (ClientError({"ResponseMetadata": {"HTTPStatusCode": 402}}, "Op"), False),
        (ClientError({"ResponseMetadata": {"HTTPStatusCode": 429}}, "Op"), False),
        (ClientError({"ResponseMetadata": {"HTTPStatusCode": 500}}, "Op"), True),
        (ClientError({}, "Op"), True),
        (ConnectTimeoutError(endpoint_url="https://x"), False),
        (SSLError(endpoint_url="https://x", error=MaxRetryError(None, "/", REFUSED_CERTIFICATE)), False),  # type: ignore[arg-type]
        (SSLError(endpoint_url="https://x", error=ssl.SSLError("decryption failed")), True),
        (EndpointConnectionError(endpoint_url="https://x"), False),
        (NoCredentialsError(), False),
        (ReadTimeoutError(endpoint_url="https://x"), True),
        (TimeoutError(), True),
        (ValueError(), True),
    ],
)
def test_only_a_rejected_or_unsent_call_certainly_had_no_effect(error: Exception, may: bool) -> None:
    assert may_have_taken_effect(error) is may


def test_a_dns_failure_in_a_region_with_appfabric_points_to_the_network() -> None:
    error = EndpointConnectionError(endpoint_url="https://x", error=UNKNOWN_HOST)
    reason = translate(error, operation="Op", region="eu-west-1").reason
    for hint in ("eu-west-1", "DNS", "VPC", "AWS_USE_FIPS_ENDPOINT", "AppFabricEndpointUrl"):
        assert hint in reason
    assert "only" not in reason


@pytest.mark.parametrize("text", ["a\x00b", "a\x1b[31mb", "a\u202eb", "a\ud800b", "a\nb", "a\u2028b"])
def test_a_reason_has_no_control_characters(text: str) -> None:
    refusal = ClientError({"Error": {"Code": "ConflictException", "Message": text}}, "Op")
    assert translate(refusal, operation="Op", region="us-east-1").reason.isprintable()


def test_only_the_error_code_means_not_found() -> None:
    odd = ClientError({"Error": {"Code": "Odd"}, "ResponseMetadata": {"HTTPStatusCode": 404}}, "Op")
    assert not isinstance(translate(odd, operation="Op", region="us-east-1"), NotFound)


def test_an_internal_failure_is_not_transient() -> None:
    assert not InternalFailure("x").transient
    assert NetworkFailure("x").transient
