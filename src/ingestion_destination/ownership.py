"""Who created a destination, in place of what, and when: recorded in tags of the destination itself.

The tags are taken from CloudFormation's request alone and written in the create call itself, so that every invocation
of the same request writes the same ones, and no destination exists without them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from hashlib import sha256

from ingestion_destination.cloudformation.request import Request

PREFIX = "custom-appfabric-ingestion-destination:"
OWNERSHIP_TAGS = STACK_ID, LOGICAL_ID, REQUEST, REPLACES = (
    f"{PREFIX}StackId",
    f"{PREFIX}LogicalResourceId",
    f"{PREFIX}Request",
    f"{PREFIX}Replaces",
)
CLAIM = f"{PREFIX}Claim."
# PhysicalResourceIds that are not ARNs: there surely is no destination, or there may be one.
NOT_CREATED = "not-created:"
UNCONFIRMED = "unconfirmed:"
NOTHING = "none"
# What may follow the time in the Request tag, each after a slash.
ADOPTED, ADOPT_ARN, RETURNED = "adopted", "AdoptArn", "returned"
# So many UUIDs fit into a tag's 256 characters.
MOST_NAMED = 4


@dataclass(frozen=True, kw_only=True)
class Owner:
    """The resource of a stack that a destination belongs to."""

    stack_id: str
    logical_resource_id: str

    @classmethod
    def of(cls, request: Request) -> Owner:
        """The resource that a request is about."""
        return cls(stack_id=request.stack_id, logical_resource_id=request.logical_resource_id)

    @property
    def is_unique(self) -> bool:
        """Whether no other resource has the same name: Pulumi's emulator calls every stack "dev"."""
        return re.match(r"arn:aws[\w-]*:cloudformation:", self.stack_id) is not None

    @property
    def claim(self) -> str:
        """The key of the tag with which this resource claims a destination that it adopts."""
        return CLAIM + sha256(f"{self.stack_id}|{self.logical_resource_id}".encode()).hexdigest()[:32]

    def may_have_left_a_destination(self, physical_resource_id: str) -> bool:
        """Whether an id is that of a Create which may have left a destination that CloudFormation never heard of."""
        return physical_resource_id.startswith(UNCONFIRMED) or self.has_made_up(physical_resource_id)

    def has_made_up(self, physical_resource_id: str) -> bool:
        """Whether CloudFormation made the id up, for a Create that it gave up before the response.

        It is `<stack>-<logical id>-<random>`, where either name may be cut short.
        """
        made_up = re.fullmatch(r"(.+)-([^-]+)-[A-Za-z0-9]{6,}", physical_resource_id)
        stack_name = self.stack_id.partition(":stack/")[2].partition("/")[0]
        return (
            made_up is not None
            and stack_name.startswith(made_up[1])
            and self.logical_resource_id.startswith(made_up[2])
        )


