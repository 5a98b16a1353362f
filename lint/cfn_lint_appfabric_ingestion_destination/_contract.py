"""Every mistake that properties show, in the words of the schema and of the function.

The schema is interpreted here, keyword by keyword, because each mistake needs its place, its words and leniency
toward what only a deployment can resolve. jsonschema does not come with cfn-lint.
"""

from __future__ import annotations

import json
import re
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Iterable, Iterator, Mapping, NamedTuple

from ._functions import At
from ._resources import Variant
from ._values import HOLE, MAYBE, SAMPLES, Partial, Unknown, is_known, known_parts, least_length

SCHEMA = json.loads(Path(__file__).with_name("schema.json").read_text(encoding="utf-8"))
TYPE = SCHEMA["typeName"]
_READ_ONLY = [path.rpartition("/")[2] for path in SCHEMA["readOnlyProperties"]]
ATTRIBUTES = ("AppBundleArn", "IngestionArn", *_READ_ONLY)
_CLOUDFORMATIONS_OWN = ("ServiceToken", "ServiceTimeout")  # validated by cfn-lint itself and by rules of their own
_NAMES = ("BucketName", "StreamName")
_BUNDLE = ("AppBundleIdentifier", "AppBundleArn")
_ARNS = (*_BUNDLE, "IngestionIdentifier", "IngestionArn", "AdoptArn")
_KINDS = {"object": (dict, "an object"), "array": (list, "a list"), "string": (str, "a string")}


class Mistake(NamedTuple):
    """One mistake.

    Attributes:
        at: The place in the properties.
        subject: The place that the message names; None when the message stands alone.
        words: What is wrong with it, and what to write instead.
    """

    at: At
    subject: At | None
    words: str

    def message(self, variant: Variant) -> str:
        """Return the sentence, as the function says it."""
        name = variant.name(self.subject) if self.subject else "Properties"
        return self.words if self.subject is None else f"{name} {self.words}"


def mistakes(variant: Variant) -> Iterator[Mistake]:
    """Yield every mistake in the properties of a resource of the type."""
    properties = variant.properties
    for mistake in _violations(_WRITABLE, properties, ()):
        # A template may let people choose parquet: they know whether there is a stream.
        if not (variant.is_chosen and mistake.words == _JSON_ONLY["$comment"]):
            yield mistake
    if isinstance(properties, dict):
        yield from _duplicates(properties)
        yield from _ingestion_of_another_bundle(properties)
        yield from _other_regions(properties)
        yield from _adopted_from_elsewhere(properties)


def did_you_mean(name: Any, known: Iterable[str]) -> str:
    """Return the closest of the known names as a question, "" when none is close."""
    by_lower = {each.lower(): each for each in known}
    close = get_close_matches(str(name).lower(), by_lower, n=1)
    return f", did you mean {by_lower[close[0]]}?" if close else ""


def _writable() -> Mapping[str, Any]:
    """Return the schema of what a template may have: no attributes, and CloudFormation's own properties as they are."""
    properties = {name: each for name, each in SCHEMA["properties"].items() if name not in _READ_ONLY}
    properties.update({name: {} for name in _CLOUDFORMATIONS_OWN})
    required = [name for name in SCHEMA["required"] if name not in _CLOUDFORMATIONS_OWN]
    return {**SCHEMA, "properties": properties, "required": required}


_WRITABLE = _writable()
_TAG_KEY = SCHEMA["definitions"]["Tag"]["properties"]["Key"]
_JSON_ONLY = SCHEMA["allOf"][2]["dependencies"]["DestinationConfiguration"]


def _violations(schema: Mapping[str, Any], value: Any, at: At) -> Iterator[Mistake]:
    """Yield what is wrong with a value by JSON Schema, draft 7, as far as the schema of the type makes use of it."""
    if isinstance(value, Unknown):
        return
    if "$ref" in schema:
        schema = SCHEMA["definitions"][schema["$ref"].rpartition("/")[2]]
    kind, name = _KINDS.get(schema.get("type", ""), (object, ""))
    if not isinstance(value, kind):
        yield Mistake(at, at, f"must be {name}")
        return
    for each_kind, check in ((str, _text), (list, _list), (dict, _object)):
        if isinstance(value, each_kind):
            yield from check(schema, value, at)
    for each in schema.get("allOf", ()):
        yield from _violations(each, value, at)
    failed = [list(_violations(each, value, at)) for each in schema.get("anyOf", ())]
    if failed and all(failed):
        where = failed[0][0].at
        yield Mistake(where, where, schema["$comment"])


def _list(schema: Mapping[str, Any], value: Any, at: At) -> Iterator[Mistake]:
    count = sum(each is not MAYBE for each in value)
    if count > schema.get("maxItems", count):
        yield Mistake(at, at, f"must have at most {schema['maxItems']} items (has {count})")
    for index, each in enumerate(value):
        yield from _violations(schema.get("items", {}), each, (*at, index))


def _text(schema: Mapping[str, Any], value: Any, at: At) -> Iterator[Mistake]:
    known = schema.get("enum", [value])
    least, most = schema.get("minLength", 0), schema.get("maxLength", len(value))
    if HOLE not in value and value not in known:
        yield Mistake(at, at, f"must be one of {', '.join(known)}")
    matches = re.search(schema.get("pattern", ""), value.replace(HOLE, ""))
    if not matches and (HOLE not in value or _is_decided(at[-1], value)):
        yield Mistake(at, at, schema.get("$comment", ""))
    elif is_known(value) and not least <= len(value) <= most:
        yield Mistake(at, at, f"must have {least} to {most} characters (has {len(value)})")
    elif least_length(value) > most:
        yield Mistake(at, at, f"must have {least} to {most} characters (has at least {least_length(value)})")


