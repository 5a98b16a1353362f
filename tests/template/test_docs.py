"""The pages match the sources: the reference is generated from the schema, and every link has a target."""

import re
from pathlib import Path

import pytest

from docs.generate import EXAMPLES, PAGE, SCHEMA, reference

ROOT = Path(__file__).parents[2]
DECISIONS = ROOT / "docs" / "decisions"
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), ROOT / "lint/README.md", ROOT / "tests/README.md"])
NOT_IN_GIT = {"dist"}
# A release in a command or a file name, but not in the changelog's history.
RELEASE = r"(?:appfabric[-_]ingestion[-_]destination-|rev: v)(\d+\.\d+\.\d+)"
TROUBLESHOOTING = (ROOT / "docs" / "troubleshooting.md").read_text()


def test_the_reference_is_generated_from_the_schema() -> None:
    assert PAGE.read_text() == reference(), "make docs"


def test_the_reference_has_every_property_attribute_and_type() -> None:
    text = PAGE.read_text()
    for name in SCHEMA["properties"]:
        assert f"\n`{name}`\n" in text
    for name in SCHEMA["definitions"]:
        assert f"\n## {SCHEMA['typeName']} {name}\n" in text


def test_every_example_is_listed_in_the_reference() -> None:
    assert set(EXAMPLES) == {path.stem for path in (ROOT / "examples").glob("*.yaml")}


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page: its headings, as GitHub writes them."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading).lower().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_link_has_a_target(page: Path) -> None:
    for target in re.findall(r"\]\(([^)]+)\)", page.read_text()):
        if not target.startswith("https://"):
            path, _, anchor = target.partition("#")
            leads_to = page.parent / path if path else page
            assert leads_to.exists(), target
            assert not anchor or anchor in anchors(leads_to), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_path_in_a_page_exists(page: Path) -> None:
    for path in re.findall(r"`((?:docs|lint|local|scripts|src|tests)/[\w./-]+)`", page.read_text()):
        assert (ROOT / path).exists(), path


def test_the_architecture_lists_every_module_and_folder() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text()
    modules = {path.relative_to(ROOT).as_posix() for path in (ROOT / "src/ingestion_destination").rglob("*.py")}
    assert {name for name in modules if not name.endswith("__init__.py")} == set(
        re.findall(r"\]\(\.\./(src/ingestion_destination/[\w/]+\.py)\)", text)
    )
    tree = text.partition("## The repository")[2]
    folders = {path.name for path in ROOT.iterdir() if path.is_dir() and not path.name.startswith(".")}
    assert folders - NOT_IN_GIT <= set(re.findall(r"^([a-z]+)/ ", tree, re.MULTILINE))


def test_the_decisions_are_numbered_and_listed() -> None:
    listed = re.findall(
        r"^\| \[(\d+)\]\((.*)\) \| (.*) \| (.*) \|$", (DECISIONS / "README.md").read_text(), re.MULTILINE
    )
    assert [int(number) for number, *_ in listed] == list(range(1, len(listed) + 1))
    assert [name for _, name, *_ in listed] == sorted(path.name for path in DECISIONS.glob("[0-9]*.md"))
    for number, name, title, status in listed:
        text = (DECISIONS / name).read_text()
        assert text.startswith(f"# {number}. {title}\n\nStatus: {status}\n"), name
        assert name.startswith(f"{int(number):04d}-")
        headings = re.findall(r"^## (.*)$", text, re.MULTILINE)
        assert (headings[0], headings[1], headings[-1]) == ("Context", "Decision", "Consequences"), name


def test_the_readme_is_read_in_two_minutes() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) <= 130


def test_the_pages_have_one_version() -> None:
    """The template's, which the wheel has too."""
    (one_version,) = re.findall(r"^ +SemanticVersion: (.+)$", (ROOT / "template.yaml").read_text(), re.MULTILINE)
    named = {
        (path.relative_to(ROOT).as_posix(), version)
        for path in PAGES
        for version in re.findall(RELEASE, path.read_text())
    }
    assert {path for path, _ in named} >= {"README.md", "docs/cdk.md"}
    assert {(path, version) for path, version in named if version != one_version} == set()


@pytest.mark.parametrize(("language", "program"), [("typescript", "app.ts"), ("python", "app.py")])
def test_the_cdk_page_shows_the_example_apps(language: str, program: str) -> None:
    source = (ROOT / "examples/cdk" / language / program).read_text()
    assert f"```{language}\n{source}```\n" in (ROOT / "docs/cdk.md").read_text()


def test_every_attribute_is_listed_in_troubleshooting() -> None:
    for path in SCHEMA["readOnlyProperties"]:
        assert f"`{path.rpartition('/')[2]}`" in TROUBLESHOOTING
