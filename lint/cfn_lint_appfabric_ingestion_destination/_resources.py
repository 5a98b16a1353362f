"""The resources of a template as CloudFormation would send their properties, and where these stand in the template."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import combinations
from types import MappingProxyType
from typing import Any, Callable, Iterator, Mapping, MutableMapping, Sequence
from weakref import WeakKeyDictionary

from ._functions import At, Resolution, children, function_of, is_if, variables
from ._values import Scalar, canonical, is_known

MAX_CONDITIONS = 7
"""The most conditions of which every combination is checked: cfn-lint gives up after 128."""
_FOUND: MutableMapping[Any, dict[Any, list[Any]]] = WeakKeyDictionary()
"""What has been found in a template, by its conditions object, because every rule asks for the same."""


@dataclass(frozen=True)
class Variant:
    """A resource under one combination of conditions.

    Attributes:
        properties: As CloudFormation sends them.
        where: The place in the template of each place in the properties.
        is_chosen: Whether somebody has to choose a value of a parameter that is not its default.
        by: Which value of which parameter leads to it, in parentheses; "" if no parameter matters.
    """

    properties: Any
    where: Mapping[At, At]
    is_chosen: bool = False
    by: str = ""

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
        return "".join(f"[{each}]" if type(each) is int else f".{_shown(canonical(each))}" for each in parts)[1:]


@dataclass(frozen=True)
class Resource:
    """A resource of a template, whatever its type."""

    name: str
    type: str
    body: Mapping[str, Any]
    cfn: Any

    def variants(self) -> list[Variant]:
        """Return one for each possible combination of conditions, and for each value of a parameter.

        With more than MAX_CONDITIONS, the combinations contain every pair, but not every three.
        """
        found = _FOUND.setdefault(self.cfn.conditions, {})
        if self.name not in found:
            found[self.name] = list(self._variants())
        return found[self.name]

    def _variants(self) -> Iterator[Variant]:
        possible = self._combinations()
        for conditions in possible:
            yield self._under(conditions, {})
        if not possible:
            return
        declared = _declared_parameters(self.cfn)
        for name in sorted(_parameters(self.body.get("Properties"))):
            for value, is_default in _values(declared.get(name)):
                # A default is a mistake only where the resource is created with the defaults.
                is_created = self._is_created(_defaults(declared) if is_default else {name: value})
                # Where that is not known, somebody can choose the value unless the condition tests it.
                may_choose = not is_default and name not in self._parameters_of_its_condition()
                if is_created or (is_created is None and may_choose):
                    by = f" (from {'the default' if is_default else 'an allowed value'} of parameter {name})"
                    yield replace(self._under({}, {name: value}), is_chosen=not is_default, by=by)

    def service_token(self) -> str:
        """Return what is known of the ServiceToken, or of the name of the export that it imports, by the defaults."""
        properties = self.body.get("Properties")
        token = properties.get("ServiceToken") if isinstance(properties, dict) else None
        function, argument = function_of(token)
        text = self._resolution({}, _defaults(_declared_parameters(self.cfn))).resolve(
            argument if function == "Fn::ImportValue" else token, (), ()
        )
        return text if isinstance(text, str) else ""

    def _resolution(self, conditions: Mapping[str, bool], parameters: Mapping[str, Any]) -> Resolution:
        types = {resource.name: resource.type for resource in resources(self.cfn)}
        return Resolution(conditions, parameters, types, self.cfn.template.get("Mappings") or {})

    def _under(self, conditions: Mapping[str, bool], parameters: Mapping[str, Any]) -> Variant:
        resolution = self._resolution(conditions, parameters)
        at = ("Resources", self.name, "Properties")
        has_properties = "Properties" in self.body
        properties = resolution.resolve(self.body["Properties"], at, ()) if has_properties else {}
        where = {**resolution.where, (): at if has_properties else at[:-1]}
        return Variant({} if properties is None else properties, where)

    def _is_created(self, parameters: Mapping[str, Any]) -> bool | None:
        """Return whether the condition of the resource is true with these parameters, None when it may be either."""
        if "Condition" not in self.body:
            return True
        condition = {"Condition": self.body["Condition"]}
        return _is_true(condition, _declared_conditions(self.cfn), self._resolution({}, parameters))

    def _parameters_of_its_condition(self) -> set[str]:
        return _parameters({"Condition": self.body.get("Condition")}, _declared_conditions(self.cfn))

    def _combinations(self) -> list[Mapping[str, bool]]:
        """Return combinations of conditions with which the resource is created; none when its own is impossible."""
        # What is not defined, which cfn-lint itself reports, may be anything.
        tested = sorted(filter(self.cfn.conditions.get, _conditions(self.body.get("Properties"))))
        own = self.body.get("Condition")
        fixed = [own] if isinstance(own, str) and self.cfn.conditions.get(own) else []
        found = _FOUND.setdefault(self.cfn.conditions, {})
        key = (tuple(tested), tuple(fixed))
        if key not in found:
            found[key] = list(_possible(*key, self.cfn.conditions.build_scenarios)) if tested or fixed else [{}]
        return found[key]


def _shown(name: str) -> str:
    """Return a name as the function shows it: short enough for a message, and on one line."""
    text = "".join(character if character.isprintable() else " " for character in name) or '""'
    return text if len(text) <= 64 else f"{text[:63]}…"


def resources(cfn: Any) -> list[Resource]:
    """Return every resource of a template that has a type."""
    found = cfn.template.get("Resources")
    return [
        Resource(name, str(body["Type"]), body, cfn)
        for name, body in (found.items() if isinstance(found, dict) else ())
        if isinstance(body, dict) and isinstance(body.get("Type"), str)
    ]


def _possible(
    tested: Sequence[str], fixed: Sequence[str], scenarios: Callable[..., Iterator[Mapping[str, bool]]]
) -> Iterator[Mapping[str, bool]]:
    names, true = [name for name in tested if name not in fixed], {name: {True} for name in fixed}
    if len(names) <= MAX_CONDITIONS:
        return scenarios({**{name: {True, False} for name in names}, **true})
    return _in_pairs(names, lambda row: next(scenarios({**{name: {row[name]} for name in row}, **true}), None))


def _in_pairs(
    names: list[str], complete: Callable[[Mapping[str, bool]], Mapping[str, bool] | None]
) -> Iterator[Mapping[str, bool]]:
    """Yield combinations that contain every possible pair of two conditions' values, all false first.

    Args:
        names: The conditions.
        complete: A function that returns what some values mean for all conditions, None when they are impossible.
    """
    pairs = [((a, x), (b, y)) for a, b in combinations(names, 2) for x in (False, True) for y in (False, True)]
    exclusive = {pair for pair in pairs if all(dict(pair).values()) and not complete(dict(pair))}
    left = set(pairs) - exclusive

    def extended(row: dict[str, bool], *, is_checked: bool) -> dict[str, bool]:
        for name in names:
            if name not in row:
                new, more = ({tuple(sorted([(name, x), each])) for each in row.items()} for x in (False, True))
                row[name] = len(left & new) < len(left & more) and not exclusive & more
                if is_checked and not complete(row):
                    row[name] = not row[name]
        return row

    for pair in pairs:
        if pair in left and complete(dict(pair)):
            row = extended(dict(pair), is_checked=False)
            if not complete(row):  # because of three or more conditions
                row = extended(dict(pair), is_checked=True)
            left.difference_update(combinations(sorted(row.items()), 2))
            if found := complete(row):
                yield found


def _declared_parameters(cfn: Any) -> Mapping[str, Any]:
    """Return the parameters of a template; what is none is for cfn-lint itself to report."""
    found = cfn.template.get("Parameters")
    return {name: each for name, each in found.items() if isinstance(each, dict)} if isinstance(found, dict) else {}


def _declared_conditions(cfn: Any) -> Mapping[str, Any]:
    found = cfn.template.get("Conditions")
    return found if isinstance(found, dict) else {}


def _defaults(declared: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the parameters' defaults, except where the default is only the name of the value."""
    return {
        name: canonical(each["Default"]) for name, each in declared.items() if "Default" in each and _is_plain(each)
    }


