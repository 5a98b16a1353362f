"""The local CloudFormation keeps AWS's contract for custom resources where ministack alone is looser.

Each test orders from a tiny function what it shall do with a request, and looks at what CloudFormation made
of it: the stack, its events, and the record of requests and answers.
"""

import contextlib
import json
import re
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from local.certificates import Certificates
from local.cloudformation import CloudFormation, CloudFormationError, CustomResourceRequest, Stack, emulate
from local.runtime import ROOT

HANDLER = """
import json, pathlib, time, urllib.request

runs = {}

def lambda_handler(event, context):
    orders = json.loads(event["ResourceProperties"].get("Orders", "{}"))
    order = orders.get(event["RequestType"], {})
    run = runs[event["RequestId"]] = runs.get(event["RequestId"], 0) + 1
    print("run", run, "of", event["RequestType"], event["LogicalResourceId"])
    while "until" in order and not pathlib.Path(order["until"]).exists():
        time.sleep(0.01)
    if run <= order.get("crashes", 0):
        raise RuntimeError("as ordered")
    if "mark" in order and not pathlib.Path(order["mark"]).exists():
        pathlib.Path(order["mark"]).touch()
        time.sleep(60)
    for change in order.get("answers", [{}]):
        answer = {
            "Status": "SUCCESS",
            "PhysicalResourceId": event.get("PhysicalResourceId", "thing-1"),
            "StackId": event["StackId"],
            "RequestId": event["RequestId"],
            "LogicalResourceId": event["LogicalResourceId"],
            **change,
        }
        body = json.dumps({key: value for key, value in answer.items() if value is not None})
        body = order.get("body", body + " " * (order.get("size", 0) - len(body)))
        urllib.request.urlopen(urllib.request.Request(
            event["ResponseURL"], body.encode(), {"Content-Type": ""}, method="PUT"
        ))
    if order.get("crashes after answering"):
        raise RuntimeError("as ordered")
"""

FUNCTION: dict[str, Any] = {
    "Type": "AWS::Lambda::Function",
    "Properties": {
        "Code": {"ZipFile": HANDLER},
        "Handler": "index.lambda_handler",
        "Runtime": "python3.13",
        "Role": "arn:aws:iam::123456789012:role/none",
        "Timeout": 10,
    },
}

PROVIDER = json.dumps(
    {
        "Resources": {"Function": FUNCTION},
        "Outputs": {"Token": {"Value": {"Fn::GetAtt": ["Function", "Arn"]}}},
    }
)

MADE_UP_ID = re.compile(r".+-Thing-[A-Z0-9]{12,13}")

FAILED: dict[str, Any] = {"answers": [{"Status": "FAILED", "Reason": "as ordered"}]}


@pytest.fixture(scope="module")
def cloudformation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CloudFormation]:
    certificates = Certificates.create(tmp_path_factory.mktemp("certificates"))
    with emulate(certificates=certificates, retry_seconds=0.05) as cloudformation:
        yield cloudformation


@pytest.fixture(scope="module")
def service_token(cloudformation: CloudFormation) -> str:
    """The function, in a stack of its own as in real life."""
    return cloudformation.create_stack("provider", PROVIDER).outputs["Token"]


