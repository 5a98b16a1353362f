"""`make local-delete`: deletes a stack of the local environment."""

import os
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from typing import Any

from rich.text import Text

from local.activity_view import ActivityView, reason_of
from local.cloudformation import Stack
from local.console import Problem, console
from local.environment import PROVIDER_STACK, check_is_not_the_provider, running
from local.rehearsal import Rehearsal
from local.ways_out import reports_what_goes_on, ways_out


def main() -> int:
    """Delete the stack that the variable STACK names, or rehearse the failure that FAIL describes.

    Returns:
        0 when it is gone, or when its deletion failed as rehearsed.

    Raises:
        Problem: Its deletion failed, or succeeded although a failure was rehearsed.
    """
    name = os.environ.get("STACK", "")
    if not name:
        raise Problem("usage: make local-delete STACK=name [FAIL=…]", status=2)
    check_is_not_the_provider(name)
    rehearsal = Rehearsal.parse(fail) if (fail := os.environ.get("FAIL", "")) else None
    if rehearsal and rehearsal.operation.startswith(("Create", "Update")):
        raise Problem(f"a deletion does not call {rehearsal.operation}, so FAIL has nothing to rehearse", status=2)
    environment = running()
    cloudformation = environment.cloudformation()
    if cloudformation.find(name) is None:
        names = ", ".join(stack.name for stack in cloudformation.stacks() if stack.name != PROVIDER_STACK)
        raise Problem(f"there is no stack {name}: {f'there is {names}' if names else 'nothing is deployed'}", status=2)
    out = console()
    seen = len(cloudformation.activity.entries())
    with (
        out.status(f"Deleting {name}"),
        rehearsal.injected(environment.appfabric_endpoint) if rehearsal else nullcontext(),
        reports_what_goes_on(cloudformation, name, prepare=environment.prepare),
        ActivityView(out, cloudformation.activity, region=cloudformation.region, stack=name),
    ):
        stack = cloudformation.delete_stack(name, timeout=3600)
    out.print()
    entries = cloudformation.activity.entries(after=seen)
    if stack.status != "DELETE_COMPLETE":
        why = _why_it_failed(stack, entries, prepare=environment.prepare)
        if rehearsal is None:
            raise Problem(f"✗ {name} is {stack.status}. {why}")
        done = f"{name} is {stack.status}, as rehearsed. {why}"
    elif rehearsal:
        raise Problem(f"✗ {name} is deleted{rehearsal.why_without_effect(entries)}")
    else:
        done = f"{name} is deleted"
    out.print(Text.assemble(("✓ ", "green"), done), soft_wrap=True)
    return 0


def _why_it_failed(stack: Stack, entries: Sequence[Mapping[str, Any]], *, prepare: str) -> str:
    """The first failure of a deletion, and how to delete the stack without what failed."""
    failures = [
        f"{entry['LogicalResourceId']}: {reason_of(entry).removesuffix('.')}."
        for entry in entries
        if entry["kind"] == "stack_event"
        and entry["ResourceStatus"] == "DELETE_FAILED"
        and entry["StackName"] == stack.name
    ]
    retain = [f"To retain it: {command} (after {prepare})" for verb, command in ways_out(stack) if verb == "retain"]
    return " ".join([*failures[:1], *retain])
