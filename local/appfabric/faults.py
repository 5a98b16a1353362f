"""What a test or a user orders to go wrong: with a call, or with a destination."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from local.appfabric.errors import ServiceError
from local.appfabric.model import error_shape, service_model


@dataclass(frozen=True, kw_only=True)
class Order:
    """Which calls an order is for: those of `operation` ("*": of any), `times` of them after `skip` others."""

    operation: str = "*"
    skip: int = 0
    times: int = 1

    def __post_init__(self) -> None:
        """Refuse an order that no call can meet."""
        if self.operation not in ("*", *service_model().operation_names):
            raise ValueError(f"AppFabric has no operation {self.operation}")


@dataclass(frozen=True, kw_only=True)
class Fault(Order):
    """What befalls a call: exactly one of `error`, `cut`, `hang`, `delay` and `drip`.

    It strikes before the call takes effect, with `after=True` when it has taken effect. (A drip is of the
    answer, so it comes after the effect in any case.)

    Attributes:
        error: code to answer. One that the model does not have needs its `http_status`.
        message: of the error; without it, the model's description of the error.
        members: further members of the error's body. Required ones that are missing are filled in.
        retry_after: seconds, sent as the header Retry-After.
        cut: the connection is closed without an answer.
        hang: no answer ever comes. Over HTTP the client decides how long it waits; in-process that takes
            this many seconds, or its read timeout if that is less.
        delay: seconds the call takes longer. Longer than the client's read timeout, it is answered too late.
        drip: seconds between two bytes of the answer.
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
        """Refuse a fault of no kind or of two, and a misspelt code."""
        super().__post_init__()
        kinds = (self.error, self.cut or None, self.hang, self.delay, self.drip)
        if sum(kind is not None for kind in kinds) != 1:
            raise ValueError("a fault is exactly one of error, cut, hang, delay, drip")
        if self.error and not (error_shape(self.error) or self.http_status):
            raise ValueError(f"{self.error} is not in the service model: it needs an http_status")

    def service_error(self) -> ServiceError:
        """The error to answer, for a fault of that kind."""
        return ServiceError(
            self.error or "",
            self.message,
            members=self.members,
            http_status=self.http_status,
            retry_after=self.retry_after,
        )


@dataclass(frozen=True, kw_only=True)
class Outcome(Order):
    """What becomes of a destination that a Create or an Update makes, or that a Delete ends.

    Attributes:
        operation: CreateIngestionDestination, UpdateIngestionDestination or DeleteIngestionDestination.
        status: the status it has or comes to have. None: "Active" after a Create, no change after an Update.
        status_reason: goes with "Failed".
        pending_gets: so many Gets (and the Create or Update itself) answer without a status.
        hidden_gets: so many Gets answer 404 after a Create.
        lingering_gets: so many Gets still find it after a Delete.
    """

    status: str | None = None
    status_reason: str | None = None
    pending_gets: int = 0
    hidden_gets: int = 0
    lingering_gets: int = 0


AnyOrder = TypeVar("AnyOrder", bound=Order)


class Orders(Generic[AnyOrder]):
    """Orders in the sequence given. The first one that wants a call has it; what it skips, the next may have."""

    def __init__(self) -> None:
        self._open: list[tuple[AnyOrder, dict[str, int]]] = []

    def add(self, order: AnyOrder) -> None:
        """Append an order to the list."""
        self._open.append((order, {"skip": order.skip, "times": order.times}))

    def take(self, operation: str) -> AnyOrder | None:
        """The order that a call of `operation` meets, counted down; None when it meets none."""
        for order, left in self._open:
            if order.operation in ("*", operation) and left["times"]:
                if not left["skip"]:
                    left["times"] -= 1
                    return order
                left["skip"] -= 1
        return None

    def clear(self) -> None:
        """Forget all orders."""
        self._open.clear()
