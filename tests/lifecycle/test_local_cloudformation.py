"""The local CloudFormation keeps AWS's contract for custom resources where ministack alone is looser.

Each test sets how a tiny function behaves at a request, and looks at the result: the stack, its events, and the log of
requests and responses.
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

invocations = {}

def lambda_handler(event, context):
    behavior = json.loads(event["ResourceProperties"].get("Behavior", "{}")).get(event["RequestType"], {})
    invocation = invocations[event["RequestId"]] = invocations.get(event["RequestId"], 0) + 1
    print("invocation", invocation, "of", event["RequestType"], event["LogicalResourceId"])
    while "until" in behavior and not pathlib.Path(behavior["until"]).exists():
        time.sleep(0.01)
    if invocation <= behavior.get("crashes", 0):
        raise RuntimeError("as asked")
    if "mark" in behavior and not pathlib.Path(behavior["mark"]).exists():
        pathlib.Path(behavior["mark"]).touch()
        time.sleep(60)
    for change in behavior.get("responses", [{}]):
        response = {
            "Status": "SUCCESS",
            "PhysicalResourceId": event.get("PhysicalResourceId", "thing-1"),
            "StackId": event["StackId"],
            "RequestId": event["RequestId"],
            "LogicalResourceId": event["LogicalResourceId"],
            **change,
        }
        body = json.dumps({key: value for key, value in response.items() if value is not None})
        body = behavior.get("body", body + " " * (behavior.get("size", 0) - len(body)))
        urllib.request.urlopen(urllib.request.Request(
            event["ResponseURL"], body.encode(), {"Content-Type": ""}, method="PUT"
        ))
    if behavior.get("crashes after responding"):
        raise RuntimeError("as asked")
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

FAILED: dict[str, Any] = {"responses": [{"Status": "FAILED", "Reason": "as asked"}]}


@pytest.fixture(scope="module")
def cloudformation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CloudFormation]:
    certificates = Certificates.create(tmp_path_factory.mktemp("certificates"))
    with emulate(certificates=certificates, retry_seconds=0.05) as cloudformation:
        yield cloudformation


@pytest.fixture(scope="module")
def service_token(cloudformation: CloudFormation) -> str:
    """The function, in a stack of its own as in real scenario."""
    return cloudformation.create_stack("provider", PROVIDER).outputs["Token"]


class Scenario:
    """A stack of a test's own, with what CloudFormation sent for it."""

    def __init__(self, cloudformation: CloudFormation, service_token: str) -> None:
        self.cloudformation = cloudformation
        self.service_token = service_token
        self.name = f"scenario-{uuid.uuid4().hex[:8]}"

    def thing(self, behavior: dict[str, Any] | None = None, **properties: Any) -> dict[str, Any]:
        return {
            "Type": "Custom::Thing",
            "Properties": {
                "ServiceToken": self.service_token,
                "ServiceTimeout": 20,
                "Behavior": json.dumps(behavior or {}),
                **properties,
            },
        }

    def create(self, behavior: dict[str, Any] | None = None, **others: dict[str, Any]) -> Stack:
        self.stack = self.cloudformation.create_stack(self.name, self.template(behavior, **others))
        return self.stack

    def update(self, behavior: dict[str, Any] | None = None, **others: dict[str, Any]) -> Stack:
        self.stack = self.cloudformation.update_stack(self.name, self.template(behavior, **others))
        return self.stack

    def delete(self) -> Stack:
        return self.cloudformation.delete_stack(self.name)

    def template(self, behavior: dict[str, Any] | None, **others: dict[str, Any]) -> str:
        return json.dumps({"Resources": {"Thing": self.thing(behavior), **others}})

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

    def wait_for_invocations(self, count: int, *, timeout: float = 10) -> None:
        self.cloudformation.wait(lambda: len(self.requests()[0].invocations) >= count, timeout=timeout)


