"""Properties in, requests out, attributes out: pure functions, no calls.

The properties are those of the native type and of the API, in the names of CloudFormation:
https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-appfabric-ingestiondestination.html
https://docs.aws.amazon.com/appfabric/latest/api/API_CreateIngestionDestination.html
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from ingestion_destination.exceptions import InvalidRequest, shorten
from ingestion_destination.identity import ARN, IDENTIFIER, OWNER_TAGS, UUID, Arn, Owner, Parents
from ingestion_destination.validation import Reader

Live = Mapping[str, Any]
"""An ingestion destination as AppFabric tells it."""

MOST_TAGS = 50 - len(OWNER_TAGS)
# The API's name of a property and the native type's: one property, either name.
_PARENTS = (("AppBundleIdentifier", "AppBundleArn"), ("IngestionIdentifier", "IngestionArn"))
_CLOUDFORMATIONS_OWN = ("ServiceToken", "ServiceTimeout")
_NAMES = (
    *(name for names in _PARENTS for name in names),
    *("ProcessingConfiguration", "DestinationConfiguration", "Tags", "AdoptArn"),
    *_CLOUDFORMATIONS_OWN,
)


@dataclass(frozen=True, kw_only=True)
class Request:
    """What CloudFormation asks for.

    https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/crpg-ref-requests.html
    """

    request_id: str
    made_at: datetime
    owner: Owner
    physical_resource_id: str
    properties: Mapping[str, Any]
    old_properties: Mapping[str, Any] = field(default_factory=dict)

    @property
    def client_token(self) -> str:
        """The RequestId, which is a UUID in every real request; anything else gives a stable UUID."""
        if re.fullmatch(UUID, self.request_id):
            return self.request_id
        return str(uuid5(NAMESPACE_URL, f"{self.owner.stack_id}|{self.request_id}"))

    @property
    def service_timeout(self) -> float | None:
        """Seconds that CloudFormation waits for the answer, when the template says so."""
        said = str(self.properties.get("ServiceTimeout", ""))
        return float(said) if said.isdecimal() else None


@dataclass(frozen=True, kw_only=True)
class Result:
    """A successful answer: Ref and what Fn::GetAtt can get."""

    physical_resource_id: str
    attributes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Desired:
    """The destination that a template describes, in the API's terms."""

    parents: Parents
    processing: Mapping[str, str]
    destination: Mapping[str, Mapping[str, str]]
    tags: Mapping[str, str]
    adopt: Arn | None = None

    def request(self, owner: Owner) -> dict[str, Any]:
        """The parameters of create_ingestion_destination, save the clientToken; the same bytes every time."""
        return {
            "appBundleIdentifier": self.parents.app_bundle,
            "ingestionIdentifier": self.parents.ingestion,
            "processingConfiguration": {"auditLog": dict(self.processing)},
            "destinationConfiguration": {"auditLog": {"destination": dict(self.destination)}},
            "tags": to_tag_list({**self.tags, **owner.tags}),
        }

    def replaces(self, live: Live) -> bool:
        """Whether a live destination cannot become this one: other parents or other processing."""
        arn = Arn.parse(live["arn"])
        return arn is None or not self.parents.are_of(arn) or processing_of(live) != self.processing


@dataclass(frozen=True, kw_only=True)
class Before:
    """A destination as it was before this resource adopted it."""

    arn: Arn
    live: Live
    tags: Mapping[str, str]


def parse(properties: Mapping[str, Any]) -> Desired:
    """The destination that properties describe.

    Args:
        properties: ResourceProperties. CloudFormation sends every scalar as a string.

    Raises:
        InvalidRequest: With every mistake in the properties, each with its path.
    """
    problems: list[str] = []
    reader = Reader(properties, path="", allowed=_NAMES, problems=problems)
    desired = Desired(
        parents=_read_parents(reader),
        processing=_read_processing(reader),
        destination=_read_destination(reader),
        tags=_read_tags(reader),
        adopt=Arn.parse(reader.text("AdoptArn", optional=True, pattern=(ARN, "the ARN of an ingestion destination"))),
    )
    if desired.adopt and not problems and not desired.parents.are_of(desired.adopt):
        problems.append("AdoptArn must be of a destination of the ingestion that the properties name")
    if "firehoseStream" in desired.destination and desired.processing["format"] == "parquet":
        problems.append("ProcessingConfiguration.AuditLog.Format must be json, a FirehoseStream takes no parquet")
    if problems:
        raise InvalidRequest.of(problems)
    return desired


def parse_formerly(properties: Mapping[str, Any]) -> Desired | None:
    """The destination that properties once described; None when they are not valid (any more)."""
    try:
        return parse(properties)
    except InvalidRequest:
        return None


