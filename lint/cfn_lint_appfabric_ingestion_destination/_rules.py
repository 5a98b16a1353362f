"""The rules: each looks at the resources of a template and reports a mistake once, at its place."""

from __future__ import annotations

import re
from difflib import SequenceMatcher
from typing import Any, Iterator

from cfnlint.rules import CloudFormationLintRule, RuleMatch

from ._contract import ATTRIBUTES, SCHEMA, TYPE, did_you_mean, mistakes
from ._functions import At, dotted, variables
from ._resources import Resource, Variant, resources
from ._values import HOLE, UNKNOWN, known_parts

EXPORT = "appfabric-ingestion-destination-ServiceToken"
# An event waits at most 360 s for the provider's function, which then has at most 300 s.
MAX_REQUEST_SECONDS = 360 + 300
_RANGE = SCHEMA["properties"]["ServiceTimeout"]
_PROVIDER = re.compile("appfabric-ingestion-destination(-ServiceToken|-ProviderFunction-.*|:.*)?$")
_FUNCTION_ARN = ("arn", "", "lambda", "", "", "function")  # and its name; "" may be anything
_BUCKET_NAME = ("DestinationConfiguration", "AuditLog", "Destination", "S3Bucket", "BucketName")


class _OfTheType(CloudFormationLintRule):  # type: ignore[misc]
    """A rule for each resource of the type."""

    tags = ("resources", "appfabric")

    def match(self, cfn: Any) -> list[RuleMatch]:
        """Return what is wrong in a template, each mistake once."""
        found: dict[tuple[At, str], RuleMatch] = {}
        for resource in resources(cfn):
            if resource.type == TYPE:
                for variant in resource.variants():
                    for at, message in self.found_in(variant):
                        path = variant.place(at)
                        found.setdefault((path, message), RuleMatch(list(path), f"{message}{variant.by}"))
        return list(found.values())

    def found_in(self, variant: Variant) -> Iterator[tuple[At, str]]:
        """Yield what is wrong with a resource, with its place in the properties."""
        raise NotImplementedError


class Properties(_OfTheType):
    """Every wrong property."""

    id = "E9701"
    shortdesc = f"Properties of {TYPE}"
    description = "What the provider would refuse, which fails the deployment"

    def found_in(self, variant: Variant) -> Iterator[tuple[At, str]]:
        """Yield every mistake, as the function says it."""
        for mistake in mistakes(variant):
            yield mistake.at, mistake.message(variant)


class ServiceToken(_OfTheType):
    """What cannot be the provider's function."""

    id = "E9703"
    shortdesc = f"ServiceToken of {TYPE}"
    description = "The provider is a Lambda function: another resource, or the name of an export, cannot work"

    def found_in(self, variant: Variant) -> Iterator[tuple[At, str]]:
        """Yield a token that is known to be something else."""
        token = variant.properties.get("ServiceToken") if isinstance(variant.properties, dict) else None
        if isinstance(token, str) and not _may_be_a_function(token):
            is_what = (
                "the ARN of the provider's function, not a name or the ARN of an SNS topic, a layer or anything else"
            )
            yield ("ServiceToken",), f"ServiceToken must be {is_what}: Fn::ImportValue {EXPORT} gives it"


def _may_be_a_function(token: str) -> bool:
    """Whether a text is the ARN of a function, as far as it is known."""
    parts = known_parts(token)
    if HOLE not in token and len(parts) < len(_FUNCTION_ARN) + 1:
        return False
    return not re.search(r":sns:|\s", token) and all(
        part == wanted for part, wanted in zip(parts, _FUNCTION_ARN) if wanted
    )


class ServiceTimeoutRange(_OfTheType):
    """A timeout that CloudFormation refuses."""

    id = "E9704"
    shortdesc = f"Range of the ServiceTimeout of {TYPE}"
    description = "CloudFormation refuses a ServiceTimeout that is not a whole number of seconds up to an hour"

    def found_in(self, variant: Variant) -> Iterator[tuple[At, str]]:
        """Yield a timeout that is known to be out of range, or not a number."""
        value = _service_timeout(variant)
        if isinstance(value, str) and HOLE not in value and _seconds(value) is None:
            words = f"must be a whole number of seconds from {_RANGE['minimum']} to {_RANGE['maximum']}"
            yield ("ServiceTimeout",), f"ServiceTimeout {words}"


