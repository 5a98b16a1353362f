"""What a user reads of an error of botocore's."""

import pytest
from botocore.exceptions import (
    ClientError,
    ConnectTimeoutError,
    EndpointConnectionError,
    NoRegionError,
    ParamValidationError,
    ReadTimeoutError,
)
from urllib3.exceptions import NameResolutionError

from ingestion_destination.appfabric.errors import may_have_taken_effect, translate
from ingestion_destination.exceptions import InternalFailure, NetworkFailure

UNKNOWN_HOST = NameResolutionError("appfabric.eu-central-1.amazonaws.com", None, OSError("unknown"))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (
            EndpointConnectionError(endpoint_url="https://x", error=UNKNOWN_HOST),
            "NetworkFailure: AppFabric's address in eu-central-1 cannot be resolved; "
            "it is offered in us-east-1, eu-west-1, ap-northeast-1 only",
        ),
        (
            EndpointConnectionError(endpoint_url="https://x"),
            "NetworkFailure: no response to Op (EndpointConnectionError)",
        ),
        (ReadTimeoutError(endpoint_url="https://x"), "NetworkFailure: no response to Op (ReadTimeoutError)"),
        (TimeoutError("cut"), "NetworkFailure: no response to Op (TimeoutError)"),
        (
            ParamValidationError(report="Invalid type for parameter x, value: s3cr3t"),
            "InternalFailure: botocore refuses the parameters of Op",
        ),
        (NoRegionError(), "InternalFailure: Op could not be called: You must specify a region."),
        (ValueError("s3cr3t"), "InternalFailure: Op ended in ValueError"),
        (
            ClientError({"Error": {"Code": "500", "Message": ""}, "ResponseMetadata": {"HTTPStatusCode": 500}}, "Op"),
            "ServiceInternalError: Op ended in HTTP 500",
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
def test_the_reason_begins_with_its_cause_and_tells_no_value(error: Exception, reason: str) -> None:
    assert translate(error, operation="Op", region="eu-central-1").reason == reason


@pytest.mark.parametrize(("said", "seconds"), [("7", 7.0), (7, 7.0), ("", 0.0), ("Wed, 21 Oct 2026 07:28:00 GMT", 0.0)])
def test_retry_after_is_taken_in_seconds(said: object, seconds: float) -> None:
    throttled = ClientError(
        {"ResponseMetadata": {"HTTPStatusCode": 429, "HTTPHeaders": {"retry-after": str(said)}}}, "Op"
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
        (EndpointConnectionError(endpoint_url="https://x"), False),
        (ParamValidationError(report=""), False),
        (ReadTimeoutError(endpoint_url="https://x"), True),
        (TimeoutError(), True),
        (ValueError(), True),
    ],
)
def test_only_what_was_refused_or_never_sent_has_surely_no_effect(error: Exception, may: bool) -> None:
    assert may_have_taken_effect(error) is may


def test_what_cannot_pass_is_not_transient() -> None:
    assert not InternalFailure("x").transient
    assert NetworkFailure("x").transient
