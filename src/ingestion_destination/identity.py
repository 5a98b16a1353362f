"""Who is who: the resource that owns a destination, the destination's ARN, its parents, and ids that are no ARN."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
IDENTIFIER = re.compile(rf"arn:.+|{UUID}")
ARN = re.compile(
    rf"(?P<ingestion>(?P<app_bundle>arn:aws[\w-]*:appfabric:(?P<region>[a-z0-9-]+):\d{{12}}:appbundle/{UUID})"
    rf"/ingestion/{UUID})/ingestiondestination/{UUID}"
)

OWNER_TAGS = STACK_ID_TAG, LOGICAL_ID_TAG = (
    "custom-appfabric-ingestion-destination:StackId",
    "custom-appfabric-ingestion-destination:LogicalResourceId",
)
NOT_CREATED = "not-created:"
UNCONFIRMED = "unconfirmed:"


@dataclass(frozen=True, kw_only=True)
class Owner:
    """The resource that a destination belongs to, told by two of the destination's tags."""

    stack_id: str
    logical_resource_id: str

    @property
    def tags(self) -> dict[str, str]:
        """The tags, written in the create call itself."""
        return {STACK_ID_TAG: self.stack_id, LOGICAL_ID_TAG: self.logical_resource_id}

    @property
    def forms(self) -> tuple[Owner, Owner]:
        """Both ways in which tags tell this resource."""
        return self, self.settled

    def owns(self, tags: Mapping[str, str]) -> bool:
        """Whether these are the tags of a destination of this resource and no other."""
        return self.tags.items() <= tags.items()

    @property
    def settled(self) -> Owner:
        """The same resource, as the tags of a destination tell it that took the place of an id that is no ARN.

        CloudFormation then deletes that id, and a look for what it may stand for must not find its successor. No
        logical id has an @.
        """
        return replace(self, logical_resource_id=self.logical_resource_id + "@")

    def may_still_be_creating(self, physical_resource_id: str) -> bool:
        """Whether the id stands for a Create whose end nobody knows, so that its destination may yet appear.

        It is ours for a create call without an answer, or CloudFormation's own (`<stack>-<logical id>-<random>`,
        either name may be cut short) for a Create that it gave up before the answer.
        """
        if physical_resource_id.startswith(UNCONFIRMED):
            return True
        made_up = re.fullmatch(r"(.+)-([^-]+)-[A-Za-z0-9]{6,}", physical_resource_id)
        stack_name = self.stack_id.partition(":stack/")[2].partition("/")[0]
        return (
            made_up is not None
            and stack_name.startswith(made_up[1])
            and self.logical_resource_id.startswith(made_up[2])
        )


@dataclass(frozen=True, kw_only=True)
class Arn:
    """The ARN of a destination, which names its parents too."""

    arn: str
    app_bundle: str
    ingestion: str
    region: str

    @classmethod
    def parse(cls, text: str) -> Arn | None:
        """None for anything that is not the ARN of an ingestion destination."""
        match = ARN.fullmatch(text)
        return cls(arn=text, **match.groupdict()) if match else None


@dataclass(frozen=True, kw_only=True)
class Parents:
    """An ingestion and its app bundle, each an ARN or a UUID."""

    app_bundle: str
    ingestion: str

    def are_of(self, arn: Arn) -> bool:
        """Whether the destination lies here; a UUID and the ARN that ends in it are equal."""
        return _uuid(self.app_bundle) == _uuid(arn.app_bundle) and _uuid(self.ingestion) == _uuid(arn.ingestion)


def _uuid(identifier: str) -> str:
    return identifier.rpartition("/")[2]
