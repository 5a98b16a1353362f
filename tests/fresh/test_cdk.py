"""The CDK apps of docs/cdk.md, by the newest CDK from npm and PyPI: synthesized, linted, deployed by the emulator."""

import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from local import release
from local.appfabric import AppFabricEmulator, serve
from local.certificates import Certificates
from local.cloudformation import CloudFormation, emulate
from tests.fresh.conftest import command
from tests.support.properties import BUNDLE, INGESTION
from tests.template.tools import CFN_LINTS, ROOT, Finding, cfn_lint

pytestmark = pytest.mark.slow

PROVIDER = "appfabric-ingestion-destination"
CONTEXT = {"appBundleArn": BUNDLE, "ingestionArn": INGESTION}

both = pytest.mark.parametrize("version", CFN_LINTS)


class Synthesized:
    """What an app synthesizes."""

    def __init__(self, output: Path) -> None:
        (self.path,) = output.glob("*.template.json")
        self.text = self.path.read_text()
        self.resources: dict[str, Any] = json.loads(self.text)["Resources"]


@pytest.fixture(scope="module")
def typescript(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the TypeScript apps, installed and compiled."""
    directory = tmp_path_factory.mktemp("cdk") / "typescript"
    shutil.copytree(ROOT / "examples/cdk/typescript", directory)
    command("npm", "install", "--no-audit", "--no-fund", cwd=directory)
    command("npx", "tsc", cwd=directory)
    return directory


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the Python app, with an environment of its own."""
    directory = tmp_path_factory.mktemp("cdk") / "python"
    shutil.copytree(ROOT / "examples/cdk/python", directory)
    command(sys.executable, "-m", "venv", directory / ".venv")
    command(directory / ".venv/bin/python", "-m", "pip", "install", "-q", "-r", "requirements.txt", cwd=directory)
    return directory


def synthesize(*program: object, cwd: Path, context: dict[str, str]) -> Synthesized:
    output = cwd / f"cdk.out.{Path(str(program[-1])).stem}"
    command(*program, cwd=cwd, env={"CDK_OUTDIR": str(output), "CDK_CONTEXT_JSON": json.dumps(context)})
    return Synthesized(output)


@pytest.fixture(scope="module", params=["typescript", "python"])
def app(request: pytest.FixtureRequest) -> Synthesized:
    directory = request.getfixturevalue(request.param)
    program = ("node", "build/app.js") if request.param == "typescript" else (directory / ".venv/bin/python", "app.py")
    return synthesize(*program, cwd=directory, context=CONTEXT)


@pytest.fixture(scope="module")
def provider(typescript: Path, tmp_path_factory: pytest.TempPathFactory) -> Synthesized:
    template, code = release.release(tmp_path_factory.mktemp("dist"))
    context = {"template": str(template), "code": str(code)}
    return synthesize("node", "build/provider.js", cwd=typescript, context=context)


def lint(version: str, app: Synthesized, tmp_path: Path) -> list[Finding]:
    return cfn_lint(version, app.text, tmp_path)


@both
def test_an_app_has_no_mistakes(version: str, app: Synthesized, tmp_path: Path) -> None:
    assert lint(version, app, tmp_path) == []
    assert app.resources["Destination"]["Type"] == "Custom::AppFabricIngestionDestination"


@both
def test_the_whole_chain_has_no_mistakes(version: str, typescript: Path, tmp_path: Path) -> None:
    """But for types that these versions of cfn-lint do not know yet."""
    chain = synthesize("node", "build/chain.js", cwd=typescript, context={})
    types = {each["Type"] for each in chain.resources.values()}
    assert types >= {f"AWS::AppFabric::{name}" for name in ("AppBundle", "AppAuthorization", "Ingestion")}
    unknown = [
        each
        for each in lint(version, chain, tmp_path)
        if each.rule != "E3006" or "AWS::AppFabric::" not in each.message
    ]
    assert unknown == []


@both
def test_the_provider_has_no_mistakes(version: str, provider: Synthesized, tmp_path: Path) -> None:
    """But for the labels of the two parameters that CfnInclude has put values in the place of (W4001)."""
    found = lint(version, provider, tmp_path)
    assert [each for each in found if each.rule != "W4001"] == []


TRAPS = {
    "resourceType": ({"  resourceType: 'Custom::AppFabricIngestionDestination',\n": ""}, "W9702"),
    "pascalCaseProperties": (
        {
            "  properties: {": "  pascalCaseProperties: true,\n  properties: {",
            "{ AuditLog: { Schema": "{ auditLog: { Schema",
        },
        "E9701",
    ),
    "bucket.bucketArn": ({"logs.bucketName": "logs.bucketArn"}, "E9701"),
}


@pytest.mark.parametrize("trap", TRAPS)
def test_each_trap_is_reported(trap: str, typescript: Path, tmp_path: Path) -> None:
    assert trap in (ROOT / "docs/cdk.md").read_text()
    changes, rule = TRAPS[trap]
    source = (typescript / "app.ts").read_text()
    for old, new in changes.items():
        assert old in source
        source = source.replace(old, new)
    (typescript / "trap.ts").write_text(source)
    command("npx", "tsc", cwd=typescript)
    trapped = synthesize("node", "build/trap.js", cwd=typescript, context=CONTEXT)
    assert {each.rule for each in lint("newest", trapped, tmp_path)} == {rule}


@pytest.fixture(scope="module")
def account(
    provider: Synthesized, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[CloudFormation, AppFabricEmulator]]:
    """A CloudFormation in which CDK's bootstrap has been and the provider is deployed, and an AppFabric."""
    appfabric = AppFabricEmulator()
    certificates = Certificates.create(tmp_path_factory.mktemp("certificates"))
    with serve(appfabric) as endpoint, emulate(certificates=certificates) as cloudformation:
        parameter = {"Name": "/cdk-bootstrap/hnb659fds/version", "Value": "30", "Type": "String"}
        cloudformation.client("ssm").put_parameter(**parameter)
        account = cloudformation.client("sts").get_caller_identity()["Account"]
        bucket = f"cdk-hnb659fds-assets-{account}-us-east-1"
        s3 = cloudformation.client("s3")
        s3.create_bucket(Bucket=bucket)
        for asset in provider.path.parent.glob("asset.*.zip"):
            s3.put_object(Bucket=bucket, Key=asset.name.removeprefix("asset."), Body=asset.read_bytes())
        stack = cloudformation.create_stack(PROVIDER, provider.text, parameters={"AppFabricEndpointUrl": endpoint})
        assert stack.status == "CREATE_COMPLETE", cloudformation.events(stack.id)
        yield cloudformation, appfabric


def test_an_app_is_deployed(account: tuple[CloudFormation, AppFabricEmulator], app: Synthesized) -> None:
    cloudformation, appfabric = account
    stack = cloudformation.create_stack("AuditLogs", app.text, parameters={})
    assert stack.status == "CREATE_COMPLETE", cloudformation.events(stack.id)
    created = appfabric.destinations[stack.outputs["DestinationArn"]]
    assert stack.outputs["DestinationStatus"] == "Active"
    bucket = created.destination["auditLog"]["destination"]["s3Bucket"]
    cloudformation.client("s3").head_bucket(Bucket=bucket["bucketName"])
    assert cloudformation.delete_stack(stack.name).status == "DELETE_COMPLETE"
    assert not appfabric.destinations
