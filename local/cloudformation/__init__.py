"""CloudFormation on this machine: ministack's stacks, and custom resources as AWS handles them.

`CloudFormation` is what a test or the demo uses. It starts `ministack_patches.py` in ministack's own environment, where

* `ministack_patches` replaces parts of ministack by the other modules, and says which and why,
* `custom_resources` sends the requests and waits for the responses,
* `response_validation` validates a response,
* `lambda_functions` runs the functions under AWS's runtime,
* `parallel_creates` creates independent custom resources at the same time,
* `activity_log` records all of it for `CloudFormation.activity`.
"""

from local.cloudformation.activity_log import CustomResourceRequest
from local.cloudformation.emulator import CloudFormation, Stack, StackEvent
from local.cloudformation.ministack_process import CloudFormationError

__all__ = ["CloudFormation", "CloudFormationError", "CustomResourceRequest", "Stack", "StackEvent"]
