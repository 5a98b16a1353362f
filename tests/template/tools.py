"""The tools that judge templates, each in the environment of its own that `make setup` makes."""

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
CFN_LINTS = {"oldest": ROOT / ".venv-lint/bin/cfn-lint", "newest": ROOT / ".venv-sam/bin/cfn-lint"}
RULES = ROOT / "lint" / "cfn-lint"


@dataclass(frozen=True)
class Finding:
    """What cfn-lint tells."""

    rule: str
    message: str
    path: list[Any]
    line: int


def run(*command: object, codes: tuple[int, ...] = (0,), **options: Any) -> str:
    """The output of a command that may end with these codes, and that knows nothing of the caller's AWS."""
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
    """What the oldest or the newest cfn-lint finds with the rules, `--append-rules lint/cfn-lint`."""
    template = directory / "template"
    template.write_text(text)
    command = [CFN_LINTS[version], "--append-rules", RULES, "--format", "json", *options, "--", template]
    found = json.loads(run(*command, codes=tuple(range(16)), cwd=directory, env={"HOME": str(directory)}))
    return [
        Finding(
            rule=each["Rule"]["Id"],
            message=each["Message"],
            path=each["Location"]["Path"],
            line=each["Location"]["Start"]["LineNumber"],
        )
        for each in found
    ]
