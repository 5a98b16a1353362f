"""The Region that the ARNs of an event or a template name."""

import re
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from ingestion_destination.appfabric.errors import REGIONS

# Of the services that cannot be used from another Region: an event has ARNs of all three.
_REGIONAL_ARN = re.compile(r"arn:aws[a-z-]*:(?:appfabric|cloudformation|lambda):(?P<region>[a-z0-9-]+):")
_ELSEWHERE = {"ResponseURL", "Tags"}  # a pre-signed URL, and text that means nothing to AppFabric


class RegionMismatch(ValueError):
    """The ARNs are of a Region that cannot be meant; the text is one line for the user."""


def region_of(document: Any, *, expected: str | None = None) -> str | None:
    """The Region that a document's ARNs name.

    Args:
        document: An event, or any part of a template, as JSON.
        expected: The only Region that can be meant, if it is known.

    Returns:
        The Region; `expected` where the document names none.

    Raises:
        RegionMismatch: The ARNs are of several Regions, of another one than `expected`, or of one without AppFabric.
    """
    found: defaultdict[str, list[str]] = defaultdict(list)
    for path, region in _regions(document, ""):
        found[region].append(path)
    for region, paths in found.items():
        if expected not in (None, region):
            subject = f"{paths[0]} names" if paths[0] else "this is"
            raise RegionMismatch(f"{subject} {region}, and the local environment is in {expected}")
    if len(found) > 1:
        places = "; ".join(f"{region} in {', '.join(sorted(set(paths)))}" for region, paths in sorted(found.items()))
        raise RegionMismatch(f"the ARNs are of {len(found)} Regions: {places}")
    for region, paths in found.items():
        if region not in REGIONS:
            raise RegionMismatch(f"AppFabric is in {', '.join(REGIONS)}, and {paths[0]} names {region}")
    return next(iter(found), expected)


def _regions(value: Any, path: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for key, item in value.items():
            if key not in _ELSEWHERE:
                yield from _regions(item, f"{path}.{key}" if path else key)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _regions(item, f"{path}[{index}]")
    elif isinstance(value, str):
        for match in _REGIONAL_ARN.finditer(value):
            yield path, match["region"]
