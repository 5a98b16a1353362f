"""The errors that a user reads in a stack's events: one class for each HandlerErrorCode.

The codes are those of CloudFormation's resource providers:
https://docs.aws.amazon.com/cloudformation-cli/latest/userguide/resource-type-test-contract-errors.html
"""

from __future__ import annotations

from collections.abc import Sequence

MAX_REASON_LENGTH = 1000


class HandlerError(Exception):
    """A request cannot be fulfilled.

    Args:
        message: What went wrong and what to do, without any value that may be secret.
        code: The first word of the reason: AppFabric's own error code, else the HandlerErrorCode.
        retry_after: Seconds that the service asked to wait before another attempt.
        in_doubt: Whether the call that failed may have taken effect all the same.
    """

    transient = False
    """Whether the same call may succeed a little later."""
    service_request_id: str | None = None
    """AppFabric's id of the call that it refused, which AWS Support asks for."""

    def __init__(
        self, message: str, *, code: str | None = None, retry_after: float = 0, in_doubt: bool = False
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code or type(self).__name__
        self.retry_after = retry_after
        self.in_doubt = in_doubt

    @property
    def reason(self) -> str:
        """The text for CloudFormation: the code first, on one line, at most 1,000 characters."""
        return shorten(printable(f"{self.code}: {self.message}"))


class InvalidRequest(HandlerError):
    """The properties are wrong, or the service says so."""

    @classmethod
    def of(cls, problems: Sequence[str]) -> InvalidRequest:
        """All mistakes of a template in one error; those that do not fit are counted."""
        room = MAX_REASON_LENGTH - len(f"{cls.__name__}: ") - len(f"; … and {len(problems)} more")
        reported: list[str] = []
        for problem in problems:
            room -= len(problem) + len("; ")
            if reported and room < 0:
                reported.append(f"… and {len(problems) - len(reported)} more")
                break
            reported.append(problem)
        return cls("; ".join(reported))


class NotFound(HandlerError):
    """The destination, its ingestion or its app bundle does not exist."""


class AccessDenied(HandlerError):
    """The function's role may not do this."""


class ResourceConflict(HandlerError):
    """AppFabric sees a conflict (what makes one is not documented), or another request got in the way."""


class ServiceLimitExceeded(HandlerError):
    """A quota is used up."""


class NotStabilized(HandlerError):
    """The destination did not become Active, or the time for it ran out."""


class Throttling(HandlerError):
    """Too many calls."""

    transient = True


class ServiceInternalError(HandlerError):
    """AppFabric failed, or returned what cannot be read."""

    transient = True


class NetworkFailure(HandlerError):
    """AppFabric was not reached, or did not respond."""

    transient = True


class NameResolutionFailure(NetworkFailure):
    """There is no such host."""


class GeneralServiceException(HandlerError):
    """AppFabric refused the call for a reason that has no code of its own."""


class InternalFailure(HandlerError):
    """A mistake of this function's."""


def shorten(text: str, longest: int = MAX_REASON_LENGTH) -> str:
    """The head of a text that is too long: what matters comes first."""
    return text if len(text) <= longest else text[: longest - 1] + "…"


def printable(text: str) -> str:
    """A text without control characters, which terminals and consoles would act on."""
    return "".join(character if character.isprintable() else " " for character in text)
