"""CloudFormation on this machine: ministack's stacks, and custom resources as AWS handles them.

`emulate` starts `ministack_patches.py` in ministack's own environment and returns a `CloudFormation`, the client. There

* `ministack_patches` replaces parts of ministack by the other modules, and says which and why,
* `custom_resources` sends the requests and waits for the responses,
* `response_validation` validates a response,
* `lambda_functions` runs the functions under AWS's runtime,
* `parallel_creates` creates independent custom resources at the same time.

All of it is written to `CloudFormation.activity`.
"""

from local.activity_log import CustomResourceRequest
from local.cloudformation.client import CloudFormation, Stack, StackEvent
from local.cloudformation.emulator import emulate
from local.cloudformation.ministack_process import CloudFormationError

__all__ = ["CloudFormation", "CloudFormationError", "CustomResourceRequest", "Stack", "StackEvent", "emulate"]