class Life:
    """A stack of a test's own, with what CloudFormation sent for it."""

    def __init__(self, cloudformation: CloudFormation, service_token: str) -> None:
        self.cloudformation = cloudformation
        self.service_token = service_token
        self.name = f"life-{uuid.uuid4().hex[:8]}"

    def thing(self, orders: dict[str, Any] | None = None, **properties: Any) -> dict[str, Any]:
        return {
            "Type": "Custom::Thing",
            "Properties": {
                "ServiceToken": self.service_token,
                "ServiceTimeout": 20,
                "Orders": json.dumps(orders or {}),
                **properties,
            },
        }

    def create(self, orders: dict[str, Any] | None = None, **others: dict[str, Any]) -> Stack:
        self.stack = self.cloudformation.create_stack(self.name, self.template(orders, **others))
        return self.stack

    def update(self, orders: dict[str, Any] | None = None, **others: dict[str, Any]) -> Stack:
        self.stack = self.cloudformation.update_stack(self.name, self.template(orders, **others))
        return self.stack

    def delete(self) -> Stack:
        return self.cloudformation.delete_stack(self.name)

    def template(self, orders: dict[str, Any] | None, **others: dict[str, Any]) -> str:
        return json.dumps({"Resources": {"Thing": self.thing(orders), **others}})

    def requests(self, logical_id: str = "Thing") -> list[CustomResourceRequest]:
        return [
            request
            for request in self.cloudformation.activity.requests()
            if request.event["StackId"] == self.stack.id and request.event["LogicalResourceId"] == logical_id
        ]

    def types(self, logical_id: str = "Thing") -> list[str]:
        return [request.event["RequestType"] for request in self.requests(logical_id)]

    def reasons(self, logical_id: str = "Thing") -> list[str]:
        events = self.cloudformation.events(self.stack.id)
        return [e.reason for e in events if e.logical_id == logical_id and e.status.endswith("FAILED")]

    def statuses(self, logical_id: str) -> list[str]:
        return [e.status for e in self.cloudformation.events(self.stack.id) if e.logical_id == logical_id]

    def wait_for_runs(self, count: int, *, timeout: float = 10) -> None:
        self.cloudformation.wait(lambda: len(self.requests()[0].invocations) >= count, timeout=timeout)


@pytest.fixture
def life(cloudformation: CloudFormation, service_token: str) -> Life:
    return Life(cloudformation, service_token)


# The request


def test_a_life_from_create_to_delete(life: Life) -> None:
    assert life.create().status == "CREATE_COMPLETE"
    assert life.update({"unused": 1}).status == "UPDATE_COMPLETE"
    assert life.delete().status == "DELETE_COMPLETE"

    create, update, delete = (request.event for request in life.requests())
    assert [create["RequestType"], update["RequestType"], delete["RequestType"]] == [
        "Create",
        "Update",
        "Delete",
    ]
    assert "PhysicalResourceId" not in create
    assert update["PhysicalResourceId"] == delete["PhysicalResourceId"] == "thing-1"
    assert update["OldResourceProperties"] == create["ResourceProperties"]
    assert delete["ResourceProperties"] == update["ResourceProperties"]
    assert "OldResourceProperties" not in delete


def test_a_request_has_every_field_of_a_real_one(life: Life) -> None:
    thing = life.thing(Number=14, Switch=True, Nested={"Numbers": [1.5, False]}, Nothing={"Ref": "AWS::NoValue"})
    life.create(Thing=thing)

    (create,) = (request.event for request in life.requests())
    properties = create["ResourceProperties"]
    assert create["ServiceToken"] == properties["ServiceToken"] == life.service_token
    assert create["ResourceType"] == "Custom::Thing"
    assert uuid.UUID(create["RequestId"])
    assert "X-Amz-Date=" in create["ResponseURL"]
    assert properties["ServiceTimeout"] == "20"
    assert (properties["Number"], properties["Switch"]) == ("14", "true")
    assert properties["Nested"] == {"Numbers": ["1.5", "false"]}
    assert "Nothing" not in properties


def test_ref_and_getatt_are_what_the_answer_says(life: Life) -> None:
    first = life.thing({"Create": {"answers": [{"Data": {"Colour": "red"}}]}})
    second = life.thing(Id={"Ref": "Thing"}, Colour={"Fn::GetAtt": ["Thing", "Colour"]})

    assert life.create(Thing=first, Second=second).status == "CREATE_COMPLETE"

    properties = life.requests("Second")[0].event["ResourceProperties"]
    assert (properties["Id"], properties["Colour"]) == ("thing-1", "red")


# The answer


