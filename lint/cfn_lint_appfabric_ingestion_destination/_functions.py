"""The intrinsic functions of a template, as far as it says itself what they give."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, Iterable, Mapping, Tuple

from ._values import HOLE, MAYBE, SAMPLES, UNKNOWN, Partial, is_known, joined, substituted, text_of

At = Tuple[Any, ...]
"""A place in a template, or in the properties of a resource."""
_OF_ANYTHING = ("AWS::CloudFormation::", "AWS::Serverless::", "AWS::ServiceCatalog::")


@dataclass(frozen=True)
class Resolution:
    """Puts values in the place of functions where a template says what they are."""

    conditions: Mapping[str, bool]
    parameters: Mapping[str, Any]
    types: Mapping[str, str]
    mappings: Mapping[str, Any]
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
        resolve = {
            "Ref": self._reference,
            "Fn::GetAtt": self._attribute,
            "Fn::Sub": self._substitution,
            "Fn::Join": self._join,
            "Fn::FindInMap": self._mapped,
        }.get(function)
        if resolve:
            return resolve(argument)
        is_text = not function and not isinstance(value, (dict, list))
        return text_of(value) if is_text else MAYBE if function == "Fn::If" else UNKNOWN

    def _reference(self, name: Any) -> Any:
        if not isinstance(name, str):
            return UNKNOWN
        if name in self.parameters:
            return text_of(self.parameters[name])
        if self.types.get(name) in ("AWS::SNS::Topic", "AWS::Lambda::LayerVersion"):
            return self._arn(name)
        return SAMPLES.get(self.types.get(name, name), UNKNOWN)

    def _attribute(self, argument: Any) -> Any:
        name, _, attribute = dotted(argument).partition(".")
        # What a custom resource, a macro's resource or a nested stack calls an ARN may be anything.
        kind = self.types.get(name, "")
        if not kind.startswith("AWS::") or "." in attribute or kind.startswith(_OF_ANYTHING):
            return UNKNOWN
        if attribute.endswith("Arn"):
            return self._arn(name)
        # A domain name has only characters that a bucket's name may have, but like a URL it is not one.
        is_domain = kind == "AWS::S3::Bucket" and attribute.endswith(("DomainName", "URL"))
        return Partial(f"https://{HOLE}") if is_domain else UNKNOWN

    def _arn(self, name: str) -> Partial:
        is_layer = self.types[name] == "AWS::Lambda::LayerVersion"
        service = "lambda:us-east-1:111122223333:layer" if is_layer else self.types[name].split("::")[1].lower()
        return Partial(f"arn:aws:{service}:{HOLE}")

    def _join(self, argument: Any) -> Any:
        if not _is_pair(argument, str, list):
            return UNKNOWN
        return text_of(joined(map(self._text, argument[1]), argument[0]))

    def _mapped(self, argument: Any) -> Any:
        keys = [self._text(key) for key in argument] if isinstance(argument, list) else []
        found = self.mappings if len(keys) == 3 and all(map(is_known, keys)) else {}
        for key in keys:
            found = found.get(key, {}) if isinstance(found, dict) else {}
        return self._text(found)

    def _substitution(self, argument: Any) -> Any:
        sub = _sub_of(argument)
        if sub is None:
            return UNKNOWN
        text, given = sub

        def value_of(name: str) -> Any:
            if name in given:
                return self._text(given[name])
            return self._attribute(name) if "." in name else self._reference(name)

        return text_of(substituted(text, value_of))


def dotted(argument: Any) -> str:
    """Return `Name.Attribute` of Fn::GetAtt, "" when a function gives a part of it."""
    parts = [argument] if isinstance(argument, str) else argument if isinstance(argument, list) else []
    return ".".join(parts) if all(isinstance(part, str) for part in parts) else ""


def _sub_of(argument: Any) -> tuple[str, Mapping[str, Any]] | None:
    """Return the text of Fn::Sub and the variables that it defines itself."""
    if _is_pair(argument, str, dict):
        return argument[0], argument[1]
    return (argument, {}) if isinstance(argument, str) else None


def variables(argument: Any) -> list[str]:
    """Return what the text of Fn::Sub refers to outside of it."""
    text, given = _sub_of(argument) or ("", {})
    names = [name.strip() for name in re.findall(r"\$\{([^!}][^}]*)\}", text)]
    return [name for name in names if name not in given]


def function_of(value: Any) -> tuple[str, Any]:
    """Return the intrinsic function that an object is and its argument, "" when it is none."""
    if isinstance(value, dict):
        for key in value:
            if (str(key) in {"Ref", "Condition"} and len(value) == 1) or str(key).startswith("Fn::"):
                return str(key), value[key]
    return "", None


def is_if(argument: Any) -> bool:
    return isinstance(argument, list) and len(argument) == 3 and isinstance(argument[0], str)


def _is_pair(argument: Any, first: Any, second: Any) -> bool:
    return (
        isinstance(argument, list)
        and len(argument) == 2
        and isinstance(argument[0], first)
        and isinstance(argument[1], second)
    )


def children(value: Any) -> Iterable[Any]:
    return value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
