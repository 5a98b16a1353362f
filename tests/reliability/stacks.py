"""CloudFormation's side of a life: stacks, their operations, and the requests that these make of custom resources.

What AWS documents of the order of requests is in the User Guide, "Create custom provisioning logic"; where nothing is
documented both ways are played (`Choices`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from ingestion_destination.identity import Arn
from tests.reliability.clockwork import Task
from tests.reliability.world import Asked, World

SERVICE_TIMEOUT = 720.0


@dataclass(frozen=True)
class Choices:
    """How CloudFormation goes about an operation.

    Attributes:
        chain: Whether the resources depend on each other, so that one comes after another.
        fails_at: Seconds after which something else in the stack fails; None if nothing does.
        preserve: Whether a failed Create is kept for the next operation (`--disable-rollback`).
        asks_before_deleting: Whether a rollback sends an Update for what was replaced, before it deletes it.
        refused: The numbers of the requests whose address takes no answer.
    """

    chain: bool = False
    fails_at: float | None = None
    preserve: bool = False
    asks_before_deleting: bool = False
    refused: frozenset[int] = frozenset()

    def __repr__(self) -> str:
        said = [f"{name}={value!r}" for name, value in vars(self).items() if value != getattr(Choices, name)]
        return f"Choices({', '.join(said)})"


@dataclass
class Resource:
    """A custom resource of a stack.

    Attributes:
        id: Its PhysicalResourceId.
        complete: Whether CloudFormation takes it for created or updated.
        given_up: Its Create, if CloudFormation did not wait for the answer.
    """

    logical_id: str
    properties: Mapping[str, Any]
    id: str = ""
    complete: bool = False
    given_up: Asked | None = None


@dataclass
class Ending:
    """How a request ended, as CloudFormation sees it."""

    succeeded: bool
    id: str
    asked: Asked
    cancelled: bool = False

    @property
    def last_look(self) -> float | None:
        """When the run that answered looked last: what comes later it cannot know."""
        looked = [run.looked_at for run in self.asked.runs if run is self.asked.answered_by]
        return looked[0] if looked else None


class Stack:
    """One stack.

    Attributes:
        state: "none", "complete", "failed" (a Create failed and is kept), "stuck" (something could not be undone).
        told: Ids of which CloudFormation was told that they could not be deleted.
        kept: Ids that a template retains.
        pending: What was replaced in an update that could be neither finished nor undone.
    """

    def __init__(self, world: World, name: str, number: int) -> None:
        self.world, self.name = world, name
        self._number = number
        self._lives = 0
        self.id = self._new_id()
        self.state = "none"
        self.busy = False
        self.resources: dict[str, Resource] = {}
        self.told: set[str] = set()
        self.kept: set[str] = set()
        self.pending: list[Resource] = []
        self._wanted: dict[str, Mapping[str, Any]] = {}
        self._choices = Choices()
        self._requests = 0

    # Operations

    def create(self, resources: Mapping[str, Mapping[str, Any]], choices: Choices) -> None:
        self._begin(f"create stack {self.name} with {', '.join(resources)}", choices)
        if self._lives:
            self.id = self._new_id()
        self._lives += 1
        self._operate(lambda: self._create(resources))

    def update(self, resources: Mapping[str, Mapping[str, Any]], choices: Choices) -> None:
        self._begin(f"update stack {self.name}", choices)
        self._operate(lambda: self._update(resources))

    def delete(self, choices: Choices, retain: frozenset[str] = frozenset()) -> None:
        self._begin(f"delete stack {self.name}{f', retaining {sorted(retain)}' if retain else ''}", choices)
        for logical_id in retain & self.resources.keys():
            self.kept.add(self.resources.pop(logical_id).id)
        self._operate(self._delete_all)

    def resume(self, choices: Choices) -> None:
        """`continue-update-rollback`, or after `--disable-rollback` the same template again."""
        self._begin(f"resume stack {self.name}", choices)
        self._operate(self._retry if self.state == "failed" else self._continue)

    # What they do

    def _create(self, wanted: Mapping[str, Mapping[str, Any]]) -> None:
        self._wanted = dict(wanted)
        jobs = {logical_id: self._creation(logical_id, properties) for logical_id, properties in wanted.items()}
        if self._all(jobs):
            self.state = "complete"
        elif self._choices.preserve:
            self.state = "failed"
        else:
            self._delete_all()

    def _retry(self) -> None:
        """What failed is deleted first, and then created."""
        failed = {k: r for k, r in self.resources.items() if not r.complete}
        if not self._each({k: self._deletion(r) for k, r in failed.items()}):
            self.state = "failed"
            return
        missing = {k: v for k, v in self._wanted.items() if k not in self.resources}
        if self._all({k: self._creation(k, v) for k, v in missing.items()}):
            self.state = "complete"
        else:
            self.state = "failed"

    def _update(self, wanted: Mapping[str, Mapping[str, Any]]) -> None:
        before = {k: replace(r) for k, r in self.resources.items()}
        gone: list[Resource] = []
        touched: dict[str, Mapping[str, Any]] = {}

        def updating(logical_id: str, properties: Mapping[str, Any]) -> Callable[[], bool]:
            def update() -> bool:
                resource = self.resources[logical_id]
                touched[logical_id] = properties
                ending = self._ask("Update", logical_id, resource.id, properties, resource.properties)
                if ending.succeeded:
                    self._move(resource, ending.id, properties, gone)
                return ending.succeeded

            return update

        jobs: dict[str, Callable[[], bool]] = {}
        for logical_id, properties in wanted.items():
            if logical_id not in self.resources:
                jobs[logical_id] = self._creation(logical_id, properties)
            elif properties != self.resources[logical_id].properties:
                jobs[logical_id] = updating(logical_id, properties)
        if self._all(jobs, cancels_updates=False):
            removed = [self.resources.pop(k) for k in list(self.resources) if k not in wanted]
            self._clean_up([*gone, *removed])
            self.state = "complete"
            return
        self.world.tell(f"stack {self.name} is rolled back")
        self._undoing = (before, touched)
        self._roll_back()

    def _roll_back(self) -> None:
        before, touched = self._undoing
        gone: list[Resource] = []
        self.pending = []

        def back(logical_id: str, tried: Mapping[str, Any]) -> Callable[[], bool]:
            def update() -> bool:
                resource, was = self.resources[logical_id], before[logical_id]
                if resource.id != was.id and not self._choices.asks_before_deleting:
                    self._move(resource, was.id, was.properties, gone)
                    return True
                ending = self._ask("Update", logical_id, resource.id, was.properties, tried)
                if ending.succeeded:
                    self._move(resource, ending.id, was.properties, gone)
                    if was.id not in {resource.id, *(each.id for each in gone)} and Arn.parse(was.id):
                        gone.append(was)
                    resource.complete = True
                else:
                    resource.complete = False
                    if was.id != resource.id:
                        self.pending.append(was)
                return ending.succeeded

            return update

        done = self._each({k: back(k, tried) for k, tried in touched.items()})
        gone += [self.resources.pop(k) for k in list(self.resources) if k not in before]
        self._clean_up(gone)
        self.state = "complete" if done else "stuck"

    def _continue(self) -> None:
        self._roll_back()

    def _delete_all(self) -> None:
        self._clean_up([*self.resources.values(), *self.pending])
        self.pending = []
        self.state = "stuck to delete" if self.resources else "none"

    def _clean_up(self, gone: list[Resource]) -> None:
        """A Delete that fails here fails nothing: CloudFormation leaves what it cannot delete."""
        jobs = {}
        for number, resource in enumerate(gone):
            jobs[f"{resource.logical_id} {number}"] = self._deletion(resource)
        self._each(jobs)

    def _creation(self, logical_id: str, properties: Mapping[str, Any]) -> Callable[[], bool]:
        def create() -> bool:
            resource = self.resources[logical_id] = Resource(logical_id, properties)
            ending = self._ask("Create", logical_id, None, properties)
            resource.id, resource.complete = ending.id, ending.succeeded
            resource.given_up = ending.asked if ending.cancelled else None
            return ending.succeeded

        return create

    def _deletion(self, resource: Resource) -> Callable[[], bool]:
        def delete() -> bool:
            resource.complete = False
            ending = self._ask("Delete", resource.logical_id, resource.id, resource.properties)
            if resource.given_up:
                resource.given_up.over = resource.given_up.over or ending.last_look
            if ending.succeeded:
                if self.resources.get(resource.logical_id) is resource:
                    del self.resources[resource.logical_id]
            else:
                self.told.add(resource.id)
            return ending.succeeded

        return delete

    @staticmethod
    def _move(resource: Resource, new_id: str, properties: Mapping[str, Any], gone: list[Resource]) -> None:
        """A resource after an Update: what it was is deleted in the end if it has another id now."""
        if new_id != resource.id:
            gone.append(replace(resource))
        resource.id, resource.properties, resource.complete = new_id, properties, True

    # Requests

    def _ask(
        self,
        kind: str,
        logical_id: str,
        id: str | None,
        properties: Mapping[str, Any],
        old: Mapping[str, Any] | None = None,
    ) -> Ending:
        world = self.world
        request_id = str(world.mint())
        name = f"{kind} of {self.name}.{logical_id}"
        event = {
            "RequestType": kind,
            "ServiceToken": "arn:aws:lambda:us-east-1:111122223333:function:provider",
            "ResponseURL": f"https://answers.example/{request_id}?X-Amz-Date={world.now():%Y%m%dT%H%M%SZ}"
            "&X-Amz-Signature=0123456789abcdef",
            "StackId": self.id,
            "RequestId": request_id,
            "LogicalResourceId": logical_id,
            "ResourceType": "Custom::AppFabricIngestionDestination",
            "ResourceProperties": properties,
        }
        if id is not None:
            event["PhysicalResourceId"] = id
        if old is not None:
            event["OldResourceProperties"] = old
        asked = Asked(f"{name} ({len(world.asked) + 1})", event, world.clock.now)
        asked.refused = self._requests in self._choices.refused
        self._requests += 1
        world.tell(f"CloudFormation asks: {asked.name}{f' as {world.name_of(id)}' if id else ''}")
        world.invoke(asked)
        asked.waiting = world.clock.running
        self._open.append(asked)
        world.clock.wait(SERVICE_TIMEOUT)
        self._open.remove(asked)
        asked.waiting = None
        made_up = id or f"{self.name[:20]}-{logical_id[:20]}-{world.mint().hex[-12:].upper()}"
        if asked.answer is not None and asked.over is None:
            asked.over = world.clock.now
            return Ending(asked.answer["Status"] == "SUCCESS", asked.answer["PhysicalResourceId"], asked)
        asked.given_up = True
        cancelled = world.clock.now < asked.at + SERVICE_TIMEOUT
        if not cancelled:
            asked.over = world.clock.now
        world.tell(f"CloudFormation gives up: {asked.name}{', cancelled' if cancelled else ''}")
        return Ending(False, made_up, asked, cancelled=cancelled)

    def _all(self, jobs: Mapping[str, Callable[[], bool]], *, cancels_updates: bool = False) -> bool:
        """Do all, until one fails or something else in the stack does: the Creates that still run are cancelled."""
        failed = False

        def fail() -> None:
            nonlocal failed
            failed = True
            for asked in self._open:
                if asked.type == "Create" or cancels_updates:
                    self.world.clock.wake(asked.waiting)  # type: ignore[arg-type]

        def job(do: Callable[[], bool]) -> Callable[[], bool]:
            def body() -> bool:
                if failed:
                    return False
                if not do():
                    fail()
                return not failed

            return body

        extra: dict[str, Callable[[], bool]] = {}
        if self._choices.fails_at is not None:

            def something_else() -> bool:
                self.world.clock.wait(self._choices.fails_at or 0)
                self.world.tell(f"something else in stack {self.name} fails")
                fail()
                return False

            extra["something else"] = something_else
        wrapped = {name: job(do) for name, do in jobs.items()}
        if self._choices.chain:

            def one_after_another() -> bool:
                return all([do() for do in wrapped.values()])  # noqa: C419 - each is done

            self._each({"chain": one_after_another, **extra})
        else:
            self._each({**wrapped, **extra})
        return not failed

    def _each(self, jobs: Mapping[str, Callable[[], bool]]) -> bool:
        """Do all of them beside each other; whether all succeeded."""
        results: list[bool] = []
        clock, waiting = self.world.clock, self.world.clock.running

        def task(do: Callable[[], bool]) -> Callable[[], None]:
            def body() -> None:
                results.append(do())
                if len(results) == len(jobs):
                    clock.wake(waiting)

            return body

        for do in jobs.values():
            clock.begin(task(do))
        if jobs:
            clock.wait()
        return all(results)

    def _begin(self, what: str, choices: Choices) -> None:
        assert not self.busy
        self.busy, self._choices, self._requests = True, choices, 0
        self._open: list[Asked] = []
        self.world.tell(f"Somebody asks to {what} {choices if choices != Choices() else ''}")

    def _operate(self, body: Callable[[], None]) -> Task:
        def operation() -> None:
            body()
            self.busy = False
            self.world.tell(f"stack {self.name} is {self.state}")

        return self.world.clock.begin(operation)

    def _new_id(self) -> str:
        return (
            f"arn:aws:cloudformation:us-east-1:111122223333:stack/{self.name}"
            f"/51af3dc0-da77-11e4-872e-{self._number:04d}{self._lives:08d}"
        )
