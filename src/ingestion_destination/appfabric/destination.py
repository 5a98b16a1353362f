"""An ingestion destination as AppFabric describes it, in types: made once, in the client.

https://docs.aws.amazon.com/appfabric/latest/api/API_IngestionDestination.html
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from types_boto3_appfabric.type_defs import (
        DestinationConfigurationTypeDef,
        ProcessingConfigurationTypeDef,
        S3BucketTypeDef,
    )

UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
_IN_REGION = r"arn:aws[a-z-]*:appfabric:(?P<region>[a-z0-9-]+):[0-9]{12}"
ARN = re.compile(
    rf"(?P<ingestion>(?P<app_bundle>{_IN_REGION}:appbundle/{UUID})/ingestion/{UUID})/ingestiondestination/{UUID}"
)
# What names an app bundle, and what names an ingestion. In an ARN the service model allows an upper-case UUID too.
_ANY_UUID = UUID.replace("a-f", "a-fA-F")
APP_BUNDLE = re.compile(rf"{_IN_REGION}:appbundle/{_ANY_UUID}|{UUID}")
INGESTION = re.compile(rf"{_IN_REGION}:appbundle/{_ANY_UUID}/ingestion/{_ANY_UUID}|{UUID}")
# Names of buckets, old ones included, and of Data Firehose streams have no other characters.
NAME = re.compile(r"[a-zA-Z0-9._-]*")


@dataclass(frozen=True, kw_only=True)
class DestinationArn:
    """The ARN of an ingestion destination, which names its app bundle and its ingestion too."""

    text: str
    app_bundle: str
    ingestion: str
    region: str

    @classmethod
    def parse(cls, text: str) -> DestinationArn | None:
        """None for anything that is not the ARN of an ingestion destination."""
        match = ARN.fullmatch(text)
        return cls(text=text, **match.groupdict()) if match else None

    @classmethod
    def of(cls, returned: Mapping[str, Any]) -> DestinationArn | None:
        """The ARN of a destination, or of a summary of one, that AppFabric returned."""
        return cls.parse(str(returned.get("arn")))

    @property
    def uuid(self) -> str:
        """Its last part."""
        return self.text.rpartition("/")[2]

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, kw_only=True)
class Parents:
    """An app bundle and one of its ingestions, each by its ARN or its UUID."""

    app_bundle: str
    ingestion: str

    def agree(self) -> bool:
        """Whether the ingestion lies in the app bundle, as far as its ARN says; a UUID says nothing."""
        named = self.ingestion.rpartition("/ingestion/")[0]
        if ":" in self.app_bundle and named:
            return named.lower() == self.app_bundle.lower()
        return not named or _uuid(named) == _uuid(self.app_bundle)

    def are(self, others: Parents) -> bool:
        """Whether these are the same ones; a UUID and the ARN that ends in it are equal."""
        return _uuid(self.app_bundle) == _uuid(others.app_bundle) and _uuid(self.ingestion) == _uuid(others.ingestion)

    def contain(self, arn: DestinationArn) -> bool:
        """Whether the destination is one of this ingestion's."""
        return self.are(Parents(app_bundle=arn.app_bundle, ingestion=arn.ingestion))


@dataclass(frozen=True, kw_only=True)
class Processing:
    """How audit logs are processed: the schema (ocsf, raw) and the format (json, parquet)."""

    schema: str
    format: str

    def to_configuration(self) -> ProcessingConfigurationTypeDef:
        """The API's ProcessingConfiguration."""
        return {"auditLog": {"schema": self.schema, "format": self.format}}  # type: ignore[typeddict-item]  # validated


@dataclass(frozen=True, kw_only=True)
class S3Bucket:
    """A bucket that audit logs are written to."""

    bucket_name: str
    prefix: str | None = None

    def to_configuration(self) -> DestinationConfigurationTypeDef:
        """The API's DestinationConfiguration."""
        bucket: S3BucketTypeDef = {"bucketName": self.bucket_name}
        if self.prefix is not None:
            bucket["prefix"] = self.prefix
        return {"auditLog": {"destination": {"s3Bucket": bucket}}}


@dataclass(frozen=True, kw_only=True)
class FirehoseStream:
    """A Data Firehose stream that audit logs are written to."""

    stream_name: str

    def to_configuration(self) -> DestinationConfigurationTypeDef:
        """The API's DestinationConfiguration."""
        return {"auditLog": {"destination": {"firehoseStream": {"streamName": self.stream_name}}}}


Target = S3Bucket | FirehoseStream
"""Where audit logs are written to."""


@dataclass(frozen=True, kw_only=True)
class Destination:
    """An ingestion destination as AppFabric returned it.

    Only members that are known here are kept, so that what AppFabric adds one day makes no difference.

    Attributes:
        target: None when AppFabric returned a kind that is not known here.
        status: "" when AppFabric did not return one (yet), else Active or Failed.
    """

    arn: DestinationArn
    processing: Processing
    target: Target | None
    status: str
    status_reason: str
    created_at: datetime | None
    updated_at: datetime | None

    @classmethod
    def parse(cls, returned: Mapping[str, Any]) -> Destination | None:
        """The destination that an operation returned, None when a required member is missing.

        Args:
            returned: The member ingestionDestination of the operation's output, as boto3 returns it.
        """
        arn = DestinationArn.of(returned)
        processing = (returned.get("processingConfiguration") or {}).get("auditLog")
        destination = (returned.get("destinationConfiguration") or {}).get("auditLog")
        if arn is None or processing is None or destination is None:
            return None
        return cls(
            arn=arn,
            processing=Processing(schema=processing.get("schema", ""), format=processing.get("format", "")),
            target=_target(destination.get("destination") or {}),
            status=returned.get("status") or "",
            status_reason=returned.get("statusReason") or "",
            created_at=returned.get("createdAt"),
            updated_at=returned.get("updatedAt"),
        )


def _target(destination: Mapping[str, Any]) -> Target | None:
    if bucket := destination.get("s3Bucket"):
        return S3Bucket(bucket_name=bucket.get("bucketName", ""), prefix=bucket.get("prefix") or None)
    if stream := destination.get("firehoseStream"):
        return FirehoseStream(stream_name=stream.get("streamName", ""))
    return None


def _uuid(identifier: str) -> str:
    return identifier.rpartition("/")[2].lower()
