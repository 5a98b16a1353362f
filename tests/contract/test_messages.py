"""Every message of docs/troubleshooting.md is provoked and compared with the Reason that CloudFormation gets."""

import socket
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from unittest.mock import patch

import boto3
import pytest
from botocore.config import Config

from ingestion_destination.ownership import CLAIM
from ingestion_destination.startup_failure import StartupFailure
from local.appfabric import Call, Fault, Outcome
from local.appfabric.model import errors_of, service_model
from tests.support.custom_resource import Context, CustomResource, Mailbox, ReceivedResponse
from tests.support.properties import (
    BUNDLE,
    INGESTION,
    OTHER_INGESTION,
    processing,
    properties,
    to_bucket,
    to_stream,
)
from tests.support.troubleshooting import CODES, explanations, is_explained, messages, mistakes

EXISTING = f"{INGESTION}/ingestiondestination/44444444-4444-4444-8444-444444444444"
IN_OTHER_APP_BUNDLE = INGESTION.replace("11111111", "99999999")
KEYS = {"aws_access_key_id": "AKIDEXAMPLE", "aws_secret_access_key": "example"}
Provocation = Callable[[CustomResource], ReceivedResponse]


def elsewhere(arn: str) -> str:
    """Return the same ARN in another Region."""
    return arn.replace("us-east-1", "eu-west-1")


# How a message is provoked: by an event, and by what AppFabric has or does


def create(*injected: Fault | Outcome, **changed: Any) -> Provocation:
    """A Create with some properties changed (None: absent), while faults are injected into AppFabric."""

    def provoke(resource: CustomResource) -> ReceivedResponse:
        for each in injected:
            resource.appfabric.inject(each)
        return resource.create(properties(**changed))

    return provoke


def update(*injected: Fault | Outcome, id: str | None = None, **changed: Any) -> Provocation:
    """An Update of an id, else of a destination that this resource created."""

    def provoke(resource: CustomResource) -> ReceivedResponse:
        current = id or resource.create().id
        for each in injected:
            resource.appfabric.inject(each)
        return resource.update(current, properties(**changed))

    return provoke


def adopt(tags: dict[str, str], **changed: Any) -> Provocation:
    """A Create that adopts a destination with these tags."""

    def provoke(resource: CustomResource) -> ReceivedResponse:
        resource.place(EXISTING, tags=tags)
        return resource.create(properties(AdoptArn=EXISTING, **changed))

    return provoke


def error(code: str, operation: str = "CreateIngestionDestination", **fault: Any) -> Fault:
    """An error of AppFabric's, however often the function retries."""
    return Fault(operation=operation, error=code, times=999, **fault)


def on(event: str, act: Callable[..., Any]) -> Provocation:
    """A Create that calls `act` at an event of botocore's."""

    def provoke(resource: CustomResource) -> ReceivedResponse:
        resource.provider.client().meta.events.register(f"{event}.appfabric", act)
        return resource.create()

    return provoke


def connecting_from(region: str, **credentials: str) -> Provocation:
    """A Create by a function in some Region that cannot resolve any host name."""

    def provoke(resource: CustomResource) -> ReceivedResponse:
        config = Config(retries={"total_max_attempts": 1})
        client = boto3.client("appfabric", region_name=region, config=config, **credentials)  # type: ignore[call-overload]
        resource.provider = replace(resource.provider, client=lambda: client)
        with patch("socket.getaddrinfo", side_effect=socket.gaierror("unknown host")):
            return resource.create()

    return provoke


def delivered_after(seconds: float, **changed: Any) -> Provocation:
    """A Create that Lambda delivers late."""

    def provoke(resource: CustomResource) -> ReceivedResponse:
        event = resource.event("Create", ResourceProperties=properties(**changed))
        resource.time.sleep(seconds)
        return resource.send(event)

    return provoke


def superseded_create(resource: CustomResource) -> ReceivedResponse:
    """Lambda retries a Create after a later one."""
    event = resource.event("Create")
    resource.time.sleep(60)
    resource.create()
    return resource.send(event)