@pytest.fixture
def scenario(cloudformation: CloudFormation, service_token: str) -> Scenario:
    return Scenario(cloudformation, service_token)


# The request


def test_a_stack_from_create_to_delete(scenario: Scenario) -> None:
    assert scenario.create().status == "CREATE_COMPLETE"
    assert scenario.update({"unused": 1}).status == "UPDATE_COMPLETE"
    assert scenario.delete().status == "DELETE_COMPLETE"

    create, update, delete = (request.event for request in scenario.requests())
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


def test_a_request_has_every_field_of_a_real_one(scenario: Scenario) -> None:
    thing = scenario.thing(Number=14, Switch=True, Nested={"Numbers": [1.5, False]}, Nothing={"Ref": "AWS::NoValue"})
    scenario.create(Thing=thing)

    (create,) = (request.event for request in scenario.requests())
    properties = create["ResourceProperties"]
    assert create["ServiceToken"] == properties["ServiceToken"] == scenario.service_token
    assert create["ResourceType"] == "Custom::Thing"
    assert uuid.UUID(create["RequestId"])
    assert "X-Amz-Date=" in create["ResponseURL"]
    assert properties["ServiceTimeout"] == "20"
    assert (properties["Number"], properties["Switch"]) == ("14", "true")
    assert properties["Nested"] == {"Numbers": ["1.5", "false"]}
    assert "Nothing" not in properties


def test_ref_and_getatt_are_what_the_response_says(scenario: Scenario) -> None:
    first = scenario.thing({"Create": {"responses": [{"Data": {"Color": "red"}}]}})
    second = scenario.thing(Id={"Ref": "Thing"}, Color={"Fn::GetAtt": ["Thing", "Color"]})

    assert scenario.create(Thing=first, Second=second).status == "CREATE_COMPLETE"

    properties = scenario.requests("Second")[0].event["ResourceProperties"]
    assert (properties["Id"], properties["Color"]) == ("thing-1", "red")


# The response


BROKEN = {
    "too long": ({"size": 4097}, "Response object is too long."),
    "no JSON": ({"body": "SUCCESS"}, "Response is not valid JSON"),
    "no object": ({"body": "[]"}, "Response is not valid JSON"),
    "no status": ({"responses": [{"Status": None}]}, "Invalid Status"),
    "odd status": ({"responses": [{"Status": "success"}]}, "Invalid Status"),
    "no id": ({"responses": [{"PhysicalResourceId": None}]}, "Invalid PhysicalResourceId"),
    "empty id": ({"responses": [{"PhysicalResourceId": ""}]}, "Invalid PhysicalResourceId"),
    "long id": ({"responses": [{"PhysicalResourceId": "x" * 1025}]}, "Invalid PhysicalResourceId"),
    "another stack": ({"responses": [{"StackId": "other"}]}, "Invalid StackId"),
    "another request": ({"responses": [{"RequestId": "other"}]}, "Invalid RequestId"),
    "another resource": ({"responses": [{"LogicalResourceId": "other"}]}, "Invalid LogicalResourceId"),
    "no reason": ({"responses": [{"Status": "FAILED"}]}, "Invalid Reason"),
    "nested data": ({"responses": [{"Data": {"A": {"B": "C"}}}]}, "Value of property Data must be an object"),
}


@pytest.mark.parametrize(("behavior", "problem"), BROKEN.values(), ids=BROKEN.keys())
def test_a_response_that_breaks_the_contract_fails_the_request(
    scenario: Scenario, behavior: dict[str, Any], problem: str
) -> None:
    assert scenario.create({"Create": behavior}).status == "ROLLBACK_COMPLETE"

    assert scenario.reasons()[0].startswith(problem)
    assert scenario.types() == ["Create", "Delete"]
    assert MADE_UP_ID.fullmatch(scenario.requests()[1].event["PhysicalResourceId"])


