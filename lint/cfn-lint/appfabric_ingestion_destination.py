"""cfn-lint rules for Custom::AppFabricIngestionDestination: what would fail a stack, told in the editor.

    cfn-lint --append-rules lint/cfn-lint -- template.yaml

cfn-lint takes any property of a custom resource, and its --registry-schemas leave custom resources out since 1.43.
These rules judge by the schema of the type. They look at a resource as CloudFormation would send it, once for every
combination of conditions that can be; what only a deployment can tell (`Fn::GetAtt`, `Fn::ImportValue`, …) may be
anything. Of cfn-lint they use nothing but `match`, which is the same in version 1.22 and in the newest.
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from cfnlint.rules import CloudFormationLintRule, RuleMatch
from jsonschema import Draft7Validator
from jsonschema.exceptions import ValidationError
from jsonschema.validators import extend

TYPE = "Custom::AppFabricIngestionDestination"
SCHEMA = json.loads((Path(__file__).parents[2] / "schema" / "custom-appfabric-ingestiondestination.json").read_text())
ATTRIBUTES = ("AppBundleArn", "IngestionArn", *(path.rpartition("/")[2] for path in SCHEMA["readOnlyProperties"]))
# The provider's function: an event waits at most 360 s for it, and it runs at most 300 s.
LONGEST_REQUEST = 360 + 300
LONGEST_SERVICE_TIMEOUT = 3600
CLOUDFORMATIONS_OWN = ("ServiceToken", "ServiceTimeout")  # judged by cfn-lint itself, and by W9701

At = tuple[Any, ...]
"""A place in a template, or in the properties of a resource."""


class Properties(CloudFormationLintRule):  # type: ignore[misc]
    """Every wrong property."""

    id = "E9701"
    shortdesc = f"Properties of {TYPE}"
    description = "What the provider would refuse, and so fail the stack"
    tags = ("resources", "appfabric")

    def match(self, cfn: Any) -> list[RuleMatch]:
        """Judge every resource of the type."""
        found = {}
        for resource in _resources(cfn):
            for variant in resource.variants(cfn):
                for at, message in _mistakes(variant):
                    path = variant.place(at)
                    found[path, message] = RuleMatch(list(path), message)
        return list(found.values())


class ServiceTimeout(CloudFormationLintRule):  # type: ignore[misc]
    """How long CloudFormation waits for an answer."""

    id = "W9701"
    shortdesc = f"ServiceTimeout of {TYPE}"
    description = "CloudFormation waits an hour for an answer that never comes, unless ServiceTimeout says less"
    tags = ("resources", "appfabric")

    def match(self, cfn: Any) -> list[RuleMatch]:
        """Judge every resource of the type."""
        found = {}
        for resource in _resources(cfn):
            for variant in resource.variants(cfn):
                message = _waits(variant.properties)
                if message:
                    path = variant.place(("ServiceTimeout",))
                    found[path, message] = RuleMatch(list(path), message)
        return list(found.values())


class Attributes(CloudFormationLintRule):  # type: ignore[misc]
    """What Fn::GetAtt, or a ${Name.Attribute} of Fn::Sub, asks for."""

    id = "E9702"
    shortdesc = f"Attributes of {TYPE}"
    description = "An attribute that the answer does not have fails the stack"
    tags = ("resources", "functions", "appfabric")

    def match(self, cfn: Any) -> list[RuleMatch]:
        """Judge every reference to a resource of the type."""
        names = {resource.name for resource in _resources(cfn)}
        asked = [(path, _dotted(said)) for *path, said in cfn.search_deep_keys("Fn::GetAtt")]
        for *path, said in cfn.search_deep_keys("Fn::Sub"):
            text = said[0] if isinstance(said, list) and said else said
            if isinstance(text, str):
                asked += [(path, name) for name in re.findall(r"\$\{([^!}][^}]*)\}", text)]
        found = []
        for path, reference in asked:
            name, _, attribute = reference.strip().partition(".")
            if name in names and attribute and attribute not in ATTRIBUTES:
                message = f"{name} has no attribute {attribute}{_did_you_mean(attribute, ATTRIBUTES)}"
                found.append(RuleMatch(path, f"{message} (it has {', '.join(ATTRIBUTES)})"))
        return found


class Unknown:
    """What only a deployment can tell; it may be whatever the schema wants."""


UNKNOWN = Unknown()


@dataclass(frozen=True)
class Variant:
    """A resource under one combination of conditions: properties as CloudFormation sends them, and where they stand."""

    properties: Any
    where: Mapping[At, At]
    is_chosen: bool = False
    """Whether somebody has to choose a value of a parameter that is not its default."""

    def place(self, at: At) -> At:
        """Where in the template this is, or the nearest thing around it that is there."""
        while at not in self.where:
            at = at[:-1]
        return self.where[at]

    def name(self, at: At) -> str:
        """`Tags[1].Key`: the index is the one that a reader of the template counts."""
        nearest = at
        while nearest not in self.where:
            nearest = nearest[:-1]
        parts = [*self.where[nearest][3:], *at[len(nearest) :]]
        while "Fn::If" in parts:
            index = parts.index("Fn::If")
            del parts[index : index + 2]
        return "".join(f"[{each}]" if isinstance(each, int) else f".{each}" for each in parts).lstrip(".")


@dataclass(frozen=True)
class Resource:
    """A resource of the type."""

    name: str
    body: Mapping[str, Any]

    def variants(self, cfn: Any) -> Iterator[Variant]:
        """One for every combination of conditions that can be, and one for every value that a parameter may have."""
        for conditions in self._combinations(cfn):
            yield self._under(conditions, {})
        parameters = cfn.template.get("Parameters") or {}
        asked = _parameters_of_condition(self.body.get("Condition"), cfn.template.get("Conditions") or {})
        for name in sorted(_parameters(self.body.get("Properties")) - asked):
            for value, is_default in _values(parameters.get(name)):
                yield replace(self._under({}, {name: value}), is_chosen=not is_default)

    def _under(self, conditions: Mapping[str, bool], parameters: Mapping[str, Any]) -> Variant:
        resolution = _Resolution(conditions, parameters)
        at = ("Resources", self.name, "Properties")
        there = "Properties" in self.body
        properties = resolution.resolve(self.body["Properties"], at, ()) if there else {}
        where = {**resolution.where, (): at if there else at[:-1]}
        return Variant({} if properties is None else properties, where)

    def _combinations(self, cfn: Any) -> Iterable[Mapping[str, bool]]:
        asked = {name: {True, False} for name in _conditions(self.body.get("Properties"))}
        own = self.body.get("Condition")
        if isinstance(own, str):
            asked[own] = {True}
        # There is none when a condition is not defined, which cfn-lint tells by itself: then they may be anything.
        return list(cfn.conditions.build_scenarios(asked)) or [{}]


@dataclass(frozen=True)
class _Resolution:
    """Puts values in the place of functions where a template tells them."""

    conditions: Mapping[str, bool]
    parameters: Mapping[str, Any]
    where: dict[At, At] = field(default_factory=dict)

    def resolve(self, value: Any, path: At, at: At) -> Any:
        """The value at this path of the template; None when there is none."""
        function, argument = _function(value)
        if function == "Fn::If" and _is_if(argument) and argument[0] in self.conditions:
            index = 1 if self.conditions[argument[0]] else 2
            return self.resolve(argument[index], (*path, "Fn::If", index), at)
        if function == "Ref" and argument == "AWS::NoValue":
            return None
        self.where[at] = path
        if function:
            return self._call(function, argument)
        if isinstance(value, dict):
            read = {key: self.resolve(each, (*path, key), (*at, key)) for key, each in value.items()}
            return {key: each for key, each in read.items() if each is not None}
        return self._items(value, path, at) if isinstance(value, list) else _recast(value)

    def _call(self, function: str, argument: Any) -> Any:
        if function == "Ref" and isinstance(argument, str):
            return _recast(self.parameters.get(argument, UNKNOWN))
        is_text = function == "Fn::Sub" and isinstance(argument, str) and "${" not in argument
        return _recast(argument) if is_text else UNKNOWN

    def _items(self, values: list[Any], path: At, at: At) -> list[Any]:
        items: list[Any] = []
        for index, each in enumerate(values):
            item = self.resolve(each, (*path, index), (*at, len(items)))
            if item is not None:
                items.append(item)
        return items


def _resources(cfn: Any) -> list[Resource]:
    resources = cfn.template.get("Resources")
    return [
        Resource(name, body)
        for name, body in (resources.items() if isinstance(resources, dict) else ())
        if isinstance(body, dict) and body.get("Type") == TYPE
    ]


def _function(value: Any) -> tuple[str, Any]:
    """The intrinsic function that an object is, "" when it is none."""
    if isinstance(value, dict):
        for key in value:
            if (str(key) in {"Ref", "Condition"} and len(value) == 1) or str(key).startswith("Fn::"):
                return str(key), value[key]
    return "", None


def _is_if(argument: Any) -> bool:
    return isinstance(argument, list) and len(argument) == 3 and isinstance(argument[0], str)


def _conditions(value: Any) -> set[str]:
    """The names of the conditions that a value asks for."""
    function, argument = _function(value)
    found = {argument[0]} if function == "Fn::If" and _is_if(argument) else set()
    return found.union(*(_conditions(each) for each in _children(value)))


def _children(value: Any) -> Iterable[Any]:
    return value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()


def _parameters(value: Any) -> set[str]:
    """The names that a value refers to whatever the conditions: in a Fn::If a parameter may never have its default."""
    function, argument = _function(value)
    if function:
        return {argument} if function == "Ref" and isinstance(argument, str) else set()
    return set().union(*(_parameters(each) for each in _children(value)))


def _parameters_of_condition(name: Any, conditions: Mapping[str, Any]) -> set[str]:
    """The names of the parameters that decide whether a resource is made: they may never have their default then."""
    found: set[str] = set()
    left = [{"Condition": name}]
    seen = set()
    while left:
        function, argument = _function(value := left.pop())
        if function == "Condition" and isinstance(argument, str) and argument not in seen:
            seen.add(argument)
            left.append(conditions.get(argument))
        elif function == "Ref" and isinstance(argument, str):
            found.add(argument)
        left.extend(_children(value))
    return found


def _values(parameter: Any) -> list[tuple[Any, bool]]:
    """What a template says that a parameter may be, all that it allows or its default, and whether it is that."""
    if not isinstance(parameter, dict) or parameter.get("Type") not in {"String", "Number"}:
        return []
    allowed = parameter.get("AllowedValues")
    if not isinstance(allowed, list) or not allowed:
        allowed = [parameter["Default"]] if "Default" in parameter else []
    return [(value, value == parameter.get("Default")) for value in allowed]


def _recast(value: Any) -> Any:
    """A scalar as CloudFormation sends it, a string; a dynamic reference may be anything."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (str, int, float)):
        return UNKNOWN if "{{resolve:" in str(value) else str(value)
    return value


