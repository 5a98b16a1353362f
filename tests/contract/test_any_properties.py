"""Whatever the properties, the function and the cfn-lint rules report the same mistakes; the schema rejects them."""

import copy
import importlib
import re
import sys
import types
from collections.abc import Mapping
from typing import Any
from unittest.mock import patch

from hypothesis import given, settings
from hypothesis import strategies as st

from ingestion_destination.exceptions import InvalidRequest
from ingestion_destination.properties import Desired
from tests.contract.test_validators import own_properties, validator, without_guesses
from tests.support.properties import BUNDLE, INGESTION, to_bucket, to_stream
from tests.support.property_sets import DESTINATION, GOOD, OTHER_BUNDLE, OWNERS
from tests.template.tools import RULES

# The rules as a package without the modules that import cfn-lint, which has an environment of its own.
package = types.ModuleType("rules_without_cfn_lint")
package.__path__ = [str(RULES)]
sys.modules[package.__name__] = package
contract = importlib.import_module(f"{package.__name__}._contract")
resources = importlib.import_module(f"{package.__name__}._resources")

# What JSON Schema cannot express: it cannot compare two values.
ACROSS = re.compile("is a duplicate of|must belong to|in the provider's Region")
SCHEMA = validator(contract.SCHEMA)
NAMES = [
    *contract.SCHEMA["properties"],
    *(name for definition in contract.SCHEMA["definitions"].values() for name in definition["properties"]),
    *("", ".", ".Tags", "Tags\n", "n" * 65, "n" * 64),
]
VALUES: list[Any] = [
    *(BUNDLE, INGESTION, DESTINATION, OTHER_BUNDLE, BUNDLE.upper(), INGESTION.replace("us-east-1", "eu-west-1")),
    *(BUNDLE[-36:], INGESTION[-36:], DESTINATION[-36:], INGESTION.replace(BUNDLE, OTHER_BUNDLE), f"{BUNDLE}\n"),
    *("", "x", "audit-logs", "a/b", "s3://audit-logs", "arn:aws:s3:::audit-logs", "audit-logs\n", "Audit_Logs"),
    *("ocsf", "raw", "json", "parquet", "aws:x", OWNERS, "p" * 130, "p" * 260, {}, [], {"Key": "team"}, [{"Key": "a"}]),
    *(f"{OWNERS}\n", "parquet\n", DESTINATION.replace(INGESTION, f"{OTHER_BUNDLE}/ingestion/{BUNDLE[-36:]}")),
    *([{"Key": each, "Value": ""} for each in (key, "b", key)] for key in ("aws:x", "", OWNERS, "k" * 130)),
    *({"Key": "team", "Value": "a"}, [{"Key": "a", "Value": "b"}] * 47, to_bucket("abc"), to_stream("abc")),
]


@st.composite
def property_sets(draw: st.DrawFn) -> dict[str, Any]:
    """Valid properties with some changes anywhere in them."""
    properties = copy.deepcopy({**GOOD, "Tags": [{"Key": "team", "Value": "security"}]})
    if draw(st.booleans()):
        properties["DestinationConfiguration"] = to_stream("audit-logs")
    for _ in range(draw(st.integers(0, 3))):
        place = draw(st.sampled_from(containers(properties)))
        value = copy.deepcopy(draw(st.sampled_from(VALUES)))
        if isinstance(place, list):
            place.append(value)
        elif (name := draw(st.sampled_from([*place, *NAMES]))) in place and draw(st.booleans()):
            del place[name]
        elif name != "ServiceToken":
            place[name] = value
    return properties


def containers(value: Any) -> list[Any]:
    if not isinstance(value, (dict, list)):
        return []
    inside = value.values() if isinstance(value, dict) else value
    return [value, *(each for child in inside for each in containers(child))]


def reported_by_the_function(properties: dict[str, Any]) -> set[str]:
    """Return all mistakes, including those that do not fit in a stack event."""
    with patch("ingestion_destination.exceptions.MAX_REASON_LENGTH", 1_000_000):
        try:
            Desired.parse(properties)
        except InvalidRequest as refused:
            return without_guesses(refused.message.split("; "))
    return set()


def reported_by_the_rules(properties: dict[str, Any]) -> set[str]:
    resource = resources.Resource("Destination", contract.TYPE, {"Properties": properties}, Template())
    return without_guesses(
        mistake.message(variant) for variant in resource.variants() for mistake in contract.mistakes(variant)
    )


class Template:
    """A template without parameters and conditions, as cfn-lint gives it to a rule."""

    template: Mapping[str, Any] = {"Resources": {}}

    @property
    def conditions(self) -> "Template":
        return self

    def get(self, name: str) -> None:
        """Return no condition."""


@settings(max_examples=1000, derandomize=True, deadline=None)
@given(property_sets())
def test_the_same_mistakes_are_reported(properties: dict[str, Any]) -> None:
    by_the_function = reported_by_the_function(properties)
    assert reported_by_the_rules(properties) == by_the_function
    in_the_schema = {mistake for mistake in by_the_function if not ACROSS.search(mistake)}
    assert SCHEMA.is_valid(own_properties(properties)) == (not in_the_schema)
