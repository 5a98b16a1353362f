"""The most telling scenarios, for real: whole stacks, the built function under Lambda's runtime, containers killed.

tests/simulation plays thousands of such scenarios. Here CloudFormation is ministack with AWS's contract,
Lambda retries what died, and `kill` ends the processes of the function's container where they are. Each scenario has a
function and an AppFabric of its own, so that several are played at the same time. All log all that they can.
"""

import contextlib
import io
import json
import zipfile
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from local.appfabric import AppFabricEmulator, Call, Fault, Outcome, serve
from local.certificates import Certificates
from local.cloudformation import CloudFormation, Stack, StackEvent, emulate
from local.processes import kill_session
from tests.support.properties import INGESTION, processing, properties, to_stream

ARTIFACT = Path(__file__).parents[2] / ".aws-sam" / "build" / "ProviderFunction"
LIMIT = 30
HAND_MADE = f"{INGESTION}/ingestiondestination/99999999-9999-4999-8999-999999999991"
OF_ANOTHER_STACK = f"{INGESTION}/ingestiondestination/99999999-9999-4999-8999-999999999992"
RAW = {"ProcessingConfiguration": processing("raw", "json")}
SECRET = "s3cr3t-value"
WRONG = {"BucketName": SECRET}
EVERYTHING_LOGGED = {
    "POWERTOOLS_LOG_LEVEL": "DEBUG",
    "POWERTOOLS_LOGGER_LOG_EVENT": "true",
    "POWERTOOLS_DEBUG": "true",
    "AWS_LAMBDA_LOG_LEVEL": "DEBUG",
    "AWS_SECRET_ACCESS_KEY": "s3cr3t-key",
}


class Scenario:
    """A stack, its function and its AppFabric, beside destinations of others."""

    def __init__(self, name: str, cloudformation: CloudFormation, appfabric: AppFabricEmulator, token: str) -> None:
        self.name, self.cloudformation, self.appfabric = name, cloudformation, appfabric
        self._token = token
        placed = {
            "processing": {"auditLog": {"schema": "ocsf", "format": "json"}},
            "destination": {"auditLog": {"destination": {"s3Bucket": {"bucketName": "others"}}}},
        }
        appfabric.place(arn=HAND_MADE, **placed)
        tags = {
            "custom-appfabric-ingestion-destination:StackId": f"arn:aws:cloudformation:us-east-1:1:stack/{name}",
            "custom-appfabric-ingestion-destination:LogicalResourceId": "Destination",
        }
        appfabric.place(arn=OF_ANOTHER_STACK, tags=tags, **placed)

    def resource(self, **changed: Any) -> dict[str, Any]:
        # Longer than all invocations of an event take.
        wanted = properties(ServiceToken=self._token, ServiceTimeout=60, **changed)
        return {"Type": "Custom::AppFabricIngestionDestination", "Properties": wanted}

    def create(self, **resources: dict[str, Any]) -> Stack:
        self.stack = self.cloudformation.create_stack(
            self.name, _template(resources or {"Destination": self.resource()})
        )
        return self.stack

    def update(self, **resources: dict[str, Any]) -> Stack:
        return self.cloudformation.update_stack(self.name, _template(resources))

    def delete(self) -> Stack:
        return self.cloudformation.delete_stack(self.name)

    def kill_at(self, operation: str, *, after: bool) -> Event:
        """Kill the container at the next call of an operation, before or after its effect; says when it is done."""
        killed = Event()

        def kill(call: Call) -> None:
            if call.operation == operation and not killed.is_set():
                killed.set()
                self.kill()

        if not after:
            self.appfabric.inject(Fault(operation=operation, hang=60))
        self.appfabric.subscribe(kill)
        return killed

    def kill(self) -> None:
        """End the function's container, with all that runs in it."""
        variable = f"AWS_LAMBDA_FUNCTION_NAME={self._token.rpartition(':')[2]}".encode()
        for process in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                leads = process.joinpath("stat").read_text().rpartition(") ")[2].split()[3] == process.name
                if leads and variable in process.joinpath("environ").read_bytes().split(b"\0"):
                    kill_session(int(process.name))

    def ours(self) -> set[str]:
        return self.appfabric.destinations.keys() - {HAND_MADE, OF_ANOTHER_STACK}

    def events(self) -> list[StackEvent]:
        return self.cloudformation.events(self.name)

    def ids(self) -> set[str]:
        described = self.cloudformation.client("cloudformation").describe_stack_resources(StackName=self.stack.id)
        return {
            each["PhysicalResourceId"]
            for each in described["StackResources"]
            if each["ResourceStatus"] != "DELETE_COMPLETE"
        }

    def was_retried(self, request_type: str) -> bool:
        """Whether Lambda retried a request of a type; an invocation is logged when it has ended."""

        def retried() -> bool:
            return any(
                len(request.invocations) > 1
                for request in self.cloudformation.activity.requests()
                if request.event["StackId"] == self.stack.id and request.event["RequestType"] == request_type
            )

        self.cloudformation.wait(retried, timeout=20)
        return True

    def log(self) -> str:
        """What the function logged. A container's log arrives a moment after its response, and makes the log group."""
        group = f"/aws/lambda/{self._token.rpartition(':')[2]}"
        groups = self.cloudformation.client("logs").describe_log_groups
        self.cloudformation.wait(lambda: bool(groups(logGroupNamePrefix=group)["logGroups"]), timeout=20)
        return self.cloudformation.function_log(group)


