"""`make local` and its commands, as a user types them: real make, real sam and aws, a terminal where one matters."""

import contextlib
import fcntl
import json
import os
import pty
import re
import select
import shutil
import signal
import socket
import struct
import subprocess
import termios
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from local.processes import free_ports

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "s3.yaml"
FOLDER = ROOT  # see the fixture
REGION = "eu-west-1"
BUNDLE = f"arn:aws:appfabric:{REGION}:111122223333:appbundle/11111111-1111-4111-8111-111111111111"
INGESTION = f"{BUNDLE}/ingestion/22222222-2222-4222-8222-222222222222"
PARENTS = {"AppBundleArn": BUNDLE, "IngestionArn": INGESTION}
CALLERS = {
    "AWS_PROFILE": "the-callers",
    "AWS_SESSION_TOKEN": "the-callers",
    "AWS_ACCESS_KEY_ID": "the-callers",
    "AWS_ENDPOINT_URL_S3": "http://the-callers.invalid",
    "AWS_ENDPOINT_URL_CLOUDFORMATION": "http://the-callers.invalid",
    "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true",
    "AWS_REGION": "us-west-2",
    "HTTPS_PROXY": "http://127.0.0.1:9",
}


class Terminal:
    """A command in a terminal of its own."""

    def __init__(self, *command: str, columns: int, **environment: str) -> None:
        self.output = ""
        self.ended = False
        self.pid, self._master = pty.fork()
        if self.pid == 0:
            os.chdir(FOLDER)
            variables = {"PATH": os.environ["PATH"], "HOME": os.devnull, "TERM": "xterm-256color", **environment}
            os.execvpe(command[0], list(command), variables)
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))

    def wait_for(self, text: str, *, timeout: float = 120) -> None:
        deadline = time.monotonic() + timeout
        while text not in self.plain():
            assert time.monotonic() < deadline, self.output
            assert self._read(1.0) is not None, self.output

    def interrupt(self) -> None:
        """Press Ctrl-C, and wait until the command has ended."""
        os.write(self._master, b"\x03")
        self.wait()

    def wait(self) -> None:
        while self._read(1.0) is not None:
            pass
        os.close(self._master)
        os.waitpid(self.pid, 0)
        self.ended = True

    def plain(self) -> str:
        """The output without colors and cursor movements."""
        return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", self.output).replace("\r", "")

    def _read(self, timeout: float) -> str | None:
        if not select.select([self._master], [], [], timeout)[0]:
            return ""
        try:
            text = os.read(self._master, 65536).decode(errors="replace")
        except OSError:  # the other end is closed
            return None
        self.output += text
        return text or None


def make(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["make", "--no-print-directory", *arguments],
        cwd=FOLDER,
        env={"PATH": os.environ["PATH"], "HOME": os.devnull, **environment},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def only_line(command: subprocess.CompletedProcess[str]) -> str:
    """What a command says that fails: one line, and make's own."""
    assert command.returncode == 2, command.stdout + command.stderr
    line, makes_own = command.stderr.splitlines()
    assert makes_own.startswith("make: *** ")
    assert command.stdout == ""
    return line


@pytest.fixture(scope="module", autouse=True)
def folder(tmp_path_factory: pytest.TempPathFactory) -> None:
    """The project in a folder of the tests' own, so that an environment of the developer's may run beside them."""
    global FOLDER
    FOLDER = tmp_path_factory.mktemp("the project (linked)")
    for entry in ROOT.iterdir():
        if entry.name != ".local":
            (FOLDER / entry.name).symlink_to(entry)


@pytest.fixture(scope="module")
def ports() -> tuple[int, int]:
    while True:
        (port,) = free_ports(1)
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port + 1)):
            return port, port + 1


@pytest.fixture(scope="module")
def environment(ports: tuple[int, int]) -> Iterator[Terminal]:
    terminal = Terminal("make", "local", f"PORT={ports[0]}", f"REGION={REGION}", columns=80)
    terminal.wait_for("local-env")
    yield terminal
    if not terminal.ended:
        terminal.interrupt()


