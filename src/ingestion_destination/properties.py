"""ResourceProperties in, the desired destination out; a destination in, attributes out: pure functions, no calls.

The properties are those of the native type and of the API, in CloudFormation's spelling:
https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-appfabric-ingestiondestination.html
https://docs.aws.amazon.com/appfabric/latest/api/API_CreateIngestionDestination.html
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from ingestion_destination.appfabric.destination import (
    APP_BUNDLE,
    ARN,
    INGESTION,
    NAME,
    Destination,
    DestinationArn,
    FirehoseStream,
    Parents,
    Processing,
    S3Bucket,
    Target,
)
from ingestion_destination.exceptions import InvalidRequest, printable, shorten
from ingestion_destination.ownership import OWNERSHIP_TAGS, is_ownership_tag
from ingestion_destination.validation import Reader

# What AppFabric takes on a destination, and what is left of it for the template's own.
MOST_TAGS = 50
MAX_TAGS = MOST_TAGS - len(OWNERSHIP_TAGS)
# The API's name of a property and the native type's: one property, either name.
_APP_BUNDLE_NAMES = ("AppBundleIdentifier", "AppBundleArn")
_INGESTION_NAMES = ("IngestionIdentifier", "IngestionArn")
# What each must match, and what to write instead: the schema and the cfn-lint rules have the same words.
_IS_APP_BUNDLE = (
    APP_BUNDLE,
    "the ARN of an app bundle, arn:aws:appfabric:REGION:ACCOUNT:appbundle/UUID, or its lower-case UUID",
)
_IS_INGESTION = (
    INGESTION,
    "the ARN of an ingestion, arn:aws:appfabric:REGION:ACCOUNT:appbundle/UUID/ingestion/UUID, or its lower-case UUID",
)
_IS_DESTINATION_OR_EMPTY = (re.compile(f"({ARN.pattern})?"), "the ARN of an ingestion destination")
_IS_BUCKET_NAME = (
    NAME,
    "the bucket's name alone, of letters, digits, '.', '-' and '_': no ARN, URL, path or white space (use !Ref instead"
    " of !GetAtt, and !Sub >- instead of !Sub |)",
)
_IS_STREAM_NAME = (NAME, _IS_BUCKET_NAME[1].replace("bucket", "stream"))
_CLOUDFORMATIONS_OWN = ("ServiceToken", "ServiceTimeout")
_NAMES = (
    *_APP_BUNDLE_NAMES,
    *_INGESTION_NAMES,
    *("ProcessingConfiguration", "DestinationConfiguration", "Tags", "AdoptArn"),
    *_CLOUDFORMATIONS_OWN,
)


@dataclass(frozen=True, kw_only=True)
class Desired:
    """The destination that a template describes, valid by construction.

    Attributes:
        tags: The template's own, without the ownership tags.
        adopt_arn: The destination that is taken over instead of creating one.
    """

    parents: Parents
    processing: Processing
    target: Target
    tags: Mapping[str, str]
    adopt_arn: DestinationArn | None = None

    @classmethod
    def parse(cls, properties: Mapping[str, Any]) -> Desired:
        """The destination that properties describe.

        Args:
            properties: ResourceProperties. CloudFormation sends every scalar as a string.

        Raises:
            InvalidRequest: With every mistake in the properties, each with its path.
        """
        problems: list[str] = []
        reader = Reader(properties, path="", allowed=_NAMES, problems=problems)
        region = _read_region(reader)
        parents = _read_parents(reader, region)
        processing = _read_processing(reader)
        target = _read_target(reader)
        tags = _read_tags(reader)
        adopt_arn = _read_adopt_arn(reader, region)
        if adopt_arn and parents and not parents.contain(adopt_arn):
            problems.append("AdoptArn must belong to the ingestion that the properties specify")
        if isinstance(target, FirehoseStream) and processing.format == "parquet":
            path = "ProcessingConfiguration.AuditLog.Format"
            problems.append(f"{path} must be json when the destination is a FirehoseStream")
        if problems or parents is None or target is None:
            raise InvalidRequest.of(problems)
        return cls(parents=parents, processing=processing, target=target, tags=tags, adopt_arn=adopt_arn)

    @classmethod
    def parse_if_valid(cls, properties: Mapping[str, Any]) -> Desired | None:
        """The destination that properties describe; None when they are wrong, so that they never took effect."""
        try:
            return cls.parse(properties)
        except InvalidRequest:
            return None

    def needs_replacement(self, destination: Destination) -> bool:
        """Whether a destination cannot become this one: another app bundle, ingestion, schema or format."""
        return not self.parents.contain(destination.arn) or destination.processing != self.processing

    def matches(self, destination: Destination) -> bool:
        """Whether a destination is this one, tags aside."""
        return not self.needs_replacement(destination) and destination.target == self.target


def attributes_of(destination: Destination) -> dict[str, str]:
    """What Fn::GetAtt can get: the same keys every time, flat strings, "" for what AppFabric did not return."""
    return {
        "Arn": str(destination.arn),
        "AppBundleArn": destination.arn.app_bundle,
        "IngestionArn": destination.arn.ingestion,
        "Status": destination.status,
        "StatusReason": shorten(printable(destination.status_reason)),
        "CreatedAt": _timestamp(destination.created_at),
        "UpdatedAt": _timestamp(destination.updated_at),
    }


def _read_region(reader: Reader) -> str:
    """The Region of the function, which ServiceToken is the ARN of; "" where an event made by hand has none."""
    parts = reader.text("ServiceToken", optional=True).split(":")
    return parts[3] if len(parts) > 3 and parts[2] == "lambda" else ""


def _read_parents(reader: Reader, region: str) -> Parents | None:
    """None when either of them is wrong by itself."""
    bundle_name, bundle = _read_parent(reader, _APP_BUNDLE_NAMES, _IS_APP_BUNDLE, region)
    ingestion_name, ingestion = _read_parent(reader, _INGESTION_NAMES, _IS_INGESTION, region)
    if bundle is None or ingestion is None:
        return None
    parents = Parents(app_bundle=bundle, ingestion=ingestion)
    if not parents.agree():
        reader.problem(f"{ingestion_name} must belong to the app bundle that {bundle_name} specifies")
    return parents


def _read_parent(
    reader: Reader, names: Sequence[str], pattern: tuple[re.Pattern[str], str], region: str
) -> tuple[str | None, str | None]:
    """The name that the property has and its value, None when it is wrong."""
    chosen, value = reader.exactly_one(*names), None
    for name in filter(reader.has, names):
        text = reader.text(name, length=(1, 1011), pattern=pattern)
        if match := pattern[0].fullmatch(text):
            _check_region(reader, name, match["region"], region)
            value = text if name == chosen else None
    return chosen, value


def _check_region(reader: Reader, name: str, arn_region: str | None, region: str) -> None:
    """Note an ARN of another Region, where the function's client finds nothing."""
    if arn_region and region and arn_region != region:
        reader.problem(f"{name} must be in the provider's Region, {region}")


