"""`make release`: the code, a template without a transform, the cfn-lint rules, an SBOM and checksums, in dist/.

Service-managed StackSets cannot run transforms, and some organizations allow none. The template takes the code from a
bucket in its own Region (CodeBucket, CodeKey), as a Lambda function always does. Two releases of one commit are equal,
byte for byte, where the same Python 3.13 compiled them.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shlex
import subprocess
import sys
import tomllib
import zipfile
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3
import yaml
from packaging.requirements import Requirement
from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator
from samtranslator.yaml_helper import yaml_parse

from local import sbom
from local.runtime import ROOT

ARTIFACT = ROOT / ".aws-sam" / "build" / "ProviderFunction"
NAME = "appfabric-ingestion-destination"
CODE = {
    "CodeBucket": {
        "Type": "String",
        "Description": "Bucket in this Region that holds the function's code, the zip file of the same release",
    },
    "CodeKey": {"Type": "String", "Description": "Key of the zip file in the bucket"},
}
_EARLIEST = (1980, 1, 1, 0, 0, 0)  # the first date that a zip file can hold
_ARCHIVED = re.compile(r"node: ([0-9a-f]{40})\nnode-date: (\S+)\n")


@dataclass(frozen=True)
class Commit:
    """What a release is made from; `modified` if the working tree would release something else."""

    id: str
    time: datetime
    modified: bool = False


def main(directory: Path) -> None:
    """Write the release, and print the commands that upload and deploy it."""
    if not any(ARTIFACT.rglob("*.pyc")):
        raise SystemExit(
            "The build has no byte code, so each cold start would take 2.5 times as long. "
            "Install Python 3.13 (`uv python install 3.13`, or pyenv or your system's packages), "
            "then remove .aws-sam and run `make release` again."
        )
    commit = find_commit(ROOT)
    if commit.modified:
        raise SystemExit(
            f"The working tree differs from commit {commit.id[:12]}: commit or remove what `git status` shows"
        )
    template, code = release(directory)
    wheel = build_rules(directory)
    described = describe(template, code, wheel, commit)
    for path in (template, code, *described):
        print(_shown(path))
    print("\n" + "\n".join(commands(template, code)))


def release(directory: Path) -> tuple[Path, Path]:
    """Write the template and the code.

    Args:
        directory: Created if it does not exist.

    Returns:
        The paths of the template and of the zip file.
    """
    template, code = (directory / f"{NAME}-{_version()}.{kind}" for kind in ("template.yaml", "zip"))
    directory.mkdir(parents=True, exist_ok=True)
    template.write_text(yaml.safe_dump(without_transform(code.name), sort_keys=False, width=110))
    write_zip(ARTIFACT, code)
    return template, code


def build_rules(directory: Path) -> Path:
    """Build the wheel of the cfn-lint rules, whose path hatchling prints, and return its path."""
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", directory],
        cwd=ROOT,
        check=True,
    )
    return directory / f"cfn_lint_{NAME.replace('-', '_')}-{_version()}-py3-none-any.whl"


def describe(template: Path, code: Path, wheel: Path, commit: Commit) -> tuple[Path, Path]:
    """Write the SBOM of the code, and the checksums, beside a template, its code and the wheel of the rules.

    Returns:
        The paths of the SBOM, CycloneDX in JSON, and of the checksums, as `sha256sum --check` reads them.
    """
    bill, checksums = (code.with_suffix(suffix) for suffix in (".cdx.json", ".sha256"))
    text = sbom.generate(
        ARTIFACT, code, name=NAME, version=_version(), commit=commit.id, time=commit.time, direct=_direct()
    )
    bill.write_text(text)
    sums = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in (template, code, wheel, bill)}
    checksums.write_text("".join(f"{digest}  {name}\n" for name, digest in sums.items()))
    return bill, checksums


def commands(template: Path, code: Path) -> tuple[str, str, str]:
    """The shell commands that upload and deploy a release.

    CodeKey is always given: an update would otherwise keep the previous release's.
    """
    return (
        "BUCKET=amzn-s3-demo-bucket # yours, in the Region of the provider",
        f'aws s3 cp {_shown(code)} "s3://$BUCKET/{code.name}"',
        f"aws cloudformation deploy --stack-name {NAME} --template-file {_shown(template)}"
        f' --capabilities CAPABILITY_IAM --parameter-overrides "CodeBucket=$BUCKET" CodeKey={code.name}',
    )


def without_transform(key: str) -> dict[str, Any]:
    """The template as the transform leaves it, its code a parameter.

    Args:
        key: The default of CodeKey.
    """
    source = _source()
    source["Resources"]["ProviderFunction"]["Properties"]["CodeUri"] = "s3://bucket/key"
    # The Region is asked for and not used: the template has no managed policies.
    translator = Translator({}, Parser(), boto_session=boto3.Session(region_name="us-east-1"))
    template: dict[str, Any] = json.loads(json.dumps(translator.translate(source, {})))
    function = template["Resources"]["ProviderFunction"]
    function["Properties"]["Code"] = {"S3Bucket": {"Ref": "CodeBucket"}, "S3Key": {"Ref": "CodeKey"}}
    del function["Metadata"]["BuildMethod"]
    groups = template["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"]
    groups.insert(0, {"Label": {"default": "The code of this release"}, "Parameters": list(CODE)})
    del template["Metadata"]["AWS::ServerlessRepo::Application"]
    parameters = {**CODE, "CodeKey": {**CODE["CodeKey"], "Default": key}, **template["Parameters"]}
    first = {name: template[name] for name in ("AWSTemplateFormatVersion", "Description", "Metadata")}
    return {**first, "Parameters": parameters, **{k: v for k, v in template.items() if k not in {*first, "Parameters"}}}


def write_zip(directory: Path, target: Path) -> None:
    """Zip all files of a directory, so that the same content gives the same bytes."""
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(directory.rglob("*")):
            if path.is_file():
                entry = zipfile.ZipInfo(path.relative_to(directory).as_posix(), _EARLIEST)
                entry.compress_type = zipfile.ZIP_DEFLATED
                entry.external_attr = 0o644 << 16  # Lambda runs it as another user
                archive.writestr(entry, path.read_bytes())


def find_commit(root: Path) -> Commit:
    """The commit of a Git checkout, or the one that `git archive` noted in .git_archival.txt.

    Raises:
        SystemExit: It is neither.
    """
    # Git must not look above the root: a tarball may be unpacked inside another project's checkout.
    environment = {**os.environ, "GIT_CEILING_DIRECTORIES": str(root.parent)}
    for name in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"):
        environment.pop(name, None)

    def git(*arguments: str) -> str:
        return subprocess.run(
            ["git", *arguments], cwd=root, env=environment, capture_output=True, text=True, check=True
        ).stdout.strip()

    try:
        commit, seconds = git("log", "-1", "--format=%H %ct").split()
        # A new file elsewhere, such as a template of the user's, is not in the release
        modified = git("status", "--porcelain", "--untracked-files=no") or git("status", "--porcelain", "src", "lint")
        return Commit(commit, datetime.fromtimestamp(int(seconds), UTC), bool(modified))
    except (FileNotFoundError, subprocess.CalledProcessError):
        found = _ARCHIVED.match((root / ".git_archival.txt").read_text())
    if not found:
        raise SystemExit("A release names its commit: make it in a Git checkout, or in what `git archive` gives")
    return Commit(found[1], datetime.fromisoformat(found[2]).astimezone(UTC))


def _source() -> dict[str, Any]:
    return dict(json.loads(json.dumps(yaml_parse((ROOT / "template.yaml").read_text()))))


def _version() -> str:
    return str(_source()["Metadata"]["AWS::ServerlessRepo::Application"]["SemanticVersion"])


def _direct() -> list[str]:
    """Names of the packages that the function asks for itself."""
    groups = tomllib.loads((ROOT / "pyproject.toml").read_text())["dependency-groups"]
    return [Requirement(each).name for each in groups["function"]]


def _shown(path: Path) -> str:
    return shlex.quote(str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path))


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve() if len(sys.argv) > 1 else ROOT / "dist")
