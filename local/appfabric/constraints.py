"""Validates a request by the constraints of its shape in the service model."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from botocore.model import ListShape, Shape, StructureShape

_TYPES: dict[str, Any] = {
    "structure": dict,
    "list": list,
    "string": str,
    "integer": int,
    "timestamp": datetime,
}


@dataclass(frozen=True, kw_only=True)
class Mistake:
    """One entry of a ValidationException's `fieldList`: the path of a member and what is wrong with it."""

    name: str
    message: str


def mistakes(shape: Shape, value: Any, name: str = "") -> Iterator[Mistake]:
    """Yield each constraint of `shape` that `value` breaks; paths and wording are guesses."""
    if not isinstance(value, _TYPES[shape.type_name]) or isinstance(value, bool):
        yield Mistake(name=name, message=f"must be of type {shape.type_name}")
        return
    yield from (Mistake(name=name, message=message) for message in _own(shape, value))
    if isinstance(shape, StructureShape):
        for member, member_shape in shape.members.items():
            path = f"{name}.{member}" if name else member
            if member in value:
                yield from mistakes(member_shape, value[member], path)
            elif member in shape.required_members:
                yield Mistake(name=path, message="is required")
    elif isinstance(shape, ListShape):
        for index, item in enumerate(value):
            yield from mistakes(shape.member, item, f"{name}[{index}]")


def _own(shape: Shape, value: Any) -> Iterator[str]:
    rules = shape.metadata
    size = value if shape.type_name == "integer" else len(value) if isinstance(value, str | list) else None
    noun = "value" if shape.type_name == "integer" else "length"
    if size is not None and size < rules.get("min", size):
        yield f"must have a {noun} of at least {rules['min']}"
    if size is not None and size > rules.get("max", size):
        yield f"must have a {noun} of at most {rules['max']}"
    # Guess: the whole value must match, though the model's patterns are not all anchored.
    if "pattern" in rules and not re.fullmatch(rules["pattern"], value):
        yield f"must match {rules['pattern']}"
    if "enum" in rules and value not in rules["enum"]:
        yield f"must be one of {', '.join(rules['enum'])}"
    if isinstance(shape, StructureShape) and shape.is_tagged_union and len(value) != 1:
        yield f"must have exactly one of {', '.join(shape.members)}"
