"""CloudFormation's intrinsic functions, for tests of what a template finally contains.

Only what this project's templates use. A reference to a resource gives its name, an attribute `Name.Attribute`, an
import an ARN.
https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/intrinsic-function-reference.html
"""

import itertools
import re
from collections.abc import Iterator, Mapping
from typing import Any

NO_VALUE = object()
PSEUDO_PARAMETERS = {
    "AWS::AccountId": "111122223333",
    "AWS::NoValue": NO_VALUE,
    "AWS::Partition": "aws",
    "AWS::Region": "us-east-1",
    "AWS::StackId": "arn:aws:cloudformation:us-east-1:111122223333:stack/stack/51af3dc0-da77-11e4-872e-1234567db123",
    "AWS::StackName": "stack",
}


class Template:
    """A template with values for its parameters.

    Args:
        body: The template, every function in its long form.
        parameters: Values that are not the defaults.
    """

    def __init__(self, body: Mapping[str, Any], **parameters: Any) -> None:
        self._body = body
        defaults = {name: each["Default"] for name, each in body.get("Parameters", {}).items() if "Default" in each}
        self._values = {**PSEUDO_PARAMETERS, **defaults, **parameters}

    def resources(self) -> dict[str, Any]:
        """Return the resources whose condition is true, resolved."""
        return {
            name: self.resolve(each)
            for name, each in self._body["Resources"].items()
            if "Condition" not in each or self.holds(each["Condition"])
        }

    def holds(self, condition: str) -> bool:
        """Whether a condition is true."""
        return bool(self.resolve(self._body["Conditions"][condition]))

    def resolve(self, value: Any) -> Any:
        """Return the value with its functions resolved, NO_VALUE for AWS::NoValue."""
        if isinstance(value, list):
            return [each for each in map(self.resolve, value) if each is not NO_VALUE]
        if not isinstance(value, dict):
            return value
        if len(value) == 1:
            ((name, argument),) = value.items()
            if name in _FUNCTIONS:
                return _FUNCTIONS[name](self, argument)
        resolved = {key: self.resolve(each) for key, each in value.items()}
        return {key: each for key, each in resolved.items() if each is not NO_VALUE}

    def _reference(self, name: str) -> Any:
        value = self._values.get(name, name)
        is_list = self._body.get("Parameters", {}).get(name, {}).get("Type") == "CommaDelimitedList"
        return [each.strip() for each in value.split(",")] if is_list else value

    def _substitute(self, argument: Any) -> str:
        text, names = argument if isinstance(argument, list) else (argument, {})
        return re.sub(
            r"\$\{([^!}][^}]*)\}",
            lambda match: str(self.resolve(names.get(match[1], self._reference(match[1])))),
            text,
        )


_FUNCTIONS = {
    "Ref": Template._reference,
    "Condition": Template.holds,
    "Fn::If": lambda t, argument: t.resolve(argument[1 if t.holds(argument[0]) else 2]),
    "Fn::Sub": Template._substitute,
    "Fn::Join": lambda t, argument: argument[0].join(t.resolve(argument[1])),
    "Fn::GetAtt": lambda t, argument: argument if isinstance(argument, str) else ".".join(argument),
    "Fn::ImportValue": lambda t, argument: f"arn:imported:{t.resolve(argument)}",
    "Fn::Split": lambda t, argument: t.resolve(argument[1]).split(argument[0]),
    "Fn::Select": lambda t, argument: t.resolve(argument[1])[int(argument[0])],
    "Fn::Equals": lambda t, argument: str(t.resolve(argument[0])) == str(t.resolve(argument[1])),
    "Fn::Not": lambda t, argument: not t.resolve(argument[0]),
    "Fn::And": lambda t, argument: all(map(t.resolve, argument)),
    "Fn::Or": lambda t, argument: any(map(t.resolve, argument)),
}


def every(body: Mapping[str, Any], **given: Any) -> Iterator[Template]:
    """Yield the template with each combination of its parameters' possible values.

    Args:
        body: The template.
        given: Values of parameters that have neither allowed values nor a default.
    """
    choices = {
        name: each.get("AllowedValues") or [each["Default"]]
        for name, each in body.get("Parameters", {}).items()
        if "AllowedValues" in each or "Default" in each
    }
    for values in itertools.product(*choices.values()):
        yield Template(body, **given, **dict(zip(choices, values, strict=True)))
