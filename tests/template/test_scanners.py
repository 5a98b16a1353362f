"""cfn-lint and checkov find nothing in the application, except what is suppressed with a reason."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from samtranslator.yaml_helper import yaml_parse

from local import release
from tests.template.tools import CFN_LINTS, ROOT, RULES, cfn_lint, run

CHECKOV = ROOT / ".venv-checkov/bin/checkov"
EXAMPLES = sorted((ROOT / "examples").glob("*.yaml"))


@pytest.fixture(scope="module")
def released(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The template without the transform."""
    path = tmp_path_factory.mktemp("release") / "template.json"
    path.write_text(json.dumps(release.without_transform("code.zip"), indent=1))
    return path


@pytest.mark.parametrize("version", CFN_LINTS)
def test_cfn_lint_finds_nothing_in_the_template(version: str, released: Path) -> None:
    """In every Region, and including informational findings."""
    # The oldest version knows neither the newest Regions nor the newest runtime.
    regions = ["--regions", "ALL_REGIONS"] if version == "newest" else []
    assert run(CFN_LINTS[version], "--include-checks", "I", *regions, "--", ROOT / "template.yaml", released) == ""


@pytest.mark.parametrize("version", CFN_LINTS)
def test_cfn_lint_finds_nothing_in_the_examples(version: str) -> None:
    assert run(CFN_LINTS[version], "--append-rules", RULES, "--", *EXAMPLES) == ""


@pytest.mark.parametrize("version", CFN_LINTS)
def test_cfn_lint_finds_nothing_in_the_stack_sets_template(version: str, tmp_path: Path) -> None:
    sets = yaml_parse((ROOT / "examples/stack-sets.yaml").read_text())["Resources"]
    assert cfn_lint(version, sets["Destinations"]["Properties"]["TemplateBody"], tmp_path) == []


def test_checkov_finds_nothing(released: Path) -> None:
    files = [part for path in (ROOT / "template.yaml", released, *EXAMPLES) for part in ("--file", path)]
    found = json.loads(
        run(
            CHECKOV,
            *("--framework", "cloudformation", "--output", "json", "--skip-download", "--quiet"),
            *files,
            codes=(0, 1),
            env={"HOME": str(released.parent)},
        )
    )
    failed = [(each["check_id"], each["resource"]) for each in found["results"]["failed_checks"]]
    assert failed == []
    assert found["summary"]["passed"] > 20


def suppressions() -> Iterator[tuple[str, str, str]]:
    """Yield each suppressed rule of a scanner, where and why; Guard's list has its reasons in comments."""
    text = (ROOT / "template.yaml").read_text()
    for name, resource in yaml_parse(text)["Resources"].items():
        metadata = resource.get("Metadata", {})
        for each in metadata.get("checkov", {}).get("skip", []):
            yield name, each["id"], each["comment"]
        for each in metadata.get("cfn_nag", {}).get("rules_to_suppress", []):
            yield name, each["id"], each["reason"]
        for rule in metadata.get("guard", {}).get("SuppressedRules", []):
            yield name, rule, text.partition(f"- {rule} # ")[2].partition("\n")[0]


def test_every_suppression_has_a_reason() -> None:
    found = list(suppressions())
    assert len(found) > 8
    assert all(len(reason) > 20 for _, _, reason in found)


def test_every_checkov_suppression_is_needed(tmp_path: Path) -> None:
    """Without the suppressions checkov reports each of these rules."""
    source: Any = (ROOT / "template.yaml").read_text().replace("checkov:", "unread:")
    (tmp_path / "template.yaml").write_text(source)
    command = [
        ROOT / ".venv-checkov/bin/checkov",
        "--framework",
        "cloudformation",
        "--output",
        "json",
        "--skip-download",
    ]
    output = run(*command, "--file", tmp_path / "template.yaml", codes=(1,), env={"HOME": str(tmp_path)})
    found = {each["check_id"] for each in json.loads(output)["results"]["failed_checks"]}
    assert found == {rule for _, rule, _ in suppressions() if rule.startswith("CKV_")}
