"""CloudFormation as its users reach it: stacks through AWS's own tools, at the emulator's endpoint."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from local.activity_log import ActivityLog
from local.cloudformation import sam_deploy

_BUCKET = "deployments"
_POLL_SECONDS = 0.02


@dataclass(frozen=True)
class Stack:
    """A stack as DescribeStacks returns it."""

    name: str
    id: str
    status: str
    reason: str
    outputs: Mapping[str, str]
    parameters: Mapping[str, str]


@dataclass(frozen=True)
class StackEvent:
    """An event of a stack as DescribeStackEvents returns it; `at` in seconds since the epoch."""

    at: float
    logical_id: str
    physical_id: str
    type: str
    status: str
    reason: str


class CloudFormation:
    """Creates, updates, deletes and describes stacks.

    Args:
        endpoint: The endpoint of every service.
        region: The Region of every stack.
        ca: The certificate authority of the endpoint.
        directory: The emulator's directory, with its logs.

    Attributes:
        endpoint: As above.
        region: As above.
        directory: As above.
        activity: Every stack event, and every custom resource request with what happened to it.
    """

    def __init__(self, *, endpoint: str, region: str, ca: Path, directory: Path) -> None:
        self.endpoint = endpoint
        self.region = region
        self.activity = ActivityLog(directory / "activity.jsonl")
        self.directory = directory
        self._ca = ca.resolve()
        self._clients: dict[str, Any] = {}

    def close(self) -> None:
        """Close the connections."""
        for client in self._clients.values():
            client.close()
        self._clients.clear()

    @property
    def log(self) -> str:
        """What ministack logged so far."""
        return (self.directory / "ministack.log").read_text(encoding="utf-8", errors="replace")

    def create_deployment_bucket(self) -> None:
        """Create the bucket that `deploy` uploads to."""
        elsewhere = {"CreateBucketConfiguration": {"LocationConstraint": self.region}}
        self.client("s3").create_bucket(Bucket=_BUCKET, **({} if self.region == "us-east-1" else elsewhere))

    def environment(self) -> dict[str, str]:
        """The variables with which `sam`, the AWS CLI and boto3 come here and nowhere else."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_CA_BUNDLE": str(self._ca),
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_REGION": self.region,
            "AWS_DEFAULT_REGION": self.region,
            "AWS_EC2_METADATA_DISABLED": "true",
            "SAM_CLI_TELEMETRY": "0",
            "SAM_CLI_POLL_DELAY": "0.3",
        }

    def client(self, service: str) -> Any:
        """A botocore client of a service, the same one every time."""
        import botocore.session  # ministack's process comes by this module and needs no client

        if service not in self._clients:
            # Not the caller's profile, which need not exist where it is looked for.
            session = botocore.session.Session(session_vars={"profile": (None, None, None, None)})
            self._clients[service] = session.create_client(
                service,
                region_name=self.region,
                endpoint_url=self.endpoint,
                verify=str(self._ca),
                aws_access_key_id="test",
                aws_secret_access_key="test",  # noqa: S106 - ministack takes any
            )
        return self._clients[service]

    def deploy(
        self,
        template: Path,
        *,
        stack_name: str,
        parameters: Mapping[str, str] | None = None,
        timeout: float | None = 180,
    ) -> Stack:
        """Create or update a stack with `sam deploy`.

        Args:
            template: The built template, or one that needs no build.
            stack_name: The stack.
            parameters: Parameters that differ from their defaults.
            timeout: Seconds until it is given up, None for never.

        Raises:
            CloudFormationError: It failed; a stack that was rolled back is a failure too.
        """
        sam_deploy.deploy(
            template,
            stack_name=stack_name,
            parameters=parameters or {},
            bucket=_BUCKET,
            environment=self.environment(),
            timeout=timeout,
        )
        return self.stack(stack_name)

    def create_stack(
        self, name: str, template: str, *, parameters: Mapping[str, str] | None = None, timeout: float = 60
    ) -> Stack:
        """Create a stack of a template's text and wait until it is created or rolled back.

        Raises:
            TimeoutError: It is still in progress after `timeout` seconds.
        """
        self._operate("create_stack", name, template=template, parameters=parameters)
        return self._settled(name, timeout=timeout)

    def update_stack(
        self, name: str, template: str, *, parameters: Mapping[str, str] | None = None, timeout: float = 60
    ) -> Stack:
        """Update a stack with a template's text and wait until it is updated or rolled back.

        Raises:
            TimeoutError: It is still in progress after `timeout` seconds.
        """
        self._operate("update_stack", name, template=template, parameters=parameters)
        return self._settled(name, timeout=timeout)

    def delete_stack(self, name: str, *, timeout: float = 60) -> Stack:
        """Delete a stack and wait until it is gone or cannot be deleted.

        Raises:
            TimeoutError: It is still in progress after `timeout` seconds.
        """
        stack_id = self.stack(name).id  # by its name a deleted stack is not found
        self.client("cloudformation").delete_stack(StackName=name)
        return self._settled(stack_id, timeout=timeout)

    def stack(self, name: str) -> Stack:
        """The stack of this name or id as it is now."""
        (found,) = self.client("cloudformation").describe_stacks(StackName=name)["Stacks"]
        return _stack(found)

    def find(self, name: str) -> Stack | None:
        """The stack of this name as it is now, None when there is none."""
        return next((stack for stack in self.stacks() if stack.name == name), None)

    def stacks(self) -> list[Stack]:
        """Every stack that is not deleted."""
        pages = self.client("cloudformation").get_paginator("describe_stacks").paginate()
        return [_stack(found) for page in pages for found in page["Stacks"]]

    def events(self, name: str) -> list[StackEvent]:
        """The events of the stack of this name or id, the oldest first."""
        found = self.client("cloudformation").describe_stack_events(StackName=name)["StackEvents"]
        return [
            StackEvent(
                at=event["Timestamp"].timestamp(),
                logical_id=event["LogicalResourceId"],
                physical_id=event.get("PhysicalResourceId", ""),
                type=event["ResourceType"],
                status=event["ResourceStatus"],
                reason=event.get("ResourceStatusReason", ""),
            )
            for event in reversed(found)
        ]

    def function_log(self, log_group: str) -> str:
        """What functions wrote to a log group so far, an invocation's lines together."""
        found = self.client("logs").filter_log_events(logGroupName=log_group)["events"]
        return "\n".join(event["message"] for event in found)

    def wait(self, condition: Callable[[], bool], *, timeout: float) -> None:
        """Wait until `condition` holds, e.g. until the activity log shows something.

        Raises:
            TimeoutError: It does not hold after `timeout` seconds.
        """
        deadline = time.monotonic() + timeout
        while not condition():
            if time.monotonic() > deadline:
                raise TimeoutError(f"still waiting after {timeout} s; ministack's log:\n{self.log}")
            time.sleep(_POLL_SECONDS)

    def _operate(self, operation: str, name: str, *, template: str, parameters: Mapping[str, str] | None) -> None:
        getattr(self.client("cloudformation"), operation)(
            StackName=name,
            TemplateBody=template,
            Parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in (parameters or {}).items()],
            Capabilities=["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"],
        )

    def _settled(self, name: str, *, timeout: float) -> Stack:
        self.wait(lambda: not self.stack(name).status.endswith("IN_PROGRESS"), timeout=timeout)
        return self.stack(name)


def _stack(found: Mapping[str, Any]) -> Stack:
    outputs = {each["OutputKey"]: each["OutputValue"] for each in found.get("Outputs", [])}
    parameters = {each["ParameterKey"]: each["ParameterValue"] for each in found.get("Parameters", [])}
    return Stack(
        name=found["StackName"],
        id=found["StackId"],
        status=found["StackStatus"],
        reason=found.get("StackStatusReason", ""),
        outputs=outputs,
        parameters=parameters,
    )