def _template(resources: dict[str, Any]) -> str:
    return json.dumps({"Resources": resources})


def dies_before_its_create_took_effect(scenario: Scenario) -> None:
    killed = scenario.kill_at("CreateIngestionDestination", after=False)
    assert scenario.create().status == "CREATE_COMPLETE"
    assert killed.is_set()
    assert scenario.was_retried("Create")


def dies_after_its_create_took_effect(scenario: Scenario) -> None:
    killed = scenario.kill_at("CreateIngestionDestination", after=True)
    assert scenario.create().status == "CREATE_COMPLETE"
    assert killed.is_set()
    assert scenario.was_retried("Create")
    assert len(scenario.ours()) == 1


def dies_and_is_throttled_then(scenario: Scenario) -> None:
    killed = scenario.kill_at("CreateIngestionDestination", after=True)
    throttled = Fault(operation="CreateIngestionDestination", error="ThrottlingException", skip=1, times=3)
    scenario.appfabric.inject(throttled)
    assert scenario.create().status == "CREATE_COMPLETE"
    assert killed.is_set()


def is_canceled_while_its_create_runs(scenario: Scenario) -> None:
    scenario.appfabric.inject(Fault(operation="CreateIngestionDestination", delay=3))
    wrong = scenario.resource(DestinationConfiguration=WRONG)
    assert scenario.create(Destination=scenario.resource(), Wrong=wrong).status == "ROLLBACK_COMPLETE"
    assert not scenario.ours()


def is_canceled_and_its_container_dies(scenario: Scenario) -> None:
    """Lambda retries the Create, while the Delete has found and deleted what the first invocation created."""
    scenario.appfabric.inject(Fault(operation="CreateIngestionDestination", delay=2, after=True))
    killed = scenario.kill_at("CreateIngestionDestination", after=True)
    wrong = scenario.resource(DestinationConfiguration=WRONG)
    assert scenario.create(Destination=scenario.resource(), Wrong=wrong).status == "ROLLBACK_COMPLETE"
    assert killed.is_set()
    assert scenario.was_retried("Create")
    assert not scenario.ours()


def has_no_response_to_its_create(scenario: Scenario) -> None:
    scenario.appfabric.inject(Fault(operation="CreateIngestionDestination", hang=60, times=99))
    assert scenario.create().status == "ROLLBACK_COMPLETE"
    assert not scenario.ours()


def fails_to_become_active(scenario: Scenario) -> None:
    scenario.appfabric.inject(Outcome(operation="CreateIngestionDestination", status="Failed", status_reason="Full"))
    assert scenario.create().status == "ROLLBACK_COMPLETE"
    assert not scenario.ours()


def dies_in_the_middle_of_a_change(scenario: Scenario) -> None:
    scenario.create()
    killed = scenario.kill_at("UpdateIngestionDestination", after=True)
    moved = scenario.resource(DestinationConfiguration=to_stream("elsewhere"), Tags=[{"Key": "a", "Value": "1"}])
    assert scenario.update(Destination=moved).status == "UPDATE_COMPLETE"
    assert killed.is_set()
    assert scenario.was_retried("Update")
    (arn,) = scenario.ours()
    assert scenario.appfabric.destinations[arn].tags["a"] == "1"
    assert "elsewhere" in str(scenario.appfabric.destinations[arn].destination)


def dies_in_the_middle_of_a_replacement(scenario: Scenario) -> None:
    scenario.create()
    (old,) = scenario.ours()
    killed = scenario.kill_at("CreateIngestionDestination", after=True)
    assert scenario.update(Destination=scenario.resource(**RAW)).status == "UPDATE_COMPLETE"
    assert killed.is_set()
    assert scenario.was_retried("Update")
    assert len(scenario.ours() - {old}) == 1


def cannot_be_replaced(scenario: Scenario) -> None:
    scenario.create()
    before = scenario.ours()
    scenario.appfabric.inject(Outcome(operation="CreateIngestionDestination", status="Failed", status_reason="Full"))
    assert scenario.update(Destination=scenario.resource(**RAW)).status == "UPDATE_ROLLBACK_COMPLETE"
    assert scenario.ours() == before


