"""`make local-delete`: deletes a stack of the local environment."""

import os

from rich.text import Text

from local.activity_view import ActivityView, reason_of
from local.console import Problem, console
from local.environment import PROVIDER_STACK, check_is_not_the_provider, running
from local.ways_out import ways_out


def main() -> int:
    """Delete the stack that the variable STACK names.

    Returns:
        0 when it is gone, 1 when it could not be deleted.
    """
    name = os.environ.get("STACK", "")
    if not name:
        raise Problem("usage: make local-delete STACK=name", status=2)
    check_is_not_the_provider(name)
    environment = running()
    cloudformation = environment.cloudformation()
    if cloudformation.find(name) is None:
        names = ", ".join(stack.name for stack in cloudformation.stacks() if stack.name != PROVIDER_STACK)
        raise Problem(f"there is no stack {name}: {f'there is {names}' if names else 'nothing is deployed'}", status=2)
    out = console()
    seen = len(cloudformation.activity.entries())
    with (
        out.status(f"Deleting {name}"),
        ActivityView(out, cloudformation.activity, region=cloudformation.region, stack=name),
    ):
        stack = cloudformation.delete_stack(name, timeout=3600)
    out.print()
    if stack.status == "DELETE_COMPLETE":
        out.print(Text.assemble(("✓ ", "green"), f"{name} is deleted"), soft_wrap=True)
        return 0
    failures = [
        f"{entry['LogicalResourceId']}: {reason_of(entry)}"
        for entry in cloudformation.activity.entries(after=seen)
        if entry["kind"] == "stack_event" and entry["ResourceStatus"] == "DELETE_FAILED" and entry["StackName"] == name
    ]
    retain = [
        f"To retain it: {command} (after {environment.prepare})"
        for verb, command in ways_out(stack)
        if verb == "retain"
    ]
    raise Problem(" ".join([f"✗ {name} is {stack.status}.", *failures[:1], *retain]))
