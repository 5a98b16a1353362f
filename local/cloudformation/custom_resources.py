"""A custom resource request as CloudFormation makes it, from the event to the validated response.

https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/crpg-ref-requests.html
"""

import secrets
import string
import urllib.parse
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from local.activity_log import ActivityLog
from local.certificates import Certificates
from local.cloudformation.response_validation import Result, validate
from local.response_receiver import ResponseFault, ResponseReceiver

_SERVICE_TIMEOUT = 3600  # seconds, where the resource has none


@dataclass(frozen=True)
class CustomResource:
    """The resource that a request is about.

    Attributes:
        stack_name: The stack's name.
        stack_id: The stack's ARN.
        logical_id: The resource's name in the template.
        type: `Custom::...` or `AWS::CloudFormation::CustomResource`.
    """

    stack_name: str
    stack_id: str
    logical_id: str
    type: str

    def made_up_id(self) -> str:
        """A PhysicalResourceId of CloudFormation's own, for a resource whose real one it never got."""
        suffix = "".join(secrets.choice(string.ascii_uppercase + string.digits) for _ in range(12))
        return f"{self.stack_name}-{self.logical_id}-{suffix}"


class RequestFailed(RuntimeError):
    """A request ended in failure; the text is the reason in the stack's event.

    Attributes:
        physical_resource_id: What a Delete of the resource has to name: the response's id, or a made-up one.
    """

    def __init__(self, problem: str, *, physical_resource_id: str) -> None:
        super().__init__(problem)
        self.physical_resource_id = physical_resource_id


class LoggingReceiver(ResponseReceiver):
    """Receives responses, and writes whatever arrives to the activity log."""

    def __init__(self, certificates: Certificates, *, activity: ActivityLog) -> None:
        super().__init__(certificates)
        self._activity = activity

    def receive(
        self, *, method: str, target: str, headers: tuple[tuple[str, str], ...], body: bytes
    ) -> int | ResponseFault:
        """Record one request and return its outcome. Called by the server."""
        outcome = super().receive(method=method, target=target, headers=headers, body=body)
        request_id = urllib.parse.unquote(urllib.parse.urlsplit(target).path).rpartition("|")[2]
        text = body.decode(errors="replace")
        self._activity.write("response", request_id=request_id, method=method, body=text, status=outcome)
        return outcome


class CustomResources:
    """Sends requests and waits for their responses.

    Args:
        receiver: Where the responses arrive.
        activity: Where all of it is logged.
        invoke: Hands an event to the function behind a ServiceToken, without waiting for it.
    """

    def __init__(
        self, *, receiver: ResponseReceiver, activity: ActivityLog, invoke: Callable[[str, Mapping[str, Any]], None]
    ) -> None:
        self._receiver = receiver
        self._activity = activity
        self._invoke = invoke

    def request(
        self,
        request_type: str,
        resource: CustomResource,
        *,
        properties: Mapping[str, Any],
        physical_id: str | None = None,
        old_properties: Mapping[str, Any] | None = None,
    ) -> tuple[str, dict[str, Any]]:
        """Send one request and wait for its response, as long as ServiceTimeout says.

        Args:
            request_type: Create, Update or Delete.
            resource: What it is about.
            properties: ResourceProperties, every scalar a string.
            physical_id: For Update and Delete only.
            old_properties: For Update only.

        Returns:
            The PhysicalResourceId and the attributes.

        Raises:
            RequestFailed: The response was FAILED, invalid or too late.
            RuntimeError: It was not even sent: the properties that are CloudFormation's own are wrong.
        """
        _check(properties)
        request_id = str(uuid.uuid4())
        response_url = self._receiver.response_url(
            stack_id=resource.stack_id, logical_id=resource.logical_id, request_id=request_id
        )
        event = {
            "RequestType": request_type,
            "ServiceToken": properties["ServiceToken"],
            "ResponseURL": response_url,
            "StackId": resource.stack_id,
            "RequestId": request_id,
            "LogicalResourceId": resource.logical_id,
            **({} if physical_id is None else {"PhysicalResourceId": physical_id}),
            "ResourceType": resource.type,
            "ResourceProperties": properties,
            **({} if old_properties is None else {"OldResourceProperties": old_properties}),
        }
        self._activity.write("request", request_id=request_id, event=event)
        self._invoke(properties["ServiceToken"], event)
        result = self._result(event, seconds=int(properties.get("ServiceTimeout", _SERVICE_TIMEOUT)))
        settled_id = result.physical_resource_id or physical_id or resource.made_up_id()
        self._activity.write("outcome", request_id=request_id, problem=result.problem, physical_resource_id=settled_id)
        if result.problem:
            raise RequestFailed(result.problem, physical_resource_id=settled_id)
        return settled_id, dict(result.data)

    def _result(self, event: Mapping[str, Any], *, seconds: int) -> Result:
        try:
            # The first response counts: the object is read once.
            response = self._receiver.wait(event["ResponseURL"], timeout=seconds)
        except TimeoutError:
            return Result(
                problem="CloudFormation did not receive a response from your Custom Resource. "
                f"Please check your logs for requestId [{event['RequestId']}]."
            )
        return validate(event=event, body=response.body)


def _check(properties: Mapping[str, Any]) -> None:
    """https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-cloudformation-customresource.html."""
    if not properties.get("ServiceToken"):
        raise RuntimeError("Property ServiceToken is required")
    timeout = str(properties.get("ServiceTimeout", _SERVICE_TIMEOUT))
    if not timeout.isdecimal() or not 1 <= int(timeout) <= _SERVICE_TIMEOUT:
        raise RuntimeError(f"Property ServiceTimeout must be a number of seconds from 1 to {_SERVICE_TIMEOUT}")
