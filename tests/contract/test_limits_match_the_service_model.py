"""Enums, lengths and members compared with botocore's model: AWS's changes fail these tests, not a stack."""

from typing import Any

import botocore.session
import pytest

from ingestion_destination.appfabric.destination import UUID
from ingestion_destination.exceptions import InvalidRequest
from ingestion_destination.properties import MAX_TAGS, Desired
from tests.support.properties import processing, properties, to_bucket, to_stream

model = botocore.session.get_session().get_service_model("appfabric")


def shape(name: str) -> Any:
    return model.shape_for(name)


def accepted(**changed: Any) -> bool:
    try:
        Desired.parse(properties(**changed))
    except InvalidRequest:
        return False
    return True


@pytest.mark.parametrize(
    ("shape_name", "make"),
    [
        ("String63", lambda n: {"DestinationConfiguration": to_bucket("x" * n)}),
        ("String64", lambda n: {"DestinationConfiguration": to_stream("x" * n)}),
        (
            "String120",
            lambda n: {
                "DestinationConfiguration": {
                    "AuditLog": {"Destination": {"S3Bucket": {"BucketName": "abc", "Prefix": "x" * n}}}
                }
            },
        ),
        ("TagKey", lambda n: {"Tags": [{"Key": "x" * n, "Value": ""}]}),
        ("TagValue", lambda n: {"Tags": [{"Key": "x", "Value": "x" * n}]}),
    ],
)
def test_lengths(shape_name: str, make: Any) -> None:
    limits = shape(shape_name).metadata
    assert accepted(**make(limits["min"]))
    assert accepted(**make(limits["max"]))
    assert not accepted(**make(limits["max"] + 1))
    if limits["min"]:
        assert not accepted(**make(limits["min"] - 1))


def test_enums() -> None:
    for schema in shape("Schema").enum:
        assert accepted(ProcessingConfiguration=processing(schema, "json"))
    for form in shape("Format").enum:
        assert accepted(ProcessingConfiguration=processing("ocsf", form))
    assert set(shape("Schema").enum) == {"ocsf", "raw"}
    assert set(shape("Format").enum) == {"json", "parquet"}
    assert set(shape("IngestionDestinationStatus").enum) == {"Active", "Failed"}


def test_patterns() -> None:
    assert shape("UUID").metadata["pattern"].replace("a-f0-9", "0-9a-f") == UUID
    # The ARNs are those of the Service Authorization Reference: tests/support/property_sets.py.
    arn, uuid = shape("Identifier").metadata["pattern"].split("$|^")
    assert (arn, uuid.replace("a-f0-9", "0-9a-f")) == ("arn:.+", UUID)


def test_tags_and_the_four_ownership_tags_fill_the_limit() -> None:
    assert shape("TagList").metadata["max"] == MAX_TAGS + 4


def test_the_create_request_has_no_other_members() -> None:
    assert set(shape("CreateIngestionDestinationRequest").members) == {
        "appBundleIdentifier",
        "ingestionIdentifier",
        "processingConfiguration",
        "destinationConfiguration",
        "clientToken",
        "tags",
    }
    assert set(shape("Destination").members) == {"s3Bucket", "firehoseStream"}
    assert set(shape("S3Bucket").members) == {"bucketName", "prefix"}
    assert set(shape("FirehoseStream").members) == {"streamName"}
    assert set(shape("ProcessingConfiguration").members) == {"auditLog"}
    assert set(shape("AuditLogProcessingConfiguration").members) == {"schema", "format"}


def test_only_the_destination_configuration_can_be_updated() -> None:
    members = set(shape("UpdateIngestionDestinationRequest").members)
    assert members - {name for name in members if name.endswith("Identifier")} == {"destinationConfiguration"}


def test_the_errors_that_the_lifecycle_relies_on_are_modeled() -> None:
    def codes(operation: str) -> set[str]:
        return {error.name for error in model.operation_model(operation).error_shapes}

    assert "ResourceNotFoundException" not in codes("CreateIngestionDestination")
    assert "ResourceNotFoundException" in codes("GetIngestionDestination") & codes("DeleteIngestionDestination")
    assert "ConflictException" not in codes("DeleteIngestionDestination")