def _known(keyword: str) -> Any:
    """A keyword of JSON Schema that is content with what only a deployment can tell."""

    def judge(validator: Any, wanted: Any, value: Any, schema: Any) -> Iterator[ValidationError]:
        # What is no object at all is told once, by its type.
        if not isinstance(value, Unknown) and (keyword != "oneOf" or isinstance(value, dict)):
            yield from Draft7Validator.VALIDATORS[keyword](validator, wanted, value, schema)

    return judge


def _writable(schema: Mapping[str, Any]) -> dict[str, Any]:
    """The schema of what a template may have; attributes and CloudFormation's own properties are not judged here."""
    read_only = {path.rpartition("/")[2] for path in schema["readOnlyProperties"]}
    properties = {name: each for name, each in schema["properties"].items() if name not in read_only}
    properties |= {name: {} for name in CLOUDFORMATIONS_OWN}
    required = [name for name in schema["required"] if name not in CLOUDFORMATIONS_OWN]
    return {**schema, "properties": properties, "required": required}


JUDGE = extend(Draft7Validator, {each: _known(each) for each in ("type", "enum", "oneOf")})(_writable(SCHEMA))


def _mistakes(variant: Variant) -> Iterator[tuple[At, str]]:
    """Every mistake with its place in the properties and, in the words of the provider, what it is."""
    for error in JUDGE.iter_errors(variant.properties):
        yield from _told(error, variant)
    if isinstance(variant.properties, dict):
        yield from _doubles(variant)
        yield from _adopted_from_elsewhere(variant.properties)