def superseded_update(resource: CustomResource) -> ReceivedResponse:
    """Lambda retries an Update after a later one."""
    current = resource.create().id
    resource.time.sleep(600)
    moved = {"ResourceProperties": properties(DestinationConfiguration=to_bucket("first"))}
    event = resource.event("Update", PhysicalResourceId=current, OldResourceProperties=properties(), **moved)
    resource.time.sleep(60)
    resource.update(current, properties(DestinationConfiguration=to_bucket("second")))
    return resource.send(event)


def untagged_meanwhile(resource: CustomResource) -> ReceivedResponse:
    arn = resource.create().id
    resource.time.sleep(60)

    def untag(call: Call) -> None:
        if call.operation == "ListTagsForResource":
            resource.appfabric.destinations[arn].tags = {}

    resource.appfabric.subscribe(untag)
    return resource.update(arn, properties(AdoptArn=arn), properties())


def update_of_another_owner(resource: CustomResource) -> ReceivedResponse:
    arn = resource.create().id
    resource.logical_id = "Other"
    return resource.update(arn, properties())


def simultaneous_adoption(resource: CustomResource) -> ReceivedResponse:
    """Another resource claims the destination just after this one did."""

    def claim(call: Call) -> None:
        if call.operation == "TagResource":
            resource.appfabric.destinations[EXISTING].tags[f"{CLAIM}other"] = "x"

    resource.appfabric.subscribe(claim)
    return adopt({})(resource)


def deleted_while_pending(resource: CustomResource) -> ReceivedResponse:
    def disappear(_call: object) -> None:
        if resource.calls("GetIngestionDestination"):
            resource.appfabric.destinations.clear()

    resource.appfabric.subscribe(disappear)
    return create(Outcome(operation="CreateIngestionDestination", pending_gets=99))(resource)


def stuck_call(resource: CustomResource) -> ReceivedResponse:
    """A call that is not interrupted and ends only after the watchdog's response."""
    responded = threading.Event()

    class Signaling(Mailbox):
        def put(self, address: str, body: bytes, *, ends: float) -> None:
            super().put(address, body, ends=ends)
            responded.set()

    resource.timeout = 0.2
    resource.mailbox = Signaling(resource.time)
    resource.cold_start()
    resource.appfabric.subscribe(lambda _: responded.wait(60))
    return resource.create()


def startup_failure(resource: CustomResource) -> ReceivedResponse:
    event = resource.event("Create")
    handler = StartupFailure(
        ModuleNotFoundError("No module named 'boto3'"),
        delivery=resource.mailbox,  # type: ignore[arg-type]
        clock=resource.time.as_clock(),
    )
    handler(event, Context(resource.time, 300))
    return resource.read(event, resource.mailbox.received[-1], 0)


def exits(**_: Any) -> None:
    raise SystemExit


def fails(**_: Any) -> None:
    raise ValueError("s3cr3t")


