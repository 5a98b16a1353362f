"""The commands of the local environment: `python -m local COMMAND`, as the Makefile runs them."""

import importlib
import signal
import sys
from typing import NoReturn

COMMANDS = ("up", "deploy", "delete", "destinations", "logs", "demo", "invoke")


def main(arguments: list[str]) -> int:
    """Run one command.

    Returns:
        Its exit status: 0 when it succeeded, 1 when it failed, 2 when it cannot be done as asked, 130 when it was
        interrupted.
    """
    if len(arguments) != 1 or arguments[0] not in COMMANDS:
        print(f"usage: python -m local {{{','.join(COMMANDS)}}}", file=sys.stderr)
        return 2
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # nothing to clean up while modules are imported
    command = importlib.import_module(f"local.{arguments[0]}")
    from botocore.exceptions import ClientError, HTTPClientError

    from local.activity_log import Ended
    from local.cloudformation import CloudFormationError
    from local.console import Problem, fail
    from local.runtime import LambdaRuntimeError

    signal.signal(signal.SIGINT, _interrupt)
    try:
        status: int = command.main()
    except KeyboardInterrupt:
        return 130
    except Problem as problem:
        return fail(str(problem), status=problem.status)
    except (Ended, HTTPClientError):
        return fail("the local environment has ended", status=1)
    except (CloudFormationError, LambdaRuntimeError, ClientError) as error:
        return fail(str(error), status=1)
    return status


def _interrupt(*_: object) -> NoReturn:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a second Ctrl-C must not interrupt the clean-up
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
