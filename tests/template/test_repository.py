"""The files that GitHub and pre-commit read: linters find nothing in them, and they match the project."""

import re
import shutil
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.template.tools import ROOT, run

GITHUB = ROOT / ".github"
WORKFLOW = GITHUB / "workflows" / "test.yml"
ZIZMOR = (ROOT / ".venv/bin/zizmor", "--offline", "--no-progress", "--persona", "pedantic", "--format", "json")


def test_zizmor_finds_nothing(tmp_path: Path) -> None:
    assert run(*ZIZMOR, GITHUB, env={"HOME": str(tmp_path)}).strip() == "[]"


def test_zizmor_reports_an_unpinned_action(tmp_path: Path) -> None:
    copy = tmp_path / ".github"
    shutil.copytree(GITHUB, copy)
    path = copy / WORKFLOW.relative_to(GITHUB)
    path.write_text(re.sub(r"checkout@[0-9a-f]{40}", "checkout@v7", path.read_text()))
    assert "unpinned-uses" in run(*ZIZMOR, copy, env={"HOME": str(tmp_path)}, codes=tuple(range(11, 15)))


@pytest.mark.parametrize(
    ("schema", "pattern"),
    [
        ("vendor.github-workflows", "workflows/*.yml"),
        ("custom.github-workflows-require-timeout", "workflows/*.yml"),
        ("vendor.dependabot", "dependabot.yml"),
        ("vendor.github-issue-forms", "ISSUE_TEMPLATE/[!c]*.yml"),
        ("vendor.github-issue-config", "ISSUE_TEMPLATE/config.yml"),
    ],
)
def test_githubs_files_match_githubs_schemas(schema: str, pattern: str) -> None:
    files = sorted(GITHUB.glob(pattern))
    assert files
    run(ROOT / ".venv/bin/check-jsonschema", "--builtin-schema", schema, *files)


def test_every_action_is_pinned_to_a_commit_and_names_its_version() -> None:
    used = re.findall(r"uses: (.*)", WORKFLOW.read_text())
    assert used
    for each in used:
        assert re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", each), each


def test_the_workflow_tests_every_supported_python() -> None:
    (job,) = yaml.safe_load(WORKFLOW.read_text())["jobs"].values()
    assert job["steps"][-1]["run"].startswith("make test ")
    (environment,) = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["uv"]["environments"]
    oldest = environment.removeprefix("python_version >= ").strip("'")
    versions = [tuple(map(int, version.split("."))) for version in job["strategy"]["matrix"]["python"]]
    assert versions == [(3, minor) for minor in range(versions[0][1], versions[-1][1] + 1)]
    assert versions[0] == tuple(map(int, oldest.split(".")))


def test_dependabot_watches_every_manifest() -> None:
    updates = {
        (each["package-ecosystem"], each["directory"])
        for each in yaml.safe_load((GITHUB / "dependabot.yml").read_text())["updates"]
    }
    assert updates == {("uv", "/"), ("github-actions", "/"), ("npm", "/bench/cdk")}
    assert (ROOT / "uv.lock").exists()
    assert (ROOT / "bench/cdk/package.json").exists()


def hooks() -> list[dict[str, Any]]:
    return [
        hook
        for repository in yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
        for hook in repository["hooks"]
    ]


@pytest.mark.parametrize("hook", hooks(), ids=lambda hook: hook["id"])
def test_the_hooks_find_nothing(hook: dict[str, Any]) -> None:
    """With the commands that `make check` installs."""
    command, *options = hook["entry"].replace("--fix", "--no-fix").split()
    check = ["--check"] if "format" in options else []
    run(ROOT / command, *options, *check, *([] if hook.get("pass_filenames") is False else ["."]), cwd=ROOT)
