"""The only room that touches boto3: AppFabric's calls, retried within the deadline, until a destination is stable.

https://docs.aws.amazon.com/appfabric/latest/api/API_Operations.html
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import boto3
from botocore.config import Config
from botocore.session import get_session

from ingestion_destination import roots
from ingestion_destination.deadline import Deadline
from ingestion_destination.exceptions import (
    AccessDenied,
    GeneralServiceException,
    HandlerError,
    InvalidRequest,
    NameResolutionFailure,
    NotFound,
    NotStabilized,
    may_have_taken_effect,
    translate,
)
from ingestion_destination.identity import Arn, Owner, Parents
from ingestion_destination.models import Before, Live, to_tag_list

LONGEST_CALL = 30.0
LONGEST_PAUSE = 8.0
# Before a call is sent again, at most: chosen by `make bench-scale`, for many resources of one stack at once.
FIRST_BACK_OFF, LONGEST_BACK_OFF = 1.0, 5.0
NAME_RESOLUTION_FOR = 10.0
# A role made in the same stack may not have arrived everywhere: how long a container counts as that new, and for
# how long at most a refusal is tried again.
NEW_CONTAINER = 60.0
ACCESS_DENIED_FOR = 20.0
# After a create a Get may not know the destination for a while; Terraform waits for it as well.
UNKNOWN_AFTER_CREATE_FOR = 30.0


def connect() -> Any:
    """A boto3 client for AppFabric. It makes one try a call: only this module knows how long there is."""
    botocore = get_session()
    session = boto3.Session(botocore_session=botocore)
    config = Config(connect_timeout=5, read_timeout=LONGEST_CALL, retries={"mode": "standard", "total_max_attempts": 1})
    verify = roots.amazons(named=botocore.get_config_variable("ca_bundle"))
    client = session.client("appfabric", config=config, verify=verify)
    if verify and not roots.are_amazons_enough(client.meta.endpoint_url):
        return session.client("appfabric", config=config)
    return client


class AppFabric:
    """AppFabric for one request of CloudFormation's.

    Every method raises a HandlerError for what AppFabric refuses, and for what is not done in time.

    Args:
        client: Gives the boto3 client; called when the first call is made.
        deadline: When the work must end.
        container_age: Seconds since this container started.

    Attributes:
        made: The ARN of the destination that this request made.
        unconfirmed: Whether a create call got no answer, so that it may have made one.
        before: The destination that this request adopts, as it was.
    """

    def __init__(
        self,
        *,
        client: Callable[[], Any],
        deadline: Deadline,
        container_age: Callable[[], float],
    ) -> None:
        self.made: str | None = None
        self.unconfirmed = False
        self.before: Before | None = None
        self._client = client
        self.deadline = deadline
        self._ends = deadline.work_ends
        self._time = deadline.time
        self._container_age = container_age

    def extend(self, ends: float) -> None:
        """Give what follows until another instant of the clock: undoing has time of its own, after the work."""
        self._ends = ends

    def is_here(self, arn: Arn) -> bool:
        """Whether the destination is of the Region that is called."""
        return bool(self._client().meta.region_name == arn.region)

    def create(self, request: Mapping[str, Any], *, token: str) -> Live:
        """Make a destination; the same token makes one destination, however often it is sent."""

        def send(client: Any) -> Any:
            doubt, self.unconfirmed = self.unconfirmed, True
            try:
                answer = client.create_ingestion_destination(**request, clientToken=token)
            except Exception as error:
                self.unconfirmed = doubt or may_have_taken_effect(error)
                raise
            return answer

        made = self._call("CreateIngestionDestination", send, ends=self.deadline.create_begins_by)
        live = _destination(made, "CreateIngestionDestination")
        self.made, self.unconfirmed = live["arn"], False
        return live

    def get(self, arn: Arn) -> Live | None:
        """The destination, None when it or one of its parents is gone."""
        try:
            answer = self._call("GetIngestionDestination", lambda c: c.get_ingestion_destination(**_ids(arn)))
        except NotFound:
            return None
        return _destination(answer, "GetIngestionDestination")

    def update(self, arn: Arn, destination: Mapping[str, Any]) -> Live:
        """Point the destination at another bucket or stream."""
        configuration = {"auditLog": {"destination": dict(destination)}}
        answer = self._call(
            "UpdateIngestionDestination",
            lambda c: c.update_ingestion_destination(**_ids(arn), destinationConfiguration=configuration),
        )
        return _destination(answer, "UpdateIngestionDestination")

    def delete(self, arn: Arn) -> None:
        """Delete the destination; that it is gone already, alone or with its parents, is as good."""
        try:
            self._call("DeleteIngestionDestination", lambda c: c.delete_ingestion_destination(**_ids(arn)))
        except NotFound:
            pass
        except InvalidRequest:  # how AppFabric says that a parent is gone is not documented
            if self.get(arn) is not None:
                raise
        if self.made == arn.arn:
            self.made = None

    def tags(self, arn: str) -> dict[str, str]:
        """The tags of a destination."""
        answer = self._call("ListTagsForResource", lambda c: c.list_tags_for_resource(resourceArn=arn))
        return {tag["key"]: tag["value"] for tag in answer.get("tags", [])}

    def tag(self, arn: str, tags: Mapping[str, str]) -> None:
        """Set tags, others stay."""
        self._call("TagResource", lambda c: c.tag_resource(resourceArn=arn, tags=to_tag_list(tags)))

    def untag(self, arn: str, keys: list[str]) -> None:
        """Take tags off."""
        self._call("UntagResource", lambda c: c.untag_resource(resourceArn=arn, tagKeys=keys))

    def owned(self, parents: Parents, *owners: Owner, besides: str = "") -> Iterator[Live]:
        """The destinations of an ingestion that carry the tags of one of these; none when the ingestion is gone.

        Args:
            parents: The ingestion.
            owners: Whose destinations.
            besides: The ARN of one that is not asked for.
        """
        for arn in self._list(parents):
            if arn == besides:
                continue
            try:
                tags = self.tags(arn)
                if not any(owner.owns(tags) for owner in owners):
                    continue
            except NotFound:
                continue
            parsed = Arn.parse(arn)
            live = self.get(parsed) if parsed else None
            if live:
                yield live

    def stabilise(self, live: Live) -> Live:
        """Wait until the destination is Active.

        AppFabric knows the statuses Active and Failed; one that it does not tell (yet) is waited for.

        Raises:
            NotStabilized: The status is Failed, or the time is up.
            NotFound: The destination was seen and is gone.
        """
        arn = Arn.parse(live["arn"])
        seen, unknown_since, pause = False, self._time.clock(), 0.2
        while live.get("status") != "Active":
            if live.get("status") == "Failed":
                raise NotStabilized(f"the destination is Failed: {live.get('statusReason') or 'no reason was given'}")
            if arn is None or self._time.clock() + pause >= self._ends:
                raise NotStabilized("AppFabric did not say in time that the destination is Active")
            self._time.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)
            known = self.get(arn)
            if known is not None:
                live, seen = known, True
            elif seen or self._time.clock() - unknown_since > UNKNOWN_AFTER_CREATE_FOR:
                raise NotFound("the destination was deleted before it became Active")
        return live

    def looks(self, service_timeout: float | None) -> Iterator[None]:
        """Now, after a second, and ever more rarely until no Create that still runs can make anything.

        Args:
            service_timeout: The resource's ServiceTimeout in seconds, None if it has none of its own.
        """
        ends, pause = self.deadline.look_ends(service_timeout), 1.0
        yield
        while (left := ends - self._time.clock()) > 0:
            self._time.sleep(min(pause, left))
            pause = min(2 * pause, LONGEST_PAUSE)
            yield

    def _list(self, parents: Parents) -> Iterator[str]:
        query = {"appBundleIdentifier": parents.app_bundle, "ingestionIdentifier": parents.ingestion}
        while True:
            try:
                page = self._call("ListIngestionDestinations", lambda c: c.list_ingestion_destinations(**query))
            except (NotFound, InvalidRequest):  # the ingestion is gone, in either way of saying it
                return
            yield from (destination["arn"] for destination in page.get("ingestionDestinations", []))
            if not page.get("nextToken"):
                return
            query["nextToken"] = page["nextToken"]

    def _call(self, operation: str, send: Callable[[Any], Any], *, ends: float | None = None) -> Any:
        """One call, tried until it succeeds, is refused, or no further try would end in time."""
        began, pause = self._time.clock(), FIRST_BACK_OFF
        limit = self._ends if ends is None else min(ends, self._ends)
        while self._time.clock() < limit:
            left = self._ends - self._time.clock()
            region = ""
            try:
                client = self._client()
                region = client.meta.region_name
                with self._time.cut_after(min(LONGEST_CALL, max(left / 2, 1.0), left)):
                    return send(client)
            except Exception as error:
                failure = translate(error, operation=operation, region=region)
            # A try that could not end in time is not begun: the reason told is then this failure.
            patience = min(limit, began + self._patience(failure, self._ends - began))
            room = patience - self._time.clock() - failure.retry_after - 1
            if room <= 0:
                raise failure
            self._time.sleep(failure.retry_after + min(random.uniform(0, pause), room))  # noqa: S311
            pause = min(2 * pause, LONGEST_BACK_OFF)
        raise NotStabilized(f"no time was left for {operation}")

    def _patience(self, failure: HandlerError, time: float) -> float:
        """For how many seconds a call that fails like this is tried again, of the time that it had."""
        if isinstance(failure, NameResolutionFailure):
            return NAME_RESOLUTION_FOR
        if isinstance(failure, AccessDenied):
            return min(ACCESS_DENIED_FOR, time / 3) if self._container_age() < NEW_CONTAINER else 0
        return time if failure.transient else 0


def _destination(answer: Mapping[str, Any], operation: str) -> Live:
    live: Live = answer.get("ingestionDestination") or {}
    if not live.get("arn"):
        raise GeneralServiceException(f"{operation} was answered without an ARN")
    return live


def _ids(arn: Arn) -> dict[str, str]:
    return {
        "appBundleIdentifier": arn.app_bundle,
        "ingestionIdentifier": arn.ingestion,
        "ingestionDestinationIdentifier": arn.arn,
    }