BROKEN = {
    "too long": ({"size": 4097}, "Response object is too long."),
    "no JSON": ({"body": "SUCCESS"}, "Response is not valid JSON"),
    "no object": ({"body": "[]"}, "Response is not valid JSON"),
    "no status": ({"answers": [{"Status": None}]}, "Invalid Status"),
    "odd status": ({"answers": [{"Status": "success"}]}, "Invalid Status"),
    "no id": ({"answers": [{"PhysicalResourceId": None}]}, "Invalid PhysicalResourceId"),
    "empty id": ({"answers": [{"PhysicalResourceId": ""}]}, "Invalid PhysicalResourceId"),
    "long id": ({"answers": [{"PhysicalResourceId": "x" * 1025}]}, "Invalid PhysicalResourceId"),
    "another stack": ({"answers": [{"StackId": "other"}]}, "Invalid StackId"),
    "another request": ({"answers": [{"RequestId": "other"}]}, "Invalid RequestId"),
    "another resource": ({"answers": [{"LogicalResourceId": "other"}]}, "Invalid LogicalResourceId"),
    "no reason": ({"answers": [{"Status": "FAILED"}]}, "Invalid Reason"),
    "nested data": ({"answers": [{"Data": {"A": {"B": "C"}}}]}, "Value of property Data must be an object"),
}


@pytest.mark.parametrize(("order", "problem"), BROKEN.values(), ids=BROKEN.keys())
def test_an_answer_that_breaks_the_contract_fails_the_request(life: Life, order: dict[str, Any], problem: str) -> None:
    assert life.create({"Create": order}).status == "ROLLBACK_COMPLETE"

    assert life.reasons()[0].startswith(problem)
    assert life.types() == ["Create", "Delete"]
    assert MADE_UP_ID.fullmatch(life.requests()[1].event["PhysicalResourceId"])


@pytest.mark.parametrize(
    "order", [{"size": 4096}, {"answers": [{"PhysicalResourceId": "x" * 1024}]}], ids=["answer", "id"]
)
def test_the_limits_are_inclusive(life: Life, order: dict[str, Any]) -> None:
    assert life.create({"Create": order}).status == "CREATE_COMPLETE"


def test_the_first_answer_counts(life: Life) -> None:
    order = {"answers": [{"PhysicalResourceId": "first"}, {"Status": "FAILED", "Reason": "second"}]}

    assert life.create({"Create": order}).status == "CREATE_COMPLETE"

    life.wait_for_runs(1)
    (create,) = life.requests()
    assert len(create.responses) == 2
    assert create.outcome is not None
    assert create.outcome["physical_resource_id"] == "first"


# Failures


def test_a_failed_create_is_deleted_by_the_id_of_its_answer(life: Life) -> None:
    answer = {"Status": "FAILED", "Reason": "as ordered", "PhysicalResourceId": "half-made"}

    assert life.create({"Create": {"answers": [answer]}}).status == "ROLLBACK_COMPLETE"

    assert "Message returned: as ordered" in life.reasons()[0]
    assert life.types() == ["Create", "Delete"]
    assert life.requests()[1].event["PhysicalResourceId"] == "half-made"
    assert life.statuses("Thing")[-2:] == ["DELETE_IN_PROGRESS", "DELETE_COMPLETE"]


def test_a_failed_create_in_an_update_is_deleted_too(life: Life) -> None:
    life.create()

    assert life.update(New=life.thing({"Create": FAILED})).status == "UPDATE_ROLLBACK_COMPLETE"

    assert life.types("New") == ["Create", "Delete"]
    assert life.types() == ["Create"]


def test_a_create_that_is_not_answered_in_time_is_deleted_by_a_made_up_id(life: Life) -> None:
    never = life.thing({"Create": {"answers": []}}, ServiceTimeout=1)

    assert life.create(Thing=never).status == "ROLLBACK_COMPLETE"

    assert "did not receive a response from your Custom Resource" in life.reasons()[0]
    assert life.types() == ["Create", "Delete"]
    assert MADE_UP_ID.fullmatch(life.requests()[1].event["PhysicalResourceId"])


def test_a_failing_delete_of_a_failed_create_fails_the_rollback(life: Life) -> None:
    assert life.create({"Create": FAILED, "Delete": FAILED}).status == "ROLLBACK_FAILED"


