"""One create or update of a stack, as ministack's engine runs it: what `parallel_creates` needs to know of it."""

import contextvars
import copy
from collections.abc import Iterator, Mapping
from typing import Any

from ministack.core.responses import now_iso
from ministack.services.cloudformation import _stacks, custom_resource, engine, stacks

from local.cloudformation.custom_resources import CustomResource, CustomResources
from local.cloudformation.parallel_creates import Leftover, ParallelCreates, Properties

CUSTOM = ("Custom::", "AWS::CloudFormation::CustomResource")


class StackOperation:
    """A stack operation and the custom resources that it creates.

    Args:
        custom_resources: Sends their requests.
        stack_name: The stack's name.
        stack_id: The stack's ARN.
        template: The template, transformed.
        parameters: Its parameters, resolved.
        is_update: Whether the stack existed before.
    """

    def __init__(
        self,
        *,
        custom_resources: CustomResources,
        stack_name: str,
        stack_id: str,
        template: Mapping[str, Any],
        parameters: Mapping[str, Any],
        is_update: bool,
    ) -> None:
        self.stack_id = stack_id
        self._stack_name = stack_name
        self._template = template
        self._parameters = parameters
        self._is_update = is_update
        self.creates = ParallelCreates(
            create=lambda resource, properties: custom_resources.request("Create", resource, properties=properties),
            ready=self._ready,
        )

    def keep_leftovers(self, *, failed: str | None) -> list[str]:
        """Add what the engine does not know of to its rollback and to the stack's events.

        Args:
            failed: The logical id of the resource whose failure the engine has reported already.

        Returns:
            The logical ids of those that have to be deleted, in the order in which they were begun.
        """
        kept = []
        for leftover in self.creates.leftovers():
            if leftover.resource.logical_id != failed:
                self._report(leftover)
            if leftover.physical_id is not None:
                self._keep(leftover)
                kept.append(leftover.resource.logical_id)
        return kept

    def _keep(self, leftover: Leftover) -> None:
        _stacks[self._stack_name]["_resources"][leftover.resource.logical_id] = {
            "PhysicalResourceId": leftover.physical_id,
            "ResourceType": leftover.resource.type,
            "ResourceStatus": _status(leftover),
            "LogicalResourceId": leftover.resource.logical_id,
            "Properties": leftover.properties,
            "Attributes": {},
            "Timestamp": now_iso(),
        }

    def _report(self, leftover: Leftover) -> None:
        resource = leftover.resource
        for status, reason in (("CREATE_IN_PROGRESS", ""), (_status(leftover), leftover.problem or "")):
            stacks._add_event(self.stack_id, self._stack_name, resource.logical_id, resource.type, status, reason)

    def _ready(self) -> Iterator[tuple[CustomResource, Properties]]:
        """The custom resources that do not exist yet and depend on nothing that does not exist yet.

        None during an update: what exists then may still be waiting for its own update.
        """
        if self._is_update:
            return
        existing = _stacks[self._stack_name]["_resources"]
        definitions = self._template["Resources"]
        conditions = engine._evaluate_conditions(self._template, self._parameters)
        for logical_id, definition in definitions.items():
            if (
                definition["Type"].startswith(CUSTOM)
                and logical_id not in existing
                and conditions.get(definition.get("Condition"), True)
                and engine._extract_deps(definition, set(definitions)) <= set(existing)
            ):
                resource = CustomResource(self._stack_name, self.stack_id, logical_id, definition["Type"])
                yield resource, strings(self._resolve(definition["Properties"], conditions))

    def _resolve(self, properties: object, conditions: Mapping[str, bool]) -> dict[str, Any]:
        """As the engine does it for the resource that it has come to."""
        resolved = engine._resolve_refs(
            copy.deepcopy(properties),
            _stacks[self._stack_name]["_resources"],
            self._parameters,
            conditions,
            self._template.get("Mappings", {}),
            self._stack_name,
            self.stack_id,
        )
        present = {key: value for key, value in resolved.items() if value is not engine._NO_VALUE}
        values: dict[str, Any] = engine._resolve_dynamic_references(present)[0]
        return values


running: contextvars.ContextVar[StackOperation | None] = contextvars.ContextVar("running", default=None)


def strings(properties: Properties) -> Properties:
    """The properties as a custom resource gets them: every scalar is a string."""
    values: Properties = custom_resource._normalise_resource_properties(properties)
    return values


def _status(leftover: Leftover) -> str:
    return "CREATE_FAILED" if leftover.problem else "CREATE_COMPLETE"
