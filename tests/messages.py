"""Every text that the function can put into a stack's events, read from its source: a family has … for what varies."""

import ast
from collections.abc import Iterator
from pathlib import Path

from ingestion_destination.exceptions import HandlerError

SOURCE = Path(__file__).parents[1] / "src"


def error_classes() -> set[str]:
    """The names of HandlerError and of every class below it."""

    def below(base: type[HandlerError]) -> Iterator[str]:
        yield base.__name__
        for each in base.__subclasses__():
            yield from below(each)

    return set(below(HandlerError))


def families() -> set[str]:
    """What errors say, each mistake of a template among them."""
    found = set()
    for path in SOURCE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            found |= {text for text in map(_family, _texts(node)) if text.strip("… ")}
    return found


def _texts(node: ast.AST) -> Iterator[ast.expr]:
    """The expressions in a node that become text of a stack's events."""
    if isinstance(node, ast.Call):
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        owner = getattr(getattr(node.func, "value", None), "id", "")
        if name in error_classes() | {"problem"} or (owner, name) == ("problems", "append"):
            yield from node.args[:1]
    elif isinstance(node, ast.AugAssign) and getattr(node.target, "attr", "") == "message":
        yield node.value


def _family(text: ast.expr) -> str:
    if isinstance(text, ast.Constant) and isinstance(text.value, str):
        return text.value.strip()
    if isinstance(text, ast.JoinedStr):
        return "".join(part.value if isinstance(part, ast.Constant) else "…" for part in text.values).strip()
    if isinstance(text, ast.BinOp):
        return f"{_family(text.left)}{_family(text.right)}"
    return "…"
