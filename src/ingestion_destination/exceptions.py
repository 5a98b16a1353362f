"""The errors a user reads in a stack's events: one class a HandlerErrorCode, botocore's errors translated.

The codes are those of CloudFormation's resource providers:
https://docs.aws.amazon.com/cloudformation-cli/latest/userguide/resource-type-test-contract-errors.html
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectTimeoutError,
    EndpointConnectionError,
    HTTPClientError,
    ParamValidationError,
    ProxyConnectionError,
)
from botocore.exceptions import ConnectionError as NoConnectionError
from urllib3.exceptions import NameResolutionError

LONGEST_REASON = 1000
REGIONS = ("us-east-1", "eu-west-1", "ap-northeast-1")


class HandlerError(Exception):
    """A request cannot be fulfilled.

    Args:
        message: What went wrong and what to do, without any value that may be secret.
        cause: The first word of the reason: AppFabric's own error code, else the HandlerErrorCode.
        retry_after: Seconds that the service asked to wait before another try.
    """

    transient = False
    """Whether the same call may succeed a little later."""

    def __init__(self, message: str, *, cause: str | None = None, retry_after: float = 0) -> None:
        super().__init__(message)
        self.message = message
        self.cause = cause or type(self).__name__
        self.retry_after = retry_after

    @property
    def reason(self) -> str:
        """The text for CloudFormation: the cause first, at most 1,000 characters."""
        return shorten(f"{self.cause}: {self.message}")


class InvalidRequest(HandlerError):
    """The properties are wrong, or the service says so."""

    @classmethod
    def of(cls, problems: Sequence[str]) -> InvalidRequest:
        """All mistakes of a template in one error; those that do not fit are counted."""
        room = LONGEST_REASON - len(f"{cls.__name__}: ") - len(f"; … and {len(problems)} more")
        told: list[str] = []
        for problem in problems:
            room -= len(problem) + len("; ")
            if told and room < 0:
                told.append(f"… and {len(problems) - len(told)} more")
                break
            told.append(problem)
        return cls("; ".join(told))


class NotFound(HandlerError):
    """The destination or one of its parents does not exist."""


class AccessDenied(HandlerError):
    """The function's role may not do this."""


class ResourceConflict(HandlerError):
    """AppFabric sees a conflict; what makes one is not documented."""


class ServiceLimitExceeded(HandlerError):
    """A quota is used up."""


class NotStabilized(HandlerError):
    """The destination did not become Active, or the time for it ran out."""


class Throttling(HandlerError):
    """Too many calls."""

    transient = True


class ServiceInternalError(HandlerError):
    """AppFabric failed. The call may have taken effect."""

    transient = True


class NetworkFailure(HandlerError):
    """AppFabric was not reached, or did not answer. The call may have taken effect."""

    transient = True


class NameResolutionFailure(NetworkFailure):
    """There is no such host: most likely no AppFabric in this Region."""


class GeneralServiceException(HandlerError):
    """AppFabric refused the call for a reason that has no code of its own."""


class InternalFailure(HandlerError):
    """A mistake of this function's."""


_BY_CODE: dict[str, type[HandlerError]] = {
    "AccessDeniedException": AccessDenied,
    "ConflictException": ResourceConflict,
    "InternalServerException": ServiceInternalError,
    "ResourceNotFoundException": NotFound,
    "ServiceQuotaExceededException": ServiceLimitExceeded,
    "ThrottlingException": Throttling,
    "ValidationException": InvalidRequest,
}
_BY_STATUS: dict[int, type[HandlerError]] = {
    403: AccessDenied,
    404: NotFound,
    408: NetworkFailure,
    429: Throttling,
}


def translate(error: Exception, *, operation: str, region: str) -> HandlerError:
    """What a user reads of an error of botocore's.

    Args:
        error: What a method of a boto3 client raised.
        operation: The name of AppFabric's operation, for errors that do not tell it.
        region: The Region that was called.
    """
    if isinstance(error, ClientError):
        return _translate_answer(error, operation)
    if isinstance(error, EndpointConnectionError) and isinstance(error.kwargs.get("error"), NameResolutionError):
        return NameResolutionFailure(
            f"AppFabric's address in {region} cannot be resolved; it is offered in {', '.join(REGIONS)} only",
            cause="NetworkFailure",
        )
    if isinstance(error, ParamValidationError):  # its text tells the values
        return InternalFailure(f"botocore refuses the parameters of {operation}")
    if isinstance(error, (NoConnectionError, HTTPClientError, TimeoutError)):
        return NetworkFailure(f"no answer to {operation} ({type(error).__name__})")
    if isinstance(error, BotoCoreError):
        return InternalFailure(f"{operation} could not be called: {error}")
    return InternalFailure(f"{operation} ended in {type(error).__name__}")


def may_have_taken_effect(error: Exception) -> bool:
    """Whether a call that raised this may have been carried out all the same.

    Not when AppFabric refused it (4xx), nor when no connection was made and so nothing was sent.
    """
    if isinstance(error, ClientError):
        status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 500))
        return status >= 500
    return not isinstance(
        error, (ConnectTimeoutError, EndpointConnectionError, ParamValidationError, ProxyConnectionError)
    )


def shorten(text: str, longest: int = LONGEST_REASON) -> str:
    """The head of a text that is too long: what matters comes first."""
    return text if len(text) <= longest else text[: longest - 1] + "…"


def _translate_answer(error: ClientError, operation: str) -> HandlerError:
    answer: dict[str, Any] = dict(error.response)
    code = str(answer.get("Error", {}).get("Code", ""))
    status = int(answer.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    default = ServiceInternalError if status >= 500 else _BY_STATUS.get(status, GeneralServiceException)
    message = answer.get("Error", {}).get("Message") or f"{operation} was answered with HTTP {status}"
    return _BY_CODE.get(code, default)(
        message + _details(answer),
        cause=code if code.isidentifier() else None,  # without a body botocore tells the status as the code
        retry_after=_retry_after(answer),
    )


def _details(answer: dict[str, Any]) -> str:
    fields = answer.get("fieldList") or []
    told = [f"{field.get('name')}: {field.get('message')}" for field in fields]
    if answer.get("resourceId"):
        told.append(f"{answer.get('resourceType') or 'resource'} {answer['resourceId']}")
    return f" ({'; '.join(told)})" if told else ""


def _retry_after(answer: dict[str, Any]) -> float:
    headers = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    said = str(answer.get("retryAfterSeconds") or headers.get("retry-after", ""))
    return float(said) if said.isdecimal() else 0.0
