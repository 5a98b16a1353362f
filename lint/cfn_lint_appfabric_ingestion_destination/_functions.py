"""The intrinsic functions of a template, as far as it says itself what they give."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Iterable, Mapping, Tuple

from ._values import HOLE, MAYBE, SAMPLES, UNKNOWN, Partial, joined, substituted, text_of

At = Tuple[Any, ...]
"""A place in a template, or in the properties of a resource."""
_OF_ANYTHING = ("AWS::CloudFormation::", "AWS::Serverless::", "AWS::ServiceCatalog::")


@dataclass(frozen=True)
class Resolution:
    """Puts values in the place of functions where a template says what they are."""

    conditions: Mapping[str, bool]
    parameters: Mapping[str, Any]
    types: Mapping[str, str]
    where: dict[At, At] = field(default_factory=dict)

    def resolve(self, value: Any, path: At, at: At) -> Any:
        """Return the value at this path of the template; None when there is none."""
        function, argument = function_of(value)
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
        if function != "Fn::If" or not is_if(argument) or argument[0] not in self.conditions:
            return 0
        return 1 if self.conditions[argument[0]] else 2

    def _text(self, value: Any) -> Any:
        """Return what is known of the text that a function gives."""
        function, argument = function_of(value)
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
        is_text = not function and not isinstance(value, (dict, list))
        return text_of(value) if is_text else MAYBE if function == "Fn::If" else UNKNOWN

    def _reference(self, name: str) -> Any:
        if name in self.parameters:
            return text_of(self.parameters[name])
        if self.types.get(name) in ("AWS::SNS::Topic", "AWS::Lambda::LayerVersion"):
            return self._arn(name)
        return SAMPLES.get(self.types.get(name, name), UNKNOWN)

    def _attribute(self, name: str, attribute: str) -> Any:
        # What a custom resource, a macro's or a nested stack calls an ARN may be anything.
        kind = self.types.get(name, "")
        if not kind.startswith("AWS::") or "." in attribute or kind.startswith(_OF_ANYTHING):
            return UNKNOWN
        return self._arn(name) if attribute.endswith("Arn") else UNKNOWN

    def _arn(self, name: str) -> Partial:
        is_layer = self.types[name] == "AWS::Lambda::LayerVersion"
        service = "lambda:us-east-1:111122223333:layer" if is_layer else self.types[name].split("::")[1].lower()
        return Partial(f"arn:aws:{service}:{HOLE}")

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


def function_of(value: Any) -> tuple[str, Any]:
    """Return the intrinsic function that an object is and its argument, "" when it is none."""
    if isinstance(value, dict):
        for key in value:
            if (str(key) in {"Ref", "Condition"} and len(value) == 1) or str(key).startswith("Fn::"):
                return str(key), value[key]
    return "", None


def is_if(argument: Any) -> bool:
    return isinstance(argument, list) and len(argument) == 3 and isinstance(argument[0], str)


def _is_join(argument: Any) -> bool:
    return (
        isinstance(argument, list)
        and len(argument) == 2
        and isinstance(argument[0], str)
        and isinstance(argument[1], list)
    )


def children(value: Any) -> Iterable[Any]:
    return value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
