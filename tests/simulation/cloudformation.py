"""CloudFormation for one scenario: stacks, operations on them, and the requests that these send to custom resources.

What AWS documents of the order of requests is in the User Guide, "Create custom provisioning logic"; where nothing is
documented, every plausible behavior is simulated (`Options`).
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from local.appfabric.destinations import Destination
from tests.simulation.aws import Request, Simulation
from tests.simulation.scheduler import Task

DEFAULT_SERVICE_TIMEOUT = 3600.0
DELETE_FIRST, CREATE_FIRST, UPDATE_IT = "delete, then create", "create, then delete", "update"


@dataclass(frozen=True)
class Options:
    """How CloudFormation performs an operation.

    Attributes:
        chain: Whether the resources depend on each other, so that they are handled one after another.
        fails_at: Seconds after which something else in the stack fails; None if nothing does.
        preserve: Whether what fails is kept for the next operation (`--disable-rollback`).
        rollback_sends_update: Whether a rollback sends an Update for what was replaced, before it deletes it.
        continues: What happens to a Create that failed and was kept: one of the three constants above.
        old_is_tried: Whether the Update after one that failed and was kept has the failed one's properties as the old
            ones, and a Delete after it as its own, rather than those that were in effect.
        deletes_with_new: Whether what an Update replaced is deleted with the new properties.
        cancels_updates: Whether Updates in progress are canceled too when something else fails.
        deletes_current: Whether what an update replaced is deleted even if the resource has returned to it.
        retain: The logical ids whose DeletionPolicy is Retain; what a rollback would delete is retained too.
        refused: The numbers of the requests whose pre-signed URL rejects every response.
    """

    chain: bool = False
    fails_at: float | None = None
    preserve: bool = False
    rollback_sends_update: bool = False
    continues: str = DELETE_FIRST
    old_is_tried: bool = True
    deletes_with_new: bool = False
    cancels_updates: bool = False
    deletes_current: bool = False
    retain: frozenset[str] = frozenset()
    refused: frozenset[int] = frozenset()

    def __repr__(self) -> str:
        shown = [f"{name}={value!r}" for name, value in vars(self).items() if value != getattr(Options, name)]
        return f"Options({', '.join(shown)})"


@dataclass
class Resource:
    """A custom resource of a stack, as CloudFormation sees it.

    Attributes:
        properties: Those that are in effect.
        id: Its PhysicalResourceId.
        complete: Whether CloudFormation considers it created or updated.
        created: Whether its Create succeeded.
        tried: The properties of an Update that failed.
        replaced_by: The properties of what replaced it, when its Delete comes with these.
        since: The request that put it into its current state.
    """

    logical_id: str
    properties: Mapping[str, Any]
    id: str = ""
    complete: bool = False
    created: bool = False
    tried: Mapping[str, Any] | None = None
    replaced_by: Mapping[str, Any] | None = None
    since: Request | None = None


@dataclass(eq=False)
class Retained:
    """A resource that CloudFormation retained.

    Attributes:
        destination: Its state at that time, None for an id that is not a destination's.
        since: The request that put the resource into its state.
    """

    stack_id: str
    logical_id: str
    id: str
    at: float
    properties: Mapping[str, Any]
    destination: Destination | None
    since: Request | None
    policy: str


@dataclass
class Ending:
    """How a request ended, as CloudFormation sees it."""

    succeeded: bool
    id: str
    request: Request


class Stack:
    """One stack.

    Attributes:
        state: "none", "complete", "failed" (something failed and is kept), "stuck" (something could not be rolled
            back), "stuck to delete".
        undeleted: Resources that CloudFormation could not delete.
        retained: Resources that it retained.
        replaced: What the current or a kept update replaced, to be deleted at its end.
        retains_replaced: Whether UpdateReplacePolicy is Retain.
    """

    def __init__(self, simulation: Simulation, name: str, number: int) -> None:
        self.simulation, self.name = simulation, name
        self._number = number
        self._generation = 0
        self.id = self._new_id()
        self.state = "none"
        self.busy = False
        self.resources: dict[str, Resource] = {}
        self.undeleted: list[Resource] = []
        self.retained: list[Retained] = []
        self.replaced: list[Resource] = []
        self.retains_replaced = False
        self.stuck: set[str] = set()
        self._stable: dict[str, Resource] = {}
        self._wanted: dict[str, Mapping[str, Any]] = {}
        self._options = Options()
        self._requests = 0
        self._open: list[Request] = []

    # Operations

    def create(self, resources: Mapping[str, Mapping[str, Any]], options: Options) -> None:
        if self._generation:
            self.id = self._new_id()
        self._generation += 1
        self._stable, self.stuck = {}, set()
        self._begin(f"creates stack {self.name} with {', '.join(resources)}", options)
        self._operate(lambda: self._apply(resources))

    def update(self, resources: Mapping[str, Mapping[str, Any]], options: Options) -> None:
        self._begin(f"updates stack {self.name} to {', '.join(resources) or 'nothing'}", options)
        self._operate(lambda: self._apply(resources))

    def delete(self, options: Options) -> None:
        retain = {k for k in options.retain & self.resources.keys() if self.resources[k].complete}
        self._begin(f"deletes stack {self.name}{f', retaining {sorted(retain)}' if retain else ''}", options)
        for logical_id in retain:
            self._retain(self.resources.pop(logical_id), "DeletionPolicy")
        self._operate(self._delete_all)

    def resume(self, options: Options) -> None:
        """Send `continue-update-rollback`, or after `--disable-rollback` the template again or `rollback-stack`."""
        self._begin(f"resumes stack {self.name}", options)
        again = self.state == "failed" and options.preserve
        self._operate((lambda: self._apply(self._wanted)) if again else self._roll_back)

    # How they proceed

    def _apply(self, wanted: Mapping[str, Mapping[str, Any]]) -> None:
        self._wanted = dict(wanted)
        jobs: dict[str, Callable[[], bool]] = {}
        for logical_id, properties in wanted.items():
            resource = self.resources.get(logical_id)
            if resource is None:
                jobs[logical_id] = self._creation(logical_id, properties)
            elif not resource.created:
                jobs[logical_id] = self._continuation(resource, properties)
            elif not resource.complete or properties != resource.properties:
                jobs[logical_id] = self._changing(resource, properties)
        if self._all(jobs):
            removed = [self.resources.pop(k) for k in list(self.resources) if k not in wanted]
            kept = [each for each in removed if each.complete and each.logical_id in self._options.retain]
            for resource in kept:
                self._retain(resource, "DeletionPolicy")
            replaced, self.replaced = self.replaced, []
            if not self._options.deletes_current:
                current = {resource.id for resource in self.resources.values()}
                replaced = [resource for resource in replaced if resource.id not in current]
            if self.retains_replaced:
                for resource in replaced:
                    self._retain(resource, "UpdateReplacePolicy")
                replaced = []
            self._clean_up([*replaced, *(resource for resource in removed if resource not in kept)])
            self._stable = {k: replace(r) for k, r in self.resources.items()}
            self.state = "complete"
        elif self._options.preserve:
            self.state = "failed"
        else:
            self._roll_back()

    def _roll_back(self) -> None:
        self.simulation.note(f"stack {self.name} is rolled back")
        if not self._stable:
            self._delete_all()
            return
        ids = [resource.id for resource in self._stable.values()]
        jobs: dict[str, Callable[[], bool]] = {}
        gone: list[Resource] = []
        for logical_id, stable in self._stable.items():
            resource = self.resources.get(logical_id)
            if resource is None:
                continue
            if resource.id != stable.id and not self._options.rollback_sends_update:
                gone.append(replace(resource))
                # What was replaced may have been updated in place before that, by an update that failed and was kept.
                again = (replace(each, replaced_by=None) for each in self.replaced if each.id == stable.id)
                resource = next(again, replace(stable))
                self.replaced = [each for each in self.replaced if each.id != stable.id]
                self.resources[logical_id] = resource
                if resource.properties != stable.properties:
                    jobs[logical_id] = self._rolling_back(resource, stable, gone)
            elif resource.id != stable.id or not resource.complete or resource.properties != stable.properties:
                jobs[logical_id] = self._rolling_back(resource, stable, gone)
        done = self._each(jobs)
        gone += [self.resources.pop(k) for k in list(self.resources) if k not in self._stable]
        now = {resource.id for resource in self.resources.values()}
        gone += [each for each in self.replaced if each.id not in now and (done or each.id not in ids)]
        # What is stuck may still be what this replaced: it is deleted when the stack is.
        self.replaced = [each for each in self.replaced if not done and each.id in ids and each.id not in now]
        unique = {resource.id: resource for resource in gone if resource.id not in now}
        for id, each in [*unique.items()]:
            if self.retains_replaced and id in ids:
                self._retain(unique.pop(id), "UpdateReplacePolicy")
            elif id not in ids and each.complete and each.logical_id in self._options.retain:
                self._retain(unique.pop(id), "DeletionPolicy")
        self._clean_up(list(unique.values()))
        if done:
            self._stable = {k: replace(r) for k, r in self.resources.items()}
            self.stuck = set()
        self.state = "complete" if done else "stuck"

    def _delete_all(self) -> None:
        replaced, self.replaced = self.replaced, []
        self._clean_up([*self.resources.values(), *replaced])
        self.state = "stuck to delete" if self.resources else "none"

    def _clean_up(self, gone: list[Resource]) -> None:
        """Delete resources; a failure fails nothing, because CloudFormation leaves what it cannot delete."""
        self._each({f"{each.logical_id} {number}": self._deletion(each) for number, each in enumerate(gone)})

    def _retain(self, resource: Resource, policy: str) -> None:
        live = self.simulation.appfabric.destinations.get(resource.id)
        self.simulation.note(f"{self.simulation.name_of(resource.id)} is retained")
        self.retained.append(
            Retained(
                self.id,
                resource.logical_id,
                resource.id,
                self.simulation.scheduler.now,
                resource.properties,
                copy.copy(live),
                resource.since,
                policy,
            )
        )

    def _creation(self, logical_id: str, properties: Mapping[str, Any]) -> Callable[[], bool]:
        def create() -> bool:
            resource = self.resources[logical_id] = Resource(logical_id, properties)
            ending = self._request("Create", logical_id, None, properties)
            resource.id, resource.complete, resource.since = ending.id, ending.succeeded, ending.request
            resource.created = ending.succeeded
            return ending.succeeded

        return create

    def _continuation(self, failed: Resource, properties: Mapping[str, Any]) -> Callable[[], bool]:
        """Continue after a Create that failed and was kept."""
        create, delete = self._creation(failed.logical_id, properties), self._deletion(failed)

        def update() -> bool:
            ending = self._request("Update", failed.logical_id, failed.id, properties, self._old(failed))
            if ending.succeeded:
                self._move(failed, ending, properties)
                failed.created = True
            else:
                failed.tried = properties
            return ending.succeeded

        def replace_it() -> bool:
            if self._options.continues == CREATE_FIRST:
                created = create()
                delete()
                return created
            return delete() and create()

        return update if self._options.continues == UPDATE_IT else replace_it

    def _changing(self, resource: Resource, properties: Mapping[str, Any]) -> Callable[[], bool]:
        def update() -> bool:
            ending = self._request("Update", resource.logical_id, resource.id, properties, self._old(resource))
            if ending.succeeded:
                self._move(resource, ending, properties)
            else:
                resource.complete, resource.tried = False, properties
            return ending.succeeded

        return update

    def _rolling_back(self, resource: Resource, stable: Resource, gone: list[Resource]) -> Callable[[], bool]:
        def update() -> bool:
            tried = resource.tried if resource.tried is not None else resource.properties
            current = replace(resource)
            ending = self._request("Update", resource.logical_id, resource.id, stable.properties, tried, rollback=True)
            if ending.succeeded:
                self._move(resource, ending, stable.properties)
                self.replaced = [each for each in self.replaced if each.id != current.id]
                if ending.id != current.id:
                    gone.append(current)
            else:
                resource.complete = False
                self.stuck.add(resource.logical_id)
            return ending.succeeded

        return update

    def _deletion(self, resource: Resource) -> Callable[[], bool]:
        def delete() -> bool:
            resource.complete = False
            properties = resource.replaced_by if resource.replaced_by is not None else self._old(resource)
            ending = self._request("Delete", resource.logical_id, resource.id, properties)
            if ending.succeeded:
                if self.resources.get(resource.logical_id) is resource:
                    del self.resources[resource.logical_id]
            else:
                self.undeleted.append(resource)
            return ending.succeeded

        return delete

    def _old(self, resource: Resource) -> Mapping[str, Any]:
        """What CloudFormation takes for the properties of a resource, perhaps those of an Update that failed."""
        return resource.tried if resource.tried is not None and self._options.old_is_tried else resource.properties

    def _move(self, resource: Resource, ending: Ending, properties: Mapping[str, Any]) -> None:
        """Record a successful Update of a resource; if the id changed, the old resource is replaced."""
        if ending.id != resource.id:
            replaced_by = properties if self._options.deletes_with_new else None
            self.replaced.append(replace(resource, tried=None, replaced_by=replaced_by))
        resource.id, resource.properties, resource.complete = ending.id, properties, True
        resource.tried, resource.since = None, ending.request

    # Requests

    def _request(
        self,
        kind: str,
        logical_id: str,
        id: str | None,
        properties: Mapping[str, Any],
        old: Mapping[str, Any] | None = None,
        *,
        rollback: bool = False,
    ) -> Ending:
        simulation = self.simulation
        request_id = str(simulation.uuid())
        event = {
            "RequestType": kind,
            "ServiceToken": "arn:aws:lambda:us-east-1:111122223333:function:provider",
            "ResponseURL": f"https://responses.example/{request_id}?X-Amz-Date={simulation.now():%Y%m%dT%H%M%SZ}"
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
        number = len(simulation.requests) + 1
        service_timeout = float(properties.get("ServiceTimeout", DEFAULT_SERVICE_TIMEOUT))
        request = Request(
            f"{kind} of {self.name}.{logical_id} ({number})",
            event,
            simulation.scheduler.now,
            service_timeout,
            number,
            rollback=rollback,
        )
        request.refused = self._requests in self._options.refused
        self._requests += 1
        simulation.note(
            f"CloudFormation sends {request.name}{f' as {simulation.name_of(id)}' if id else ''}"
            f" {summary(properties)}{f' instead of {summary(old)}' if old is not None else ''}"
        )
        simulation.invoke(request)
        request.waiting = simulation.scheduler.running
        self._open.append(request)
        simulation.scheduler.wait(service_timeout)
        self._open.remove(request)
        request.waiting = None
        request.over = simulation.scheduler.now
        if request.response is not None:
            return Ending(request.response["Status"] == "SUCCESS", request.response["PhysicalResourceId"], request)
        request.given_up = True
        request.canceled = simulation.scheduler.now < request.at + service_timeout
        simulation.note(f"CloudFormation gives up {request.name}{', canceled' if request.canceled else ''}")
        made_up = f"{self.name[:20]}-{logical_id[:20]}-{simulation.uuid().hex[-12:].upper()}"
        return Ending(False, id or made_up, request)

    def _all(self, jobs: Mapping[str, Callable[[], bool]]) -> bool:
        """Do all until one of them, or something else in the stack, fails, which cancels those in progress."""
        failed = False

        def fail() -> None:
            nonlocal failed
            failed = True
            for request in self._open:
                canceled = request.type == "Create" or (request.type == "Update" and self._options.cancels_updates)
                if canceled and request.waiting is not None:
                    self.simulation.scheduler.wake(request.waiting)

        def job(do: Callable[[], bool]) -> Callable[[], bool]:
            def body() -> bool:
                if failed:
                    return False
                if not do():
                    fail()
                return not failed

            return body

        extra: dict[str, Callable[[], bool]] = {}
        if self._options.fails_at is not None:

            def something_else() -> bool:
                self.simulation.scheduler.wait(self._options.fails_at or 0)
                self.simulation.note(f"something else in stack {self.name} fails")
                fail()
                return False

            extra["something else"] = something_else
        wrapped = {name: job(do) for name, do in jobs.items()}
        if self._options.chain:

            def one_after_another() -> bool:
                return all([do() for do in wrapped.values()])  # noqa: C419 - each is done

            self._each({"chain": one_after_another, **extra})
        else:
            self._each({**wrapped, **extra})
        return not failed

    def _each(self, jobs: Mapping[str, Callable[[], bool]]) -> bool:
        """Do all of them concurrently; whether all succeeded."""
        results: list[bool] = []
        scheduler = self.simulation.scheduler
        waiting = scheduler.running
        assert waiting is not None

        def task(do: Callable[[], bool]) -> Callable[[], None]:
            def body() -> None:
                results.append(do())
                if len(results) == len(jobs):
                    scheduler.wake(waiting)

            return body

        for do in jobs.values():
            scheduler.start(task(do))
        if jobs:
            scheduler.wait()
        return all(results)

    def _begin(self, what: str, options: Options) -> None:
        assert not self.busy
        self.busy, self._options, self._requests = True, options, 0
        self._open = []
        self.simulation.note(f"somebody {what} {options if options != Options() else ''}")

    def _operate(self, body: Callable[[], None]) -> Task:
        def operation() -> None:
            body()
            self.busy = False
            self.simulation.note(f"stack {self.name} is {self.state}")

        return self.simulation.scheduler.start(operation)

    def _new_id(self) -> str:
        return (
            f"arn:aws:cloudformation:us-east-1:111122223333:stack/{self.name}"
            f"/51af3dc0-da77-11e4-872e-{self._number:04d}{self._generation:08d}"
        )


def summary(properties: Mapping[str, Any]) -> str:
    """Return properties as the trace shows them."""
    try:
        destination = properties["DestinationConfiguration"]["AuditLog"]["Destination"]
        name = next(iter(next(iter(destination.values())).values()))
        parts = [properties["ProcessingConfiguration"]["AuditLog"]["Schema"], name]
        parts.append(f"ingestion {properties['IngestionIdentifier'][-1]}")
        parts += [f"{tag['Key']}={tag['Value']}" for tag in properties.get("Tags", [])]
    except (KeyError, TypeError, IndexError, AttributeError, StopIteration):
        return "{...}"
    parts += [f"AdoptArn …{properties['AdoptArn'][-4:]}"] if "AdoptArn" in properties else []
    parts += [f"T={properties.get('ServiceTimeout', 'default')}"] if properties.get("ServiceTimeout") != "720" else []
    return f"{{{' '.join(map(str, parts))}}}"