@pytest.mark.parametrize(
    "behavior", [{"size": 4096}, {"responses": [{"PhysicalResourceId": "x" * 1024}]}], ids=["response", "id"]
)
def test_the_limits_are_inclusive(scenario: Scenario, behavior: dict[str, Any]) -> None:
    assert scenario.create({"Create": behavior}).status == "CREATE_COMPLETE"


def test_the_first_response_counts(scenario: Scenario) -> None:
    behavior = {"responses": [{"PhysicalResourceId": "first"}, {"Status": "FAILED", "Reason": "second"}]}

    assert scenario.create({"Create": behavior}).status == "CREATE_COMPLETE"

    scenario.wait_for_invocations(1)
    (create,) = scenario.requests()
    assert len(create.responses) == 2
    assert create.outcome is not None
    assert create.outcome["physical_resource_id"] == "first"


# Failures


def test_a_failed_create_is_deleted_by_the_id_of_its_response(scenario: Scenario) -> None:
    response = {"Status": "FAILED", "Reason": "as asked", "PhysicalResourceId": "half-created"}

    assert scenario.create({"Create": {"responses": [response]}}).status == "ROLLBACK_COMPLETE"

    assert "Message returned: as asked" in scenario.reasons()[0]
    assert scenario.types() == ["Create", "Delete"]
    assert scenario.requests()[1].event["PhysicalResourceId"] == "half-created"
    assert scenario.statuses("Thing")[-2:] == ["DELETE_IN_PROGRESS", "DELETE_COMPLETE"]


def test_a_failed_create_in_an_update_is_deleted_too(scenario: Scenario) -> None:
    scenario.create()

    assert scenario.update(New=scenario.thing({"Create": FAILED})).status == "UPDATE_ROLLBACK_COMPLETE"

    assert scenario.types("New") == ["Create", "Delete"]
    assert scenario.types() == ["Create"]


def test_a_create_that_gets_no_response_in_time_is_deleted_by_a_made_up_id(scenario: Scenario) -> None:
    never = scenario.thing({"Create": {"responses": []}}, ServiceTimeout=1)

    assert scenario.create(Thing=never).status == "ROLLBACK_COMPLETE"

    assert "did not receive a response from your Custom Resource" in scenario.reasons()[0]
    assert scenario.types() == ["Create", "Delete"]
    assert MADE_UP_ID.fullmatch(scenario.requests()[1].event["PhysicalResourceId"])


def test_a_failing_delete_of_a_failed_create_fails_the_rollback(scenario: Scenario) -> None:
    assert scenario.create({"Create": FAILED, "Delete": FAILED}).status == "ROLLBACK_FAILED"
    assert scenario.delete().status == "DELETE_FAILED"
    assert scenario.types() == ["Create", "Delete", "Delete"]


def test_a_delete_that_is_responded_to_with_another_id_has_failed(scenario: Scenario) -> None:
    scenario.create({"Delete": {"responses": [{"PhysicalResourceId": "other"}]}})

    assert scenario.delete().status == "DELETE_FAILED"
    assert "PhysicalResourceId" in scenario.reasons()[0]


def test_what_a_resource_depends_on_is_kept_when_its_delete_fails(scenario: Scenario) -> None:
    topic: dict[str, Any] = {"Type": "AWS::SNS::Topic"}
    indirect = topic | {"Properties": {"DisplayName": {"Fn::GetAtt": ["Named", "TopicName"]}}}
    thing = scenario.thing({"Delete": FAILED}, Topic={"Ref": "Indirect"}) | {"DependsOn": "Ordered"}
    others = {"Named": topic, "Indirect": indirect, "Ordered": topic, "Free": topic}
    scenario.create(Thing=thing, **others)

    stack = scenario.delete()

    assert stack.status == "DELETE_FAILED"
    assert stack.reason == "The following resource(s) failed to delete: [Thing]."
    client = scenario.cloudformation.client("cloudformation")
    resources = client.describe_stack_resources(StackName=scenario.name)["StackResources"]
    assert {each["LogicalResourceId"]: each["ResourceStatus"] for each in resources} == {
        "Thing": "DELETE_FAILED",
        **dict.fromkeys(["Named", "Indirect", "Ordered"], "CREATE_COMPLETE"),
    }
    assert scenario.statuses("Indirect") == ["CREATE_IN_PROGRESS", "CREATE_COMPLETE"]

    client.delete_stack(StackName=scenario.name, RetainResources=["Thing"])
    scenario.cloudformation.wait(
        lambda: scenario.cloudformation.stack(stack.id).status == "DELETE_COMPLETE", timeout=60
    )
    assert scenario.statuses("Indirect")[-1] == "DELETE_COMPLETE"


