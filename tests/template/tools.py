"""The tools that validate templates, each in its own environment, which `make setup` creates."""

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
CFN_LINTS = {version: ROOT / f".venv-cfn-lint-{version}/bin/cfn-lint" for version in ("oldest", "newest")}
RULES = ROOT / "lint" / "cfn_lint_appfabric_ingestion_destination"


@dataclass(frozen=True)
class Finding:
    """A finding of cfn-lint."""

    rule: str
    message: str
    path: list[Any]
    line: int


def run(*command: object, codes: tuple[int, ...] = (0,), **options: Any) -> str:
    """Return the output of a command that may exit with these codes, without the caller's AWS configuration."""
    environment = {"PATH": os.defpath, "AWS_DEFAULT_REGION": "us-east-1", "SAM_CLI_TELEMETRY": "0"}
    ended = subprocess.run(
        [str(part) for part in command],
        env={**environment, **options.pop("env", {})},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        **options,
    )
    assert ended.returncode in codes, ended.stdout + ended.stderr
    return ended.stdout


def cfn_lint(version: str, text: str, directory: Path, *options: str) -> list[Finding]:
    """Return what the oldest or the newest cfn-lint finds in a template, with the rules given as a folder."""
    template = directory / "template"
    template.write_text(text)
    return cfn_lint_of_all(version, [template], directory, *options)[template]


def cfn_lint_of_all(version: str, templates: list[Path], directory: Path, *options: str) -> dict[Path, list[Finding]]:
    """Return what cfn-lint finds in each of several templates."""
    command = [CFN_LINTS[version], "--append-rules", RULES, "--format", "json", *options, "--", *templates]
    output = json.loads(run(*command, codes=tuple(range(16)), cwd=directory, env={"HOME": str(directory)}))
    found: dict[Path, list[Finding]] = {template: [] for template in templates}
    for each in output:
        found[Path(each["Filename"])].append(
            Finding(
                rule=each["Rule"]["Id"],
                message=each["Message"],
                path=each["Location"]["Path"],
                line=each["Location"]["Start"]["LineNumber"],
            )
        )
    return found
