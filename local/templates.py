"""A user's template before it is deployed: found, linted, its parameters complete, its ARNs of the right Region."""

import glob
import json
import os
import re
import shlex
import subprocess
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from samtranslator.yaml_helper import yaml_parse

from local.console import Problem
from local.environment import BUNDLE, INGESTION
from local.regions import RegionMismatch, region_of
from local.runtime import ROOT

_CFN_LINT = ROOT / ".venv-sam" / "bin" / "cfn-lint"
_RULES = ROOT / "lint" / "cfn_lint_appfabric_ingestion_destination"
_TYPE = "Custom::AppFabricIngestionDestination"
_STACK_NAME = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,127}")
# Parameters that mean an app bundle or an ingestion: AppBundleArn, IngestionIdentifier, MyAppBundleId and the like.
_WELL_KNOWN = (
    (re.compile(r"ingestion(arn|identifier|id)?$", re.IGNORECASE), INGESTION),
    (re.compile(r"appbundle(arn|identifier|id)?$", re.IGNORECASE), BUNDLE),
)


@dataclass(frozen=True)
class Template:
    """A template that CloudFormation can parse.

    Attributes:
        path: Its file.
        parameters: Its Parameters section.
        resources: Its Resources section.
    """

    path: Path
    parameters: Mapping[str, Any]
    resources: Mapping[str, Any]

    @classmethod
    def read(cls, path: Path) -> "Template":
        """Read and parse a template.

        Raises:
            Problem: There is no such file, or it is no template.
        """
        try:
            text = path.read_text(encoding="utf-8")
        except OSError as error:
            raise Problem(f"{path}: {error.strerror}", status=2) from None
        except UnicodeDecodeError:
            raise Problem(f"{path} is not a text file", status=2) from None
        document = _parse(text, path)
        if not isinstance(document, dict) or not isinstance(document.get("Resources"), dict):
            raise Problem(f"{path} is not a template: it has no Resources", status=2)
        return cls(path, document.get("Parameters") or {}, document["Resources"])

    def lint(self, region: str) -> list[str]:
        """What cfn-lint finds with the project's rules: one line for each warning.

        Raises:
            Problem: There are errors; the text has a line for each.
        """
        file = glob.escape(str(self.path.resolve()))  # cfn-lint takes it for a pattern
        command = [str(_CFN_LINT), "--append-rules", str(_RULES), "--regions", region, "--format", "json", "--", file]
        linted = subprocess.run(
            command,
            cwd=ROOT / "lint",  # not where this project's own settings are
            env={"PATH": os.defpath, "HOME": os.devnull},
            capture_output=True,
            text=True,
            check=False,
        )
        try:
            found = json.loads(linted.stdout or "[]")
        except ValueError:
            raise Problem(f"cfn-lint failed:\n{linted.stdout}{linted.stderr}") from None
        lines: dict[str, list[str]] = {"Error": [], "Warning": []}
        for each in found:
            start = each["Location"]["Start"]
            place = f"{self.path.name}:{start['LineNumber']}:{start['ColumnNumber']}"
            lines.setdefault(each["Level"], []).append(f"{place} {each['Rule']['Id']} {each['Message']}")
        if lines["Error"]:
            raise Problem("\n".join(lines["Error"]))
        return lines["Warning"]

    def complete(self, given: Mapping[str, str], *, region: str, known: Collection[str]) -> dict[str, str]:
        """The parameters that the template lacks, and that mean an app bundle or an ingestion: the well-known ones.

        Args:
            given: The user's parameters.
            region: The Region that the ARNs are of.
            known: Names of parameters that need no value, because the stack has one.

        Raises:
            Problem: A parameter is unknown, or has no value.
        """
        if unknown := sorted(given.keys() - self.parameters.keys()):
            names = ", ".join(self.parameters) or "none"
            raise Problem(f"{self.path.name} has no parameter {', '.join(unknown)}; it has {names}", status=2)
        added, missing = {}, []
        for name, parameter in self.parameters.items():
            if name in given or name in known or "Default" in parameter:
                continue
            arn = next((arn for pattern, arn in _WELL_KNOWN if pattern.search(name)), None)
            if arn is None or parameter.get("Type", "String") != "String":
                missing.append(name)
            else:
                added[name] = arn.format(region=region)
        if missing:
            example = " ".join(f"{name}=…" for name in missing)
            raise Problem(f"{self.path.name} needs values: PARAMS='{example}'", status=2)
        return added

    def check_region(self, parameters: Mapping[str, str], region: str) -> None:
        """Check that the ARNs of app bundles and ingestions are of the environment's Region.

        Raises:
            Problem: They are not.
        """
        properties = {
            name: resource.get("Properties")
            for name, resource in self.resources.items()
            if isinstance(resource, dict) and resource.get("Type") == _TYPE
        }
        defaults = {name: parameter.get("Default") for name, parameter in self.parameters.items()}
        arns = {name: value for name, value in {**defaults, **parameters}.items() if ":appfabric:" in str(value)}
        try:
            region_of({**properties, **arns}, expected=region)
        except RegionMismatch as mismatch:
            raise Problem(f"{self.path.name}: {mismatch}", status=2) from None


def _parse(text: str, path: Path) -> Any:
    try:
        return json.loads(text) if text.lstrip().startswith("{") else yaml_parse(text)
    except json.JSONDecodeError as error:
        where, what = f":{error.lineno}:{error.colno}", error.msg
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where, what = f":{mark.line + 1}:{mark.column + 1}" if mark else "", error.problem or "it is no YAML"
    except yaml.YAMLError as error:
        where, what = "", str(error).partition("\n")[0]
    raise Problem(f"{path}{where} does not parse: {what}", status=2)


def parse_parameters(text: str) -> dict[str, str]:
    """PARAMS: `Name=value` words, quoted as in a shell where a value has spaces.

    Raises:
        Problem: It is something else.
    """
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise Problem(f"PARAMS: {error}", status=2) from None
    for word in words:
        if not re.match(r"[A-Za-z0-9]+=", word):
            raise Problem(f'PARAMS is "Name=value Name=value", and {word} is not like this', status=2)
    return dict(word.split("=", 1) for word in words)


def stack_name(name: str, path: Path) -> str:
    """STACK, or a name derived from the template's file name.

    Raises:
        Problem: No stack can have this name.
    """
    if not name:
        name = re.sub(r"[^A-Za-z0-9]+", "-", path.stem).strip("-")
        return name if name[:1].isalpha() else f"stack-{name}".rstrip("-")
    if not _STACK_NAME.fullmatch(name):
        raise Problem(f"a stack's name has letters, digits and hyphens, a letter first: not {name}", status=2)
    return name