def test_a_failed_update_is_sent_back(scenario: Scenario) -> None:
    scenario.create()

    assert scenario.update({"Update": FAILED}).status == "UPDATE_ROLLBACK_COMPLETE"

    _, update, back = (request.event for request in scenario.requests())
    assert back["RequestType"] == "Update"
    assert back["RequestId"] != update["RequestId"]
    assert back["ResourceProperties"] == update["OldResourceProperties"]
    assert back["OldResourceProperties"] == update["ResourceProperties"]


def test_an_update_with_another_id_is_a_replacement(scenario: Scenario) -> None:
    scenario.create()

    assert scenario.update({"Update": {"responses": [{"PhysicalResourceId": "thing-2"}]}}).status == "UPDATE_COMPLETE"

    create, _, delete = (request.event for request in scenario.requests())
    assert delete["RequestType"] == "Delete"
    assert delete["PhysicalResourceId"] == "thing-1"
    assert delete["ResourceProperties"] == create["ResourceProperties"]


def test_a_custom_resource_keeps_its_type(scenario: Scenario) -> None:
    scenario.create()

    assert scenario.update(Thing=scenario.thing() | {"Type": "Custom::Other"}).status == "UPDATE_ROLLBACK_COMPLETE"
    assert scenario.types() == ["Create"]


def test_a_custom_resource_keeps_its_service_token(scenario: Scenario) -> None:
    scenario.create()
    moved = scenario.thing(ServiceToken=f"{scenario.service_token}-moved")

    assert scenario.update(Thing=moved).status == "UPDATE_ROLLBACK_COMPLETE"
    assert scenario.reasons() == ["Modifying service token is not allowed."]
    assert scenario.types() == ["Create"]


def test_an_update_continues_what_failed_and_was_not_rolled_back(scenario: Scenario) -> None:
    client = scenario.cloudformation.client("cloudformation")
    failing = scenario.template({"Create": FAILED})
    client.create_stack(StackName=scenario.name, TemplateBody=failing, DisableRollback=True)
    scenario.cloudformation.wait(
        lambda: scenario.cloudformation.stack(scenario.name).status == "CREATE_FAILED", timeout=60
    )
    with pytest.raises(client.exceptions.ClientError, match="No updates are to be performed"):
        client.update_stack(StackName=scenario.name, TemplateBody=failing)
    assert scenario.cloudformation.stack(scenario.name).status == "CREATE_FAILED"

    assert scenario.update().status == "UPDATE_COMPLETE"

    create, update = (request.event for request in scenario.requests())
    assert (create["RequestType"], update["RequestType"]) == ("Create", "Update")
    assert update["OldResourceProperties"] == create["ResourceProperties"]


@pytest.mark.parametrize("failing", ["Update", "Delete"])
def test_a_stack_whose_rollback_or_deletion_failed_takes_no_change_set(scenario: Scenario, failing: str) -> None:
    client = scenario.cloudformation.client("cloudformation")
    scenario.create({failing: FAILED})
    status = (
        scenario.update({failing: FAILED, "Delete": {}}).status if failing == "Update" else scenario.delete().status
    )
    assert status in ("UPDATE_ROLLBACK_FAILED", "DELETE_FAILED")
    with pytest.raises(client.exceptions.ClientError, match=rf"is in {status} state and can not be updated\."):
        client.create_change_set(StackName=scenario.name, ChangeSetName="refused", TemplateBody=scenario.template({}))
    assert scenario.cloudformation.stack(scenario.name).status == status
    assert not client.list_change_sets(StackName=scenario.name)["Summaries"]