@dataclass(frozen=True, kw_only=True)
class Ownership:
    """What the ownership tags of a destination say.

    Attributes:
        token: The client token of the request that created or adopted the destination.
        requested_at: When CloudFormation made that request; None when it is not known.
        returned_at: When CloudFormation made the last request that went back to the destination; None for never.
        replaces: The PhysicalResourceId that it was created in place of, `none` for a Create.
        adopted: Whether AdoptArn names the destination, so that it is released and never deleted.
        named: The UUIDs of the destinations that AdoptArn named earlier in the resource's life, the latest last. The
            template may go on naming one, and a rollback may name one again, without effect.
    """

    owner: Owner
    token: str
    requested_at: datetime | None
    replaces: str
    adopted: bool = False
    named: tuple[str, ...] = ()
    returned_at: datetime | None = None

    @classmethod
    def of(cls, request: Request) -> Ownership:
        """What a destination is tagged with that a request creates."""
        return cls(
            owner=Owner.of(request),
            token=request.client_token,
            requested_at=request.signed_at,
            replaces=_tag_value(request.physical_resource_id) or NOTHING,
        )

    @classmethod
    def read(cls, tags: Mapping[str, str]) -> Ownership | None:
        """What tags say; None when they name no owner."""
        if STACK_ID not in tags or LOGICAL_ID not in tags:
            return None
        token, _, rest = tags.get(REQUEST, "").partition("@")
        requested_at, *further = rest.split("/")
        details = dict(each.partition("=")[::2] for each in further)
        return cls(
            owner=Owner(stack_id=tags[STACK_ID], logical_resource_id=tags[LOGICAL_ID]),
            token=token,
            requested_at=_parse_time(requested_at),
            replaces=tags.get(REPLACES, ""),
            adopted=ADOPTED in details,
            named=tuple(filter(None, details.get(ADOPT_ARN, "").split("+"))),
            returned_at=_parse_time(details.get(RETURNED, "")),
        )

    @property
    def tags(self) -> dict[str, str]:
        """The four tags."""
        request = f"{self.token}@{_time_text(self.requested_at)}"
        request += f"/{ADOPTED}" if self.adopted else ""
        request += f"/{ADOPT_ARN}={'+'.join(self.named)}" if self.named else ""
        request += f"/{RETURNED}={_time_text(self.returned_at)}" if self.returned_at else ""
        return {
            STACK_ID: self.owner.stack_id,
            LOGICAL_ID: self.owner.logical_resource_id,
            REQUEST: request,
            REPLACES: self.replaces,
        }

    def naming(self, *uuids: str) -> Ownership:
        """The same with more destinations that AdoptArn named."""
        latest_first = dict.fromkeys(reversed([*self.named, *uuids]))
        return replace(self, named=tuple([*latest_first][MOST_NAMED - 1 :: -1]))

    def returned_to_by(self, request: Request) -> Ownership:
        """The same for a destination that a later request of its resource goes back to."""
        return replace(self, returned_at=request.signed_at)

    def was_returned_to_by(self, request: Request) -> bool:
        """Whether it was this request that last went back to the destination."""
        return self.returned_at is not None and self.returned_at == request.signed_at

    @property
    def held_since(self) -> datetime | None:
        """When CloudFormation made the last request that made the destination the resource's."""
        return self.returned_at or self.requested_at

    def is_held_as(self, other: Ownership) -> bool:
        """Whether it is the resource's by the same requests; what AdoptArn named may be recorded a moment later."""
        return replace(self, named=other.named) == other

    def is_in_place_of(self, physical_resource_id: str) -> bool:
        """Whether the destination was created in place of this id."""
        return self.replaces == _tag_value(physical_resource_id)

    def follows(self, other: Ownership) -> bool:
        """Whether its request was made after another destination was created, adopted or gone back to."""
        return bool(self.requested_at and other.held_since and self.requested_at > other.held_since)

    def is_earlier_than(self, request: Request) -> bool:
        """Whether its request was made before another one, by CloudFormation's clock and in whole seconds."""
        return bool(self.requested_at and request.signed_at and self.requested_at < request.signed_at)

    def is_later_than(self, request: Request) -> bool:
        """Whether a request made after this one created it, adopted it or went back to it, in whole seconds."""
        return bool(self.held_since and request.signed_at and self.held_since > request.signed_at)

    def age_at(self, request: Request) -> float:
        """Seconds from its request to another one; infinite when either time is not known."""
        if self.requested_at is None or request.signed_at is None:
            return float("inf")
        return (request.signed_at - self.requested_at).total_seconds()


def is_ownership_tag(key: str) -> bool:
    """Whether a tag key is one that this resource writes itself."""
    return key in OWNERSHIP_TAGS or key.startswith(CLAIM)


def _tag_value(physical_resource_id: str) -> str:
    """An id as the value of a tag, which takes 256 characters."""
    if len(physical_resource_id) <= 256:
        return physical_resource_id
    return f"sha256:{sha256(physical_resource_id.encode()).hexdigest()}"


def _time_text(moment: datetime | None) -> str:
    return f"{moment:%Y%m%dT%H%M%SZ}" if moment else "unknown"


def _parse_time(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text).replace(tzinfo=UTC)
    except ValueError:
        return None
