"""Which module may import which: dependencies point one way, and each library has its place (docs/architecture.md)."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

SRC = Path(__file__).parents[2] / "src"
PACKAGE = "ingestion_destination"
# From the top: a module imports only modules of a later row.
ROWS = [
    {"app"},
    {"provider"},
    {"startup_failure", "lifecycle"},
    {"rollback", "creation"},
    {"orphans"},
    {"adoption", "search"},
    {"observation"},
    {"invocation"},
    {"properties"},
    {"ownership", "validation", "journal"},
    {"cloudformation.responder"},
    {"cloudformation.response", "appfabric.client"},
    {"cloudformation.request", "cloudformation.delivery", "appfabric.destination", "appfabric.errors"},
    {"trust_store", "observability", "deadline", "exceptions"},
]
ROW_OF = {module: number for number, row in enumerate(ROWS) for module in row}
PATHS = {
    ".".join(path.relative_to(SRC).with_suffix("").parts).removeprefix(f"{PACKAGE}."): path
    for path in SRC.rglob("*.py")
    if (path.name != "__init__.py" and path.parent != SRC) or path.name == "app.py"
}


def imports(module: str) -> Iterator[str]:
    """Yield what a module imports at run time; its own package's modules without the package's name."""
    for node in _run(ast.parse(PATHS[module].read_text())):
        if isinstance(node, ast.Import) or (isinstance(node, ast.ImportFrom) and node.module == PACKAGE):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield str(node.module).removeprefix(f"{PACKAGE}.")


def _run(node: ast.AST) -> Iterator[ast.AST]:
    for child in ast.iter_child_nodes(node):
        if not (isinstance(child, ast.If) and "TYPE_CHECKING" in ast.dump(child.test)):
            yield child
            yield from _run(child)


def test_every_module_has_a_row() -> None:
    assert PATHS.keys() == ROW_OF.keys()


@pytest.mark.parametrize("module", sorted(PATHS))
def test_dependencies_point_one_way(module: str) -> None:
    known = {each for each in imports(module) if each in ROW_OF}
    assert not {each for each in known if ROW_OF[each] <= ROW_OF[module]}


@pytest.mark.parametrize(("one", "other"), [("appfabric", "cloudformation"), ("cloudformation", "appfabric")])
def test_appfabric_and_cloudformation_do_not_import_each_other(one: str, other: str) -> None:
    modules = [module for module in PATHS if module.startswith(f"{one}.")]
    assert modules
    for module in modules:
        assert not [each for each in imports(module) if each.startswith(other)], module


@pytest.mark.parametrize(
    ("library", "homes"),
    [
        ("boto3", {"appfabric.client"}),
        ("botocore", {"appfabric.client", "appfabric.errors"}),
        ("urllib3", {"appfabric.errors"}),
        ("crhelper", {"cloudformation.responder"}),
        ("aws_lambda_powertools", {"observability"}),
    ],
)
def test_each_library_is_imported_in_one_place(library: str, homes: set[str]) -> None:
    assert {module for module in PATHS if library in {each.partition(".")[0] for each in imports(module)}} == homes


@pytest.mark.parametrize("module", ["cloudformation.request", "cloudformation.response", "cloudformation.delivery"])
def test_the_response_modules_import_only_the_standard_library(module: str) -> None:
    assert {each.partition(".")[0] for each in imports(module)} - {"cloudformation"} <= sys.stdlib_module_names


def test_shipped_modules_import_no_development_code() -> None:
    for module in PATHS:
        assert not {each.partition(".")[0] for each in imports(module)} & {"bench", "docs", "local", "tests"}, module