def _told(error: ValidationError, variant: Variant) -> Iterator[tuple[At, str]]:
    at: At = tuple(error.absolute_path)
    name, value, limit = variant.name(at), error.instance, error.validator_value
    if error.validator == "additionalProperties":
        known = list(error.schema["properties"])
        for key in value:
            if key not in known:
                yield (*at, key), f"{variant.name((*at, key))} is unknown{_did_you_mean(str(key), known)}"
    elif error.validator == "required":
        yield from ((at, f"{variant.name((*at, key))} is required") for key in limit if f"'{key}'" in error.message)
    elif error.validator == "oneOf":
        names = [each["required"][0] for each in limit]
        has = " and ".join(key for key in names if key in value) or "none"
        yield at, f"{f'{name} must have' if name else 'there must be'} exactly one of {', '.join(names)} (has {has})"
    elif error.validator == "anyOf":
        # A template may let people choose parquet: it is theirs to know that there is a stream.
        if _format(value) == "parquet" and not variant.is_chosen:
            at = ("ProcessingConfiguration", "AuditLog", "Format")
            yield at, f"{variant.name(at)} must be json when the destination is a FirehoseStream"
    elif error.validator != "pattern" or _has_length(error):
        yield at, f"{name or 'Properties'} {_WANTED[error.validator](error)}"


