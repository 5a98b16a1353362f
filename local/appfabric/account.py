"""What one account has of AppFabric in one Region: the state that the operations read and change."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from threading import RLock
from typing import Any

from local.appfabric.destinations import Arn, Destination
from local.appfabric.errors import not_found
from local.appfabric.faults import Injections, Outcome

Parameters = Mapping[str, Any]
_NIL = "00000000-0000-0000-0000-000000000000"


@dataclass(frozen=True, kw_only=True)
class Page:
    """The page that a nextToken is for: of what, after which ARN, and when the token was issued."""

    of: str
    after: str
    issued_at: datetime


class Account:
    """Ingestion destinations, and the parents they lie in.

    Attributes:
        destinations: those there are, by ARN.
        missing: UUIDs of app bundles and ingestions that do not exist; every other one does, but for the UUID of zeros.
        enabled: ARNs of ingestions that are enabled. One whose destination is deleted is disabled, at once: the service
            model says that it fails "and is eventually disabled". None is at first.
        page_size: the most entries in the response to a List, whatever `maxResults` allows.
        outcomes: what becomes of the next destinations.
        created_by: by client token, the parameters it came with and the ARN that was created.
        pages: by nextToken, the page that it is for.
        now: the time of day, with its zone.
        new_id: the UUID of the next destination.
        lock: held by whoever reads or changes any of these.
    """

    def __init__(self, *, region: str, account_id: str, now: Callable[[], datetime], new_id: Callable[[], str]) -> None:
        self.destinations: dict[str, Destination] = {}
        self.missing: set[str] = set()
        self.enabled: set[str] = set()
        self.page_size = 100
        self.outcomes = Injections[Outcome]()
        self.created_by: dict[str, tuple[Parameters, str]] = {}
        self.pages: dict[str, Page] = {}
        self.now = now
        self.new_id = new_id
        self.lock = RLock()
        self._region = region
        self._account_id = account_id
        self._lingering: dict[str, Destination] = {}

    def place(
        self,
        *,
        arn: str,
        processing: dict[str, Any],
        destination: dict[str, Any],
        tags: dict[str, str] | None = None,
        status: str | None = "Active",
        status_reason: str | None = None,
        created_at: datetime | None = None,
        updated_at: datetime | None = None,
    ) -> Destination:
        """Add a destination that existed before; nothing but its ARN is validated.

        Raises:
            ValueError: `arn` is not the ARN of an ingestion destination.
        """
        created_at = created_at or self.now()
        placed = Destination(
            arn=arn,
            processing=processing,
            destination=destination,
            tags=dict(tags or {}),
            status=status,
            status_reason=status_reason,
            created_at=created_at,
            updated_at=updated_at or created_at,
        )
        with self.lock:
            self.destinations[str(placed.path)] = placed
        return placed

    def clear(self) -> None:
        """Forget everything but the page size."""
        for kept in (self.destinations, self.missing, self.created_by, self.pages, self._lingering):
            kept.clear()
        self.outcomes.clear()

    def ingestion(self, request: Parameters) -> Arn | None:
        """The ingestion a request names, in the account of whichever identifier is an ARN; None if missing."""
        bundle, ingestion = request["appBundleIdentifier"], request["ingestionIdentifier"]
        if not (arn := Arn.parse(ingestion)):
            home = Arn(partition="aws", region=self._region, account_id=self._account_id, bundle=bundle)
            arn = replace(Arn.parse(bundle) or home, ingestion=ingestion)
        well_formed = arn.ingestion and Arn.parse(arn.ingestion_arn)
        here = arn.lies_in(bundle, ingestion) and arn.region == self._region
        return arn if well_formed and here and self._parents_exist(arn) else None

    def in_ingestion(self, request: Parameters) -> list[Destination]:
        """The destinations of the ingestion a request names."""
        return _in_ingestion(request, self.destinations.values())

    def find(self, request: Parameters, *, even_deleted: bool = False) -> Destination:
        """The destination a request names, with `even_deleted` also one that lingers.

        Raises:
            ServiceError: it or one of its parents does not exist.
        """
        lingering = self._lingering.values() if even_deleted else ()
        identifier = request["ingestionDestinationIdentifier"]
        for destination in _in_ingestion(request, [*self.destinations.values(), *lingering]):
            named = identifier in (destination.arn, destination.path.destination)
            if named and self._parents_exist(destination.path):
                return destination
        raise not_found(identifier)

    def tagged(self, request: Parameters) -> Destination:
        """The destination that the `resourceArn` of a request names.

        Raises:
            ServiceError: it or one of its parents does not exist.
        """
        destination = self.destinations.get(request["resourceArn"])
        if destination is None or not self._parents_exist(destination.path):
            raise not_found(request["resourceArn"])
        return destination

    def remove(self, destination: Destination) -> None:
        """Remove a destination; one that lingers is gone after the last of its Gets."""
        self.destinations.pop(destination.arn, None)
        if destination.lingering_gets:
            self._lingering[destination.arn] = destination
        else:
            self._lingering.pop(destination.arn, None)

    def is_lingering(self, destination: Destination) -> bool:
        """Whether a destination was deleted and can still be read."""
        return destination.arn in self._lingering

    def _parents_exist(self, arn: Arn) -> bool:
        return {_NIL, *self.missing}.isdisjoint({arn.bundle, arn.ingestion})


def _in_ingestion(request: Parameters, destinations: Iterable[Destination]) -> list[Destination]:
    parents = request["appBundleIdentifier"], request["ingestionIdentifier"]
    return [destination for destination in destinations if destination.path.lies_in(*parents)]
