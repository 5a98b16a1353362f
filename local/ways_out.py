"""What to run next when a stack's state allows no deployment, as in docs/operating.md."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

from local.cloudformation import CloudFormation, Stack
from local.console import Problem

_FAILED = re.compile(r"\[(.+)\]")  # in the stack's reason: The following resource(s) failed to update: [A, B].


def check_takes_a_deployment(stack: Stack, *, prepare: str) -> None:
    """Check that a stack can be updated.

    Args:
        stack: The stack as it is.
        prepare: The command after which `aws` reaches the local environment.

    Raises:
        Problem: It cannot; the text has the commands that lead out of its state.
    """
    commands = [command for _, command in ways_out(stack)]
    if not commands:
        return
    if stack.status == "UPDATE_ROLLBACK_FAILED":
        todo = "continue its rollback first, as on AWS: {}; or skip what cannot be rolled back: {}"
    elif stack.status == "DELETE_FAILED":
        todo = "delete it first, as on AWS: {}; or retain what cannot be deleted: {}"
    else:
        todo = "delete it first, as on AWS: {}"
    after = f" (after {prepare})" if len(commands) > 1 else ""
    raise Problem(f"{stack.name} is {stack.status}: {todo.format(*commands)}{after}", status=2)


def ways_out(stack: Stack) -> list[tuple[str, str]]:
    """The commands that lead out of a stack's state, each after a verb; none when the stack can be updated."""
    delete = ("delete", f"make local-delete STACK={stack.name}")
    match stack.status:
        case "UPDATE_ROLLBACK_FAILED":
            command = f"aws cloudformation continue-update-rollback --stack-name {stack.name}"
            return [("continue", command), ("skip", f"{command} --resources-to-skip {_failed(stack)}")]
        case "DELETE_FAILED":
            command = f"aws cloudformation delete-stack --stack-name {stack.name}"
            return [delete, ("retain", f"{command} --retain-resources {_failed(stack)}")]
        case "ROLLBACK_COMPLETE" | "ROLLBACK_FAILED":
            return [delete]
    return []


@contextmanager
def reports_what_goes_on(cloudformation: CloudFormation, name: str, *, prepare: str) -> Iterator[None]:
    """Report after Ctrl-C that a stack's operation continues, if it does.

    Args:
        cloudformation: The environment's.
        name: The stack.
        prepare: The command after which `aws` reaches the local environment.

    Raises:
        Problem: It continues; the text has the command that shows how it ends.
    """
    try:
        yield
    except KeyboardInterrupt:
        stack = cloudformation.find(name)
        if stack is None or stack.status == "REVIEW_IN_PROGRESS" or not stack.status.endswith("_IN_PROGRESS"):
            raise
        raise Problem(
            f"{name} is still {stack.status}: CloudFormation continues, as on AWS. `make local` shows it, and so does "
            f"aws cloudformation describe-stack-events --stack-name {name} (after {prepare})",
            status=130,
        ) from None


def _failed(stack: Stack) -> str:
    found = _FAILED.search(stack.reason)
    return found[1].replace(",", "") if found else "LOGICAL_ID"