def test_a_stack_that_is_at_work_takes_no_change_set(scenario: Scenario, tmp_path: Path) -> None:
    client, released = scenario.cloudformation.client("cloudformation"), tmp_path / "released"
    busy, other = scenario.template({"Create": {"until": str(released)}}), scenario.template({})
    client.create_stack(StackName=scenario.name, TemplateBody=busy)
    with pytest.raises(client.exceptions.ClientError, match=r"is in CREATE_IN_PROGRESS state and can not be updated\."):
        client.create_change_set(StackName=scenario.name, ChangeSetName="refused", TemplateBody=other)
    released.touch()


def test_a_stack_that_is_at_work_takes_no_change_set_that_was_created_before(
    scenario: Scenario, tmp_path: Path
) -> None:
    client, released = scenario.cloudformation.client("cloudformation"), tmp_path / "released"

    def wait_for(status: str) -> None:
        scenario.cloudformation.wait(lambda: scenario.cloudformation.stack(scenario.name).status == status, timeout=60)

    scenario.create({"Update": {"until": str(released)}})
    failing = scenario.template({"Update": FAILED})
    client.update_stack(StackName=scenario.name, TemplateBody=failing, DisableRollback=True)
    wait_for("UPDATE_FAILED")
    client.create_change_set(StackName=scenario.name, ChangeSetName="early", TemplateBody=scenario.template({}))
    client.rollback_stack(StackName=scenario.name)
    with pytest.raises(client.exceptions.ClientError, match=r"is in UPDATE_ROLLBACK_IN_PROGRESS state and can not be"):
        client.execute_change_set(StackName=scenario.name, ChangeSetName="early")
    released.touch()
    wait_for("UPDATE_ROLLBACK_COMPLETE")
    assert scenario.types() == ["Create", "Update", "Update"]


def test_a_functions_reserved_concurrency_is_what_its_template_says(scenario: Scenario) -> None:
    client = scenario.cloudformation.client("lambda")

    def function(**reserved: int) -> dict[str, Any]:
        name = {"FunctionName": f"{scenario.name}-reserved"}
        return FUNCTION | {"Properties": FUNCTION["Properties"] | name | reserved}

    def reserved() -> int | None:
        found = client.get_function_concurrency(FunctionName=f"{scenario.name}-reserved")
        return found.get("ReservedConcurrentExecutions")

    scenario.create(Reserved=function(ReservedConcurrentExecutions=3))
    assert reserved() == 3
    scenario.update(Reserved=function(ReservedConcurrentExecutions=0))
    assert reserved() == 0
    scenario.update(Reserved=function())
    assert reserved() is None


def test_code_that_is_not_there_fails_the_function_at_once(scenario: Scenario) -> None:
    assert scenario.create(Function=without_code(scenario.cloudformation)).status == "ROLLBACK_COMPLETE"
    assert "The specified key does not exist" in scenario.reasons("Function")[0]


def without_code(cloudformation: CloudFormation) -> dict[str, Any]:
    cloudformation.client("s3").create_bucket(Bucket="empty")
    code = {"S3Bucket": "empty", "S3Key": "missing.zip"}
    return FUNCTION | {"Properties": FUNCTION["Properties"] | {"Code": code}}


# The invocation


def test_an_invocation_that_failed_is_retried_with_the_same_event(scenario: Scenario) -> None:
    assert scenario.create({"Create": {"crashes": 2}}).status == "CREATE_COMPLETE"

    scenario.wait_for_invocations(3)
    (create,) = scenario.requests()
    assert [invocation["error"] for invocation in create.invocations] == 2 * ["RuntimeError: as asked"] + [None]
    assert len(create.responses) == 1