def parents_of(properties: Mapping[str, Any]) -> Parents | None:
    """The parents that properties name, however wrong the rest of them is; None if they name none."""
    parents = _read_parents(Reader(properties, path="", allowed=_NAMES, problems=[]))
    named = IDENTIFIER.fullmatch(parents.app_bundle) and IDENTIFIER.fullmatch(parents.ingestion)
    return parents if named else None


def adopted_by(properties: Mapping[str, Any]) -> Arn | None:
    """The destination that properties adopt, however wrong the rest of them is."""
    return Arn.parse(str(properties.get("AdoptArn")))


def tag_keys_of(properties: Mapping[str, Any]) -> set[str]:
    """The tag keys that properties name, however wrong the rest of them is; never those that tell the owner."""
    tags = properties.get("Tags")
    keys = {str(tag.get("Key")) for tag in tags if isinstance(tag, dict)} if isinstance(tags, list) else set()
    return keys - set(OWNER_TAGS)


def to_tag_list(tags: Mapping[str, str]) -> list[dict[str, str]]:
    """Tags as the API takes them, in one order."""
    return [{"key": key, "value": value} for key, value in sorted(tags.items())]


def processing_of(live: Live) -> Mapping[str, str]:
    """Schema and format of a destination as AppFabric tells it."""
    return dict(live.get("processingConfiguration", {}).get("auditLog", {}))


def destination_of(live: Live) -> Mapping[str, Mapping[str, str]]:
    """The bucket or stream of a destination as AppFabric tells it."""
    return dict(live.get("destinationConfiguration", {}).get("auditLog", {}).get("destination", {}))


def attributes_of(live: Live) -> dict[str, str]:
    """What Fn::GetAtt can get: the same keys every time, flat strings, "" for what AppFabric did not tell."""
    ingestion_arn = live["arn"].partition("/ingestiondestination/")[0]
    return {
        "Arn": live["arn"],
        "AppBundleArn": ingestion_arn.partition("/ingestion/")[0],
        "IngestionArn": ingestion_arn,
        "Status": live.get("status") or "",
        "StatusReason": shorten(live.get("statusReason") or ""),
        "CreatedAt": _timestamp(live.get("createdAt")),
        "UpdatedAt": _timestamp(live.get("updatedAt")),
    }


def _read_parents(reader: Reader) -> Parents:
    identifiers = []
    for names in _PARENTS:
        name = reader.exactly_one(*names)
        pattern = (IDENTIFIER, "an ARN or a lower-case UUID")
        identifiers.append(reader.text(name, length=(1, 1011), pattern=pattern) if name else "")
    return Parents(app_bundle=identifiers[0], ingestion=identifiers[1])


def _read_processing(reader: Reader) -> dict[str, str]:
    configuration = reader.object("ProcessingConfiguration", allowed=("AuditLog",))
    audit_log = configuration.object("AuditLog", allowed=("Schema", "Format"))
    return {
        "schema": audit_log.text("Schema", one_of=("ocsf", "raw")),
        "format": audit_log.text("Format", one_of=("json", "parquet")),
    }


def _read_destination(reader: Reader) -> dict[str, dict[str, str]]:
    configuration = reader.object("DestinationConfiguration", allowed=("AuditLog",))
    audit_log = configuration.object("AuditLog", allowed=("Destination",))
    destination = audit_log.object("Destination", allowed=("S3Bucket", "FirehoseStream"))
    destination.exactly_one("S3Bucket", "FirehoseStream")
    read: dict[str, dict[str, str]] = {}
    if destination.has("S3Bucket"):
        bucket = destination.object("S3Bucket", allowed=("BucketName", "Prefix"))
        read["s3Bucket"] = {"bucketName": bucket.text("BucketName", length=(3, 63))}
        if bucket.has("Prefix"):
            read["s3Bucket"]["prefix"] = bucket.text("Prefix", length=(1, 120))
    if destination.has("FirehoseStream"):
        stream = destination.object("FirehoseStream", allowed=("StreamName",))
        read["firehoseStream"] = {"streamName": stream.text("StreamName", length=(3, 64))}
    return read


def _read_tags(reader: Reader) -> dict[str, str]:
    tags: dict[str, str] = {}
    for tag in reader.objects("Tags", allowed=("Key", "Value"), most=MOST_TAGS):
        key = tag.text("Key", length=(1, 128))
        value = tag.text("Value", length=(0, 256))
        if key.lower().startswith("aws:"):
            tag.problem(f"{tag.path}.Key must not begin with aws:")
        elif key in OWNER_TAGS:
            tag.problem(f"{tag.path}.Key is kept for the function, which tells the owner with it")
        elif key and key in tags:
            tag.problem(f"{tag.path}.Key stands in Tags twice")
        tags[key] = value
    return tags


def _timestamp(moment: datetime | None) -> str:
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z") if moment else ""
