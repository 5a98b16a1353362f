"""`make local-logs`: the log of the provider function in the local environment."""

from local.environment import PROVIDER_STACK, running


def main() -> int:
    """Print the log so far."""
    cloudformation = running().cloudformation()
    log = cloudformation.function_log(cloudformation.stack(PROVIDER_STACK).outputs["LogGroup"])
    print(log or "the function has logged nothing yet")
    return 0
