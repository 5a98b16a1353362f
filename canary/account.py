"""The account: who the caller is, the canary's own stacks and destinations, and how all of them are deleted."""

import json
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from ingestion_destination.ownership import STACK_ID

PREFIX = "appfabric-ingestion-destination-canary"
DESTINATIONS, RECORDER, REQUESTS = PREFIX, f"{PREFIX}-recorder", f"{PREFIX}-requests"
# Consumers before what they need.
STACKS = (REQUESTS, RECORDER, DESTINATIONS)
TAG = {"Key": "canary", "Value": "appfabric-ingestion-destination"}
_STACK_SECONDS = 1800.0


class Refused(Exception):
    """The canary does not begin; the text says why and what to do."""


class StackFailed(Exception):
    """A stack of the canary's did not become what was expected; the text holds the reasons in its events."""


class Account:
    """One account in one Region, with the caller's own credentials.

    Args:
        account_id: The account that the caller means.
        ingestion: The ingestion's ARN.
        region: The Region, that of the ingestion.
        poll: Seconds between two looks at something that changes.
        patience: Seconds after which what does not change is given up.

    Attributes:
        foreign: The destinations that there were before: nothing is done to them.
        initial_state: The state of the ingestion before.
    """

    def __init__(self, *, account_id: str, ingestion: str, region: str, poll: float, patience: float) -> None:
        self.account_id, self.ingestion, self.region = account_id, ingestion, region
        self.bundle = ingestion.partition("/ingestion/")[0]
        self.poll, self.patience = poll, patience
        self.foreign: frozenset[str] = frozenset()
        self.initial_state = ""
        self._session = boto3.Session(region_name=region)
        self._clients: dict[str, Any] = {}

    def client(self, service: str) -> Any:
        """The boto3 client of a service."""
        if service not in self._clients:
            config = Config(retries={"mode": "standard", "total_max_attempts": 8})
            self._clients[service] = self._session.client(service, config=config)
        return self._clients[service]

    @property
    def appfabric(self) -> Any:
        """The client of AppFabric."""
        return self.client("appfabric")

    @property
    def parents(self) -> dict[str, str]:
        """The parameters that name the ingestion."""
        return {"appBundleIdentifier": self.bundle, "ingestionIdentifier": self.ingestion}

    def check(self, *, disposable: bool, provider: str) -> str:
        """Refuse what the canary is not for.

        Args:
            disposable: Whether the ingestion may be broken.
            provider: The stack of the deployed provider.

        Returns:
            The provider's ServiceToken.

        Raises:
            Refused: The credentials are of another account, the ingestion is in use, or there is no provider.
        """
        try:
            caller = self.client("sts").get_caller_identity()["Account"]
        except (BotoCoreError, ClientError) as error:
            raise Refused(f"no credentials that work: {error}") from None
        if caller != self.account_id:
            raise Refused(f"the credentials are of the account {caller}, not of ACCOUNT={self.account_id}")
        try:
            state = self.state()
        except (BotoCoreError, ClientError) as error:
            raise Refused(f"the ingestion cannot be read: {error}") from None
        self.initial_state = state
        if state != "disabled" and not disposable:
            raise Refused(
                f"the ingestion is {state}, and deleting a destination may break it: stop it, take another one, or give"
                " DISPOSABLE=1 if nobody needs it"
            )
        token = (self.stack(provider) or {}).get("outputs", {}).get("ServiceToken")
        if not token:
            raise Refused(f"there is no provider: deploy it as the stack {provider}, or name its stack with PROVIDER=")
        for name in STACKS:
            stack = self.stack(name)
            if stack and TAG not in stack["tags"]:
                raise Refused(f"the stack {name} is not of the canary: rename or delete it")
        return str(token)

    def state(self) -> str:
        """The state of the ingestion, enabled or disabled."""
        return str(self.appfabric.get_ingestion(**self.parents)["ingestion"]["state"])

    def start_or_stop(self, wanted: str) -> None:
        """Have the ingestion in this state, enabled or disabled."""
        if self.state() != wanted:
            change = self.appfabric.start_ingestion if wanted == "enabled" else self.appfabric.stop_ingestion
            change(**self.parents)

    # Destinations

    def listed(self) -> set[str]:
        """The ARNs that ListIngestionDestinations shows."""
        pages = self.appfabric.get_paginator("list_ingestion_destinations").paginate(**self.parents)
        return {each["arn"] for page in pages for each in page["ingestionDestinations"]}

    def own(self, arn: str) -> dict[str, str]:
        """The parameters that name a destination of the canary's own.

        Raises:
            AssertionError: It was there before the canary.
        """
        if arn in self.foreign:
            raise AssertionError("a destination that is not of the canary")
        return {**self.parents, "ingestionDestinationIdentifier": arn}

    def is_own(self, tags: Mapping[str, str]) -> bool:
        """Whether a destination with these tags was created by the canary's stack, or in its name."""
        return f":{self.region}:{self.account_id}:stack/{DESTINATIONS}/" in tags.get(STACK_ID, "")

    def get(self, arn: str) -> dict[str, Any] | None:
        """A destination as Get shows it, None when it does not find it."""
        try:
            found: dict[str, Any] = self.appfabric.get_ingestion_destination(
                **self.parents, ingestionDestinationIdentifier=arn
            )["ingestionDestination"]
        except self.appfabric.exceptions.ResourceNotFoundException:
            return None
        return found

    def tags(self, arn: str) -> dict[str, str] | None:
        """A destination's tags, None when it is not found."""
        try:
            found = self.appfabric.list_tags_for_resource(resourceArn=arn)["tags"]
        except self.appfabric.exceptions.ResourceNotFoundException:
            return None
        return {each["key"]: each["value"] for each in found}

    def seconds_until(self, condition: Callable[[], bool], *, patience: float | None = None) -> float | None:
        """Seconds until a condition holds, None when it does not within these seconds, or the canary's patience."""
        began = time.monotonic()
        while not condition():
            if time.monotonic() - began > (patience or self.patience):
                return None
            time.sleep(self.poll)
        return time.monotonic() - began

    # Stacks

    def stack(self, name: str) -> dict[str, Any] | None:
        """A stack's id, status, outputs and tags; None when there is none."""
        try:
            (found,) = self.client("cloudformation").describe_stacks(StackName=name)["Stacks"]
        except ClientError as error:
            if "does not exist" in str(error):
                return None
            raise
        if found["StackStatus"] == "DELETE_COMPLETE":
            return None
        return {
            "id": found["StackId"],
            "status": found["StackStatus"],
            "outputs": {each["OutputKey"]: each["OutputValue"] for each in found.get("Outputs", [])},
            "tags": found.get("Tags", []),
        }

    def begin(
        self,
        name: str,
        template: Mapping[str, Any],
        parameters: Mapping[str, str] | None = None,
        **options: Any,
    ) -> None:
        """Begin to create a stack of the canary's, or to update it."""
        cloudformation = self.client("cloudformation")
        change = cloudformation.update_stack if self.stack(name) else cloudformation.create_stack
        change(
            StackName=name,
            TemplateBody=json.dumps(template),
            Parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in (parameters or {}).items()],
            Capabilities=["CAPABILITY_IAM"],
            Tags=[TAG],
            **options,
        )

    def settled(self, name: str, *, meanwhile: Callable[[], None] = lambda: None) -> dict[str, Any] | None:
        """A stack when its operation has ended; None when it is gone.

        Raises:
            StackFailed: It has not ended after half an hour.
        """
        ends = time.monotonic() + _STACK_SECONDS
        while (stack := self.stack(name)) and stack["status"].endswith("IN_PROGRESS"):
            if time.monotonic() > ends:
                raise StackFailed(f"{name} is still {stack['status']}")
            meanwhile()
            time.sleep(self.poll)
        return stack

    def deploy(self, name: str, template: Mapping[str, Any], parameters: Mapping[str, str] | None = None) -> Any:
        """Create or update a stack of the canary's, and return its outputs.

        Raises:
            StackFailed: It was rolled back.
        """
        self.begin(name, template, parameters)
        return self.succeeded(name, self.settled(name))

    def succeeded(self, name: str, stack: Mapping[str, Any] | None) -> Any:
        """The outputs of a stack that was created or updated.

        Raises:
            StackFailed: It was not.
        """
        if stack is None or stack["status"] not in ("CREATE_COMPLETE", "UPDATE_COMPLETE"):
            raise StackFailed(self.reasons(name) or f"{name} is gone")
        return stack["outputs"]

    def reasons(self, name: str) -> str:
        """Why resources of a stack failed in the latest operation."""
        events = self.client("cloudformation").describe_stack_events(StackName=name)["StackEvents"]
        failed = [each for each in events if each["ResourceStatus"].endswith("_FAILED")]
        return "; ".join(each.get("ResourceStatusReason", "") for each in reversed(failed[:3]))

    # The end

    def clean_up(self) -> list[str]:
        """Delete the canary's stacks, and each destination that bears the tag of one; have the ingestion as it was.

        Returns:
            What could not be deleted, and why.
        """
        left = [problem for name in STACKS for problem in self._attempt(name, partial(self._delete, name))]
        for arn in self._attempt_listing(left):
            left += self._attempt(arn, partial(self._delete_own_destination, arn))
        left += self._attempt("the ingestion's state", partial(self.start_or_stop, self.initial_state))
        return left

    def _attempt(self, what: str, do: Callable[[], None]) -> Iterator[str]:
        try:
            do()
        except (BotoCoreError, ClientError, StackFailed) as error:
            yield f"{what}: {error}"

    def _attempt_listing(self, left: list[str]) -> list[str]:
        try:
            return sorted(self.listed() - self.foreign)
        except (BotoCoreError, ClientError) as error:
            left.append(f"destinations of {self.ingestion}: {error}")
            return []

    def _delete_own_destination(self, arn: str) -> None:
        if self.is_own(self.tags(arn) or {}):
            self.appfabric.delete_ingestion_destination(**self.own(arn))

    def _delete(self, name: str) -> None:
        stack = self.settled(name)
        if stack is None or TAG not in stack["tags"]:
            return
        if bucket := stack["outputs"].get("Bucket"):
            self._empty(bucket)
        self.client("cloudformation").delete_stack(StackName=stack["id"])
        if self.settled(stack["id"]):
            raise StackFailed(self.reasons(name))

    def _empty(self, bucket: str) -> None:
        s3 = self.client("s3")
        for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket):
            for each in page.get("Contents", []):
                s3.delete_object(Bucket=bucket, Key=each["Key"])
