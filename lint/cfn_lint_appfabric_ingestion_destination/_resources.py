"""The resources of a template as CloudFormation would send their properties, and where these stand in the template."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Iterable, Iterator, Mapping, Tuple

from ._values import HOLE, SAMPLES, UNKNOWN, Partial, joined, substituted, text_of

At = Tuple[Any, ...]
"""A place in a template, or in the properties of a resource."""


@dataclass(frozen=True)
class Variant:
    """A resource under one combination of conditions.

    Attributes:
        properties: As CloudFormation sends them.
        where: The place in the template of each place in the properties.
        is_chosen: Whether somebody has to choose a value of a parameter that is not its default.
    """

    properties: Any
    where: Mapping[At, At]
    is_chosen: bool = False

    def place(self, at: At) -> At:
        """Return where in the template this is, or the nearest thing around it that is there."""
        while at not in self.where:
            at = at[:-1]
        return self.where[at]

    def name(self, at: At) -> str:
        """Return for example `Tags[1].Key`; the index is the one that a reader of the template counts."""
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
    """A resource of a template, whatever its type."""

    name: str
    type: str
    body: Mapping[str, Any]
    cfn: Any

    def variants(self) -> Iterator[Variant]:
        """Yield one for every combination of conditions that is possible, and for every value of a parameter."""
        for conditions in self._combinations():
            yield self._under(conditions, {})
        parameters = self.cfn.template.get("Parameters") or {}
        tested = _parameters_of_condition(self.body.get("Condition"), self.cfn.template.get("Conditions") or {})
        for name in sorted(_parameters(self.body.get("Properties")) - tested):
            for value, is_default in _values(parameters.get(name)):
                yield replace(self._under({}, {name: value}), is_chosen=not is_default)

    def service_token(self) -> str:
        """Return what is known of the ServiceToken, or of the name of the export that it imports, by the defaults."""
        properties = self.body.get("Properties")
        token = properties.get("ServiceToken") if isinstance(properties, dict) else None
        parameters = self.cfn.template.get("Parameters") or {}
        defaults = {name: each["Default"] for name, each in parameters.items() if "Default" in each}
        function, argument = _function(token)
        text = _Resolution({}, defaults, {}).resolve(argument if function == "Fn::ImportValue" else token, (), ())
        return text if isinstance(text, str) else ""

    def _under(self, conditions: Mapping[str, bool], parameters: Mapping[str, Any]) -> Variant:
        types = {resource.name: resource.type for resource in resources(self.cfn)}
        resolution = _Resolution(conditions, parameters, types)
        at = ("Resources", self.name, "Properties")
        has_properties = "Properties" in self.body
        properties = resolution.resolve(self.body["Properties"], at, ()) if has_properties else {}
        where = {**resolution.where, (): at if has_properties else at[:-1]}
        return Variant({} if properties is None else properties, where)

    def _combinations(self) -> Iterable[Mapping[str, bool]]:
        tested = {name: {True, False} for name in _conditions(self.body.get("Properties"))}
        own = self.body.get("Condition")
        if isinstance(own, str):
            tested[own] = {True}
        # None is possible when a condition is not defined, which cfn-lint itself reports: then they may be anything.
        return list(self.cfn.conditions.build_scenarios(tested)) or [{}]


def resources(cfn: Any) -> list[Resource]:
    """Return every resource of a template that has a type."""
    found = cfn.template.get("Resources")
    return [
        Resource(name, str(body["Type"]), body, cfn)
        for name, body in (found.items() if isinstance(found, dict) else ())
        if isinstance(body, dict) and isinstance(body.get("Type"), str)
    ]


@dataclass(frozen=True)
class _Resolution:
    """Puts values in the place of functions where a template says what they are."""

    conditions: Mapping[str, bool]
    parameters: Mapping[str, Any]
    types: Mapping[str, str]
    where: dict[At, At] = field(default_factory=dict)

    def resolve(self, value: Any, path: At, at: At) -> Any:
        """Return the value at this path of the template; None when there is none."""
        function, argument = _function(value)
        index = self._branch(function, argument)
        if index:
            return self.resolve(argument[index], (*path, "Fn::If", index), at)
        if function == "Ref" and argument == "AWS::NoValue":
            return None
        self.where[at] = path
        if function:
            return self._text(value)
        if isinstance(value, dict):
            read = {key: self.resolve(each, (*path, key), (*at, key)) for key, each in value.items()}
            return {key: each for key, each in read.items() if each is not None}
        return self._items(value, path, at) if isinstance(value, list) else text_of(value)

    def _items(self, values: list[Any], path: At, at: At) -> list[Any]:
        items: list[Any] = []
        for index, each in enumerate(values):
            item = self.resolve(each, (*path, index), (*at, len(items)))
            if item is not None:
                items.append(item)
        return items

    def _branch(self, function: str, argument: Any) -> int:
        """Return the index of the branch of a Fn::If, 0 when there is none or the condition is not known."""
        if function != "Fn::If" or not _is_if(argument) or argument[0] not in self.conditions:
            return 0
        return 1 if self.conditions[argument[0]] else 2

    def _text(self, value: Any) -> Any:
        """Return what is known of the text that a function gives."""
        function, argument = _function(value)
        index = self._branch(function, argument)
        if index:
            return self._text(argument[index])
        if function == "Ref" and isinstance(argument, str):
            return self._reference(argument)
        if function == "Fn::GetAtt":
            return self._attribute(*dotted(argument).partition(".")[::2])
        if function == "Fn::Sub":
            return self._substitution(argument)
        if function == "Fn::Join" and _is_join(argument):
            return text_of(joined(map(self._text, argument[1]), argument[0]))
        return UNKNOWN if function or isinstance(value, (dict, list)) else text_of(value)

    def _reference(self, name: str) -> Any:
        if name in self.parameters:
            return text_of(self.parameters[name])
        return self._arn(name) if self.types.get(name) == "AWS::SNS::Topic" else SAMPLES.get(name, UNKNOWN)

    def _attribute(self, name: str, attribute: str) -> Any:
        # What a custom resource or a nested stack calls an ARN may be anything.
        is_custom = not self.types.get(name, "").startswith("AWS::") or "." in attribute
        if is_custom or self.types[name].startswith("AWS::CloudFormation::"):
            return UNKNOWN
        return self._arn(name) if attribute.endswith("Arn") else UNKNOWN

    def _arn(self, name: str) -> Partial:
        return Partial(f"arn:{HOLE}:{self.types[name].split('::')[1].lower()}:{HOLE}")

    def _substitution(self, argument: Any) -> Any:
        is_pair = isinstance(argument, list) and len(argument) == 2
        text, given = argument if is_pair else (argument, {})
        if not isinstance(text, str) or not isinstance(given, dict):
            return UNKNOWN

        def value_of(name: str) -> Any:
            if name in given:
                return self._text(given[name])
            resource, _, attribute = name.partition(".")
            return self._attribute(resource, attribute) if attribute else self._reference(name)

        return text_of(substituted(text, value_of))


def dotted(argument: Any) -> str:
    """Return `Name.Attribute` of Fn::GetAtt, "" when a function gives a part of it."""
    parts = [argument] if isinstance(argument, str) else argument if isinstance(argument, list) else []
    return ".".join(parts) if all(isinstance(part, str) for part in parts) else ""


def _function(value: Any) -> tuple[str, Any]:
    """Return the intrinsic function that an object is and its argument, "" when it is none."""
    if isinstance(value, dict):
        for key in value:
            if (str(key) in {"Ref", "Condition"} and len(value) == 1) or str(key).startswith("Fn::"):
                return str(key), value[key]
    return "", None


def _is_if(argument: Any) -> bool:
    return isinstance(argument, list) and len(argument) == 3 and isinstance(argument[0], str)


def _is_join(argument: Any) -> bool:
    return (
        isinstance(argument, list)
        and len(argument) == 2
        and isinstance(argument[0], str)
        and isinstance(argument[1], list)
    )


def _children(value: Any) -> Iterable[Any]:
    return value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()


def _conditions(value: Any) -> set[str]:
    """Return the names of the conditions that a value tests."""
    function, argument = _function(value)
    found = {argument[0]} if function == "Fn::If" and _is_if(argument) else set()
    return found.union(*(_conditions(each) for each in _children(value)))


def _parameters(value: Any) -> set[str]:
    """Return the names that a value refers to whatever the conditions: in a Fn::If a default may never be taken."""
    function, argument = _function(value)
    if function:
        return {argument} if function == "Ref" and isinstance(argument, str) else set()
    return set().union(*(_parameters(each) for each in _children(value)))


def _parameters_of_condition(name: Any, conditions: Mapping[str, Any]) -> set[str]:
    """Return the parameters that decide whether a resource is created: they may never have their default then."""
    found: set[str] = set()
    left: list[Any] = [{"Condition": name}]
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
    """Return what a parameter may be, all that is allowed or the default, and whether each is the default."""
    if not isinstance(parameter, dict) or parameter.get("Type") not in {"String", "Number"}:
        return []
    allowed = parameter.get("AllowedValues")
    if not isinstance(allowed, list) or not allowed:
        allowed = [parameter["Default"]] if "Default" in parameter else []
    return [(value, value == parameter.get("Default")) for value in allowed]