def test_an_invocation_that_timed_out_is_retried(scenario: Scenario, tmp_path: Path) -> None:
    short = FUNCTION | {"Properties": FUNCTION["Properties"] | {"Timeout": 3}}
    thing = scenario.thing({"Create": {"mark": str(tmp_path / "mark")}}, ServiceToken=arn("Short"))

    assert scenario.create(Short=short, Thing=thing).status == "CREATE_COMPLETE"

    scenario.wait_for_invocations(2)
    errors = [invocation["error"] for invocation in scenario.requests()[0].invocations]
    assert errors == ["Sandbox.Timedout: Task timed out after 3.00 seconds", None]


def test_a_response_counts_though_its_invocation_failed(scenario: Scenario) -> None:
    assert scenario.create({"Create": {"crashes after responding": True}}).status == "CREATE_COMPLETE"

    scenario.wait_for_invocations(3)
    assert len(scenario.requests()[0].responses) == 3


def test_the_invocations_are_as_many_as_configured_and_the_event_goes_to_the_failure_queue(
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
    scenario = Scenario(cloudformation, outputs["Token"])

    scenario.create(Thing=scenario.thing({"Create": {"crashes": 1}}, ServiceTimeout=1))

    queue = cloudformation.client("sqs")
    (message,) = queue.receive_message(QueueUrl=outputs["Queue"], WaitTimeSeconds=20)["Messages"]
    assert len(scenario.requests()[0].invocations) == 1
    assert json.loads(message["Body"])["requestPayload"] == scenario.requests()[0].event


def arn(logical_id: str) -> dict[str, list[str]]:
    return {"Fn::GetAtt": [logical_id, "Arn"]}


# Resources in parallel


@pytest.mark.parametrize("failing", ["A", "Z"])
def test_a_create_is_canceled_when_another_one_fails(scenario: Scenario, tmp_path: Path, failing: str) -> None:
    end = tmp_path / "end"
    slow = scenario.thing({"Create": {"until": str(end)}})

    stack = scenario.create(Thing=slow, **{failing: scenario.thing({"Create": FAILED})})

    assert stack.status == "ROLLBACK_COMPLETE"

    create, delete = scenario.requests()
    assert create.outcome is None  # its function is still at work
    assert delete.event["RequestType"] == "Delete"
    assert MADE_UP_ID.fullmatch(delete.event["PhysicalResourceId"])
    assert scenario.reasons() == ["Resource creation cancelled"]
    assert scenario.types(failing) == ["Create", "Delete"]
    assert "as asked" in scenario.reasons(failing)[0]

    end.touch()
    scenario.cloudformation.wait(lambda: len(scenario.requests()[0].responses) == 1, timeout=5)
    assert scenario.cloudformation.stack(scenario.stack.id).status == "ROLLBACK_COMPLETE"


def test_what_was_begun_beside_a_failure_is_rolled_back(scenario: Scenario) -> None:
    failing = without_code(scenario.cloudformation) | {"DependsOn": "Thing"}

    assert scenario.create(Zero=scenario.thing(), Failing=failing).status == "ROLLBACK_COMPLETE"

    assert scenario.types() == scenario.types("Zero") == ["Create", "Delete"]


def test_a_function_that_is_not_there_is_reported(scenario: Scenario) -> None:
    lost = scenario.thing(ServiceToken=scenario.service_token + "-lost")

    assert scenario.create(Lost=lost).status == "ROLLBACK_COMPLETE"

    assert scenario.reasons("Lost")[0].startswith(f"Function not found: {scenario.service_token}-lost")
    assert "Delete" not in scenario.types("Lost")


def test_nothing_is_begun_after_a_failure(scenario: Scenario) -> None:
    third = scenario.thing() | {"DependsOn": "Thing"}

    scenario.create(A=scenario.thing({"Create": FAILED}), Third=third)

    assert scenario.types("Third") == []


def test_a_resource_waits_for_what_it_depends_on(scenario: Scenario) -> None:
    second = scenario.thing() | {"DependsOn": "Thing"}

    assert scenario.create({"Create": FAILED}, Second=second).status == "ROLLBACK_COMPLETE"

    assert scenario.types("Second") == []


# Exports


class Exporter:
    """A stack that exports a value, and the names that it goes by."""

    def __init__(self, scenario: Scenario) -> None:
        self.cloudformation = scenario.cloudformation
        self.client = scenario.cloudformation.client("cloudformation")
        self.name, self.export = f"{scenario.name}-exporter", f"of-{scenario.name}"
        self.cloudformation.create_stack(self.name, self.template("first"))

    def template(self, value: str | None) -> str:
        """The stack's template that exports `value`, None for nothing."""
        exported = {"Out": {"Value": value, "Export": {"Name": self.export}}} if value else {}
        # ministack's change sets see no change where no resource changes
        queue = {"Type": "AWS::SQS::Queue", "Properties": {"VisibilityTimeout": len(value or "")}}
        return json.dumps({"Resources": {"Queue": queue}, "Outputs": exported})

    def update(self, value: str | None, *, by_change_set: bool) -> Stack:
        template = self.template(value)
        if not by_change_set:
            return self.cloudformation.update_stack(self.name, template)
        named = {"StackName": self.name, "ChangeSetName": "tried"}
        self.client.create_change_set(**named, TemplateBody=template)
        self.client.get_waiter("change_set_create_complete").wait(**named, WaiterConfig={"Delay": 0})
        self.client.execute_change_set(**named)
        stack = self.cloudformation.stack
        self.cloudformation.wait(lambda: not stack(self.name).status.endswith("IN_PROGRESS"), timeout=60)
        return stack(self.name)

    def values(self) -> list[str]:
        return [each["Value"] for each in self.client.list_exports()["Exports"] if each["Name"] == self.export]


@pytest.fixture
def exporter(scenario: Scenario) -> Exporter:
    return Exporter(scenario)


@pytest.mark.parametrize("by_change_set", [False, True], ids=["update", "change set"])
@pytest.mark.parametrize(("value", "verb"), [("second", "updated"), (None, "deleted")])
def test_an_export_in_use_is_neither_changed_nor_removed(
    scenario: Scenario, exporter: Exporter, value: str | None, verb: str, by_change_set: bool
) -> None:
    scenario.create(Thing=scenario.thing(Imported={"Fn::ImportValue": exporter.export}))

    stack = exporter.update(value, by_change_set=by_change_set)

    assert (stack.status, stack.outputs) == ("UPDATE_ROLLBACK_COMPLETE", {"Out": "first"})
    reasons = [event.reason for event in scenario.cloudformation.events(stack.id)]
    assert f"Export {exporter.export} cannot be {verb} as it is in use by {scenario.name}" in reasons
    assert exporter.values() == ["first"]


@pytest.mark.parametrize("value", ["second", None])
def test_an_export_that_is_not_in_use_is_changed_and_removed(exporter: Exporter, value: str | None) -> None:
    assert exporter.update(value, by_change_set=False).status == "UPDATE_COMPLETE"
    assert exporter.values() == ([value] if value else [])


def test_a_stack_with_an_export_in_use_is_not_deleted(scenario: Scenario, exporter: Exporter) -> None:
    scenario.create(Thing=scenario.thing(Imported={"Fn::ImportValue": exporter.export}))
    refusal = f"Export {exporter.export} cannot be deleted as it is in use by {scenario.name}"

    with pytest.raises(exporter.client.exceptions.ClientError, match=refusal):
        exporter.client.delete_stack(StackName=exporter.name)

    assert scenario.delete().status == "DELETE_COMPLETE"
    assert scenario.cloudformation.delete_stack(exporter.name).status == "DELETE_COMPLETE"


def test_a_stack_whose_deletion_failed_still_imports(scenario: Scenario, exporter: Exporter) -> None:
    scenario.create(Thing=scenario.thing({"Delete": FAILED}, Imported={"Fn::ImportValue": exporter.export}))
    assert scenario.delete().status == "DELETE_FAILED"

    assert exporter.client.list_imports(ExportName=exporter.export)["Imports"] == [scenario.name]
    with pytest.raises(exporter.client.exceptions.ClientError, match=f"as it is in use by {scenario.name}"):
        exporter.client.delete_stack(StackName=exporter.name)

    exporter.client.delete_stack(StackName=scenario.name, RetainResources=["Thing"])
    stack = scenario.cloudformation.stack
    scenario.cloudformation.wait(lambda: stack(scenario.stack.id).status == "DELETE_COMPLETE", timeout=60)
    with pytest.raises(exporter.client.exceptions.ClientError, match="is not imported by any stack"):
        exporter.client.list_imports(ExportName=exporter.export)


# The service


def test_sam_deploys_and_reports_why_it_failed(
    cloudformation: CloudFormation, scenario: Scenario, tmp_path: Path
) -> None:
    template = tmp_path / "template.json"
    template.write_text(
        json.dumps(
            {
                "Transform": "AWS::Serverless-2016-10-31",
                "Parameters": {"Behavior": {"Type": "String", "Default": "{}"}},
                "Resources": {"Thing": scenario.thing()},
                "Outputs": {"Id": {"Value": {"Ref": "Thing"}}},
            }
        ).replace('"Behavior": "{}"', '"Behavior": {"Ref": "Behavior"}')
    )

    stack = cloudformation.deploy(template, stack_name=scenario.name)

    assert stack.status == "CREATE_COMPLETE"
    assert stack.outputs == {"Id": "thing-1"}
    with pytest.raises(CloudFormationError, match="UPDATE_ROLLBACK_COMPLETE"):
        cloudformation.deploy(
            template, stack_name=scenario.name, parameters={"Behavior": json.dumps({"Update": FAILED})}
        )
    scenario.stack = stack
    assert "Message returned: as asked" in scenario.reasons()[0]


def test_the_functions_log_is_in_its_group(scenario: Scenario) -> None:
    scenario.create()
    scenario.wait_for_invocations(1)
    name = scenario.service_token.rpartition(":")[2]

    scenario.cloudformation.wait(
        lambda: "invocation 1 of Create Thing" in scenario.cloudformation.function_log(f"/aws/lambda/{name}"), timeout=5
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
        Scenario(cloudformation, token).create()
        directory = cloudformation.directory
        assert len(working_in(directory)) == 3  # ministack, the emulator and the function

        cloudformation.update_stack("provider", PROVIDER.replace('"Timeout": 10', '"Timeout": 11'))
        Scenario(cloudformation, token).create()
        # Nothing of the earlier configuration, once what was in use is idle
        cloudformation.wait(lambda: len(working_in(directory)) == 3, timeout=5)

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
    ended = subprocess.run(
        [str(ROOT / ".venv-cloudformation" / "bin" / "python"), "-c", OTHER_VERSION],
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )

    assert "is for ministack 1.5.33, and this is 9.9.9" in ended.stderr


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
    scenario: Scenario, wrong: dict[str, Any]
) -> None:
    template = {"Resources": {"Thing": scenario.thing(**wrong)}}
    scenario.stack = scenario.cloudformation.create_stack(scenario.name, json.dumps(template))
    assert scenario.stack.status == "ROLLBACK_COMPLETE"
    assert any(
        f"Property {next(iter(wrong))}" in event.reason for event in scenario.cloudformation.events(scenario.stack.id)
    )
    assert not [r for r in scenario.cloudformation.activity.requests() if r.event["StackId"] == scenario.stack.id]
