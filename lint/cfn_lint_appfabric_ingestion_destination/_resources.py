"""The resources of a template as CloudFormation would send their properties, and where these stand in the template."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Iterable, Iterator, Mapping

from ._functions import At, Resolution, children, function_of, is_if


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
        parameters = _declared_parameters(self.cfn)
        tested = _parameters_of_condition(self.body.get("Condition"), self.cfn.template.get("Conditions") or {})
        for name in sorted(_parameters(self.body.get("Properties")) - tested):
            for value, is_default in _values(parameters.get(name)):
                yield replace(self._under({}, {name: value}), is_chosen=not is_default)

    def service_token(self) -> str:
        """Return what is known of the ServiceToken, or of the name of the export that it imports, by the defaults."""
        properties = self.body.get("Properties")
        token = properties.get("ServiceToken") if isinstance(properties, dict) else None
        defaults = {name: each["Default"] for name, each in _declared_parameters(self.cfn).items() if "Default" in each}
        function, argument = function_of(token)
        text = Resolution({}, defaults, {}).resolve(argument if function == "Fn::ImportValue" else token, (), ())
        return text if isinstance(text, str) else ""

    def _under(self, conditions: Mapping[str, bool], parameters: Mapping[str, Any]) -> Variant:
        types = {resource.name: resource.type for resource in resources(self.cfn)}
        resolution = Resolution(conditions, parameters, types)
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


def _declared_parameters(cfn: Any) -> Mapping[str, Any]:
    """Return the parameters of a template; what is none is for cfn-lint itself to report."""
    found = cfn.template.get("Parameters")
    return {name: each for name, each in found.items() if isinstance(each, dict)} if isinstance(found, dict) else {}


def _conditions(value: Any) -> set[str]:
    """Return the names of the conditions that a value tests."""
    function, argument = function_of(value)
    found = {argument[0]} if function == "Fn::If" and is_if(argument) else set()
    return found.union(*(_conditions(each) for each in children(value)))


def _parameters(value: Any) -> set[str]:
    """Return the names that a value refers to whatever the conditions: in a Fn::If a default may never be taken."""
    function, argument = function_of(value)
    if function:
        return {argument} if function == "Ref" and isinstance(argument, str) else set()
    return set().union(*(_parameters(each) for each in children(value)))


def _parameters_of_condition(name: Any, conditions: Mapping[str, Any]) -> set[str]:
    """Return the parameters that decide whether a resource is created: they may never have their default then."""
    found: set[str] = set()
    left: list[Any] = [{"Condition": name}]
    seen = set()
    while left:
        function, argument = function_of(value := left.pop())
        if function == "Condition" and isinstance(argument, str) and argument not in seen:
            seen.add(argument)
            left.append(conditions.get(argument))
        elif function == "Ref" and isinstance(argument, str):
            found.add(argument)
        left.extend(children(value))
    return found


def _values(parameter: Any) -> list[tuple[Any, bool]]:
    """Return what a parameter may be, all that is allowed or the default, and whether each is the default."""
    if not parameter or parameter.get("Type") not in ("String", "Number"):
        return []
    allowed = parameter.get("AllowedValues")
    if not isinstance(allowed, list) or not allowed:
        allowed = [parameter["Default"]] if "Default" in parameter else []
    return [(value, value == parameter.get("Default")) for value in allowed]