def _is_plain(parameter: Mapping[str, Any]) -> bool:
    return parameter.get("Type") in ("String", "Number")


def _conditions(value: Any) -> set[str]:
    """Return the names of the conditions that a value tests."""
    function, argument = function_of(value)
    found = {argument[0]} if function == "Fn::If" and is_if(argument) else set()
    return found.union(*(_conditions(each) for each in children(value)))


def _parameters(value: Any, conditions: Mapping[str, Any] = MappingProxyType({})) -> set[str]:
    """Return the names that a value refers to, itself or by conditions.

    What a Fn::If refers to is left out: its default may never be taken.
    """
    function, argument = function_of(value)
    if function == "Fn::If":
        return set()
    if function == "Condition" and isinstance(argument, str) and argument in conditions:
        return _parameters(conditions[argument], _without(conditions, argument))
    found = {argument} if function == "Ref" and isinstance(argument, str) else set()
    if function == "Fn::Sub":
        found = set(variables(argument))
    return found.union(*(_parameters(each, conditions) for each in children(value)))


def _without(conditions: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """Return the other conditions, so that a cycle ends."""
    return {each: condition for each, condition in conditions.items() if each != name}


def _is_true(condition: Any, conditions: Mapping[str, Any], resolution: Resolution) -> bool | None:
    """Return whether a condition is true, None when it may be either."""
    function, argument = function_of(condition)
    if function == "Condition" and isinstance(argument, str) and argument in conditions:
        return _is_true(conditions[argument], _without(conditions, argument), resolution)
    if function == "Fn::Equals":
        texts = [resolution.resolve(canonical(each), (), ()) for each in children(argument)]
        if len(set(texts)) == 1 and all(is_known(text) or isinstance(text, Scalar) for text in texts):
            return True
        return False if all(map(is_known, texts)) else None
    found = {_is_true(each, conditions, resolution) for each in children(argument)}
    if function == "Fn::Not":
        return None if None in found else found == {False}
    if function in ("Fn::And", "Fn::Or"):
        decisive = function == "Fn::Or"
        return decisive if decisive in found else None if None in found else not decisive
    return None


def _values(parameter: Any) -> list[tuple[Any, bool]]:
    """Return what a parameter may be, all that is allowed or the default, and whether each is the default."""
    if not parameter or not _is_plain(parameter):
        return []
    allowed = parameter.get("AllowedValues")
    if not isinstance(allowed, list) or not allowed:
        allowed = [parameter["Default"]] if "Default" in parameter else []
    return [(value, value == parameter.get("Default")) for value in allowed]