# The rows of the page in order, each with what provokes it.
PROVOCATIONS: dict[str, Provocation] = {
    # Invalid properties
    "… is required": create(ProcessingConfiguration=None),
    "… is unknown, did you mean …?": create(Tag=[]),
    "… is unknown": create(Prefix="saas"),
    "… exactly one of … (has …)": create(DestinationConfiguration={"AuditLog": {"Destination": {}}}),
    "… must be one of …": create(ProcessingConfiguration=processing("OCSF", "json")),
    "… must be the ARN of an app bundle, …": create(AppBundleIdentifier=INGESTION),
    "… must be the ARN of an ingestion, …": create(IngestionIdentifier=BUNDLE),
    "… must be the bucket's name alone, …": create(DestinationConfiguration=to_bucket("s3://audit-logs")),
    "… must be the stream's name alone, …": create(DestinationConfiguration=to_stream("stream/audit-logs")),
    "AdoptArn must be the ARN of an ingestion destination": create(AdoptArn=INGESTION),
    "… must belong to the app bundle that … specifies": create(IngestionIdentifier=IN_OTHER_APP_BUNDLE),
    "… must be in the provider's Region, …": create(AppBundleIdentifier=elsewhere(BUNDLE)),
    "… must have … to … characters (has …)": create(DestinationConfiguration=to_bucket("ab")),
    "… must have at most … items (has …)": create(Tags=[{"Key": f"key-{i}", "Value": ""} for i in range(47)]),
    "… must be a string": create(IngestionIdentifier=[INGESTION]),
    "… must be an object": create(ProcessingConfiguration="ocsf"),
    "… must be a list": create(Tags={"team": "security"}),
    "….Key must not begin with aws:": create(Tags=[{"Key": "aws:x", "Value": ""}]),
    "….Key is reserved: the provider uses it to record ownership": create(Tags=[{"Key": f"{CLAIM}x", "Value": ""}]),
    "….Key is a duplicate of an earlier tag key": create(Tags=[{"Key": "team", "Value": "a"}] * 2),
    "… must be json when the destination is a FirehoseStream": create(
        DestinationConfiguration=to_stream("audit-logs"), ProcessingConfiguration=processing("ocsf", "parquet")
    ),
    "AdoptArn must belong to the ingestion that the properties specify": create(
        IngestionIdentifier=OTHER_INGESTION, AdoptArn=EXISTING
    ),
    # A destination cannot be adopted
    "InvalidRequest: AdoptArn: the destination does not exist": create(AdoptArn=EXISTING),
    "InvalidRequest: AdoptArn: the destination differs from the template in …: make the template match it, and change"
    " it in a later update": adopt({}, Tags=[{"Key": "team", "Value": "security"}]),
    "InvalidRequest: AdoptArn: the destination has … tags, and AppFabric allows 50: remove some, because adoption needs"
    " room for five more, one of them temporarily": adopt({f"key-{i}": "" for i in range(46)}),
    "ResourceConflict: AdoptArn: another resource is adopting this destination at the same time": simultaneous_adoption,
    "InvalidRequest: AdoptArn: the destination belongs to another resource. If that resource is gone, or has another"
    " destination by now: aws appfabric untag-resource --resource-arn … --tag-keys …": adopt({f"{CLAIM}other": "x"}),
    "InvalidRequest: AdoptArn: this resource has a destination, or had one; AdoptArn is for a new resource": update(
        AdoptArn=EXISTING
    ),
    # AppFabric rejects the call
    "AccessDeniedException: …": create(error("AccessDeniedException")),
    "ValidationException: …": create(error("ValidationException")),
    "ConflictException: …": create(error("ConflictException")),
    "ServiceQuotaExceededException: …": create(error("ServiceQuotaExceededException")),
    "ServiceQuotaExceededException: …. A renamed resource is created before the old one is deleted. …": create(
        error("ServiceQuotaExceededException")
    ),
    "ServiceQuotaExceededException: …. This change needs a replacement, which is created before the old destination is"
    " deleted. …": update(error("ServiceQuotaExceededException"), ProcessingConfiguration=processing("raw", "json")),
    "ResourceNotFoundException: …": update(
        error("ResourceNotFoundException", "UpdateIngestionDestination"),
        DestinationConfiguration=to_bucket("other"),
    ),
    "ThrottlingException: …": create(error("ThrottlingException")),
    "InternalServerException: …": create(error("InternalServerException")),
    "AccessDenied: … failed with HTTP 403…": create(error("403", http_status=403, message="Forbidden")),
    "Throttling: … failed with HTTP 429…": create(error("429", http_status=429)),
    "NetworkFailure: … failed with HTTP 408…": create(error("408", http_status=408)),
    "ServiceInternalError: … failed with HTTP …": create(error("502", http_status=502)),
    "GeneralServiceException: … failed with HTTP …": create(error("405", http_status=405)),
    # The destination does not become Active
    "NotStabilized: the destination is Failed: …": create(
        Outcome(operation="CreateIngestionDestination", status="Failed", status_reason="The bucket is full.")
    ),
    "NotStabilized: timed out waiting for the destination to become Active": create(
        Outcome(operation="CreateIngestionDestination", pending_gets=999)
    ),
    "NotFound: the destination was deleted before it became Active": deleted_while_pending,
    "NotStabilized: no time was left to call …": delivered_after(61, ServiceTimeout="120"),
    "NotStabilized: timed out before the request was completed": stuck_call,
    "NotStabilized: the request expired before it was received": delivered_after(721),
    # AppFabric cannot be reached
    "NetworkFailure: cannot resolve AppFabric's endpoint in …; AppFabric is available in … only": connecting_from(
        "eu-central-1", **KEYS
    ),
    "NetworkFailure: cannot resolve AppFabric's endpoint in …: check the DNS of the function's VPC, the variable"
    " AWS_USE_FIPS_ENDPOINT and the provider's parameter AppFabricEndpointUrl": connecting_from("us-east-1", **KEYS),
    "NetworkFailure: no response to … (…)": create(Fault(cut=True, times=999)),
    # The provider is broken or misconfigured
    "InternalFailure: the function cannot start: …": startup_failure,
    "InternalFailure: … could not be called: …": connecting_from("us-east-1"),
    "InternalFailure: …: see the function's log for the stack trace": on("before-call", exits),
    "InternalFailure: … failed with …": on("before-call", fails),
    "ServiceInternalError: the response to … cannot be read": on(
        "after-call", lambda parsed, **_: parsed.update(ingestionDestination={})
    ),
    "InvalidRequest: RequestType must be one of …": lambda resource: resource.send(resource.event("Read")),
    # Another ID, owner or request
    "InvalidRequest: PhysicalResourceId is not an ingestion destination in this Region": update(id=elsewhere(EXISTING)),
    "InvalidRequest: PhysicalResourceId is not an ingestion destination ARN": update(id="made-by-another-provider"),
    "InvalidRequest: the destination's tags name another owner: resource … in stack …": update_of_another_owner,
    "ResourceConflict: the destination was updated after this request was made, by an earlier invocation that failed or"
    " by a later request; nothing was changed": superseded_update,
    "ResourceConflict: the destination's ownership tags have changed": untagged_meanwhile,
    "ResourceConflict: superseded by a later request: CloudFormation canceled this one, or it arrived late": (
        superseded_create
    ),
}


