"""The service's errors, as the rest of the emulator raises them."""

from collections.abc import Mapping
from typing import Any


class ServiceError(Exception):
    """An error to respond with: a code of the service model, or any other code together with its HTTP status."""

    def __init__(
        self,
        code: str,
        message: str | None = None,
        *,
        members: Mapping[str, Any] | None = None,
        http_status: int | None = None,
        retry_after: int | None = None,
    ) -> None:
        super().__init__(code, message)
        self.code = code
        self.message = message
        self.members = dict(members or {})
        self.http_status = http_status
        self.retry_after = retry_after


def invalid(message: str, *, reason: str = "other", **members: Any) -> ServiceError:
    """A ValidationException with one of the model's reasons."""
    return ServiceError("ValidationException", message, members={"reason": reason, **members})


def not_found(identifier: str, *, resource_type: str = "IngestionDestination") -> ServiceError:
    """A ResourceNotFoundException; how AppFabric spells the resource's id and type is a guess."""
    members = {"resourceId": identifier, "resourceType": resource_type}
    return ServiceError("ResourceNotFoundException", members=members)
