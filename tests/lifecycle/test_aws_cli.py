"""The AppFabric emulator over HTTP, by the AWS CLI."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from local.appfabric import AppFabricEmulator, serve
from tests.support.properties import BUNDLE, INGESTION

PROCESSING = {"auditLog": {"schema": "ocsf", "format": "json"}}
TO_BUCKET = {"auditLog": {"destination": {"s3Bucket": {"bucketName": "logs"}}}}
TO_STREAM = {"auditLog": {"destination": {"firehoseStream": {"streamName": "logs"}}}}


@pytest.fixture
def service() -> AppFabricEmulator:
    return AppFabricEmulator()


@pytest.fixture
def aws(service: AppFabricEmulator, tmp_path: Path) -> Iterator[Callable[..., Any]]:
    """Calls an operation; returns its output, parsed, or what it says when it fails."""

    def aws(operation: str, **options: Any) -> Any:
        command = [str(Path(sys.executable).parent / "aws"), "appfabric", operation]
        for name, value in options.items():
            command += [f"--{name.replace('_', '-')}", value if isinstance(value, str) else json.dumps(value)]
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(tmp_path),
            "AWS_ENDPOINT_URL_APPFABRIC": url,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_DEFAULT_REGION": "us-east-1",
        }
        ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
        return json.loads(ended.stdout or "{}") if ended.returncode == 0 else ended.stderr.strip()

    with serve(service) as url:
        yield aws


def test_the_aws_cli_works_with_every_operation(aws: Callable[..., Any], service: AppFabricEmulator) -> None:
    parents = {"app_bundle_identifier": BUNDLE, "ingestion_identifier": INGESTION}
    configuration = {"processing_configuration": PROCESSING, "destination_configuration": TO_BUCKET}
    created = aws("create-ingestion-destination", **parents, **configuration, tags=[{"key": "a", "value": "1"}])
    arn = created["ingestionDestination"]["arn"]
    named = {**parents, "ingestion_destination_identifier": arn}
    assert aws("list-app-bundles") == {"appBundleSummaryList": [{"arn": BUNDLE}]}
    (listed,) = aws("list-ingestions", app_bundle_identifier=BUNDLE)["ingestions"]
    assert listed["arn"] == INGESTION
    assert aws("list-ingestion-destinations", **parents) == {"ingestionDestinations": [{"arn": arn}]}
    aws("update-ingestion-destination", **named, destination_configuration=TO_STREAM)
    read = aws("get-ingestion-destination", **named)["ingestionDestination"]
    assert (read["destinationConfiguration"], read["status"]) == (TO_STREAM, "Active")
    aws("tag-resource", resource_arn=arn, tags=[{"key": "b", "value": "2"}])
    aws("untag-resource", resource_arn=arn, tag_keys="a")
    assert aws("list-tags-for-resource", resource_arn=arn) == {"tags": [{"key": "b", "value": "2"}]}
    assert aws("delete-ingestion-destination", **named) == {}
    assert not service.destinations
    assert "(ResourceNotFoundException)" in aws("get-ingestion-destination", **named)
