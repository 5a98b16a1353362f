"""What the value of a property is known to be before a deployment."""

from __future__ import annotations

import datetime
import re
from typing import TYPE_CHECKING, Any, Callable, Iterable

if TYPE_CHECKING:
    from typing import TypeGuard

HOLE = "\0"
"""In a Partial, the part that only a deployment can resolve."""


class Unknown:
    """A value that only a deployment can resolve; it may be whatever the schema wants."""


class Partial(str):
    """A text of which some parts are known: for each of the others it has a HOLE or one of the SAMPLES."""


class Scalar(Partial):
    """The canonical text of a number, Boolean or date."""


UNKNOWN = Unknown()
MAYBE = Unknown()
"""A value that may also be AWS::NoValue: an Fn::If whose condition is not known."""
SAMPLES = {
    "AWS::AccountId": Partial("111122223333"),
    "AWS::Partition": Partial("aws"),
    "AWS::Region": Partial("xx-sample-1"),
    "AWS::StackId": Partial("arn:aws:cloudformation:xx-sample-1:111122223333:stack/name/id"),
    "AWS::Lambda::Function": Partial("function"),
    "AWS::Serverless::Function": Partial("function"),
}
"""One value that Ref may give of a pseudo parameter or of a type, where every value has the same form."""
_NOT_KNOWN = re.compile("|".join(map(re.escape, (HOLE, *SAMPLES.values()))))


def text_of(scalar: Any) -> Any:
    """Return a scalar as CloudFormation sends it, a string; anything else as it is.

    A dynamic reference may resolve to anything.
    """
    if not isinstance(scalar, str):
        text = canonical(scalar)
        return Scalar(text) if isinstance(text, str) else scalar
    if "{{resolve:" in scalar:
        return UNKNOWN
    return scalar


def canonical(scalar: Any) -> Any:
    """Return the canonical text of a number, Boolean or date; anything else as it is.

    YAML's loader turns what CloudFormation takes for text into these, and several texts give the same one: `0x1F` and
    31, `yes` and true. No pattern or list of values distinguishes them, but their lengths differ, and so may two equal
    keys.
    """
    if isinstance(scalar, bool):
        return str(scalar).lower()
    if isinstance(scalar, (datetime.date, datetime.datetime)):
        return scalar.isoformat()
    return str(scalar) if isinstance(scalar, (int, float)) else scalar


def is_known(value: Any) -> TypeGuard[str]:
    """Whether a value is a text of which every part is known."""
    return isinstance(value, str) and not isinstance(value, Partial)


def least_length(text: str) -> int:
    """Return the least number of characters that a text can have."""
    if isinstance(text, Scalar):
        return 0
    return len(_NOT_KNOWN.sub("", text) if isinstance(text, Partial) else text)


def known_parts(arn: str) -> list[str]:
    """Return the parts of an ARN, or if it has a hole, those that end before it."""
    known, hole, _ = arn.partition(HOLE)
    parts = known.split(":")
    return parts[:-1] if hole else parts


def joined(parts: Iterable[Any], delimiter: str = "") -> Any:
    """Return the text that parts make; a part that is no text is a hole."""
    parts = list(parts)
    text = delimiter.join(part if isinstance(part, str) and not isinstance(part, Scalar) else HOLE for part in parts)
    return text if all(map(is_known, parts)) else Partial(text)


def substituted(text: str, value_of: Callable[[str], Any]) -> Any:
    """Return the text of Fn::Sub.

    Args:
        text: With `${Name}`, and `${!Literal}` for a literal `${Literal}`.
        value_of: A function from a name to its value.
    """
    parts = re.split(r"\$\{([^}]*)\}", text)
    parts[1::2] = [f"${{{name[1:]}}}" if name.startswith("!") else value_of(name.strip()) for name in parts[1::2]]
    return joined(parts)