def _is_decided(name: Any, value: str) -> bool:
    """Whether no value can match the pattern of a property, whatever fills its holes."""
    if name in _NAMES:  # every known character must be one that a name may have
        return True
    if name == "Key" and value.lower().startswith("aws:"):
        return True
    parts = known_parts(value)
    is_another = len(parts) > 2 and parts[2] != "appfabric"
    return name in _ARNS and (
        is_another or bool(re.search(r"\s", value)) or (name in _BUNDLE and "/ingestion/" in value)
    )


def _object(schema: Mapping[str, Any], value: Any, at: At) -> Iterator[Mistake]:
    known = schema.get("properties", {})
    for key, each in value.items():
        if key in known:
            yield from _violations(known[key], each, (*at, key))
        elif schema.get("additionalProperties") is False:
            yield Mistake((*at, key), (*at, key), f"is unknown{did_you_mean(key, known)}")
    yield from (Mistake(at, (*at, key), "is required") for key in schema.get("required", ()) if key not in value)
    if "oneOf" in schema:
        names = [each["required"][0] for each in schema["oneOf"]]
        has = [name for name in names if name in value and value[name] is not MAYBE]
        if len(has) > 1 or not any(name in value for name in names):
            words = f"must have exactly one of {', '.join(names)} (has {' and '.join(has) or 'none'})"
            yield Mistake(at, at, words) if at else Mistake(at, None, words.replace("must have", "there must be", 1))
    for key, each in schema.get("dependencies", {}).items():
        if value.get(key, MAYBE) is not MAYBE:
            yield from _violations({"required": each} if isinstance(each, list) else each, value, at)


def _duplicates(properties: Mapping[str, Any]) -> Iterator[Mistake]:
    """Yield the tags with the key of an earlier one, which no JSON Schema can find."""
    tags = properties.get("Tags")
    seen = set()
    for index, tag in enumerate(tags if isinstance(tags, list) else ()):
        key = tag.get("Key") if isinstance(tag, dict) else None
        if is_known(key) and key:
            is_reserved = not all(re.search(each["pattern"], key) for each in _TAG_KEY["allOf"])
            if key in seen and not is_reserved:
                at = ("Tags", index, "Key")
                yield Mistake(at, at, "is a duplicate of an earlier tag key")
            seen.add(key)


def _is_right(name: str, value: Any) -> bool:
    """Whether the value of a property matches its pattern, or may match it."""
    return isinstance(value, str) and (HOLE in value or bool(re.search(SCHEMA["properties"][name]["pattern"], value)))


def _parents(properties: Mapping[str, Any]) -> dict[str, tuple[str, str]]:
    """Return the name and the value of the property for each parent that is known; none when one of them is wrong."""
    found = {}
    for parent in ("AppBundle", "Ingestion"):
        names = [name for name in (f"{parent}Identifier", f"{parent}Arn") if name in properties]
        value: Any = properties[names[0]] if len(names) == 1 else None
        if isinstance(value, Unknown):
            continue
        if not names or not _is_right(names[0], value):
            return {}
        found[parent] = (names[0], value)
    return found


def _differ(one: str, other: str) -> bool:
    """Whether two ARNs, or UUIDs, are known to be of different resources."""
    if not (is_known(one) and is_known(other) and "/" in one and "/" in other):
        one, other = one.rpartition("/")[2], other.rpartition("/")[2]
    return HOLE not in one + other and one.lower() != other.lower()


def _ingestion_of_another_bundle(properties: Mapping[str, Any]) -> Iterator[Mistake]:
    """Yield an ingestion whose ARN lies in another app bundle than the one named."""
    parents = _parents(properties)
    if len(parents) == 2:
        (bundle_name, bundle), (name, ingestion) = parents["AppBundle"], parents["Ingestion"]
        around = ingestion.rpartition("/ingestion/")[0]
        if around and _differ(around if is_known(ingestion) else Partial(around), bundle):
            words = f"must belong to the app bundle that {bundle_name} specifies"
            yield Mistake((name,), (name,), words)


def _other_regions(properties: Mapping[str, Any]) -> Iterator[Mistake]:
    """Yield the ARNs of another Region than that of the function, which ServiceToken is the ARN of."""
    region = _region(properties.get("ServiceToken"), "lambda")
    for name in _ARNS:
        arn_region = _region(properties.get(name), "appfabric")
        if region and arn_region and arn_region != region and _is_right(name, properties[name]):
            yield Mistake((name,), (name,), f"must be in the provider's Region, {region}")


def _region(arn: Any, service: str) -> str:
    parts = known_parts(arn) if isinstance(arn, str) else []
    is_there = len(parts) > 3 and parts[2] == service and parts[3] != SAMPLES["AWS::Region"]
    return parts[3] if is_there else ""


def _adopted_from_elsewhere(properties: Mapping[str, Any]) -> Iterator[Mistake]:
    """Yield a destination of another app bundle or ingestion."""
    arn: Any = properties.get("AdoptArn")
    form = f":appbundle/(?P<AppBundle>[^/{HOLE}]+)/ingestion/(?P<Ingestion>[^/{HOLE}]+)/"
    adopted = re.search(form, arn) if _is_right("AdoptArn", arn) else None
    for parent, (_, value) in _parents(properties).items():
        if adopted and _differ(Partial(value), adopted[parent]):
            words = "must belong to the ingestion that the properties specify"
            yield Mistake(("AdoptArn",), ("AdoptArn",), words)
            return