def test_a_delete_that_is_answered_with_another_id_has_failed(life: Life) -> None:
    life.create({"Delete": {"answers": [{"PhysicalResourceId": "other"}]}})

    assert life.delete().status == "DELETE_FAILED"
    assert "PhysicalResourceId" in life.reasons()[0]


def test_a_failed_update_is_sent_back(life: Life) -> None:
    life.create()

    assert life.update({"Update": FAILED}).status == "UPDATE_ROLLBACK_COMPLETE"

    _, update, back = (request.event for request in life.requests())
    assert back["RequestType"] == "Update"
    assert back["RequestId"] != update["RequestId"]
    assert back["ResourceProperties"] == update["OldResourceProperties"]
    assert back["OldResourceProperties"] == update["ResourceProperties"]


def test_an_update_with_another_id_is_a_replacement(life: Life) -> None:
    life.create()

    assert life.update({"Update": {"answers": [{"PhysicalResourceId": "thing-2"}]}}).status == "UPDATE_COMPLETE"

    create, _, delete = (request.event for request in life.requests())
    assert delete["RequestType"] == "Delete"
    assert delete["PhysicalResourceId"] == "thing-1"
    assert delete["ResourceProperties"] == create["ResourceProperties"]


def test_a_custom_resource_keeps_its_type(life: Life) -> None:
    life.create()

    assert life.update(Thing=life.thing() | {"Type": "Custom::Other"}).status == "UPDATE_ROLLBACK_COMPLETE"
    assert life.types() == ["Create"]


def test_code_that_is_not_there_fails_the_function_at_once(life: Life) -> None:
    assert life.create(Function=without_code(life.cloudformation)).status == "ROLLBACK_COMPLETE"
    assert "The specified key does not exist" in life.reasons("Function")[0]


def without_code(cloudformation: CloudFormation) -> dict[str, Any]:
    cloudformation.client("s3").create_bucket(Bucket="empty")
    code = {"S3Bucket": "empty", "S3Key": "missing.zip"}
    return FUNCTION | {"Properties": FUNCTION["Properties"] | {"Code": code}}


# The invocation


def test_a_run_that_failed_is_repeated_with_the_same_event(life: Life) -> None:
    assert life.create({"Create": {"crashes": 2}}).status == "CREATE_COMPLETE"

    life.wait_for_runs(3)
    (create,) = life.requests()
    assert [run["error"] for run in create.invocations] == 2 * ["RuntimeError: as ordered"] + [None]
    assert len(create.responses) == 1


def test_a_run_that_timed_out_is_repeated(life: Life, tmp_path: Path) -> None:
    short = FUNCTION | {"Properties": FUNCTION["Properties"] | {"Timeout": 3}}
    thing = life.thing({"Create": {"mark": str(tmp_path / "mark")}}, ServiceToken=arn("Short"))

    assert life.create(Short=short, Thing=thing).status == "CREATE_COMPLETE"

    life.wait_for_runs(2)
    errors = [run["error"] for run in life.requests()[0].invocations]
    assert errors == ["Sandbox.Timedout: Task timed out after 3.00 seconds", None]


def test_an_answer_counts_though_its_run_failed(life: Life) -> None:
    assert life.create({"Create": {"crashes after answering": True}}).status == "CREATE_COMPLETE"

    life.wait_for_runs(3)
    assert len(life.requests()[0].responses) == 3


def test_the_runs_are_as_many_as_configured_and_the_event_goes_to_the_failure_queue(
    cloudformation: CloudFormation, service_token: str
) -> None:
    config = {
        "FunctionName": {"Ref": "Function"},
        "Qualifier": "$LATEST",
        "MaximumRetryAttempts": 0,
        "DestinationConfig": {"OnFailure": {"Destination": arn("Queue")}},
    }
    provider = {
        "Resources": {
            "Function": FUNCTION,
            "Queue": {"Type": "AWS::SQS::Queue"},
            "Config": {"Type": "AWS::Lambda::EventInvokeConfig", "Properties": config},
        },
        "Outputs": {"Token": {"Value": arn("Function")}, "Queue": {"Value": {"Ref": "Queue"}}},
    }
    outputs = cloudformation.create_stack("once", json.dumps(provider)).outputs
    life = Life(cloudformation, outputs["Token"])

    life.create(Thing=life.thing({"Create": {"crashes": 1}}, ServiceTimeout=1))

    assert len(life.requests()[0].invocations) == 1
    queue = cloudformation.client("sqs")
    (message,) = queue.receive_message(QueueUrl=outputs["Queue"], WaitTimeSeconds=5)["Messages"]
    assert json.loads(message["Body"])["requestPayload"] == life.requests()[0].event


