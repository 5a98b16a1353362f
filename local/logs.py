"""`make local-logs`: the log of a provider's function in the local environment."""

import os

from local.console import Problem
from local.environment import PROVIDER_STACK, running


def main() -> int:
    """Print the log so far of the provider that the variable STACK names, or else of `make local`'s own."""
    name = os.environ.get("STACK") or PROVIDER_STACK
    cloudformation = running().cloudformation()
    stack = cloudformation.find(name)
    if stack is None or "LogGroup" not in stack.outputs:
        raise Problem(f"there is no provider {name}: no stack of that name has the output LogGroup", status=2)
    log = cloudformation.function_log(stack.outputs["LogGroup"])
    print(log or "the function has logged nothing yet")
    return 0