@pytest.mark.parametrize("message", PROVOCATIONS, ids=lambda message: message.replace("…", "..."))
def test_cloudformation_gets_every_message_of_the_page(resource: CustomResource, message: str) -> None:
    response = PROVOCATIONS[message](resource)
    assert response.status == "FAILED"
    assert message in explanations(response.reason), response.reason
    code = "InvalidRequest" if message in mistakes() else message.partition(": ")[0]
    assert response.reason.startswith(f"{code}: ")


def test_the_page_lists_exactly_these_messages() -> None:
    assert messages().keys() == PROVOCATIONS.keys()


def test_the_page_lists_every_error_of_appfabrics_service_model() -> None:
    errors = {error for operation in service_model().operation_names for error in errors_of(operation)}
    assert {f"{error}: …" for error in errors} <= messages().keys()


def test_every_message_begins_with_an_error_code() -> None:
    errors = {error.name for error in service_model().error_shapes}
    assert {message.partition(": ")[0] for message in messages().keys() - mistakes()} <= CODES | errors


@pytest.mark.parametrize(
    "reason",
    [
        "InvalidRequest: Tags must be nice",
        "InvalidRequest: Tags must be a list; Tags are too many",
        "InternalFailure: it did not work",
        "NotStabilized: the destination is Failed",
        "no code",
    ],
)
def test_a_reason_that_the_page_does_not_list_is_not_explained(reason: str) -> None:
    assert not is_explained(reason)