def arn(logical_id: str) -> dict[str, list[str]]:
    return {"Fn::GetAtt": [logical_id, "Arn"]}


# Resources side by side


@pytest.mark.parametrize("failing", ["A", "Z"])
def test_a_create_is_cancelled_when_another_one_fails(life: Life, tmp_path: Path, failing: str) -> None:
    end = tmp_path / "end"
    slow = life.thing({"Create": {"until": str(end)}})

    stack = life.create(Thing=slow, **{failing: life.thing({"Create": FAILED})})

    assert stack.status == "ROLLBACK_COMPLETE"

    create, delete = life.requests()
    assert create.outcome is None  # its function is still at work
    assert delete.event["RequestType"] == "Delete"
    assert MADE_UP_ID.fullmatch(delete.event["PhysicalResourceId"])
    assert life.reasons() == ["Resource creation cancelled"]
    assert life.types(failing) == ["Create", "Delete"]
    assert "as ordered" in life.reasons(failing)[0]

    end.touch()
    life.cloudformation.wait(lambda: len(life.requests()[0].responses) == 1, timeout=5)
    assert life.cloudformation.stack(life.stack.id).status == "ROLLBACK_COMPLETE"


def test_what_was_begun_beside_a_failure_is_rolled_back(life: Life) -> None:
    failing = without_code(life.cloudformation) | {"DependsOn": "Thing"}

    assert life.create(Zero=life.thing(), Failing=failing).status == "ROLLBACK_COMPLETE"

    assert life.types() == life.types("Zero") == ["Create", "Delete"]


def test_a_function_that_is_not_there_is_told(life: Life) -> None:
    lost = life.thing(ServiceToken=life.service_token + "-lost")

    assert life.create(Lost=lost).status == "ROLLBACK_COMPLETE"

    assert "Lambda function not found" in life.reasons("Lost")[0]
    assert "Delete" not in life.types("Lost")


def test_nothing_is_begun_after_a_failure(life: Life) -> None:
    third = life.thing() | {"DependsOn": "Thing"}

    life.create(A=life.thing({"Create": FAILED}), Third=third)

    assert life.types("Third") == []


def test_a_resource_waits_for_what_it_depends_on(life: Life) -> None:
    second = life.thing() | {"DependsOn": "Thing"}

    assert life.create({"Create": FAILED}, Second=second).status == "ROLLBACK_COMPLETE"

    assert life.types("Second") == []


# The service


def test_sam_deploys_and_tells_why_it_failed(cloudformation: CloudFormation, life: Life, tmp_path: Path) -> None:
    template = tmp_path / "template.json"
    template.write_text(
        json.dumps(
            {
                "Transform": "AWS::Serverless-2016-10-31",
                "Parameters": {"Orders": {"Type": "String", "Default": "{}"}},
                "Resources": {"Thing": life.thing()},
                "Outputs": {"Id": {"Value": {"Ref": "Thing"}}},
            }
        ).replace('"Orders": "{}"', '"Orders": {"Ref": "Orders"}')
    )

    stack = cloudformation.deploy(template, stack_name=life.name)

    assert stack.status == "CREATE_COMPLETE"
    assert stack.outputs == {"Id": "thing-1"}
    with pytest.raises(CloudFormationError, match="UPDATE_ROLLBACK_COMPLETE"):
        cloudformation.deploy(template, stack_name=life.name, parameters={"Orders": json.dumps({"Update": FAILED})})
    life.stack = stack
    assert "Message returned: as ordered" in life.reasons()[0]


