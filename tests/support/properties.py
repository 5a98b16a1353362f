"""Valid properties as a template describes them, and their parts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

BUNDLE = "arn:aws:appfabric:us-east-1:111122223333:appbundle/11111111-1111-4111-8111-111111111111"
INGESTION = f"{BUNDLE}/ingestion/22222222-2222-4222-8222-222222222222"
OTHER_INGESTION = f"{BUNDLE}/ingestion/33333333-3333-4333-8333-333333333333"
STACK_ID = "arn:aws:cloudformation:us-east-1:111122223333:stack/audit-logs/51af3dc0-da77-11e4-872e-1234567db123"


def properties(**changed: Any) -> dict[str, Any]:
    """Return valid properties; `None` removes one."""
    every = {
        "ServiceToken": "arn:aws:lambda:us-east-1:111122223333:function:provider",
        "ServiceTimeout": "720",
        "AppBundleIdentifier": BUNDLE,
        "IngestionIdentifier": INGESTION,
        "ProcessingConfiguration": processing("ocsf", "json"),
        "DestinationConfiguration": to_bucket("audit-logs", prefix="saas"),
        **changed,
    }
    return {name: value for name, value in every.items() if value is not None}


def to_bucket(name: str, prefix: str | None = None) -> dict[str, Any]:
    bucket = {"BucketName": name} | ({"Prefix": prefix} if prefix else {})
    return {"AuditLog": {"Destination": {"S3Bucket": bucket}}}


def to_stream(name: str) -> dict[str, Any]:
    return {"AuditLog": {"Destination": {"FirehoseStream": {"StreamName": name}}}}


def processing(schema: str, form: str) -> dict[str, Any]:
    return {"AuditLog": {"Schema": schema, "Format": form}}


def tag_list(tags: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]
