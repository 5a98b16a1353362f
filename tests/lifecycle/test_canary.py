"""`make test-aws` and the commands of docs/canary.md, against the local environment."""

import copy
import os
import re
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from canary import appfabric, cloudformation
from canary.report import Assumption, Report
from local.appfabric import AppFabricEmulator, Call, Fault, Outcome, operations, serve
from local.certificates import Certificates
from local.cloudformation import CloudFormation, emulate
from local.cloudformation.client import _BUCKET as BUCKET
from tests.lifecycle.pages import ROOT, commands, run
from tests.support.properties import INGESTION

PROVIDER = "appfabric-ingestion-destination"
ACCOUNT = "111122223333"
PAGE = "canary.md"
QUICK = ["POLL=0.05", "PATIENCE=5", "SERVICE_TIMEOUT=2"]
ALWAYS = 1_000_000
NAMES = [each.name for each in (*appfabric.ASSUMPTIONS, *cloudformation.ASSUMPTIONS)]


SECTIONS = re.findall(r"^### (\d+\. .*)$", (ROOT / "docs" / PAGE).read_text(), re.MULTILINE)


class Environment:
    """The local environment with a provider, and destinations of somebody else in the ingestion."""

    def __init__(self, cloudformation: CloudFormation, appfabric: AppFabricEmulator, endpoint: str, home: Path) -> None:
        self.cloudformation, self.appfabric, self._endpoint, self.home = cloudformation, appfabric, endpoint, home

    @property
    def variables(self) -> dict[str, str]:
        return {**self.cloudformation.environment(), "AWS_ENDPOINT_URL_APPFABRIC": self._endpoint, "BUCKET": BUCKET}

    def terminal(self) -> dict[str, str]:
        """The caller's environment."""
        return {"PATH": os.environ["PATH"], "HOME": str(self.home), **self.variables}

    def place(self) -> None:
        """Somebody else's destinations."""
        for number in ("44444444-4444-4444-8444-444444444444", "55555555-5555-4555-8555-555555555555"):
            self.appfabric.place(
                arn=f"{INGESTION}/ingestiondestination/{number}",
                processing={"auditLog": {"schema": "ocsf", "format": "json"}},
                destination={"auditLog": {"destination": {"s3Bucket": {"bucketName": "somebodys"}}}},
                tags={"custom-appfabric-ingestion-destination:StackId": "arn:aws:cloudformation:another"},
            )

    def canary(self, *parameters: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run `make test-aws`, with the caller's credentials."""
        command = ["make", "-s", "test-aws", f"ACCOUNT={ACCOUNT}", f"INGESTION={INGESTION}", *QUICK, *parameters]
        environment = self.terminal() | variables
        return subprocess.run(
            command,
            cwd=ROOT,
            env={name: value for name, value in environment.items() if value},
            capture_output=True,
            text=True,
            timeout=180,
            check=False,
        )


@pytest.fixture(scope="module")
def with_provider(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Environment]:
    appfabric, home = AppFabricEmulator(), tmp_path_factory.mktemp("home")
    certificates = Certificates.create(tmp_path_factory.mktemp("certificates"))
    with serve(appfabric) as endpoint, emulate(certificates=certificates, retry_seconds=0.05) as cloudformation:
        cloudformation.deploy(
            ROOT / ".aws-sam/build/template.yaml",
            stack_name=PROVIDER,
            parameters={"AppFabricEndpointUrl": endpoint},
        )
        yield Environment(cloudformation, appfabric, endpoint, home)


@pytest.fixture
def environment(with_provider: Environment) -> Iterator[Environment]:
    with_provider.appfabric.reset()
    with_provider.appfabric.enabled.clear()
    with_provider.place()
    before = copy.deepcopy(with_provider.appfabric.destinations)
    yield with_provider
    assert with_provider.appfabric.destinations == before
    assert [stack.name for stack in with_provider.cloudformation.stacks()] == [PROVIDER]


def results(output: str) -> dict[str, str]:
    """What the report says of each assumption."""
    return dict(re.findall(r"^\| (\S+) \| .* \| (holds|DIFFERS|not seen) \| \S.* \|$", output, re.MULTILINE))


def test_every_assumption_holds_in_the_local_environment(environment: Environment) -> None:
    ended = environment.canary("DISPOSABLE=1")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert results(ended.stdout) == dict.fromkeys(NAMES, "holds") | {"update-during-create": "not seen"}
    assert "everything of the canary was deleted" in ended.stdout
    assert not environment.appfabric.enabled
    for identifying in (ACCOUNT, INGESTION[-36:], "canary-bucket"):
        assert identifying not in ended.stdout


def lingering(service: AppFabricEmulator, monkeypatch: pytest.MonkeyPatch) -> None:
    service.inject(Outcome(operation="DeleteIngestionDestination", lingering_gets=ALWAYS))


def fifty_one_tags(service: AppFabricEmulator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(operations, "TAGS_PER_RESOURCE", 51)


class Forgetful(dict[str, Any]):
    """Remembers no clientToken."""

    def __setitem__(self, token: str, created: Any) -> None:
        pass


def no_tokens(service: AppFabricEmulator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "created_by", Forgetful())


def several(service: AppFabricEmulator, monkeypatch: pytest.MonkeyPatch) -> None:
    """One run for what takes no time to notice."""
    fifty_one_tags(service, monkeypatch)
    no_tokens(service, monkeypatch)
    # The stack's own create call, the two that are sent again, then that of an equal destination
    service.inject(Fault(operation="CreateIngestionDestination", error="ValidationException", skip=3))


@pytest.mark.parametrize(
    ("change", "differing"),
    [(lingering, {"get-after-delete"}), (several, {"tag-limit", "same-token", "other-parameters", "equal"})],
)
def test_the_report_names_what_differs(
    environment: Environment, monkeypatch: pytest.MonkeyPatch, change: Callable[..., None], differing: set[str]
) -> None:
    change(environment.appfabric, monkeypatch)
    # What a new destination is like before it is Active is seen as well
    environment.appfabric.inject(Outcome(operation="CreateIngestionDestination", pending_gets=12, hidden_gets=2))
    ended = environment.canary("ONLY=appfabric")
    assert {name for name, result in results(ended.stdout).items() if result == "DIFFERS"} == differing, ended
    assert ended.returncode
    assert results(ended.stdout)["update-during-create"] == "holds"
    assert "first seen with: none, then Active" in ended.stdout
    assert "everything of the canary was deleted" in ended.stdout


def test_an_interrupted_canary_deletes_what_it_created(environment: Environment) -> None:
    updated = Event()

    def notice(call: Call) -> None:
        if call.operation == "UpdateIngestionDestination":
            updated.set()

    environment.appfabric.subscribe(notice)
    command = ["make", "-s", "test-aws", f"ACCOUNT={ACCOUNT}", f"INGESTION={INGESTION}", *QUICK]
    with subprocess.Popen(
        command, cwd=ROOT, env=environment.terminal(), stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as canary:
        assert updated.wait(60)
        os.killpg(canary.pid, signal.SIGTERM)  # SIGINT is ignored by what a shell runs in the background
        output, _ = canary.communicate(timeout=60)
    assert canary.returncode
    *seen, deleting, last = output.splitlines()
    assert (deleting, last) == ("deleting everything of the canary", "everything of the canary was deleted")
    assert any(line.startswith("holds     creation: ") for line in seen)


def test_what_a_killed_canary_left_is_deleted_by_the_next_one(environment: Environment) -> None:
    updated = Event()
    environment.appfabric.subscribe(lambda call: updated.set() if call.operation == "TagResource" else None)
    command = [str(ROOT / ".venv/bin/python"), "-m", "canary"]
    given = {"ACCOUNT": ACCOUNT, "INGESTION": INGESTION, "POLL": "0.05"}
    variables = environment.terminal() | {"PYTHONPATH": "src:."} | given
    with subprocess.Popen(command, cwd=ROOT, env=variables) as canary:
        assert updated.wait(60)
        canary.kill()
    assert len(environment.appfabric.destinations) == 3
    quick = f'make() {{ command make {" ".join(QUICK)} "$@"; }}'
    script = f"{quick}\n{commands(PAGE, SECTIONS[-1])}"
    ended = run(script, environment.variables | {"INGESTION": INGESTION}, home=environment.home)
    assert ended.returncode == 0, ended
    named = {name for name, result in results(ended.stdout).items() if result == "holds"}
    assert named == {each.name for each in cloudformation.ASSUMPTIONS}


REFUSED: list[tuple[dict[str, str], tuple[str, ...], str]] = [
    ({}, ("ACCOUNT=999999999999",), "INGESTION belongs to account 111122223333, not to ACCOUNT=999999999999"),
    ({}, ("REGION=eu-west-1",), "INGESTION is in us-east-1, not in eu-west-1: give REGION=us-east-1"),
    ({}, ("ONLY=foo",), "ONLY must be appfabric or cloudformation, not foo"),
    ({}, ("POLL=x",), "POLL must be a number of seconds above 0, not x"),
    ({}, ("PATIENCE=-1",), "PATIENCE must be a number of seconds above 0, not -1"),
    ({}, ("SERVICE_TIMEOUT=0.5",), "SERVICE_TIMEOUT must be a number of seconds from 1 to 3600, not 0.5"),
    ({}, ("DISPOSABLE=no",), "DISPOSABLE must be 1 or unset, not no"),
    ({"AWS_ACCESS_KEY_ID": "999999999999"}, (), "the credentials are of the account 999999999999, not of ACCOUNT="),
    ({"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""}, (), "no credentials that work"),
    ({"AWS_PROFILE": "nobodys"}, (), "(nobodys) could not be found"),
    ({"AWS_REGION": "", "AWS_DEFAULT_REGION": ""}, (), "no Region: set AWS_REGION or give REGION="),
    ({}, ("INGESTION=22222222-2222-4222-8222-222222222222",), "INGESTION is not the ARN of an ingestion"),
    ({}, ("ACCOUNT=",), "give ACCOUNT= and INGESTION=, as docs/canary.md says"),
    ({"AWS_DEFAULT_REGION": ""}, ("PROVIDER=another",), "there is no provider: deploy it as the stack another"),
]


@pytest.mark.parametrize(("variables", "parameters", "why"), REFUSED, ids=[why for *_, why in REFUSED])
def test_what_is_refused(
    environment: Environment, variables: dict[str, str], parameters: tuple[str, ...], why: str
) -> None:
    refused = environment.canary(*parameters, **variables)
    assert refused.returncode
    only, makes_own = refused.stderr.splitlines()
    assert only.startswith("refused: ")
    assert why in only
    assert makes_own.startswith("make: *** ")
    assert makes_own.endswith("Error 2")
    assert refused.stdout == ""
    assert {call.operation for call in environment.appfabric.calls} <= {"GetIngestion"}


def test_an_ingestion_in_use_is_refused(environment: Environment) -> None:
    environment.appfabric.enabled.add(INGESTION)
    refused = environment.canary()
    assert refused.returncode
    assert "the ingestion is enabled, and deleting a destination may break it" in refused.stderr
    assert [call.operation for call in environment.appfabric.calls] == ["GetIngestion"]


def test_a_report_names_no_principal(capsys: pytest.CaptureFixture[str]) -> None:
    report = Report(appfabric.ASSUMPTIONS, {ACCOUNT: "ACCOUNT"})
    report.settle("creation", False, f"User: arn:aws:sts::{ACCOUNT}:assumed-role/admin/jane is not authorized")
    assert "arn:aws:sts::ACCOUNT:PRINCIPAL is not authorized" in capsys.readouterr().out
    assert "jane" not in report.text(version="", region="", date="")


@pytest.mark.slow  # thirty starts of the AWS CLI; the same assumptions are checked by the command, in seconds
def test_the_ten_checks_of_the_page(environment: Environment) -> None:
    service = environment.appfabric
    script = [commands(PAGE, "Ten checks by hand")]
    for heading in SECTIONS[:-1]:  # the tenth is tested above
        # Two of them look for an error
        script.append(f"echo '@ {heading}'\n{{ {commands(PAGE, heading)}}} 2>&1 || true")
    script.append(f"echo '@ the end'\n{commands(PAGE, 'Clean up')}")
    # Some thirty commands, each of which starts the AWS CLI
    variables = environment.variables | {"INGESTION": INGESTION}
    ended = run("\n".join(script), variables, home=environment.home, timeout=600)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    seen = dict(re.findall(r"^@ (\d+|the end).*\n((?:(?!@ ).*\n)*)", ended.stdout, re.MULTILINE))
    assert seen["1"].splitlines()[-1] == "disabled"
    assert seen["2"].split() == ["Active", "True"]
    assert seen["3"] == "the same\n"
    assert "(IdempotentParameterMismatch)" in seen["4"]
    assert seen["5"].split() == ["[", '"canary"', "]", "[]"]
    assert "bucketName" in seen["6"]
    assert "prefix" not in seen["6"]
    assert "Active" in seen["7"]
    assert seen["8"].startswith("[]\n")
    assert seen["8"].count("(ResourceNotFoundException)") == 2
    assert seen["9"].splitlines()[-1].startswith(f"{INGESTION}/ingestiondestination/")
    created = {arn for _, arn in service.created_by.values()}
    assert len(created) == 5  # two of the stack, one by hand, two replacements
    environment.cloudformation.wait(lambda: environment.cloudformation.find("canary-by-hand") is None, timeout=60)


def test_the_page_names_ten_checks_and_what_each_settles() -> None:
    text = (ROOT / "docs" / PAGE).read_text()
    assert [heading.partition(".")[0] for heading in SECTIONS] == [str(number) for number in range(1, 11)]
    settled = re.findall(r"^Settles (.*?)[.:]", text, re.MULTILINE | re.DOTALL)
    assert len(settled) == 10
    named = [name for each in settled for name in re.findall(r"`([^`]+)`", each)]
    assert set(named) <= set(NAMES)
    assert len(named) == len(set(named))


@pytest.mark.parametrize(
    "assumption", [*appfabric.ASSUMPTIONS, *cloudformation.ASSUMPTIONS], ids=lambda assumption: assumption.name
)
def test_what_relies_on_an_assumption_is_there(assumption: Assumption) -> None:
    for place in assumption.where.split("; "):
        path, _, anchor = place.partition("#")
        text = (ROOT / path).read_text()
        assert not anchor or f"\n## {anchor.replace('-', ' ').capitalize()}\n" in text
