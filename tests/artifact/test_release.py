"""`make release`: the zip is the complete build, the SBOM describes it, and releases are reproducible."""

import hashlib
import importlib.metadata
import json
import os
import shutil
import subprocess
import uuid
import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packaging.utils import canonicalize_name

from local import release
from local.runtime import ROOT
from tests.artifact.test_artifact import ARTIFACT, needs_the_runtime, run

COMMIT = release.Commit("0123456789abcdef0123456789abcdef01234567", datetime(2026, 11, 25, 7, 24, 21, tzinfo=UTC))


@pytest.fixture(scope="module")
def released(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Template, code, wheel, SBOM and checksums."""
    return write(tmp_path_factory.mktemp("release"), COMMIT)


def write(directory: Path, commit: release.Commit) -> list[Path]:
    template, code = release.release(directory)
    wheel = release.build_rules(directory)
    return [template, code, wheel, *release.describe(template, code, wheel, commit)]


def test_the_zip_contains_exactly_the_build(released: list[Path], tmp_path: Path) -> None:
    _, code, *_ = released
    with zipfile.ZipFile(code) as archive:
        assert {entry.filename: archive.read(entry) for entry in archive.infolist()} == {
            path.relative_to(ARTIFACT).as_posix(): path.read_bytes() for path in ARTIFACT.rglob("*") if path.is_file()
        }
        assert {entry.external_attr >> 16 for entry in archive.infolist()} == {0o644}
    assert code.stat().st_size < 4_000_000


@needs_the_runtime
def test_the_function_in_the_zip_starts_from_its_byte_code(released: list[Path], tmp_path: Path) -> None:
    """Python itself reports which source files it had to compile: none of the function's."""
    unpacked = tmp_path / "task"
    with zipfile.ZipFile(released[1]) as archive:
        archive.extractall(unpacked)
    names = run(
        "import builtins, importlib.machinery as machinery, json\n"
        "compiled = []\n"
        "compile = machinery.SourceFileLoader.source_to_code\n"
        "machinery.SourceFileLoader.source_to_code = lambda self, data, path, **options: ("
        "compiled.append(path), compile(self, data, path, **options))[1]\n"
        "import app\n"
        "print(json.dumps(compiled))",
        artifact=unpacked,
    )
    assert [name for name in names if name.startswith(str(unpacked))] == []


def test_releases_are_reproducible_and_differ_between_commits(released: list[Path], tmp_path: Path) -> None:
    again = write(tmp_path / "again", COMMIT)
    assert [path.name for path in again] == [path.name for path in released]
    assert [path.read_bytes() for path in again] == [path.read_bytes() for path in released]
    other = write(tmp_path / "other", release.Commit("f" * 40, COMMIT.time))
    assert serial(other[3]) != serial(released[3])


def serial(bill: Path) -> uuid.UUID:
    return uuid.UUID(json.loads(bill.read_text())["serialNumber"])


def test_the_sbom_describes_the_zip(released: list[Path]) -> None:
    _, code, _, bill, _ = released
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(bill.read_text()) is None
    described: Any = json.loads(bill.read_text())
    application = described["metadata"]["component"]
    assert application["hashes"] == [{"alg": "SHA-256", "content": hashlib.sha256(code.read_bytes()).hexdigest()}]
    assert application["properties"] == [{"name": "commit", "value": COMMIT.id}]
    assert datetime.fromisoformat(described["metadata"]["timestamp"]) == COMMIT.time
    shipped = importlib.metadata.distributions(path=[str(ARTIFACT)])
    assert {each["purl"] for each in described["components"]} == {
        f"pkg:pypi/{canonicalize_name(each.name)}@{each.version}" for each in shipped
    }
    requires = {each["ref"]: each.get("dependsOn", []) for each in described["dependencies"]}
    direct = {name.removeprefix("pkg:pypi/").partition("@")[0] for name in requires[application["bom-ref"]]}
    assert direct == {"aws-lambda-powertools", "boto3", "crhelper"}
    reached = set(requires[application["bom-ref"]])
    for _ in requires:
        reached.update(*(requires[name] for name in reached))
    assert reached == {each["bom-ref"] for each in described["components"]}, (
        "some component is not a dependency of any other"
    )


def test_sha256sum_verifies_every_released_file(released: list[Path]) -> None:
    *files, checksums = released
    checked = subprocess.run(
        ["sha256sum", "--check", "--strict", checksums.name],
        cwd=checksums.parent,
        check=True,
        capture_output=True,
        text=True,
    )
    assert checked.stdout.splitlines() == [f"{path.name}: OK" for path in files]


def test_the_commands_deploy_this_release(released: list[Path], tmp_path: Path) -> None:
    """As a shell runs them, with a command in place of the AWS CLI that records its arguments."""
    template, code, *_ = released
    recorded = tmp_path / "recorded"
    (tmp_path / "aws").write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" >> "{recorded}"\n')
    (tmp_path / "aws").chmod(0o755)
    script = "\n".join(release.commands(template, code))
    subprocess.run(["/bin/sh", "-eu", "-c", script], env={"PATH": f"{tmp_path}:/usr/bin:/bin"}, check=True)
    arguments = recorded.read_text().splitlines()
    assert arguments[:4] == ["s3", "cp", str(code), f"s3://amzn-s3-demo-bucket/{code.name}"]
    assert arguments[4:6] == ["cloudformation", "deploy"]
    option = {arguments[at]: arguments[at + 1] for at in range(6, len(arguments)) if arguments[at].startswith("--")}
    assert option["--template-file"] == str(template)
    assert option["--capabilities"] == "CAPABILITY_IAM"
    given = dict(each.split("=") for each in arguments[arguments.index("--parameter-overrides") + 1 :])
    assert given == {"CodeBucket": "amzn-s3-demo-bucket", "CodeKey": code.name}
    parameters = yaml.safe_load(template.read_text())["Parameters"]
    required = {name for name, parameter in parameters.items() if "Default" not in parameter}
    assert required <= set(given) <= set(parameters)
    assert template.stat().st_size < 51_200, "cloudformation deploy would need --s3-bucket"


# --- the commit

# As in a checkout; `git archive` fills it in.
ARCHIVAL = "node: $Format:%H$\nnode-date: $Format:%cI$\n"


@pytest.fixture
def repository(tmp_path: Path) -> Iterator[Path]:
    """A repository with one commit and this project's attributes for `git archive`."""
    root = tmp_path / "project"
    root.mkdir()
    shutil.copy(ROOT / ".gitattributes", root)
    (root / ".git_archival.txt").write_text(ARCHIVAL)
    git(root, "init", "--quiet")
    git(root, "add", ".")
    git(root, "commit", "--quiet", "--message", "First")
    return root


def git(root: Path, *arguments: str) -> str:
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(root),
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_COMMITTER_DATE": "2026-11-25T08:24:21+01:00",
        **{f"GIT_{who}_{what}": "x" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")},
    }
    return subprocess.run(
        ["git", *arguments], cwd=root, env=environment, check=True, capture_output=True, text=True
    ).stdout.strip()


def test_the_commit_of_a_checkout_and_its_changes_are_detected(repository: Path) -> None:
    head = git(repository, "rev-parse", "HEAD")
    assert release.find_commit(repository) == release.Commit(head, COMMIT.time)
    (repository / "my.yaml").write_text("")
    assert release.find_commit(repository) == release.Commit(head, COMMIT.time)
    (repository / "src").mkdir()
    (repository / "src" / "new").write_text("")
    assert release.find_commit(repository) == release.Commit(head, COMMIT.time, modified=True)


def test_a_release_of_something_else_than_its_commit_fails(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (repository / ".gitattributes").write_text("")
    (repository / "app.pyc").write_text("")
    monkeypatch.setattr(release, "ARTIFACT", repository)
    monkeypatch.setattr(release, "ROOT", repository)
    with pytest.raises(SystemExit, match="commit or remove what `git status` shows"):
        release.main(tmp_path / "dist")
    assert not (tmp_path / "dist").exists()


def test_the_commit_of_a_tarball_is_detected_inside_another_checkout(repository: Path) -> None:
    head = git(repository, "rev-parse", "HEAD")
    git(repository, "archive", "--output", "project.zip", "HEAD")
    with zipfile.ZipFile(repository / "project.zip") as archive:
        archive.extractall(repository / "inside")
    git(repository, "commit", "--quiet", "--allow-empty", "--message", "Second")
    assert release.find_commit(repository / "inside") == release.Commit(head, COMMIT.time)


def test_this_projects_tarballs_contain_their_commit() -> None:
    text = (ROOT / ".git_archival.txt").read_text()
    assert text == ARCHIVAL or release._ARCHIVED.fullmatch(text)


def test_a_release_without_a_commit_fails(repository: Path) -> None:
    shutil.rmtree(repository / ".git")
    with pytest.raises(SystemExit, match="A release names its commit"):
        release.find_commit(repository)


def test_a_release_without_byte_code_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(release, "ARTIFACT", tmp_path)
    with pytest.raises(SystemExit, match=r"no byte code.*Install Python 3\.13"):
        release.main(tmp_path / "dist")
    assert not (tmp_path / "dist").exists()