@pytest.fixture(scope="module")
def shell(environment: Terminal, ports: tuple[int, int], tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Runs a command in a shell that `eval "$(make -s local-env)"` has prepared, in another folder."""
    folder = tmp_path_factory.mktemp("a folder")

    def run(command: str) -> str:
        prepare = f"eval \"$(make -s -C '{FOLDER}' local-env PORT={ports[0]} REGION={REGION})\""
        ended = subprocess.run(
            ["sh", "-euc", f"{prepare}; {command}"],
            cwd=folder,
            env={"PATH": f"{ROOT}/.venv/bin:{ROOT}/.venv-sam/bin:{os.environ['PATH']}", "HOME": str(folder), **CALLERS},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert ended.returncode == 0, ended.stdout + ended.stderr
        return ended.stdout

    return run


# The variables


def test_the_variables_are_printed_without_an_environment_and_nothing_else_is(tmp_path: Path) -> None:
    """No prerequisites: a copy of the Makefile and one script, without make setup, is enough."""
    for name in ("local", "src"):
        (tmp_path / "a (copy)" / name).mkdir(parents=True)
    for name in ("Makefile", "local/env.sh"):
        (tmp_path / "a (copy)" / name).write_bytes((ROOT / name).read_bytes())
    printed = subprocess.run(
        ["make", "-s", "-C", tmp_path / "a (copy)", "local-env"], capture_output=True, text=True, check=True
    )
    assert printed.stderr == ""
    assert {line.split()[0] for line in printed.stdout.splitlines()} == {"unset", "export"}
    assert f"AWS_CA_BUNDLE='{tmp_path}/a (copy)/.local/ca.pem'" in printed.stdout


def test_the_variables_are_the_same_while_it_runs(environment: Terminal) -> None:
    elsewhere = subprocess.run(["make", "-s", "-C", ROOT, "local-env"], capture_output=True, text=True, check=True)
    here = make("-s", "local-env")
    assert here.stdout.replace(str(FOLDER), "") == elsewhere.stdout.replace(str(ROOT), "")
    assert "127.0.0.1:4570" in here.stdout


@pytest.mark.parametrize("shell_name", ["sh", "bash", "dash"])
def test_the_callers_account_cannot_be_reached_any_more(shell_name: str) -> None:
    printed = subprocess.run(
        [shell_name, "-euc", f'eval "$(make -s -C "{ROOT}" local-env)"; env'],
        env={"PATH": os.environ["PATH"], **CALLERS},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    variables = dict(line.split("=", 1) for line in printed.splitlines() if line.startswith(("AWS_", "NODE_")))
    assert "the-callers" not in str(variables)
    assert {name for name in variables if name.startswith("AWS_ENDPOINT_URL")} == {
        "AWS_ENDPOINT_URL",
        "AWS_ENDPOINT_URL_APPFABRIC",
    }
    assert variables["AWS_REGION"] == variables["AWS_DEFAULT_REGION"] == "us-east-1"
    assert variables["AWS_CONFIG_FILE"] == variables["AWS_SHARED_CREDENTIALS_FILE"] == os.devnull
    assert "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS" not in variables


# The user's own tools


def test_the_aws_cli_creates_describes_and_deletes(shell: Any, environment: Terminal) -> None:
    parameters = json.dumps([{"ParameterKey": name, "ParameterValue": value} for name, value in PARENTS.items()])
    template = f"--template-body 'file://{EXAMPLE}' --parameters '{parameters}'"
    shell(f"aws cloudformation create-stack --stack-name cli {template}")
    environment.wait_for("cli             CREATE_COMPLETE")
    (stack,) = json.loads(shell("aws cloudformation describe-stacks --stack-name cli"))["Stacks"]
    assert stack["StackStatus"] == "CREATE_COMPLETE"
    parents = f"--app-bundle-identifier {BUNDLE} --ingestion-identifier {INGESTION}"
    (listed,) = json.loads(shell(f"aws appfabric list-ingestion-destinations {parents}"))["ingestionDestinations"]
    assert listed["arn"].startswith(f"arn:aws:appfabric:{REGION}:")
    assert listed["arn"] in [output["OutputValue"] for output in stack["Outputs"]]
    shell("aws cloudformation delete-stack --stack-name cli")
    environment.wait_for("cli             DELETE_COMPLETE")
    assert json.loads(shell(f"aws appfabric list-ingestion-destinations {parents}"))["ingestionDestinations"] == []


def test_sam_deploys_from_a_folder_with_a_space_with_a_bucket_of_its_own(shell: Any, environment: Terminal) -> None:
    overrides = " ".join(f"{name}={value}" for name, value in PARENTS.items())
    shell(f"cp '{EXAMPLE}' 'my template.yaml'")
    deploy = "sam deploy -t 'my template.yaml' --stack-name sam --resolve-s3 --no-confirm-changeset"
    deployed = shell(f"{deploy} --parameter-overrides {overrides}")
    assert "Successfully created/updated stack - sam in eu-west-1" in deployed
    shell("aws cloudformation delete-stack --stack-name sam")
    environment.wait_for("sam             DELETE_COMPLETE")


# The project's commands


def test_a_template_of_the_users_from_its_first_deployment_to_its_deletion(
    environment: Terminal, tmp_path: Path
) -> None:
    template = tmp_path / "my own [1].yaml"
    template.write_text(EXAMPLE.read_text())
    of_the_users = 'profile = "company"\nregion = "us-west-2"\nparameter_overrides = "Prefix=theirs"\n'
    (tmp_path / "samconfig.toml").write_text(f"version = 0.1\n[default.deploy.parameters]\n{of_the_users}")
    created = make("local-deploy", f"TEMPLATE={template}")
    assert created.returncode == 0, created.stdout + created.stderr
    assert f"AppBundleArn is not given: {BUNDLE}" in created.stdout
    assert "AppFabric       CreateIngestionDestination 201 ocsf json" in created.stdout
    assert "✓ my-own-1 is CREATE_COMPLETE" in created.stdout
    assert f"  DestinationArn     {INGESTION}/ingestiondestination/" in created.stdout
    assert "\x1b" not in created.stdout
    destinations = make("local-destinations").stdout
    assert "held by Destination in the stack my-own-1" in destinations
    assert "theirs" not in destinations

    again = make("local-deploy", f"TEMPLATE={template}")
    assert "✓ my-own-1 is up to date" in again.stdout

    updated = make("local-deploy", f"TEMPLATE={template}", "PARAMS=Prefix='a b'")
    assert "✓ my-own-1 is UPDATE_COMPLETE" in updated.stdout
    assert "UpdateIngestionDestination 200" in updated.stdout
    assert "/a b" in make("local-destinations").stdout

    full = "FAIL=UpdateIngestionDestination:Failed:The bucket is full"
    rehearsed = make("local-deploy", f"TEMPLATE={template}", "PARAMS=Prefix=elsewhere", full)
    assert rehearsed.returncode == 0, rehearsed.stdout + rehearsed.stderr
    assert "✓ my-own-1 was rolled back, as rehearsed. Destination: NotStabilized: " in rehearsed.stdout
    assert "The bucket is full" in rehearsed.stdout
    assert "/a b" in make("local-destinations").stdout

    unheard = make("local-deploy", f"TEMPLATE={template}", "FAIL=TagResource:AccessDeniedException")
    assert unheard.returncode == 2
    assert "✗ my-own-1 is up to date: TagResource was not called" in unheard.stdout

    denied = make("local-delete", "STACK=my-own-1", "FAIL=DeleteIngestionDestination:AccessDeniedException:not today")
    assert denied.returncode == 0, denied.stdout + denied.stderr
    why = "Destination: AccessDeniedException: not today. To retain it: aws cloudformation delete-stack"
    assert f"✓ my-own-1 is DELETE_FAILED, as rehearsed. {why} --stack-name my-own-1 --retain" in denied.stdout
    assert "held by Destination in the stack my-own-1" in make("local-destinations").stdout

    deleted = make("local-delete", "STACK=my-own-1", "FAIL=UntagResource:AccessDeniedException")
    assert deleted.returncode == 2
    assert deleted.stderr.splitlines()[0] == "✗ my-own-1 is deleted: UntagResource was not called"
    assert "no ingestion destinations" in make("local-destinations").stdout
    assert "REPORT RequestId: " in make("local-logs").stdout


def test_a_create_that_fails_has_to_be_deleted_first(environment: Terminal, tmp_path: Path) -> None:
    template = tmp_path / "fails.yaml"
    template.write_text(EXAMPLE.read_text())
    denied = make(
        "local-deploy", f"TEMPLATE={template}", "FAIL=CreateIngestionDestination:ServiceQuotaExceededException:full"
    )
    assert denied.returncode == 0, denied.stdout + denied.stderr
    assert "✓ fails was rolled back, as rehearsed. Destination: ServiceQuotaExceededException: full" in denied.stdout
    stuck = only_line(make("local-deploy", f"TEMPLATE={template}"))
    assert stuck == "fails is ROLLBACK_COMPLETE: delete it first, as on AWS: make local-delete STACK=fails"
    deleted = make("local-delete", "STACK=fails")
    assert deleted.returncode == 0, deleted.stdout + deleted.stderr
    assert "✓ fails is deleted" in deleted.stdout


def test_ctrl_c_ends_a_command_and_says_that_the_stacks_operation_goes_on(
    environment: Terminal, tmp_path: Path
) -> None:
    template = tmp_path / "interrupted.yaml"
    template.write_text(EXAMPLE.read_text())
    throttled = "FAIL=CreateIngestionDestination:ThrottlingException"  # until the command ends
    deployment = Terminal("make", "local-deploy", f"TEMPLATE={template}", throttled, columns=120)
    deployment.wait_for("CreateIngestionDestination ThrottlingException")
    below = processes_below(deployment.pid)
    deployment.interrupt()
    assert "Traceback" not in deployment.output
    said = "interrupted is still {}: CloudFormation continues, as on AWS. `make local` shows it, "
    assert said.format("CREATE_IN_PROGRESS") in deployment.plain()
    assert "aws cloudformation describe-stack-events --stack-name interrupted (after eval" in deployment.plain()
    assert len(below) >= 2  # python and sam
    assert all(ends(pid) for pid in below)
    environment.wait_for("interrupted     CREATE_COMPLETE")
    throttled = "FAIL=DeleteIngestionDestination:ThrottlingException"
    deletion = Terminal("make", "local-delete", "STACK=interrupted", throttled, columns=120)
    deletion.wait_for("DeleteIngestionDestination ThrottlingException")
    deletion.interrupt()
    assert "Traceback" not in deletion.output
    assert said.format("DELETE_IN_PROGRESS") in deletion.plain()
    environment.wait_for("interrupted     DELETE_COMPLETE")


def test_a_destination_that_no_stack_resource_holds_is_marked(environment: Terminal, shell: Any) -> None:
    parents = f"--app-bundle-identifier {BUNDLE} --ingestion-identifier {INGESTION}"
    configuration = (
        "--processing-configuration auditLog='{schema=raw,format=json}' "
        "--destination-configuration auditLog='{destination={s3Bucket={bucketName=by-hand}}}'"
    )
    by_hand = f"aws appfabric create-ingestion-destination {parents} {configuration}"
    arn = json.loads(shell(by_hand))["ingestionDestination"]["arn"]
    assert f"{arn}\n    Active, raw json to the bucket by-hand\n    not held" in make("local-destinations").stdout
    tag = "custom-appfabric-ingestion-destination"
    gone = f"arn:aws:cloudformation:{REGION}:111122223333:stack/gone/51af3dc0-da77-11e4-872e-1234567db123"
    owner = {f"{tag}:StackId": gone, f"{tag}:LogicalResourceId": "Destination"}
    tags = json.dumps([{"key": key, "value": value} for key, value in owner.items()])
    shell(f"aws appfabric tag-resource --resource-arn {arn} --tags '{tags}'")
    listed = make("local-destinations").stdout
    assert "NOT HELD by a stack resource: Destination in the stack gone is gone" in listed
    assert shell(f"python '{ROOT}/scripts/list_destinations.py' --region {REGION}") == listed  # as for a real account
    shell(f"aws appfabric delete-ingestion-destination {parents} --ingestion-destination-identifier {arn}")


ELSEWHERE = BUNDLE.replace(REGION, "us-east-1")
FOLDER_ITSELF = "."
BROKEN: dict[str, Any] = {
    "no file": (None, {}, "nowhere.yaml: No such file or directory"),
    "no YAML": ("Resources: [", {}, ":1:13 does not parse: "),
    "no JSON": ('{"Resources":\n\t{"A": }}', {}, ":2:8 does not parse: Expecting value"),
    "no text": ("Resources: \x00", {}, " does not parse: "),
    "a folder": (FOLDER_ITSELF, {}, ": Is a directory"),
    "no template": ("Parameters: {}\n", {}, " is not a template: it has no Resources"),
    "another Region": (EXAMPLE, {"PARAMS": f"AppBundleArn={ELSEWHERE}"}, "AppBundleArn names us-east-1, and the"),
    "an unknown parameter": (EXAMPLE, {"PARAMS": "Formt=json"}, "has no parameter Formt; it has ProviderStackName, "),
    "odd parameters": (EXAMPLE, {"PARAMS": "json"}, 'PARAMS is "Name=value Name=value", and json is not like this'),
    "an odd name": (EXAMPLE, {"STACK": "my_stack"}, "a stack's name has letters, digits and hyphens"),
    "an unknown operation": (EXAMPLE, {"FAIL": "Update:Failed"}, "AppFabric has no operation Update"),
    "an error it does not have": (EXAMPLE, {"FAIL": "TagResource:Busy"}, "TagResource has no error Busy: "),
    "half a failure": (EXAMPLE, {"FAIL": "TagResource"}, "FAIL is Operation:Failed:reason or "),
}


@pytest.mark.parametrize(("template", "variables", "message"), BROKEN.values(), ids=BROKEN.keys())
def test_bad_input_gets_one_clear_line(
    environment: Terminal, tmp_path: Path, template: str | Path | None, variables: dict[str, str], message: str
) -> None:
    path = tmp_path / {None: "nowhere.yaml", FOLDER_ITSELF: ""}.get(template, "template.yaml")
    if template not in (None, FOLDER_ITSELF):
        path.write_text(template if isinstance(template, str) else template.read_text())
    arguments = [f"{name}={value}" for name, value in variables.items()]
    assert message in only_line(make("local-deploy", f"TEMPLATE={path}", *arguments))


def test_mistakes_of_properties_are_found_before_anything_is_deployed(environment: Terminal, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text(EXAMPLE.read_text().replace("BucketName: !Ref AuditLogs", "BucketName: ab"))
    line = only_line(make("local-deploy", f"TEMPLATE={wrong}"))
    assert re.match(r"wrong\.yaml:\d+:\d+ E9701 .*BucketName", line)


def test_local_deploy_prints_warnings_and_assumed_parameters_in_full(environment: Terminal, tmp_path: Path) -> None:
    """In a terminal where the lines of the view are cut."""
    template = tmp_path / "warned.yaml"
    template.write_text(re.sub("ServiceTimeout: 720.*", "", EXAMPLE.read_text()))
    deployment = Terminal("make", "local-deploy", f"TEMPLATE={template}", columns=80)
    deployment.wait()
    assert re.search(r"^warned\.yaml:\d+:\d+ W9701 .*; 720 is enough$", deployment.plain(), re.MULTILINE)
    assert f"IngestionArn is not given: {INGESTION}\n" in deployment.plain()
    assert make("local-delete", "STACK=warned").returncode == 0


def test_local_deploy_and_local_delete_refuse_the_providers_stack(environment: Terminal) -> None:
    name = "appfabric-ingestion-destination"
    expected = f"{name} is the provider: `make local` deploys it, and sam or aws can change it"
    assert only_line(make("local-deploy", f"TEMPLATE={ROOT / 'template.yaml'}", f"STACK={name}")) == expected
    assert only_line(make("local-delete", f"STACK={name}")) == expected


def test_local_delete_reports_an_export_in_use(environment: Terminal, shell: Any) -> None:
    topic: dict[str, Any] = {"Type": "AWS::SNS::Topic"}
    export = {"Value": "a", "Export": {"Name": "of-exporting"}}
    named = {**topic, "Properties": {"DisplayName": {"Fn::ImportValue": "of-exporting"}}}
    templates = {
        "exporting": {"Resources": {"Topic": topic}, "Outputs": {"Out": export}},
        "importing": {"Resources": {"Topic": named}},
    }
    for name, template in templates.items():
        shell(f"aws cloudformation create-stack --stack-name {name} --template-body '{json.dumps(template)}'")
        environment.wait_for(f"{name:<15} CREATE_COMPLETE")
    refusal = only_line(make("local-delete", "STACK=exporting"))
    assert "Export of-exporting cannot be deleted as it is in use by importing" in refusal
    for name in ("importing", "exporting"):
        assert make("local-delete", f"STACK={name}").returncode == 0


def test_what_is_missing_is_named(environment: Terminal) -> None:
    assert "usage: make local-deploy TEMPLATE=" in only_line(make("local-deploy"))
    assert only_line(make("local-delete")) == "usage: make local-delete STACK=name [FAIL=…]"
    assert "FAIL is Operation:Failed:reason or " in only_line(make("local-delete", "STACK=nowhere", "FAIL=TagResource"))
    of_an_update = make("local-delete", "STACK=nowhere", "FAIL=UpdateIngestionDestination:Failed")
    assert "a deletion does not call UpdateIngestionDestination" in only_line(of_an_update)
    assert "there is no stack nowhere: " in only_line(make("local-delete", "STACK=nowhere"))
    assert "there is no provider nowhere: " in only_line(make("local-logs", "STACK=nowhere"))


# The environment itself


def test_a_second_one_says_that_one_is_running(environment: Terminal, ports: tuple[int, int]) -> None:
    line = only_line(make("local"))
    assert line.startswith(f"one is running already, in {REGION} at https://127.0.0.1:{ports[0]} (process ")


def test_it_listens_on_this_machine_only(environment: Terminal, ports: tuple[int, int]) -> None:
    listening = [each for pid in processes_below(environment.pid) for each in listening_of(pid)]
    assert set(ports) <= {port for _, port in listening}
    assert len(listening) > 4  # the receiver of responses and the function's runtime as well
    assert {address for address, _ in listening} == {"0100007F"}  # 127.0.0.1


def listening_of(pid: int) -> list[tuple[str, int]]:
    """Address and port of every TCP socket that a process listens on."""
    sockets = set()
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(OSError):
            sockets.add(descriptor.readlink().name)
    rows = [line.split() for name in ("tcp", "tcp6") for line in Path(f"/proc/net/{name}").read_text().splitlines()[1:]]
    own = [row[1].split(":") for row in rows if row[3] == "0A" and f"socket:[{row[9]}]" in sockets]
    return [(address, int(port, 16)) for address, port in own]


def test_its_view_has_one_line_for_each_event_within_the_terminal(environment: Terminal, tmp_path: Path) -> None:
    template = tmp_path / "a-stack-with-a-long-name.yaml"
    template.write_text(EXAMPLE.read_text())
    assert make("local-deploy", f"TEMPLATE={template}").returncode == 0
    assert make("local-delete", "STACK=a-stack-with-a-long-name").returncode == 0
    environment.wait_for("a-stack-with-a… DELETE_COMPLETE")
    lines = environment.plain().splitlines()
    assert all(len(line) <= 80 for line in lines if re.match(r"\d\d:\d\d:\d\d ", line))
    (created,) = [line for line in lines if "CreateIngestionDestination" in line][-1:]
    assert re.fullmatch(r"\d\d:\d\d:\d\d AppFabric       CreateIngestionDestination 201 ocsf json \S+", created)
    assert "\x1b[" in environment.output


def test_a_call_for_another_region_is_marked_as_one(environment: Terminal, shell: Any) -> None:
    template = '--template-body \'{"Resources": {"Topic": {"Type": "AWS::SNS::Topic"}}}\''
    shell(f"aws --region us-east-1 cloudformation create-stack --stack-name lost {template}")
    environment.wait_for("lost            CREATE_IN_PROGRESS this is us-east-1, and ")


def test_ctrl_c_ends_everything(environment: Terminal, ports: tuple[int, int]) -> None:
    directory = Path(json.loads((FOLDER / ".local" / "environment.json").read_text())["directory"])
    throttled = "FAIL=CreateIngestionDestination:ThrottlingException"
    deployment = Terminal("make", "local-deploy", f"TEMPLATE={EXAMPLE}", throttled, columns=120)
    deployment.wait_for("CreateIngestionDestination ThrottlingException")
    environment.interrupt()
    assert "Traceback" not in environment.output
    deployment.wait()
    assert deployment.plain().splitlines()[-2:][0] == "the local environment has ended"
    assert "Traceback" not in deployment.output
    assert not (FOLDER / ".local").exists()
    assert not directory.exists()
    for port in ports:
        with socket.socket() as client:
            assert client.connect_ex(("127.0.0.1", port)) != 0
    line = only_line(make("local-deploy", f"TEMPLATE={EXAMPLE}"))
    assert line == "no local environment is running: start one with `make local` in another terminal"


def test_ctrl_c_while_it_starts_ends_everything_as_well(ports: tuple[int, int]) -> None:
    terminal = Terminal("make", "local", f"PORT={ports[0]}", columns=200, NO_COLOR="1")
    terminal.wait_for("Starting")
    terminal.interrupt()
    assert "Traceback" not in terminal.output
    assert not (FOLDER / ".local").exists()


def test_commands_report_that_the_environment_is_starting() -> None:
    (FOLDER / ".local").mkdir()
    with (FOLDER / ".local" / "lock").open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        line = only_line(make("local-destinations"))
        assert line == "the local environment is starting: try again once `make local` says that it is up"
        assert only_line(make("local")) == "one is running already, and is starting"
    shutil.rmtree(FOLDER / ".local")


def test_wrong_variables_and_ports_in_use_get_one_clear_line(ports: tuple[int, int]) -> None:
    assert only_line(make("local", "PORT=80")) == "a PORT is a number from 1024 to 65534: not 80"
    assert only_line(make("local", "REGION=eu-central-1")).startswith("AppFabric is in us-east-1, ")
    with socket.create_server(("127.0.0.1", ports[1])):
        line = only_line(make("local", f"PORT={ports[0]}"))
    assert line.startswith(f"port {ports[1]} is in use: ")


def test_a_signal_ends_it_too(ports: tuple[int, int]) -> None:
    terminal = Terminal("make", "local", f"PORT={ports[0]}", columns=80)
    terminal.wait_for("local-env")
    pid = json.loads((FOLDER / ".local" / "environment.json").read_text())["pid"]
    os.kill(pid, signal.SIGTERM)
    terminal.wait()
    assert not (FOLDER / ".local").exists()


# The demo


def test_ctrl_c_ends_the_demo_with_nothing_left() -> None:
    terminal = Terminal("make", "demo", columns=120)
    terminal.wait_for("✓ Deploy the provider")
    started = processes_below(terminal.pid)
    terminal.interrupt()
    assert "Traceback" not in terminal.output
    assert "Installing" not in terminal.output
    assert len(started) >= 2  # python and the emulator of CloudFormation
    assert all(ends(pid) for pid in started)


def ends(pid: int) -> bool:
    """Whether a process has ended, or does at once: what was killed is still there until init has reaped it."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([descriptor], [], [], 10)[0])
    finally:
        os.close(descriptor)


def processes_below(pid: int) -> list[int]:
    """The processes that descend from one."""
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            number, _, rest = stat.read_text().partition(" (")
            parents[int(number)] = int(rest.rpartition(") ")[2].split()[1])
    below, found = [pid], []
    while below:
        parent = below.pop()
        children = [child for child, its_parent in parents.items() if its_parent == parent]
        found += children
        below += children
    return found


def test_what_is_missing_is_set_up_with_a_line_each_and_its_output_appears_when_it_fails(tmp_path: Path) -> None:
    good = "one/.ready two/.ready:\n\t@echo noise of $@\n\t@mkdir $(@D) && touch $@\n"
    (tmp_path / "Makefile").write_text(f"{good}bad/.ready:\n\t@echo why; exit 1\nthere:\n")
    (tmp_path / "there").touch()
    prepare = ["sh", str(ROOT / "local" / "prepare.sh"), "make"]

    def run(*targets: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([*prepare, *targets], cwd=tmp_path, capture_output=True, text=True, check=False)

    first = run("one/.ready", "there", "two/.ready")
    assert (first.returncode, first.stdout) == (0, "")
    assert first.stderr == "Setting up: 1 of 2, about 30 s (one)\nSetting up: 2 of 2, about 30 s (two)\n"
    assert run("one/.ready", "there", "two/.ready").stderr == ""
    failed = run("bad/.ready")
    assert failed.returncode == 1
    assert "Setting up: 1 of 1, about 30 s (bad)\nwhy\n" in failed.stderr
