"""The documents are as the sources are: the reference is made of the schema, every message has its remedy."""

import re
from pathlib import Path

import pytest

from docs.generate import EXAMPLES, PAGE, SCHEMA, reference
from ingestion_destination.appfabric.errors import _BY_CODE, IdempotentParameterMismatch
from ingestion_destination.exceptions import NameResolutionFailure
from tests.messages import error_classes, families

ROOT = Path(__file__).parents[2]
TROUBLESHOOTING = (ROOT / "docs" / "troubleshooting.md").read_text()
CLOUDFORMATIONS_OWN = "## CloudFormation's own messages"


def test_the_reference_is_made_of_the_schema() -> None:
    assert PAGE.read_text() == reference(), "make docs"


def test_the_reference_has_every_property_attribute_and_type() -> None:
    text = PAGE.read_text()
    for name in SCHEMA["properties"]:
        assert f"\n`{name}`\n" in text
    for name in SCHEMA["definitions"]:
        assert f"\n## {SCHEMA['typeName']} {name}\n" in text


def test_every_example_is_named_in_the_reference() -> None:
    assert set(EXAMPLES) == {path.stem for path in (ROOT / "examples").glob("*.yaml")}


@pytest.mark.parametrize("page", sorted((ROOT / "docs").glob("*.md")), ids=lambda page: page.stem)
def test_every_link_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)]+)\)", page.read_text()):
        if not target.startswith("https://docs.aws.amazon.com/"):
            name, _, anchor = target.partition("#")
            assert (page.parent / name).exists(), target
            assert not anchor or anchor in anchors(page.parent / name if name else page), target


def anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading).lower().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize(("language", "program"), [("typescript", "app.ts"), ("python", "app.py")])
def test_the_cdk_apps_are_those_of_the_examples(language: str, program: str) -> None:
    source = (ROOT / "examples/cdk" / language / program).read_text()
    assert f"```{language}\n{source}```\n" in (ROOT / "docs/cdk.md").read_text()


def messages() -> set[str]:
    """The first column of the tables of what the provider says."""
    own, _, _ = TROUBLESHOOTING.partition(CLOUDFORMATIONS_OWN)
    return set(re.findall(r"^\| `([^`]+)` \|", own, re.MULTILINE))


def test_every_message_of_the_source_has_its_remedy() -> None:
    assert families() - messages() == set()


def test_no_remedy_is_for_a_message_that_there_is_not() -> None:
    assert messages() - families() == set()


def test_every_error_class_and_every_code_of_appfabrics_is_explained() -> None:
    for name in error_classes() - {
        "HandlerError",
        NameResolutionFailure.__name__,
        IdempotentParameterMismatch.__name__,
    }:
        assert f"`{name}:`" in TROUBLESHOOTING or f"(`{name}`)" in TROUBLESHOOTING, name
    for code, error in _BY_CODE.items():
        assert f"| `{code}:` (`{error.__name__}`) |" in TROUBLESHOOTING


def test_every_attribute_is_named_where_one_is_missing() -> None:
    for path in SCHEMA["readOnlyProperties"]:
        assert f"`{path.rpartition('/')[2]}`" in TROUBLESHOOTING


def test_every_family_is_found() -> None:
    """So that a change of how errors are made cannot empty the search."""
    found = families()
    assert len(found) > 30
    assert "the destination is Failed: …" in found
    assert "….Key is a duplicate of an earlier tag key" in found
