"""The rules, the schema and the examples in fresh installations of what AWS's users have."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.fresh.conftest import command
from tests.template.test_lint_package import WORDS, WRONG, block
from tests.template.tools import ROOT

Environment = Callable[..., Path]
VALIDATE = """
import logging, sys
from rpdk.core.data_loaders import load_resource_spec

logging.basicConfig(level=logging.WARNING, stream=sys.stdout)
with open(sys.argv[1]) as schema:
    load_resource_spec(schema)
"""
pytestmark = pytest.mark.slow

FIND_ERRORS = """
import sys
from cloudformation_validate import CompositeEngine

engine = CompositeEngine()
for template in sys.argv[1:]:
    for found in engine.validate_template(template).diagnostics:
        if found.severity.name in {"ERROR", "FATAL"}:
            print(template, found.rule_id, found.message)
"""


@pytest.mark.parametrize("requirement", ["cfn-lint==1.22.0", "cfn-lint"])
def test_the_rules_by_the_words_of_the_readme(requirement: str, environment: Environment, tmp_path: Path) -> None:
    install, lint = block("console", "pip install cfn-lint").splitlines()
    packages = install.partition("#")[0].split()[3:]
    assert packages == ["cfn-lint", "PATH_OF_THIS_REPOSITORY"]
    programs = environment(requirement, ROOT)
    (tmp_path / "template.yaml").write_text(WRONG)
    _, program, *arguments = lint.split()
    assert WORDS in command(programs / program, *arguments, cwd=tmp_path, codes=(2,))


def test_the_hook_of_the_readme_in_pre_commit(environment: Environment, tmp_path: Path) -> None:
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    for name in ("pyproject.toml", "template.yaml", "LICENSE", ".pre-commit-hooks.yaml", "lint"):
        (shutil.copytree if (ROOT / name).is_dir() else shutil.copy)(ROOT / name, prepared(ours) / name)
    commit(ours)
    command("git", "tag", "v0.1.0", cwd=ours)
    (prepared(theirs / "templates") / "template.yaml").write_text(WRONG)
    (theirs / "package.json").write_text("{}")
    configuration = block("yaml", "hooks:").replace("URL_OF_THIS_REPOSITORY", str(ours))
    (theirs / ".pre-commit-config.yaml").write_text(configuration)
    commit(theirs)
    programs = environment("pre-commit")
    home = {"PRE_COMMIT_HOME": str(tmp_path / "cache")}
    output = command(programs / "pre-commit", "run", "--all-files", cwd=theirs, env=home, codes=(1,))
    assert WORDS in output
    assert "package.json" not in output


def prepared(directory: Path) -> Path:
    directory.mkdir(parents=True, exist_ok=True)
    return directory


def commit(directory: Path) -> None:
    command("git", "init", "--quiet", cwd=directory)
    command("git", "add", ".", cwd=directory)
    author = ("-c", "user.name=A", "-c", "user.email=a@example.com")
    command("git", *author, "commit", "--quiet", "--message", "First", cwd=directory)


def test_the_schema_in_awss_own_validation(environment: Environment, tmp_path: Path) -> None:
    """But for its name, which has two parts as every custom resource's, where the registry asks for three."""
    python = environment("cloudformation-cli==0.2.41") / "python"
    schema = json.loads((ROOT / "schema/custom-appfabric-ingestiondestination.json").read_text())
    schema["typeName"] = "Custom::AppFabric::IngestionDestination"
    path = tmp_path / "schema.json"
    path.write_text(json.dumps(schema))
    assert command(python, "-c", VALIDATE, path) == ""
    schema["properties"]["Tags"]["unknown"] = True
    path.write_text(json.dumps(schema))
    assert "SpecValidationError" in command(python, "-c", VALIDATE, path, codes=(1,))


def test_the_examples_in_cloudformation_validate(environment: Environment) -> None:
    python = environment("cloudformation-validate") / "python"
    templates = [ROOT / "template.yaml", *sorted((ROOT / "examples").glob("*.yaml"))]
    assert command(python, "-c", FIND_ERRORS, *templates) == ""