def _read_processing(reader: Reader) -> Processing:
    configuration = reader.object("ProcessingConfiguration", allowed=("AuditLog",))
    audit_log = configuration.object("AuditLog", allowed=("Schema", "Format"))
    return Processing(
        schema=audit_log.text("Schema", one_of=("ocsf", "raw")),
        format=audit_log.text("Format", one_of=("json", "parquet")),
    )


def _read_target(reader: Reader) -> Target | None:
    configuration = reader.object("DestinationConfiguration", allowed=("AuditLog",))
    audit_log = configuration.object("AuditLog", allowed=("Destination",))
    destination = audit_log.object("Destination", allowed=("S3Bucket", "FirehoseStream"))
    kind = destination.exactly_one("S3Bucket", "FirehoseStream")
    targets: dict[str | None, Target] = {}
    if destination.has("S3Bucket"):
        bucket = destination.object("S3Bucket", allowed=("BucketName", "Prefix"))
        targets["S3Bucket"] = S3Bucket(
            bucket_name=bucket.text("BucketName", length=(3, 63), pattern=_IS_BUCKET_NAME),
            prefix=bucket.text("Prefix", length=(1, 120)) if bucket.has("Prefix") else None,
        )
    if destination.has("FirehoseStream"):
        stream = destination.object("FirehoseStream", allowed=("StreamName",))
        name = stream.text("StreamName", length=(3, 64), pattern=_IS_STREAM_NAME)
        targets["FirehoseStream"] = FirehoseStream(stream_name=name)
    return targets.get(kind)


def _read_tags(reader: Reader) -> dict[str, str]:
    tags: dict[str, str] = {}
    for tag in reader.objects("Tags", allowed=("Key", "Value"), most=MAX_TAGS):
        key = tag.text("Key", length=(1, 128))
        value = tag.text("Value", length=(0, 256))
        if key.lower().startswith("aws:"):
            tag.problem(f"{tag.path}.Key must not begin with aws:")
        elif is_ownership_tag(key):
            tag.problem(f"{tag.path}.Key is reserved: the provider uses it to record ownership")
        elif key and key in tags:
            tag.problem(f"{tag.path}.Key is a duplicate of an earlier tag key")
        tags[key] = value
    return tags


def _read_adopt_arn(reader: Reader, region: str) -> DestinationArn | None:
    """None when it is absent or "", which is what a parameter's default gives."""
    arn = DestinationArn.parse(reader.text("AdoptArn", optional=True, pattern=_IS_DESTINATION_OR_EMPTY))
    if arn:
        _check_region(reader, "AdoptArn", arn.region, region)
    return arn


def _timestamp(moment: datetime | None) -> str:
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z") if moment else ""
