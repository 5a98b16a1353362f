"""AppFabric's operations: the only module that touches boto3.

Each call is retried for as long as there is time and interrupted when it takes too long. No state of a request is kept.
https://docs.aws.amazon.com/appfabric/latest/api/API_Operations.html
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar

import boto3
from botocore.config import Config
from botocore.session import get_session
from botocore.utils import parse_timestamp as parse_any_timestamp

from ingestion_destination.appfabric.destination import Destination, DestinationArn, Parents, Processing, Target
from ingestion_destination.appfabric.errors import UnreadableResponse, is_refused_certificate, translate
from ingestion_destination.deadline import Clock
from ingestion_destination.exceptions import (
    AccessDenied,
    HandlerError,
    InvalidRequest,
    NameResolutionFailure,
    NotFound,
    NotStabilized,
)
from ingestion_destination.observability import SERVICE, logger
from ingestion_destination.trust_store import amazon_roots

if TYPE_CHECKING:
    from types_boto3_appfabric import AppFabricClient
    from types_boto3_appfabric.type_defs import ListIngestionDestinationsRequestTypeDef, TagTypeDef

T = TypeVar("T")

CALL_TIMEOUT = 30.0
MAX_PAUSE = 8.0
# Before a call is sent again, at most: chosen by `make bench-scale`, for many resources of one stack at once.
INITIAL_BACKOFF, MAX_BACKOFF = 1.0, 5.0
NAME_RESOLUTION_FOR = 10.0
# A role created in the same stack may not have propagated: how long a container counts as that new, and for how long
# at most a refusal is retried.
NEW_CONTAINER = 60.0
ACCESS_DENIED_FOR = 20.0
# After a create a Get may not know the destination for a while; Terraform waits for it as well.
UNKNOWN_AFTER_CREATE_FOR = 30.0
# What a read shows may be this old. Nothing is documented; where it matters, a reading is repeated after this long.
CONSISTENT_AFTER = 4.0


class Connection:
    """Makes the boto3 client when it is first asked for, and again once Amazon's roots prove not to be enough.

    The client makes one attempt a call: only this module knows how long there is.
    """

    def __init__(self) -> None:
        self._client: AppFabricClient | None = None
        self._amazon_roots = amazon_roots()

    def __call__(self) -> AppFabricClient:
        """The client."""
        if self._client is None:
            self._client = self._connect()
        return self._client

    def _connect(self) -> AppFabricClient:
        botocore = get_session()
        # A bundle that AWS_CA_BUNDLE or a profile names takes the place of all roots: botocore's way.
        verify = None if botocore.get_config_variable("ca_bundle") else self._amazon_roots
        botocore.get_component("response_parser_factory").set_parser_defaults(timestamp_parser=parse_timestamp)
        client: AppFabricClient = boto3.Session(botocore_session=botocore).client(
            "appfabric",
            config=Config(
                connect_timeout=5,
                read_timeout=CALL_TIMEOUT,
                retries={"mode": "standard", "total_max_attempts": 1},
                parameter_validation=False,  # ours came first, and the tests' clients validate
                # botocore composes its own twice a call, from the whole environment.
                user_agent=f"{SERVICE} Boto3/{boto3.__version__}",
            ),
            verify=verify,
        )
        client.meta.events.register("after-call.appfabric", refuse_unreadable)
        client.meta.events.register("after-call-error.appfabric", self._trust_all_if_refused)
        return client

    def _trust_all_if_refused(self, exception: Exception, **_: Any) -> None:
        """The next attempt is made by a client that trusts all roots, as do all that follow in this process."""
        if self._amazon_roots and is_refused_certificate(exception):
            self._amazon_roots = self._client = None


def parse_timestamp(value: Any) -> datetime:
    """A moment that AppFabric returned, with a time zone: UTC where it names none.

    The model's format is ISO 8601, which the standard library parses many times faster than botocore. Any other is left
    to botocore.

    Raises:
        ValueError: It is not a moment.
    """
    try:
        moment = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        moment = parse_any_timestamp(value)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def refuse_unreadable(http_response: Any, model: Any, **_: Any) -> None:
    """Raise when a response that says success is not JSON: botocore takes one for an object without members.

    Raises:
        UnreadableResponse: What was to be an empty list would be believed to be one.
    """
    if http_response.status_code >= 300 or model.output_shape is None or not model.output_shape.members:
        return
    try:
        json.loads(http_response.content)
    except ValueError:
        raise UnreadableResponse(model.name) from None


@dataclass(frozen=True, kw_only=True)
class AppFabric:
    """AppFabric, until a certain moment.

    Every method raises a HandlerError for what AppFabric refuses, and for what is not done in time. Its `in_doubt` says
    whether one of the attempts may have taken effect.

    Args:
        client: Returns the boto3 client; called when the first call is made.
        clock: How time passes.
        ends: By the monotonic clock; no call begins after it, and one in flight is interrupted then.
        container_age: Seconds since this container started.
        attempted: Called after each attempt of a call, with its failure or None.
    """

    client: Callable[[], AppFabricClient]
    clock: Clock
    ends: float
    container_age: Callable[[], float]
    attempted: Callable[[HandlerError | None], None]

    def until(self, ends: float) -> AppFabric:
        """The same until another moment."""
        return replace(self, ends=ends)

    def within(self, seconds: float) -> AppFabric:
        """The same for some seconds, if there are that many."""
        return replace(self, ends=min(self.ends, self.clock.monotonic() + seconds))

    def is_in_region(self, arn: DestinationArn) -> bool:
        """Whether the destination lies in the Region that is called."""
        return bool(self.client().meta.region_name == arn.region)

    def create(
        self, parents: Parents, *, processing: Processing, target: Target, tags: Mapping[str, str], token: str
    ) -> Destination:
        """Create a destination. What may have taken effect is not sent again: see `HandlerError.in_doubt`.

        Args:
            parents: Where.
            processing: Its schema and format.
            target: Where it writes.
            tags: All of its tags.
            token: The client token; the same one creates one destination, for as long as AppFabric remembers it.
        """
        return self._call(
            "CreateIngestionDestination",
            lambda client: _destination(
                client.create_ingestion_destination(
                    appBundleIdentifier=parents.app_bundle,
                    ingestionIdentifier=parents.ingestion,
                    processingConfiguration=processing.to_configuration(),
                    destinationConfiguration=target.to_configuration(),
                    tags=_to_tag_list(tags),
                    clientToken=token,
                )
            ),
            retries_in_doubt=False,
        )

    def get(self, arn: DestinationArn) -> Destination | None:
        """The destination; None when it is gone, which means that it is not listed either."""
        return self._unless_gone(arn, lambda: self._get(arn))

    def update(self, arn: DestinationArn, target: Target) -> Destination:
        """Point the destination at another bucket or stream.

        Raises:
            NotFound: It is gone, as with `get`.
        """
        return self._if_there(arn, lambda: self._update(arn, target))

    def delete(self, arn: DestinationArn) -> None:
        """Delete the destination; one that is gone already, alone or with its ingestion, counts as deleted.

        Just after its creation both a Delete and a List may not know it yet: what is gone has to be so for a while.
        """
        if not self._unless_gone(arn, lambda: self._delete(arn)):
            self.clock.sleep(CONSISTENT_AFTER)
            self._unless_gone(arn, lambda: self._delete(arn))

    def get_tags(self, arn: DestinationArn) -> dict[str, str] | None:
        """The tags of a destination; None when it is gone, as with `get`."""
        return self._unless_gone(arn, lambda: self._tags(arn))

    def tag(
        self, arn: DestinationArn, tags: Mapping[str, str], *, before_retry: Callable[[], None] | None = None
    ) -> None:
        """Set tags; others stay.

        Args:
            arn: The destination's.
            tags: What to set.
            before_retry: Called before each further attempt; raises when what the call rests on no longer holds.

        Raises:
            NotFound: It is gone, as with `get`.
        """
        self._if_there(arn, lambda: self._tag(arn, tags, before_retry), before_retry)

    def untag(
        self, arn: DestinationArn, keys: Sequence[str], *, before_retry: Callable[[], None] | None = None
    ) -> None:
        """Remove tags; those that are gone already, alone or with the destination, count as removed.

        `before_retry`: see `tag`.
        """
        self._unless_gone(arn, lambda: self._untag(arn, keys, before_retry), before_retry)

    def list_destinations(self, parents: Parents) -> Iterator[DestinationArn]:
        """The destinations of an ingestion; none when the ingestion is gone: AppFabric has to say so twice."""
        query: ListIngestionDestinationsRequestTypeDef = {
            "appBundleIdentifier": parents.app_bundle,
            "ingestionIdentifier": parents.ingestion,
        }
        seems_gone = False
        while True:
            try:
                page = self._call("ListIngestionDestinations", lambda client: _page(client, query))
            except (NotFound, InvalidRequest):  # the ingestion is gone, in either way of saying it
                if "nextToken" in query:
                    raise
                if seems_gone or self.clock.monotonic() + INITIAL_BACKOFF >= self.ends:
                    return
                seems_gone = True
                self.clock.sleep(INITIAL_BACKOFF)
                continue
            for summary in page["ingestionDestinations"]:
                if arn := DestinationArn.of(summary):
                    yield arn
            if not page.get("nextToken"):
                return
            query["nextToken"] = page["nextToken"]

    def stabilize(self, destination: Destination) -> Destination:
        """Wait until the destination is Active.

        AppFabric knows the statuses Active and Failed; one that it does not return (yet) is waited for.

        Raises:
            NotStabilized: The status is Failed, or the time is up.
            NotFound: The destination is gone, and was so for a while.
        """
        began, pause = self.clock.monotonic(), 0.2
        seen, missing_since = False, float("inf")
        while destination.status != "Active":
            if destination.status == "Failed":
                reason = destination.status_reason or "no reason was given"
                raise NotStabilized(f"the destination is Failed: {reason}")
            if self.clock.monotonic() + pause >= self.ends:
                raise NotStabilized("timed out waiting for the destination to become Active")
            self.clock.sleep(pause)
            pause = min(2 * pause, MAX_PAUSE)
            try:
                destination = self._get(destination.arn)
                seen, missing_since = True, float("inf")
            except NotFound:
                now = self.clock.monotonic()
                known = seen or now - began > UNKNOWN_AFTER_CREATE_FOR
                if known and not self._is_listed(destination.arn):
                    missing_since = min(missing_since, now)
                if now - missing_since >= CONSISTENT_AFTER:
                    raise NotFound("the destination was deleted before it became Active") from None
        return destination

    def _get(self, arn: DestinationArn) -> Destination:
        return self._call(
            "GetIngestionDestination", lambda client: _destination(client.get_ingestion_destination(**_ids(arn)))
        )

    def _tags(self, arn: DestinationArn) -> dict[str, str]:
        return self._call(
            "ListTagsForResource", lambda client: _tags(client.list_tags_for_resource(resourceArn=str(arn)))
        )

    def _update(self, arn: DestinationArn, target: Target) -> Destination:
        return self._call(
            "UpdateIngestionDestination",
            lambda client: _destination(
                client.update_ingestion_destination(**_ids(arn), destinationConfiguration=target.to_configuration())
            ),
        )

    def _tag(
        self, arn: DestinationArn, tags: Mapping[str, str], before_retry: Callable[[], None] | None
    ) -> Mapping[str, Any]:
        return self._call(
            "TagResource",
            lambda client: client.tag_resource(resourceArn=str(arn), tags=_to_tag_list(tags)),
            before_retry=before_retry,
        )

    def _untag(self, arn: DestinationArn, keys: Sequence[str], before_retry: Callable[[], None] | None) -> None:
        self._call(
            "UntagResource",
            lambda client: client.untag_resource(resourceArn=str(arn), tagKeys=list(keys)),
            before_retry=before_retry,
        )

    def _delete(self, arn: DestinationArn) -> bool:
        self._call("DeleteIngestionDestination", lambda client: client.delete_ingestion_destination(**_ids(arn)))
        return True

    def _is_listed(self, arn: DestinationArn) -> bool:
        return arn in self.list_destinations(Parents(app_bundle=arn.app_bundle, ingestion=arn.ingestion))

    def _unless_gone(
        self, arn: DestinationArn, call: Callable[[], T], before_retry: Callable[[], None] | None = None
    ) -> T | None:
        """What a call returns, None when the destination is gone, perhaps with its ingestion."""
        try:
            returned = self._while_listed(arn, call, before_retry)
        except InvalidRequest:  # how AppFabric says that an ingestion is gone is not documented
            if self._is_listed(arn):
                raise
            return None
        return None if isinstance(returned, NotFound) else returned

    def _if_there(
        self, arn: DestinationArn, call: Callable[[], T], before_retry: Callable[[], None] | None = None
    ) -> T:
        """What a call returns for a destination that has to be there."""
        returned = self._while_listed(arn, call, before_retry)
        if isinstance(returned, NotFound):
            raise returned
        return returned

    def _while_listed(
        self, arn: DestinationArn, call: Callable[[], T], before_retry: Callable[[], None] | None
    ) -> T | NotFound:
        """What a call returns, or the NotFound that it raised when the destination is not listed either."""
        pause, in_doubt = INITIAL_BACKOFF, False
        try:
            while True:
                try:
                    return call()
                except NotFound as failure:
                    in_doubt = failure.in_doubt = failure.in_doubt or in_doubt
                    if not self._is_listed(arn):
                        return failure
                    if self.clock.monotonic() + pause >= self.ends:
                        raise
                self.clock.sleep(pause)
                pause = min(2 * pause, MAX_PAUSE)
                if before_retry:
                    before_retry()
        except HandlerError as failure:
            failure.in_doubt = failure.in_doubt or in_doubt
            raise

    def _call(
        self,
        operation: str,
        send: Callable[[AppFabricClient], T],
        *,
        retries_in_doubt: bool = True,
        before_retry: Callable[[], None] | None = None,
    ) -> T:
        """One call, retried until it succeeds, is refused, or no further attempt would end in time."""
        began, pause, in_doubt = self.clock.monotonic(), INITIAL_BACKOFF, False
        while (left := self.ends - self.clock.monotonic()) > 0:
            client = None
            try:
                client = self.client()
                with self.clock.interrupt_after(min(CALL_TIMEOUT, max(left / 2, 1.0), left)):
                    result = send(client)
            except Exception as error:
                failure = translate(error, operation=operation, region=client.meta.region_name if client else "")
                failure.in_doubt = failure.in_doubt and client is not None  # without one nothing was sent
                self.attempted(failure)
            else:
                self.attempted(None)
                return result
            in_doubt = failure.in_doubt = failure.in_doubt or in_doubt
            if in_doubt and not retries_in_doubt:
                raise failure
            # An attempt that could not end in time is not begun: the reason is then this failure.
            patience = min(self.ends, began + self._retry_window(failure, self.ends - began))
            room = patience - self.clock.monotonic() - failure.retry_after - 1
            if room <= 0:
                raise failure
            logger.warning(
                "sending a call again",
                operation=operation,
                reason=failure.reason,
                appfabric_request_id=failure.service_request_id,
            )
            self.clock.sleep(failure.retry_after + min(random.uniform(0, pause), room))  # noqa: S311
            pause = min(2 * pause, MAX_BACKOFF)
            try:
                if before_retry:
                    before_retry()
            except HandlerError as refusal:
                refusal.in_doubt = refusal.in_doubt or in_doubt
                raise
        raise NotStabilized(f"no time was left to call {operation}", in_doubt=in_doubt)

    def _retry_window(self, failure: HandlerError, time: float) -> float:
        """For how many seconds a call that fails like this is retried, of the time that it had."""
        if isinstance(failure, NameResolutionFailure):
            return NAME_RESOLUTION_FOR
        if isinstance(failure, AccessDenied):
            return min(ACCESS_DENIED_FOR, time / 3) if self.container_age() < NEW_CONTAINER else 0
        return time if failure.transient else 0


def _destination(returned: Mapping[str, Any]) -> Destination:
    destination = Destination.parse(returned.get("ingestionDestination") or {})
    if destination is None:
        raise UnreadableResponse
    return destination


def _tags(returned: Mapping[str, Any]) -> dict[str, str]:
    try:
        return {tag["key"]: tag["value"] for tag in returned.get("tags") or []}
    except KeyError:
        raise UnreadableResponse from None


def _page(client: AppFabricClient, query: ListIngestionDestinationsRequestTypeDef) -> Mapping[str, Any]:
    page: Mapping[str, Any] = client.list_ingestion_destinations(**query)
    if page.get("ingestionDestinations") is None:
        raise UnreadableResponse
    return page


def _to_tag_list(tags: Mapping[str, str]) -> list[TagTypeDef]:
    """Tags as the API takes them; in the same order every time, so that the same request has the same bytes."""
    return [{"key": key, "value": tags[key]} for key in sorted(tags)]


def _ids(arn: DestinationArn) -> dict[str, str]:
    return {
        "appBundleIdentifier": arn.app_bundle,
        "ingestionIdentifier": arn.ingestion,
        "ingestionDestinationIdentifier": str(arn),
    }
