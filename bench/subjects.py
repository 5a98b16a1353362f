"""What is measured: five handlers that create one thing and respond to CloudFormation, each as it is shipped."""

import os
import re
import shutil
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path

import build
from bench.stage import BUNDLE, INGESTION, Authority
from local import release

ROOT = Path(__file__).resolve().parent.parent
HERE = Path(__file__).resolve().parent
OURS = ROOT / ".aws-sam" / "build" / "ProviderFunction"
# Amazon Linux' bundle of roots or another distribution's: they hardly differ in number.
SYSTEMS = (Path("/etc/pki/tls/certs/ca-bundle.crt"), Path("/etc/ssl/certs/ca-certificates.crt"))
KEPT = ROOT / ".aws-sam" / "bench"  # what was installed, for the next run

PROPERTIES: dict[str, object] = {
    "ServiceToken": "arn:aws:lambda:us-east-1:111122223333:function:ProviderFunction",
    "AppBundleIdentifier": BUNDLE,
    "IngestionIdentifier": INGESTION,
    "ProcessingConfiguration": {"AuditLog": {"Schema": "ocsf", "Format": "json"}},
    "DestinationConfiguration": {"AuditLog": {"Destination": {"S3Bucket": {"BucketName": "audit-logs"}}}},
}
# AwsCustomResource takes its call as text. client-appfabric is not on the registry; Scheduler speaks the same protocol.
CALL = """{"service": "@aws-sdk/client-scheduler", "action": "CreateScheduleCommand",
    "physicalResourceId": {"responsePath": "ScheduleArn"}, "parameters": {"Name": "audit-logs",
    "FlexibleTimeWindow": {"Mode": "OFF"}, "ScheduleExpression": "rate(1 day)", "Target": {
    "Arn": "arn:aws:lambda:us-east-1:111122223333:function:x", "RoleArn": "arn:aws:iam::111122223333:role/x"}}}"""


@dataclass(frozen=True, kw_only=True)
class Subject:
    """One handler, ready to run.

    Attributes:
        name: In the tables.
        command: Runs it; the files of events and of the report follow.
        properties: ResourceProperties of its Create.
        environment: What it needs beside Lambda's own variables.
        zipped: Bytes of its zip, None where none is shipped.
    """

    name: str
    command: tuple[str, ...]
    properties: dict[str, object]
    environment: dict[str, str]
    zipped: int | None


def prepare(directory: Path, authority: Authority) -> list[Subject]:
    """Copies of all handlers in `directory`, that trust `authority` as they trust Amazon's, among all other roots."""
    if build.find_runtime() is None:
        raise SystemExit("Python 3.13 is needed: without it no handler is as it is in Lambda")
    return [
        _python("ours", _released(directory), directory, authority),
        _python("plain", _installed("plain"), directory, authority),
        _python("crhelper only", _installed("crhelper"), directory, authority),
        _cdk(directory, authority),
        _python("floor", HERE / "floor", directory, authority),
    ]


def _released(directory: Path) -> Path:
    """What Lambda unpacks from the release's zip."""
    release.write_zip(OURS, directory / "release.zip")
    with zipfile.ZipFile(directory / "release.zip") as archive:
        archive.extractall(directory / "release")
    return directory / "release"


def _zipped(artifact: Path, directory: Path) -> int:
    """Bytes of an artifact's zip, made as a release's."""
    release.write_zip(artifact, directory / "measured.zip")
    return (directory / "measured.zip").stat().st_size


def _python(name: str, artifact: Path, directory: Path, authority: Authority) -> Subject:
    copy = directory / name.replace(" ", "-")
    shutil.copytree(artifact, copy)
    bundle = OURS / "botocore" / "cacert.pem"
    if (botocores := copy / "botocore" / "cacert.pem").exists():
        _append(botocores, authority.pem)
    environment: dict[str, str] = {}
    if name == "floor":
        build.write_amazon_roots(bundle, copy / "amazon-roots.pem")
    if (roots := copy / "amazon-roots.pem").exists():
        _append(roots, authority.pem)
    else:  # the system's, which OpenSSL loads as a whole
        system = directory / "system.pem"
        system.write_bytes(next((path for path in SYSTEMS if path.exists()), bundle).read_bytes() + authority.pem)
        environment["SSL_CERT_FILE"] = str(system)
    return Subject(
        name=name,
        command=(build.find_runtime() or "", "-S", str(HERE / "runtime.py"), str(copy)),
        properties=PROPERTIES,
        environment=environment,
        zipped=_zipped(artifact, directory),
    )


def _cdk(directory: Path, authority: Authority) -> Subject:
    if not (shutil.which("node") and shutil.which("npm")):
        raise SystemExit("CDK's handler needs Node.js and npm")
    modules = KEPT / "cdk" / "node_modules"
    shipped = modules / "aws-cdk-lib/custom-resource-handlers/dist/custom-resources/aws-custom-resource-handler"
    if _is_new(KEPT / "cdk" / "package.json", HERE / "cdk" / "package.json") or not shipped.exists():
        _say("Installing CDK")
        shutil.rmtree(KEPT / "cdk", ignore_errors=True)
        shutil.copytree(HERE / "cdk", KEPT / "cdk")
        command = ["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", "--no-package-lock", "--silent"]
        subprocess.run(command, cwd=KEPT / "cdk", check=True)
        shutil.copy(HERE / "cdk" / "package.json", KEPT / "cdk")  # as it was: npm may rewrite it
    copy = directory / "cdk"
    shutil.copytree(shipped, copy)
    # The one change: the response goes to the port in the URL, not always to 443.
    handler = copy / "index.js"
    patched, count = re.subn(
        r"\{hostname:(\w+)\.hostname,", r"{hostname:\1.hostname,port:\1.port,", handler.read_text()
    )
    if count != 1:
        raise SystemExit("CDK's handler has changed: where it sends its response was not found")
    handler.write_text(patched)
    (copy / "node_modules").symlink_to(modules)
    return Subject(
        name="CDK",
        command=("node", str(HERE / "runtime.cjs"), str(copy)),
        properties={"ServiceToken": PROPERTIES["ServiceToken"], "InstallLatestAwsSdk": "false", "Create": CALL},
        environment={"NODE_EXTRA_CA_CERTS": str(authority.file)},
        zipped=_zipped(shipped, directory),
    )


def _installed(name: str) -> Path:
    """What pip's own `--target` makes of a handler and its requirements, as `sam build` does: sources, no byte code."""
    made, requirements = KEPT / name, HERE / name / "requirements.txt"
    if _is_new(made / requirements.name, requirements):
        _say(f"Installing {name}")
        shutil.rmtree(made, ignore_errors=True)
        command = [str(ROOT / ".tools" / "bin" / "python"), "-m", "pip", "install", "--quiet", "--no-compile"]
        command += ["--disable-pip-version-check", "--only-binary", ":all:", "--python-version", "3.13"]
        command += ["--implementation", "cp", "--platform", f"manylinux2014_{os.uname().machine}"]
        command += ["--requirement", str(requirements), "--target", str(made)]
        subprocess.run(command, check=True, stderr=subprocess.DEVNULL)
        shutil.copy(requirements, made)
    shutil.copy(HERE / name / "app.py", made)
    return made


def _is_new(installed: Path, wanted: Path) -> bool:
    return not installed.exists() or installed.read_bytes() != wanted.read_bytes()


def _append(path: Path, pem: bytes) -> None:
    path.write_bytes(path.read_bytes() + pem)


def _say(text: str) -> None:
    print(text, file=sys.stderr)
