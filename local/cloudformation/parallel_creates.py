"""Custom resources that do not depend on each other are created at the same time, as CloudFormation does.

ministack's engine creates one resource after another. This module runs ahead of it: when the engine comes to
a custom resource, every other one that is ready is begun as well, and the engine finds it done later on. So
when one of them fails, the rest are canceled while their function still runs, and their Delete names an id
that CloudFormation made up. https://github.com/aws-cloudformation/cloudformation-coverage-roadmap/issues/1730

Only custom resources run side by side: the failure of any other type cancels nothing, because the engine
comes to it when the custom resources before it are done.
"""

import contextvars
import threading
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass
from typing import Any

from local.cloudformation.custom_resources import CustomResource, RequestFailed

CANCELLED = "Resource creation cancelled"

Properties = Mapping[str, Any]
Created = tuple[str, dict[str, Any]]  # the PhysicalResourceId and the attributes


@dataclass(frozen=True)
class Leftover:
    """A resource that was begun and that the engine does not know: the rollback has to delete it.

    Attributes:
        resource: Which one.
        properties: What it was to be created with.
        physical_id: The id that its Delete names; None when no Create was sent, which leaves nothing to delete.
        problem: Why it failed; None when it was created.
    """

    resource: CustomResource
    properties: Properties
    physical_id: str | None
    problem: str | None


class ParallelCreates:
    """The custom resources that one stack operation creates.

    Args:
        create: Sends the Create and waits for its response.
        ready: Returns the custom resources that can be created now.
    """

    def __init__(
        self,
        *,
        create: Callable[[CustomResource, Properties], Created],
        ready: Callable[[], Iterable[tuple[CustomResource, Properties]]],
    ) -> None:
        self._create = create
        self._ready = ready
        self._begun: dict[CustomResource, tuple[Properties, Future[Created]]] = {}
        self._leftovers: list[Leftover] | None = None

    def create(self, resource: CustomResource, properties: Properties) -> Created:
        """Create `resource`, and begin all that can be created beside it.

        Raises:
            RuntimeError: It failed, or another one did while it ran.
        """
        if resource not in self._begun and self._one_failed():
            raise RuntimeError(CANCELLED)
        own = self._begin(resource, properties)
        for other, other_properties in self._ready():
            self._begin(other, other_properties)
        while not own.done() and not self._one_failed():
            wait([f for _, f in self._begun.values() if not f.done()], return_when=FIRST_COMPLETED)
        if not own.done():
            self._leftovers = self._endings()
            raise RuntimeError(CANCELLED)
        created = own.result()
        del self._begun[resource]
        return created

    def leftovers(self) -> list[Leftover]:
        """What the engine has not come to, or saw fail, when the operation failed."""
        return self._endings() if self._leftovers is None else self._leftovers

    def _begin(self, resource: CustomResource, properties: Properties) -> Future[Created]:
        if resource not in self._begun:
            future = _in_a_thread(lambda: self._create(resource, properties))
            self._begun[resource] = properties, future
        return self._begun[resource][1]

    def _one_failed(self) -> bool:
        return any(future.done() and future.exception() for _, future in self._begun.values())

    def _endings(self) -> list[Leftover]:
        leftovers = []
        for resource, (properties, future) in self._begun.items():
            error = future.exception() if future.done() else None
            if not future.done():
                leftovers.append(Leftover(resource, properties, resource.made_up_id(), CANCELLED))
            elif isinstance(error, RequestFailed):
                leftovers.append(Leftover(resource, properties, error.physical_resource_id, str(error)))
            elif error:
                leftovers.append(Leftover(resource, properties, None, str(error)))
            else:
                leftovers.append(Leftover(resource, properties, future.result()[0], None))
        return leftovers


def _in_a_thread(create: Callable[[], Created]) -> Future[Created]:
    """Not a pool's thread: one that is still at work must not hold up the end of the process."""
    future: Future[Created] = Future()
    context = contextvars.copy_context()  # ministack keeps account and Region there

    def run() -> None:
        try:
            future.set_result(context.run(create))
        except Exception as error:
            future.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return future
