"""What is shipped: complete, small, with byte code that is never stale, and what makes it quick to start."""

import gzip
import hashlib
import importlib.metadata
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import botocore
import pytest

import build
from local.appfabric import AppFabricEmulator, serve
from local.certificates import Certificates
from local.response_receiver import ResponseReceiver
from local.runtime import ROOT
from tests.support.properties import STACK_ID, properties

ARTIFACT = ROOT / ".aws-sam" / "build" / "ProviderFunction"
# Lambda's Python version if it is installed, whatever version runs the tests.
RUNTIME = build.find_runtime()
PYTHON = RUNTIME or sys.executable

needs_the_runtime = pytest.mark.skipif(RUNTIME is None, reason="no Python 3.13: built without byte code")


def run(code: str, *arguments: str, artifact: Path = ARTIFACT, **environment: str) -> Any:
    """Run a piece of code as Lambda would run the function, and return what it prints, parsed as JSON."""
    process = subprocess.run(
        [PYTHON, "-S", "-c", code, *arguments],
        cwd=artifact,
        env={
            "PATH": "/usr/bin:/bin",
            "PYTHONPATH": str(artifact),
            "PYTHONDONTWRITEBYTECODE": "1",
            "AWS_REGION": "us-east-1",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_EC2_METADATA_DISABLED": "true",
            **environment,
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode == 0, process.stderr
    return json.loads(process.stdout.splitlines()[-1])


def content(artifact: Path) -> str:
    """Return one hash of all names and contents."""
    digest = hashlib.sha256()
    for path in sorted(artifact.rglob("*")):
        if path.is_file():
            digest.update(f"{path.relative_to(artifact)} {path.stat().st_size}\n".encode() + path.read_bytes())
    return digest.hexdigest()


def test_no_build_or_test_files_are_shipped() -> None:
    names = {path.name for path in ARTIFACT.iterdir()}
    assert not names & {"build.py", "install.py", "Makefile", "requirements.txt", "bin", "tests", "local", "bench"}
    assert not list(ARTIFACT.rglob("tests"))
    assert {path.suffix for path in ARTIFACT.rglob("*")}.isdisjoint({".pyi", ".js", ".css", ".gz"})
    assert not [name for name in ("data", "examples") if (ARTIFACT / "boto3" / name).exists()]
    assert [path.name for path in (ARTIFACT / "botocore" / "data").iterdir() if path.is_dir()] == ["appfabric"]


def test_every_distribution_keeps_its_license_and_its_metadata() -> None:
    distributions = list(importlib.metadata.distributions(path=[str(ARTIFACT)]))
    assert {"boto3", "botocore", "crhelper", "aws-lambda-powertools", "urllib3"} <= {
        each.metadata["Name"].replace("_", "-") for each in distributions
    }
    for each in ARTIFACT.glob("*.dist-info"):
        assert any(path.name.upper().startswith("LICEN") for path in each.rglob("*")), each.name
        assert not (each / "RECORD").exists()


STALE = """
import importlib.util, json, pathlib, sys
compiled = list(pathlib.Path(sys.argv[1]).rglob("*.pyc"))
unchecked = (1).to_bytes(4, "little")
def fresh(path):
    source = pathlib.Path(importlib.util.source_from_cache(str(path))).read_bytes()
    return path.read_bytes()[:16] == importlib.util.MAGIC_NUMBER + unchecked + importlib.util.source_hash(source)
print(json.dumps([len(compiled), [str(path) for path in compiled if not fresh(path)]]))
"""


@needs_the_runtime
def test_no_byte_code_is_stale_or_can_become_stale() -> None:
    """Checked with Lambda's Python version, on which the magic number and the hash depend."""
    compiled, stale = run(STALE, str(ARTIFACT))
    assert compiled > 250
    assert stale == []


@needs_the_runtime
def test_every_module_loaded_at_start_up_has_byte_code() -> None:
    loaded = run(
        "import app, json, sys;"
        "print(json.dumps([m.__cached__ for m in sys.modules.values() if getattr(m, '__file__', '').endswith('.py')"
        " and m.__file__.startswith(sys.argv[1])]))",
        str(ARTIFACT),
    )
    assert len(loaded) > 200
    assert not [path for path in loaded if not Path(path).exists()]


# --- start-up

NEVER_AT_START_UP = {
    "asyncio", "aws_xray_sdk", "awscrt", "boto3.dynamodb", "boto3.ec2", "certifi", "ctypes", "difflib", "http.server",
    "pydantic", "s3transfer.crt", "sqlite3", "tarfile", "unittest", "aws_lambda_powertools.event_handler",
    "aws_lambda_powertools.utilities.data_classes", "aws_lambda_powertools.utilities.parser",
}  # fmt: skip


def test_start_up_loads_no_unneeded_module() -> None:
    loaded = set(run("import app, json, sys; print(json.dumps(list(sys.modules)))"))
    assert not loaded & NEVER_AT_START_UP
    assert len(loaded) < 480, "much more than before: what imported it, and does a Create need it?"
    assert {"boto3", "crhelper", "aws_lambda_powertools"} <= loaded


def test_start_up_freezes_its_objects_and_leaves_gc_enabled() -> None:
    enabled, frozen = run("import app, gc, json; print(json.dumps([gc.isenabled(), gc.get_freeze_count()]))")
    assert enabled
    assert frozen > 50_000


@needs_the_runtime
def test_start_up_does_not_repeatedly_map_a_chunk_of_pythons_stack() -> None:
    """Wherever the runtime's own frames end: if imports nest across a chunk's boundary, each call maps a new chunk."""
    code = (
        "import json, resource, sys\n"
        "def at(depth):\n"
        "    if depth: return at(depth - 1)\n"
        "    import app\n"
        "at(int(sys.argv[1]))\n"
        "print(json.dumps(resource.getrusage(resource.RUSAGE_SELF).ru_minflt))"
    )
    faults = [run(code, str(depth)) for depth in (0, 8, 16, 24)]
    assert max(faults) < 1.05 * min(faults), faults


CREATES = """
import json, ssl, sys
made = []
make = ssl.create_default_context
ssl.create_default_context = lambda *args, **options: made.append(1) or make(*args, **options)
import app
class Context:
    aws_request_id = "request"
    def get_remaining_time_in_millis(self): return 15000
before = set(sys.modules)
for event in json.loads(sys.argv[1]):
    app.lambda_handler(event, Context())
print(json.dumps({"contexts": len(made), "loaded": sorted(set(sys.modules) - before)}))
"""


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates.create(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def receiver(certificates: Certificates) -> Iterator[ResponseReceiver]:
    with ResponseReceiver(certificates) as receiver:
        yield receiver


def creates(receiver: ResponseReceiver, count: int) -> list[dict[str, Any]]:
    return [
        {
            "RequestType": "Create",
            "ResponseURL": receiver.response_url(),
            "StackId": STACK_ID,
            "RequestId": f"request-{number}",
            "LogicalResourceId": "Destination",
            "ResourceProperties": properties(),
        }
        for number in range(count)
    ]


def test_a_create_loads_no_module_and_creates_no_second_tls_context(
    certificates: Certificates, receiver: ResponseReceiver
) -> None:
    events = creates(receiver, 3)
    with serve(AppFabricEmulator()) as endpoint:
        result = run(
            CREATES,
            json.dumps(events),
            AWS_ENDPOINT_URL_APPFABRIC=endpoint,
            SSL_CERT_FILE=str(certificates.ca),
            AWS_LAMBDA_FUNCTION_NAME="ProviderFunction",
        )
    assert [receiver.wait(event["ResponseURL"], timeout=1).json()["Status"] for event in events] == ["SUCCESS"] * 3
    assert result == {"contexts": 1, "loaded": []}


# --- botocore's data


@pytest.mark.parametrize("service", ["secretsmanager", "ssm", "s3"])
def test_boto3_clients_for_other_services_cannot_be_created(service: str) -> None:
    """As docs/operating.md says about layers and wrappers."""
    code = (
        "import boto3, sys\n"
        "try: print(boto3.client(sys.argv[1]))\n"
        "except Exception as error: print('\"' + type(error).__name__ + '\"')"
    )
    assert run(code, service) == "UnknownServiceError"


def test_crhelper_starts_without_the_rest_of_botocores_data() -> None:
    code = """
import json, logging
import app
from crhelper import CfnResource
from ingestion_destination.cloudformation.responder import make_responder
ours = make_responder()
logging.disable()
print(json.dumps([ours._init_failed is None, CfnResource()._init_failed is None]))
"""
    ours, by_itself = run(code)
    assert ours
    assert not by_itself, "the artifact contains the data of crhelper's own clients, which nothing needs"


ENDPOINTS = """
import json, sys
import boto3
from botocore.config import Config
from botocore.exceptions import EndpointVariantError
found = []
for region in json.loads(sys.argv[1]):
    for more in ({}, {"use_fips_endpoint": True}, {"use_dualstack_endpoint": True}):
        try:
            client = boto3.client("appfabric", region_name=region, config=Config(**more))
        except EndpointVariantError as error:
            found.append([region, str(error)])
            continue
        found.append([region, client.meta.partition, client.meta.endpoint_url, client.meta.region_name,
                      client._request_signer.signing_name, client._request_signer.region_name])
print(json.dumps(found))
"""
REGIONS = [
    "us-east-1", "eu-west-1", "ap-northeast-1", "us-west-2", "eu-central-1", "af-south-1", "cn-north-1",
    "us-gov-west-1", "us-iso-east-1", "us-isob-east-1", "eu-isoe-west-1", "eusc-de-east-1", "xx-nowhere-1",
]  # fmt: skip


def test_endpoints_match_botocores_full_data(tmp_path: Path) -> None:
    ours = run(ENDPOINTS, json.dumps(REGIONS))
    data = Path(botocore.__file__).parent / "data"
    full = tmp_path / "full"
    shutil.copytree(ARTIFACT, full, ignore=shutil.ignore_patterns("endpoints.json"))
    shutil.copy(data / "endpoints.json", full / "botocore" / "data")
    assert ours == run(ENDPOINTS, json.dumps(REGIONS), artifact=full)
    assert len({partition for _, partition, *others in ours if others}) > 3
    assert (ARTIFACT / "botocore" / "data" / "endpoints.json").stat().st_size < 20_000


def test_the_service_model_is_botocores_without_documentation() -> None:
    models = list((ARTIFACT / "botocore" / "data" / "appfabric").rglob("*-[12].json"))
    assert {path.name for path in models} >= {"service-2.json", "endpoint-rule-set-1.json"}
    for path in models:
        same = Path(botocore.__file__).parents[1] / path.relative_to(ARTIFACT)
        packed = same.with_suffix(".json.gz")
        full = json.loads(gzip.decompress(packed.read_bytes()) if packed.exists() else same.read_bytes())
        assert json.loads(path.read_bytes()) == build.without_documentation(full)
    shape = {"documentation": "text", "members": {"documentation": {"shape": "String", "documentation": "text"}}}
    assert build.without_documentation(shape) == {"members": {"documentation": {"shape": "String"}}}