def test_the_functions_log_is_in_its_group(life: Life) -> None:
    life.create()
    life.wait_for_runs(1)
    name = life.service_token.rpartition(":")[2]

    life.cloudformation.wait(
        lambda: "run 1 of Create Thing" in life.cloudformation.function_log(f"/aws/lambda/{name}"), timeout=5
    )


@pytest.mark.parametrize(
    ("config", "level"),
    [
        ({}, None),
        ({"LogFormat": "JSON"}, "INFO"),
        ({"LogFormat": "JSON", "ApplicationLogLevel": "WARN"}, "WARN"),
    ],
    ids=str,
)
def test_a_function_finds_its_log_level_in_its_environment(
    cloudformation: CloudFormation, config: dict[str, str], level: str | None
) -> None:
    code = "import os\ndef lambda_handler(event, context): return os.environ.get('AWS_LAMBDA_LOG_LEVEL')"
    properties = {**FUNCTION["Properties"], "Code": {"ZipFile": code}, **({"LoggingConfig": config} if config else {})}
    template = {
        "Resources": {"Function": {**FUNCTION, "Properties": properties}},
        "Outputs": {"Name": {"Value": {"Ref": "Function"}}},
    }
    stack = cloudformation.create_stack(f"logs-{uuid.uuid4().hex[:8]}", json.dumps(template))
    invoked = cloudformation.client("lambda").invoke(FunctionName=stack.outputs["Name"])
    assert json.loads(invoked["Payload"].read()) == level


def test_it_listens_on_this_machine_only_and_at_its_own_port(tmp_path: Path) -> None:
    before = listening()
    with emulate(certificates=Certificates.create(tmp_path)) as cloudformation:
        new = listening() - before

    assert ("0100007F", int(cloudformation.endpoint.rpartition(":")[2])) in new  # 127.0.0.1
    assert 443 not in {port for _, port in new}


def listening() -> set[tuple[str, int]]:
    """Address and port of every TCP socket that listens on IPv4."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    pairs = [row[1].split(":") for row in rows if row[3] == "0A"]
    return {(address, int(port, 16)) for address, port in pairs}


def test_nothing_is_left_behind(tmp_path: Path) -> None:
    with emulate(certificates=Certificates.create(tmp_path)) as cloudformation:
        token = cloudformation.create_stack("provider", PROVIDER).outputs["Token"]
        Life(cloudformation, token).create()
        directory = cloudformation.directory
        assert len(working_in(directory)) == 3  # ministack, the emulator and the function

    assert working_in(directory) == []
    assert not directory.exists()


def working_in(directory: Path) -> list[str]:
    """The processes whose working directory is there or below."""
    found = []
    for link in Path("/proc").glob("[0-9]*/cwd"):
        with contextlib.suppress(OSError):
            if link.readlink().is_relative_to(directory):
                found.append(link.parent.name)
    return found


def test_another_version_of_ministack_is_refused() -> None:
    run = subprocess.run(
        [str(ROOT / ".venv-cloudformation" / "bin" / "python"), "-c", OTHER_VERSION],
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )

    assert "is for ministack 1.5.33, and this is 9.9.9" in run.stderr


OTHER_VERSION = """
import importlib.metadata
importlib.metadata.version = lambda name: "9.9.9"
from local.cloudformation import ministack_patches
ministack_patches.install(custom_resources=None, functions=None, activity=None)
"""


@pytest.mark.parametrize(
    "wrong", [{"ServiceTimeout": "abc"}, {"ServiceTimeout": 0}, {"ServiceTimeout": 3601}, {"ServiceToken": ""}], ids=str
)
def test_what_cloudformation_itself_asks_of_the_properties_is_asked_before_anything_is_sent(
    life: Life, wrong: dict[str, Any]
) -> None:
    template = {"Resources": {"Thing": life.thing(**wrong)}}
    life.stack = life.cloudformation.create_stack(life.name, json.dumps(template))
    assert life.stack.status == "ROLLBACK_COMPLETE"
    assert any(f"Property {next(iter(wrong))}" in event.reason for event in life.cloudformation.events(life.stack.id))
    assert not [r for r in life.cloudformation.activity.requests() if r.event["StackId"] == life.stack.id]