def is_replaced_and_rolled_back(scenario: Scenario) -> None:
    scenario.create()
    before = scenario.ours()
    wrong = scenario.resource(DestinationConfiguration=WRONG) | {"DependsOn": "Destination"}
    assert scenario.update(Destination=scenario.resource(**RAW), Wrong=wrong).status == "UPDATE_ROLLBACK_COMPLETE"
    assert scenario.ours() == before


def dies_after_its_delete_took_effect(scenario: Scenario) -> None:
    scenario.create()
    killed = scenario.kill_at("DeleteIngestionDestination", after=True)
    assert scenario.delete().status == "DELETE_COMPLETE"
    assert killed.is_set()
    assert scenario.was_retried("Delete")


def cannot_be_deleted_at_first(scenario: Scenario) -> None:
    scenario.create()
    scenario.appfabric.inject(Fault(operation="DeleteIngestionDestination", error="ThrottlingException", times=9999))
    assert scenario.delete().status == "DELETE_FAILED"
    assert scenario.ours()
    scenario.appfabric.clear_injections()


SCENARIOS = (
    has_no_response_to_its_create,  # takes longest
    dies_before_its_create_took_effect,
    dies_after_its_create_took_effect,
    dies_and_is_throttled_then,
    is_canceled_while_its_create_runs,
    is_canceled_and_its_container_dies,
    fails_to_become_active,
    dies_in_the_middle_of_a_change,
    dies_in_the_middle_of_a_replacement,
    cannot_be_replaced,
    is_replaced_and_rolled_back,
    dies_after_its_delete_took_effect,
    cannot_be_deleted_at_first,
)


def run(steps: Callable[[Scenario], None], cloudformation: CloudFormation) -> str:
    """Run one scenario to its end, check what must hold after each, and return its log."""
    name = steps.__name__.replace("_", "-")
    appfabric = AppFabricEmulator()
    with serve(appfabric) as endpoint:
        scenario = Scenario(name, cloudformation, appfabric, _function(cloudformation, name, endpoint))
        try:
            steps(scenario)
            if cloudformation.stack(scenario.stack.id).status != "DELETE_COMPLETE":
                assert scenario.ours() <= scenario.ids()
                assert scenario.delete().status == "DELETE_COMPLETE"
            assert not scenario.ours()
            assert {HAND_MADE, OF_ANOTHER_STACK} == appfabric.destinations.keys()
        except Exception as error:
            for event in scenario.events():
                error.add_note(str(event))
            error.add_note(scenario.log())
            raise
        return scenario.log()


def _function(cloudformation: CloudFormation, name: str, endpoint: str) -> str:
    function = {
        "Type": "AWS::Lambda::Function",
        "Properties": {
            "Code": {"S3Bucket": "code", "S3Key": "function.zip"},
            "Handler": "app.lambda_handler",
            "Runtime": "python3.13",
            "Role": "arn:aws:iam::123456789012:role/none",
            "Timeout": LIMIT,
            "Environment": {"Variables": {"AWS_ENDPOINT_URL_APPFABRIC": endpoint, **EVERYTHING_LOGGED}},
        },
    }
    template = {"Resources": {"F": function}, "Outputs": {"Token": {"Value": {"Fn::GetAtt": ["F", "Arn"]}}}}
    return cloudformation.create_stack(f"of-{name}", json.dumps(template)).outputs["Token"]


@pytest.fixture(scope="module")
def scenarios(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Future[str]]]:
    certificates = Certificates.create(tmp_path_factory.mktemp("certificates"))
    with emulate(certificates=certificates, retry_seconds=0.5) as cloudformation:
        clients = {service: cloudformation.client(service) for service in ("s3", "cloudformation", "logs")}
        clients["s3"].create_bucket(Bucket="code")
        clients["s3"].put_object(Bucket="code", Key="function.zip", Body=_zip(ARTIFACT))
        with ThreadPoolExecutor(max_workers=5) as pool:
            yield {steps.__name__: pool.submit(run, steps, cloudformation) for steps in SCENARIOS}


def _zip(folder: Path) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for path in folder.rglob("*"):
            archive.write(path, path.relative_to(folder))
    return buffer.getvalue()


@pytest.mark.parametrize("steps", SCENARIOS, ids=lambda steps: steps.__name__)
def test_a_resource_that(scenarios: dict[str, Future[str]], steps: Callable[[Scenario], None]) -> None:
    scenarios[steps.__name__].result(timeout=120)


def test_no_log_of_any_holds_a_secret(scenarios: dict[str, Future[str]]) -> None:
    logs = "\n".join(
        scenario.result(timeout=120) for scenario in scenarios.values() if not scenario.exception(timeout=120)
    )
    assert '"level":"DEBUG"' in logs or "DEBUG" in logs
    assert "deleted an orphaned ingestion destination" in logs
    for secret in ("X-Amz-Signature", "X-Amz-Credential", "s3cr3t", "%7C"):
        assert secret not in logs
