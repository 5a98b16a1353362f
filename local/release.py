"""The release: the function's code, and the template without a transform. `python -m local.release [DIRECTORY]`.

Service-managed StackSets cannot run transforms, and some organisations allow none. The template takes the code from a
bucket in its own Region (CodeBucket, CodeKey), as a Lambda function always does. The same sources and the same build
give the same bytes.
"""

from __future__ import annotations

import json
import sys
import zipfile
from pathlib import Path
from typing import Any

import boto3
import yaml
from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator
from samtranslator.yaml_helper import yaml_parse

from local.runtime import ROOT

ARTEFACT = ROOT / ".aws-sam" / "build" / "ProviderFunction"
NAME = "appfabric-ingestion-destination"
CODE = {
    "CodeBucket": {
        "Type": "String",
        "Description": "Bucket in this Region that holds the function's code, the zip file of the same release",
    },
    "CodeKey": {"Type": "String", "Description": "Key of the zip file in the bucket"},
}
_EARLIEST = (1980, 1, 1, 0, 0, 0)  # that a zip file can tell


def release(directory: Path) -> tuple[Path, Path]:
    """Write the template and the code.

    Args:
        directory: Made if it is not there.

    Returns:
        The template's file and the zip file.
    """
    version = _source()["Metadata"]["AWS::ServerlessRepo::Application"]["SemanticVersion"]
    template, code = (directory / f"{NAME}-{version}.{kind}" for kind in ("template.yaml", "zip"))
    directory.mkdir(parents=True, exist_ok=True)
    template.write_text(yaml.safe_dump(without_transform(code.name), sort_keys=False, width=110))
    _zip(ARTEFACT, code)
    return template, code


def without_transform(key: str) -> dict[str, Any]:
    """The template as the transform leaves it, its code a parameter.

    Args:
        key: The default of CodeKey.
    """
    source = _source()
    source["Resources"]["ProviderFunction"]["Properties"]["CodeUri"] = "s3://bucket/key"
    # The region is asked for and not used: the template has no managed policies.
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


def _source() -> dict[str, Any]:
    return dict(json.loads(json.dumps(yaml_parse((ROOT / "template.yaml").read_text()))))


def _zip(directory: Path, target: Path) -> None:
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(directory.rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                entry = zipfile.ZipInfo(path.relative_to(directory).as_posix(), _EARLIEST)
                entry.compress_type = zipfile.ZIP_DEFLATED
                entry.external_attr = 0o644 << 16  # Lambda runs it as a user of its own
                archive.writestr(entry, path.read_bytes())


if __name__ == "__main__":
    for made in release(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "dist"):
        print(made.relative_to(Path.cwd()) if made.is_relative_to(Path.cwd()) else made)
