"""CloudFormation on this machine: ministack's stacks, and custom resources as AWS runs them.

`CloudFormation` is what a test or the demo uses. It starts `contract.py` in ministack's own environment, where

* `contract` puts the other modules in the place of parts of ministack, and says which and why,
* `custom_resource` sends the requests and waits for the answers,
* `verdict` judges an answer,
* `functions` runs the function under AWS's runtime,
* `creates` creates independent custom resources at the same time,
* `record` notes all of it for `CloudFormation.record`.
"""

from local.cloudformation.process import CloudFormationError
from local.cloudformation.record import CustomResourceRequest
from local.cloudformation.service import CloudFormation, Stack, StackEvent

__all__ = ["CloudFormation", "CloudFormationError", "CustomResourceRequest", "Stack", "StackEvent"]
