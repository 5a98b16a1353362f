"""Faults that a test or a user injects: into a call, or into a destination."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from local.appfabric.errors import ServiceError
from local.appfabric.model import error_shape, errors_of, service_model


@dataclass(frozen=True, kw_only=True)
class Injection:
    """Which calls are meant: those of `operation` ("*": of any), `times` of them after `skip` others."""

    operation: str = "*"
    skip: int = 0
    times: int = 1

    def __post_init__(self) -> None:
        """Refuse one that no call can meet."""
        if self.operation not in ("*", *service_model().operation_names):
            raise ValueError(f"AppFabric has no operation {self.operation}")

    def applies_to(self, operation: str) -> bool:
        """Whether calls of `operation` are meant."""
        return self.operation in ("*", operation)


@dataclass(frozen=True, kw_only=True)
class Fault(Injection):
    """A fault of a call: exactly one of `error`, `cut`, `hang`, `delay` and `drip`.

    It happens before the call takes effect, with `after=True` when it has taken effect. (A drip is of the
    response, so it comes after the effect in any case.)

    Attributes:
        error: code of the error. One that the model does not have needs its `http_status`.
        message: of the error; without it, the model's description of the error.
        members: further members of the error's body. Required ones that are missing are filled in.
        retry_after: seconds, sent as the header Retry-After.
        cut: the connection is closed without a response.
        hang: no response ever comes. Over HTTP the client decides how long it waits; in-process that takes
            this many seconds, or its read timeout if that is less.
        delay: seconds the call takes longer. Longer than the client's read timeout, its response is too late.
        drip: seconds between two bytes of the response.
    """

    error: str | None = None
    message: str | None = None
    members: Mapping[str, Any] = field(default_factory=dict)
    http_status: int | None = None
    retry_after: int | None = None
    cut: bool = False
    hang: float | None = None
    delay: float | None = None
    drip: float | None = None
    after: bool = False

    def __post_init__(self) -> None:
        """Refuse a fault of no kind or of two, and a code that the operation cannot have."""
        super().__post_init__()
        kinds = (self.error, self.cut or None, self.hang, self.delay, self.drip)
        if sum(kind is not None for kind in kinds) != 1:
            raise ValueError("a fault is exactly one of error, cut, hang, delay, drip")
        if self.error and not (error_shape(self.error) or self.http_status):
            raise ValueError(f"{self.error} is not in the service model: it needs an http_status")
        if self.operation != "*" and not self.applies_to(self.operation):
            raise ValueError(f"{self.error} is no error of {self.operation}")

    def applies_to(self, operation: str) -> bool:
        """Whether a call of `operation` can have this fault: its error must be one that the operation has."""
        modeled = self.error is not None and error_shape(self.error) is not None
        return super().applies_to(operation) and (not modeled or self.error in errors_of(operation))

    def service_error(self) -> ServiceError:
        """The error to respond with, for a fault of that kind."""
        return ServiceError(
            self.error or "",
            self.message,
            members=self.members,
            http_status=self.http_status,
            retry_after=self.retry_after,
        )


@dataclass(frozen=True, kw_only=True)
class Outcome(Injection):
    """What happens to a destination after a Create, an Update or a Delete.

    Attributes:
        operation: CreateIngestionDestination, UpdateIngestionDestination or DeleteIngestionDestination.
        status: the status it has or comes to have. None: "Active" after a Create, no change after an Update.
        status_reason: goes with "Failed".
        pending_gets: so many Gets (and the Create or Update itself) return no status.
        hidden_gets: so many Gets return 404 after a Create.
        lingering_gets: so many Gets still find it after a Delete.
    """

    status: str | None = None
    status_reason: str | None = None
    pending_gets: int = 0
    hidden_gets: int = 0
    lingering_gets: int = 0


AnyInjection = TypeVar("AnyInjection", bound=Injection)


class Injections(Generic[AnyInjection]):
    """Injections in the sequence given. The first one that wants a call has it; what it skips, the next may have."""

    def __init__(self) -> None:
        self._pending: list[tuple[AnyInjection, dict[str, int]]] = []

    def add(self, injected: AnyInjection) -> None:
        """Append one to the list."""
        self._pending.append((injected, {"skip": injected.skip, "times": injected.times}))

    def take(self, operation: str) -> AnyInjection | None:
        """Return the one that a call of `operation` meets and count it down; None when it meets none."""
        for injected, left in self._pending:
            if injected.applies_to(operation) and left["times"]:
                if not left["skip"]:
                    left["times"] -= 1
                    return injected
                left["skip"] -= 1
        return None

    def clear(self) -> None:
        """Forget all of them."""
        self._pending.clear()
