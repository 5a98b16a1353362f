"""Ingestion destinations and the ARNs that name them."""

import re
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from local.appfabric.model import service_model

_UUID = service_model().shape_for("UUID").metadata["pattern"]
# https://docs.aws.amazon.com/service-authorization/latest/reference/list_awsappfabric.html
_ARN = re.compile(
    r"arn:(?P<partition>aws[a-z-]*):appfabric:(?P<region>[a-z0-9-]+):(?P<account_id>[0-9]{12})"
    rf":appbundle/(?P<bundle>{_UUID})"
    rf"(?:/ingestion/(?P<ingestion>{_UUID})(?:/ingestiondestination/(?P<destination>{_UUID}))?)?"
)


@dataclass(frozen=True, kw_only=True)
class Arn:
    """The ARN of an app bundle, of an ingestion in it or of a destination of that."""

    partition: str
    region: str
    account_id: str
    bundle: str
    ingestion: str | None = None
    destination: str | None = None

    @classmethod
    def parse(cls, text: str) -> "Arn | None":
        """The ARN that `text` is, None for anything else."""
        match = _ARN.fullmatch(text)
        return cls(**match.groupdict()) if match else None

    def __str__(self) -> str:
        text = self.ingestion_arn
        return f"{text}/ingestiondestination/{self.destination}" if self.destination else text

    @property
    def bundle_arn(self) -> str:
        """The ARN of the app bundle alone."""
        return f"arn:{self.partition}:appfabric:{self.region}:{self.account_id}:appbundle/{self.bundle}"

    @property
    def ingestion_arn(self) -> str:
        """The ARN of the ingestion, or of the bundle where none is named."""
        return f"{self.bundle_arn}/ingestion/{self.ingestion}" if self.ingestion else self.bundle_arn

    def lies_in(self, bundle_identifier: str, ingestion_identifier: str) -> bool:
        """Whether these two, each an ARN or a UUID, name the app bundle and the ingestion of this ARN."""
        return bundle_identifier in (self.bundle, self.bundle_arn) and ingestion_identifier in (
            self.ingestion,
            self.ingestion_arn,
        )


@dataclass(kw_only=True)
class Destination:
    """A destination as the service keeps it; `processing` and `destination` are the two configurations."""

    arn: str
    processing: dict[str, Any]
    destination: dict[str, Any]
    created_at: datetime
    updated_at: datetime
    status: str | None = "Active"
    status_reason: str | None = None
    tags: dict[str, str] = field(default_factory=dict)
    pending_gets: int = 0
    hidden_gets: int = 0
    lingering_gets: int = 0

    @property
    def path(self) -> Arn:
        """The ARN taken apart."""
        path = Arn.parse(self.arn)
        if path is None or path.destination is None:
            raise ValueError(f"{self.arn} is not the ARN of an ingestion destination")
        return path

    def described(self) -> dict[str, Any]:
        """The API's IngestionDestination, which holds no tags."""
        return {
            "arn": self.arn,
            "ingestionArn": self.path.ingestion_arn,
            "processingConfiguration": self.processing,
            "destinationConfiguration": self.destination,
            "status": None if self.pending_gets else self.status,
            "statusReason": None if self.pending_gets else self.status_reason,
            "createdAt": self.created_at,
            "updatedAt": self.updated_at,
        }
