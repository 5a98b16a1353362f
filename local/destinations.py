"""`make local-destinations`: what is in AppFabric, with the stack resource that owns it."""

import boto3
from rich.text import Text

from local.console import console
from local.environment import running
from scripts.list_destinations import destinations, show


def main() -> int:
    """Print every destination, and mark those that no stack resource holds."""
    environment = running()
    cloudformation = environment.cloudformation().client("cloudformation")
    appfabric = boto3.session.Session(
        aws_access_key_id="test",
        aws_secret_access_key="test",  # noqa: S106 - the emulator takes any
        region_name=environment.region,
    ).client("appfabric", endpoint_url=environment.appfabric_endpoint)
    found = list(destinations(appfabric, cloudformation))
    out = console()
    for each in found:
        out.print(Text(show(each), style="" if each.held else "yellow"), soft_wrap=True)
    if not found:
        out.print("AppFabric has no ingestion destinations")
    return 0