def _has_length(error: ValidationError) -> bool:
    """Whether the length is right: one mistake is told of an identifier that is too long, of a tag's key every one."""
    least, most = error.schema.get("minLength", 0), error.schema.get("maxLength", len(error.instance))
    return least <= len(error.instance) <= most or error.absolute_path[-1] == "Key"


def _length(error: ValidationError) -> str:
    least, most = error.schema["minLength"], error.schema["maxLength"]
    return f"must have {least} to {most} characters (has {len(error.instance)})"


def _enumerated(error: ValidationError) -> str:
    known = error.validator_value
    return f"must be one of {', '.join(known)}{_did_you_mean(str(error.instance), known)}"


def _mismatch(error: ValidationError) -> str:
    if error.absolute_path[-1] == "Key":
        begins = error.instance.lower().startswith("aws:")
        return "must not begin with aws:" if begins else "is reserved: the provider uses it to record ownership"
    if error.absolute_path[-1] == "AdoptArn":
        return "must be the ARN of an ingestion destination"
    return "must be an ARN or a lower-case UUID"


_KINDS = {"object": "an object", "array": "a list", "string": "a string"}
_WANTED: Mapping[str, Callable[[ValidationError], str]] = {
    "enum": _enumerated,
    "maxItems": lambda error: f"must have at most {error.validator_value} items (has {len(error.instance)})",
    "maxLength": _length,
    "minLength": _length,
    "pattern": _mismatch,
    "type": lambda error: f"must be {_KINDS[error.validator_value]}",
}


def _doubles(variant: Variant) -> Iterator[tuple[At, str]]:
    """Tags with the same key, which no schema can tell."""
    tags = variant.properties.get("Tags")
    seen = set()
    for index, tag in enumerate(tags if isinstance(tags, list) else ()):
        key = tag.get("Key") if isinstance(tag, dict) else None
        if isinstance(key, str):
            if key in seen:
                at = ("Tags", index, "Key")
                yield at, f"{variant.name(at)} is a duplicate of an earlier tag key"
            seen.add(key)


def _adopted_from_elsewhere(properties: Mapping[str, Any]) -> Iterator[tuple[At, str]]:
    """A destination of another app bundle or ingestion, which no schema can tell either."""
    adopted = re.fullmatch(
        r".*:appbundle/(?P<AppBundle>[^/]+)/ingestion/(?P<Ingestion>[^/]+)/.*", str(properties.get("AdoptArn"))
    )
    for parent, uuid in adopted.groupdict().items() if adopted else ():
        said = properties.get(f"{parent}Arn", properties.get(f"{parent}Identifier"))
        if isinstance(said, str) and said.rpartition("/")[2] != uuid:
            yield ("AdoptArn",), "AdoptArn must be of a destination of the ingestion that the properties name"
            return


def _format(properties: Any) -> Any:
    for name in ("ProcessingConfiguration", "AuditLog", "Format"):
        properties = properties.get(name) if isinstance(properties, dict) else None
    return properties


def _waits(properties: Any) -> str:
    """What is wrong with how long CloudFormation waits, "" when nothing is."""
    said = properties.get("ServiceTimeout") if isinstance(properties, dict) else UNKNOWN
    message = ""
    if said is None:
        message = "is missing: CloudFormation waits an hour for an answer that never comes; 720 is enough"
    elif isinstance(said, str) and not said.isdecimal():
        message = "must be a number of seconds"
    elif isinstance(said, str) and int(said) > LONGEST_SERVICE_TIMEOUT:
        message = f"must be at most {LONGEST_SERVICE_TIMEOUT} seconds (is {said})"
    elif isinstance(said, str) and int(said) < LONGEST_REQUEST:
        message = (
            f"should be at least {LONGEST_REQUEST} seconds (is {said}): so long may an event wait for the function"
            " and run, and an answer that comes later is lost"
        )
    return message and f"ServiceTimeout {message}"


def _dotted(said: Any) -> str:
    """`Name.Attribute`, "" when a function tells it."""
    parts = [said] if isinstance(said, str) else said if isinstance(said, list) else []
    return ".".join(parts) if all(isinstance(part, str) for part in parts) else ""


def _did_you_mean(name: str, known: Iterable[str]) -> str:
    by_lower = {each.lower(): each for each in known}
    close = get_close_matches(name.lower(), by_lower, n=1)
    return f", did you mean {by_lower[close[0]]}?" if close else ""