class ServiceTimeout(_OfTheType):
    """How long CloudFormation waits for a response."""

    id = "W9701"
    shortdesc = f"ServiceTimeout of {TYPE}"
    description = "CloudFormation waits an hour for a response that never comes, unless ServiceTimeout says less"

    def found_in(self, variant: Variant) -> Iterator[tuple[At, str]]:
        """Yield a timeout that is missing or too short."""
        value = _service_timeout(variant)
        seconds = _seconds(value) if isinstance(value, str) else None
        message = ""
        if value is None:
            message = "is missing: CloudFormation waits an hour for a response that never comes; 720 is enough"
        elif seconds is not None and seconds < MAX_REQUEST_SECONDS:
            message = (
                f"should be at least {MAX_REQUEST_SECONDS} seconds (is {value}): an event may wait and be processed"
                " for that long, and a later response is lost"
            )
        if message:
            yield ("ServiceTimeout",), f"ServiceTimeout {message}"


def _service_timeout(variant: Variant) -> Any:
    """Return the value of the property, None if it is missing."""
    return variant.properties.get("ServiceTimeout") if isinstance(variant.properties, dict) else UNKNOWN


def _seconds(text: str) -> int | None:
    """Return how many seconds CloudFormation waits, None when it refuses the text."""
    seconds = int(text) if re.fullmatch("[0-9]{1,4}", text) else 0
    return seconds if _RANGE["minimum"] <= seconds <= _RANGE["maximum"] else None


class BucketName(_OfTheType):
    """A bucket's name that only an old bucket can have."""

    id = "W9703"
    shortdesc = f"BucketName of {TYPE}"
    description = "S3 has allowed neither capitals nor underscores in the name of a new bucket since March 2018"

    def found_in(self, variant: Variant) -> Iterator[tuple[At, str]]:
        """Yield a name with capitals or underscores."""
        name = variant.properties
        for key in _BUCKET_NAME:
            name = name.get(key) if isinstance(name, dict) else None
        if isinstance(name, str) and re.search("[A-Z_]", name) and re.fullmatch(r"[\w.-]*", name.replace(HOLE, "")):
            words = "has capitals or an underscore, which only buckets of before March 2018 have"
            yield _BUCKET_NAME, f"{variant.name(_BUCKET_NAME)} {words}"


class Attributes(CloudFormationLintRule):  # type: ignore[misc]
    """What Fn::GetAtt, or a ${Name.Attribute} of Fn::Sub, asks for."""

    id = "E9702"
    shortdesc = f"Attributes of {TYPE}"
    description = "An attribute that the response does not have fails the deployment"
    tags = ("resources", "functions", "appfabric")

    def match(self, cfn: Any) -> list[RuleMatch]:
        """Return each reference to an attribute that no resource of the type has."""
        names = {resource.name for resource in resources(cfn) if resource.type == TYPE}
        references = [(path, dotted(value)) for *path, value in cfn.search_deep_keys("Fn::GetAtt")]
        for *path, value in cfn.search_deep_keys("Fn::Sub"):
            references += [(path, name) for name in variables(value)]
        found = []
        for path, reference in references:
            name, _, attribute = reference.strip().partition(".")
            if name in names and attribute and attribute not in ATTRIBUTES:
                message = f"{name} has no attribute {attribute}{did_you_mean(attribute, ATTRIBUTES)}"
                found.append(RuleMatch(path, f"{message} (it has {', '.join(ATTRIBUTES)})"))
        return found


class Type(CloudFormationLintRule):  # type: ignore[misc]
    """A resource that is meant to be of the type, and has another name of it."""

    id = "W9702"
    shortdesc = f"Type of {TYPE}"
    description = "CloudFormation accepts any name after Custom::, but nothing validates the properties then"
    tags = ("resources", "appfabric")

    def match(self, cfn: Any) -> list[RuleMatch]:
        """Return each resource whose type is almost the name, or whose ServiceToken is the provider's."""
        return [
            RuleMatch(
                ["Resources", resource.name, "Type"],
                f"{resource.type} is not validated: the type is {TYPE} (in CDK: resourceType)",
            )
            for resource in resources(cfn)
            if resource.type != TYPE and (_is_almost(resource.type) or _is_the_providers(resource))
        ]


def _is_almost(name: str) -> bool:
    begins = name.lower().startswith("custom::")
    goes_on = name.startswith(TYPE) and len(name) > len(f"{TYPE}s")  # a type of its own, not a typo
    return begins and not goes_on and SequenceMatcher(None, name.lower(), TYPE.lower()).ratio() > 0.9


def _is_the_providers(resource: Resource) -> bool:
    """Whether the ServiceToken of a custom resource is the export of the provider's stack, or a function named so."""
    if not resource.type.startswith(("Custom::", "AWS::CloudFormation::CustomResource")):
        return False
    return _PROVIDER.search(resource.service_token()) is not None
