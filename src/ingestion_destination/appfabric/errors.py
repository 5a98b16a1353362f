"""What botocore raises, translated into the errors that a user reads.

https://docs.aws.amazon.com/appfabric/latest/api/CommonErrors.html
"""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from traceback import walk_tb
from typing import Any

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectTimeoutError,
    EndpointConnectionError,
    HTTPClientError,
    NoCredentialsError,
    ProxyConnectionError,
)
from botocore.exceptions import ConnectionError as NoConnectionError
from urllib3.exceptions import NameResolutionError

from ingestion_destination.exceptions import (
    AccessDenied,
    GeneralServiceException,
    HandlerError,
    InternalFailure,
    InvalidRequest,
    NameResolutionFailure,
    NetworkFailure,
    NotFound,
    ResourceConflict,
    ServiceInternalError,
    ServiceLimitExceeded,
    Throttling,
)

# https://docs.aws.amazon.com/general/latest/gr/appfabric.html
REGIONS = ("us-east-1", "eu-west-1", "ap-northeast-1")

_BY_CODE: dict[str, type[HandlerError]] = {
    "AccessDeniedException": AccessDenied,
    "ConflictException": ResourceConflict,
    "InternalServerException": ServiceInternalError,
    "ResourceNotFoundException": NotFound,
    "ServiceQuotaExceededException": ServiceLimitExceeded,
    "ThrottlingException": Throttling,
    "ValidationException": InvalidRequest,
}
# Not 404: only the code says that a destination is gone, a proxy or a gateway says 404 of other things.
_BY_STATUS: dict[int, type[HandlerError]] = {
    403: AccessDenied,
    408: NetworkFailure,
    429: Throttling,
}


class UnreadableResponse(Exception):
    """A call that succeeded returned something other than JSON, or than what the service model requires."""


class IdempotentParameterMismatch(GeneralServiceException):
    """The client token was used before, with other parameters. The API's reference names it, no model does."""


def translate(error: Exception, *, operation: str, region: str) -> HandlerError:
    """What a user reads of an error.

    Args:
        error: What a method of a boto3 client raised.
        operation: The name of AppFabric's operation, for errors that do not say it.
        region: The Region that was called.
    """
    if isinstance(error, UnreadableResponse) or _is_from_the_parser(error):
        failure: HandlerError = ServiceInternalError(f"the response to {operation} cannot be read")
    else:
        failure = _translate(error, operation, region)
    failure.in_doubt = may_have_taken_effect(error)
    if isinstance(error, ClientError):
        failure.service_request_id = error.response.get("ResponseMetadata", {}).get("RequestId")
    return failure


def _is_from_the_parser(error: Exception) -> bool:
    """Whether botocore could not parse a response: JSON of another shape raises whatever its code stumbles over."""
    frames = (frame for frame, _ in walk_tb(error.__traceback__))
    return any(frame.f_globals.get("__name__") == "botocore.parsers" for frame in frames)


def may_have_taken_effect(error: Exception) -> bool:
    """Whether a call that raised this may have been carried out all the same.

    Not when AppFabric refused it (4xx), nor when no connection was made and so nothing was sent: a certificate that is
    refused ends the handshake before the request.
    """
    if isinstance(error, ClientError):
        status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 500))
        return status >= 500 or status == 408
    if is_refused_certificate(error):
        return False
    return not isinstance(
        error,
        (
            ConnectTimeoutError,
            EndpointConnectionError,
            NoCredentialsError,
            ProxyConnectionError,
        ),
    )


def is_refused_certificate(error: Exception) -> bool:
    """Whether the other side's certificate was not trusted: nothing was sent."""
    return any(isinstance(each, ssl.SSLCertVerificationError) for each in _causes(error))


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """An error with what it wraps: botocore keeps urllib3's, urllib3 keeps ssl's."""
    seen: list[BaseException] = []
    while error is not None and error not in seen:
        seen.append(error)
        yield error
        kept = error.kwargs.get("error") if isinstance(error, BotoCoreError) else getattr(error, "reason", None)
        candidates = (kept, *error.args, error.__cause__, error.__context__)
        error = next((each for each in candidates if isinstance(each, BaseException)), None)


def _translate(error: Exception, operation: str, region: str) -> HandlerError:
    if isinstance(error, ClientError):
        return _translate_refusal(error, operation)
    if isinstance(error, EndpointConnectionError) and isinstance(error.kwargs.get("error"), NameResolutionError):
        return _unresolved(region)
    if isinstance(error, (NoConnectionError, HTTPClientError, TimeoutError)):
        return NetworkFailure(f"no response to {operation} ({type(error).__name__})")
    if isinstance(error, BotoCoreError):
        return InternalFailure(f"{operation} could not be called: {error}")
    return InternalFailure(f"{operation} failed with {type(error).__name__}")


def _unresolved(region: str) -> HandlerError:
    if region not in REGIONS:
        return NameResolutionFailure(
            f"cannot resolve AppFabric's endpoint in {region}; AppFabric is available in {', '.join(REGIONS)} only",
            code="NetworkFailure",
        )
    return NameResolutionFailure(
        f"cannot resolve AppFabric's endpoint in {region}: check the DNS of the function's VPC, the variable"
        " AWS_USE_FIPS_ENDPOINT and the provider's parameter AppFabricEndpointUrl",
        code="NetworkFailure",
    )


def _translate_refusal(error: ClientError, operation: str) -> HandlerError:
    response: dict[str, Any] = dict(error.response)
    code = str(response.get("Error", {}).get("Code", ""))
    status = int(response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    default = ServiceInternalError if status >= 500 else _BY_STATUS.get(status, GeneralServiceException)
    known = IdempotentParameterMismatch if code.startswith("IdempotentParameterMismatch") else default
    message = str(response.get("Error", {}).get("Message") or "")
    has_code = code.isidentifier()  # without one in the response botocore may give the status as the code
    if not (has_code and message):
        message = f"{operation} failed with HTTP {status}" + (f": {message}" if message else "")
    return _BY_CODE.get(code, known)(
        message + _details(response),
        code=code if has_code else None,
        retry_after=_retry_after(response),
    )


def _details(response: dict[str, Any]) -> str:
    fields = response.get("fieldList") or []
    details = [f"{field.get('name')}: {field.get('message')}" for field in fields]
    if response.get("resourceId"):
        details.append(f"{response.get('resourceType') or 'resource'} {response['resourceId']}")
    return f" ({'; '.join(details)})" if details else ""


def _retry_after(response: dict[str, Any]) -> float:
    headers = response.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    seconds = str(response.get("retryAfterSeconds") or headers.get("retry-after", ""))
    return float(seconds) if seconds.isdecimal() else 0.0
