"""Lists the ingestion destinations of an account in one Region, and the stack resources that own them.

    python3 scripts/list_destinations.py --region us-east-1 [--profile NAME]

Needs boto3 only, and reads only: ListAppBundles, ListIngestions, ListIngestionDestinations, GetIngestionDestination and
ListTagsForResource of AppFabric, DescribeStackResource of CloudFormation. A destination that no stack resource holds
may be an orphan: delete it by hand, or adopt it with AdoptArn.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

try:
    import boto3
    from botocore.exceptions import BotoCoreError, ClientError
except ImportError:
    sys.exit("boto3 is needed: pip install boto3")

OWNERSHIP = "custom-appfabric-ingestion-destination:"


@dataclass(frozen=True)
class Listed:
    """A destination and its owner.

    Attributes:
        arn: The destination's ARN.
        status: Its status, with the reason when it is Failed.
        configuration: Where it writes what.
        held: Whether a resource of a stack has this ARN as its PhysicalResourceId.
        owner: The resource that the ownership tags name, or why there is none.
    """

    arn: str
    status: str
    configuration: str
    held: bool
    owner: str


def destinations(appfabric: Any, cloudformation: Any) -> Iterator[Listed]:
    """Yield every destination that these two boto3 clients find."""
    for bundle in _all(appfabric, "list_app_bundles", "appBundleSummaryList"):
        for ingestion in _all(appfabric, "list_ingestions", "ingestions", appBundleIdentifier=bundle):
            parents = {"appBundleIdentifier": bundle, "ingestionIdentifier": ingestion}
            for arn in _all(appfabric, "list_ingestion_destinations", "ingestionDestinations", **parents):
                found = appfabric.get_ingestion_destination(ingestionDestinationIdentifier=arn, **parents)
                tags = {tag["key"]: tag["value"] for tag in appfabric.list_tags_for_resource(resourceArn=arn)["tags"]}
                held, owner = _owner(cloudformation, arn, tags)
                yield Listed(arn, *_describe(found["ingestionDestination"]), held, owner)


def show(listed: Listed) -> str:
    """Three lines of text."""
    return f"{listed.arn}\n    {listed.status}, {listed.configuration}\n    {listed.owner}"


def _all(appfabric: Any, operation: str, key: str, **parameters: str) -> Iterator[str]:
    for page in appfabric.get_paginator(operation).paginate(**parameters):
        yield from (each["arn"] for each in page[key])


def _describe(found: dict[str, Any]) -> tuple[str, str]:
    status = " ".join(filter(None, [found.get("status", "pending"), found.get("statusReason")]))
    ((kind, place),) = found["destinationConfiguration"]["auditLog"]["destination"].items()
    processing = found["processingConfiguration"]["auditLog"]
    where = "/".join(place.values())
    return status, f"{processing['schema']} {processing['format']} to the {NAMES[kind]} {where}"


NAMES = {"s3Bucket": "bucket", "firehoseStream": "stream"}


def _owner(cloudformation: Any, arn: str, tags: dict[str, str]) -> tuple[bool, str]:
    stack, resource = tags.get(f"{OWNERSHIP}StackId"), tags.get(f"{OWNERSHIP}LogicalResourceId")
    if not stack or not resource:
        return False, "not held by a stack resource: it has no ownership tags"
    name = f"{resource} in the stack {stack.split('/')[1] if '/' in stack else stack}"
    try:
        found = cloudformation.describe_stack_resource(StackName=stack, LogicalResourceId=resource)
    except ClientError as error:
        if error.response["Error"]["Code"] != "ValidationError":
            raise
        return False, f"NOT HELD by a stack resource: {name} is gone"
    detail = found["StackResourceDetail"]
    if detail["ResourceStatus"] == "DELETE_COMPLETE":
        return False, f"NOT HELD by a stack resource: {name} is deleted"
    if detail.get("PhysicalResourceId") != arn:
        return False, f"NOT HELD by a stack resource: {name} is {detail.get('PhysicalResourceId', 'nothing')}"
    return True, f"held by {name}"


def main() -> None:
    """List those of the account and Region that the arguments name."""
    parser = argparse.ArgumentParser(description="List ingestion destinations and the stack resources that own them.")
    parser.add_argument("--region", help="the Region of the app bundle")
    parser.add_argument("--profile", help="a profile of the AWS configuration")
    arguments = parser.parse_args()
    try:
        session = boto3.Session(region_name=arguments.region, profile_name=arguments.profile)
        for each in destinations(session.client("appfabric"), session.client("cloudformation")):
            print(show(each))
    except (BotoCoreError, ClientError) as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
