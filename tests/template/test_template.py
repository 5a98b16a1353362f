"""The application as CloudFormation gets it: transformed by SAM's own translator."""

import json
import re
from pathlib import Path
from typing import Any

import boto3
import pytest
from samtranslator.yaml_helper import yaml_parse

from ingestion_destination.deadline import CREATE_BEGINS_WITHIN, LOOK_WITHIN, Deadline, Time
from ingestion_destination.delivery import ANSWER_WITHIN

ROOT = Path(__file__).parents[2]
LAMBDA_RETRIES_AFTER = (60, 120)


@pytest.fixture(scope="module")
def source() -> dict[str, Any]:
    return dict(yaml_parse((ROOT / "template.yaml").read_text()))


@pytest.fixture(scope="module")
def template(source: dict[str, Any]) -> dict[str, Any]:
    """What the transform makes of it, without asking IAM for managed policies."""
    from samtranslator.parser.parser import Parser
    from samtranslator.translator.translator import Translator

    built = json.loads(json.dumps(source))
    built["Resources"]["ProviderFunction"]["Properties"]["CodeUri"] = "s3://bucket/key"
    session = boto3.Session(region_name="us-east-1")
    return dict(Translator({}, Parser(), boto_session=session).translate(built, {}))


@pytest.fixture(scope="module")
def resources(template: dict[str, Any]) -> dict[str, Any]:
    return dict(template["Resources"])


@pytest.fixture(scope="module")
def statements(resources: dict[str, Any]) -> list[dict[str, Any]]:
    (policy,) = resources["ProviderRole"]["Properties"]["Policies"]
    return list(policy["PolicyDocument"]["Statement"])


def actions(statement: dict[str, Any]) -> list[str]:
    said = statement["Action"]
    return said if isinstance(said, list) else [said]


def references(value: Any) -> set[str]:
    """The logical ids that a value needs first."""
    if isinstance(value, dict):
        found = {value["Ref"]} if "Ref" in value else set()
        if "Fn::GetAtt" in value:
            found.add(value["Fn::GetAtt"][0] if isinstance(value["Fn::GetAtt"], list) else value["Fn::GetAtt"])
        return found.union(*(references(each) for each in value.values()))
    if isinstance(value, list):
        return set().union(*(references(each) for each in value))
    return set()


def test_the_role_may_do_in_appfabric_what_the_client_calls_and_nothing_else(
    statements: list[dict[str, Any]],
) -> None:
    called = re.findall(r'self\._call\(\s*"(\w+)"', (ROOT / "src/ingestion_destination/client.py").read_text())
    granted = {action for statement in statements for action in actions(statement) if action.startswith("appfabric:")}
    assert granted == {f"appfabric:{operation}" for operation in called}
    assert len(granted) == 8


def test_the_role_may_do_nothing_else_but_this(statements: list[dict[str, Any]]) -> None:
    others = {a for statement in statements for a in actions(statement) if not a.startswith("appfabric:")}
    assert others == {
        "s3:GetBucketLocation",
        "firehose:DescribeDeliveryStream",
        "firehose:TagDeliveryStream",
        "logs:CreateLogStream",
        "logs:PutLogEvents",
        "sqs:SendMessage",
    }
    assert all(statement["Effect"] == "Allow" and statement["Resource"] != "*" for statement in statements)


def test_streams_may_be_tagged_with_that_one_key_only(statements: list[dict[str, Any]]) -> None:
    (tagging,) = (statement for statement in statements if "firehose:TagDeliveryStream" in actions(statement))
    assert actions(tagging) == ["firehose:TagDeliveryStream"]
    assert tagging["Condition"] == {"ForAllValues:StringEquals": {"aws:TagKeys": ["AWSAppFabricManaged"]}}


def test_the_role_has_no_managed_policy(resources: dict[str, Any]) -> None:
    assert "ManagedPolicyArns" not in resources["ProviderRole"]["Properties"]
    assert [r["Type"] for r in resources.values()].count("AWS::IAM::Role") == 1


def test_no_partition_is_written_by_hand(template: dict[str, Any]) -> None:
    assert "arn:aws:" not in json.dumps(template)


def test_what_the_function_needs_is_deleted_after_it(resources: dict[str, Any]) -> None:
    needs = references(resources["ProviderFunction"])
    assert {"ProviderRole", "ProviderLogGroup"} <= needs
    assert "FailureQueue" in references(resources["ProviderRole"])


def test_the_log_group_is_the_stacks_own_and_ends_with_it(resources: dict[str, Any]) -> None:
    group = resources["ProviderLogGroup"]
    assert group["DeletionPolicy"] == group["UpdateReplacePolicy"] == "Delete"
    assert "LogGroupName" not in group["Properties"]
    assert group["Properties"]["RetentionInDays"] == 30
    assert resources["ProviderFunction"]["Properties"]["LoggingConfig"] == {
        "LogFormat": "JSON",
        "LogGroup": {"Ref": "ProviderLogGroup"},
    }


def test_no_switch_that_logs_events_is_on(resources: dict[str, Any]) -> None:
    variables = resources["ProviderFunction"]["Properties"]["Environment"]["Variables"]
    assert not {"POWERTOOLS_LOGGER_LOG_EVENT", "POWERTOOLS_DEV", "POWERTOOLS_DEBUG"} & set(variables)


def test_the_failure_queue_is_encrypted_tls_only_and_has_no_reader(resources: dict[str, Any]) -> None:
    assert resources["FailureQueue"]["Properties"]["SqsManagedSseEnabled"] is True
    (statement,) = resources["FailureQueuePolicy"]["Properties"]["PolicyDocument"]["Statement"]
    assert statement["Effect"] == "Deny"
    assert statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    assert "sqs:ReceiveMessage" not in json.dumps(resources)


def test_the_times_fit_each_other(resources: dict[str, Any]) -> None:
    timeout = resources["ProviderFunction"]["Properties"]["Timeout"]
    invoke = resources["ProviderFunctionEventInvokeConfig"]["Properties"]
    deadline = Deadline.of(time=Time(clock=lambda: 0.0), remaining=timeout, age=0)
    assert (timeout, invoke["MaximumRetryAttempts"], invoke["MaximumEventAgeInSeconds"]) == (300, 2, 360)
    # Three runs that each give an answer up fit the event's greatest age
    assert 3 * ANSWER_WITHIN + sum(LAMBDA_RETRIES_AFTER) <= invoke["MaximumEventAgeInSeconds"]
    # A Delete looks longer than any create call can begin, and within its own run
    assert CREATE_BEGINS_WITHIN < LOOK_WITHIN <= deadline.work_ends < timeout
    # The last run has ended before CloudFormation gives up
    for example in sorted((ROOT / "examples").glob("*.yaml")):
        for service_timeout in re.findall(r"ServiceTimeout: (\d+)", example.read_text()):
            assert invoke["MaximumEventAgeInSeconds"] + timeout < int(service_timeout)


def test_what_failed_for_good_goes_to_the_queue(resources: dict[str, Any]) -> None:
    destination = resources["ProviderFunctionEventInvokeConfig"]["Properties"]["DestinationConfig"]
    assert destination == {"OnFailure": {"Destination": {"Fn::GetAtt": ["FailureQueue", "Arn"]}}}


def test_names_that_users_depend_on_stay(template: dict[str, Any], resources: dict[str, Any]) -> None:
    assert resources["ProviderFunction"]["Type"] == "AWS::Lambda::Function"
    assert template["Outputs"]["ServiceToken"] == {
        "Description": "ServiceToken of every Custom::AppFabricIngestionDestination in this account and Region",
        "Value": {"Fn::GetAtt": ["ProviderFunction", "Arn"]},
        "Export": {"Name": {"Fn::Sub": "${AWS::StackName}-ServiceToken"}},
    }


def test_the_endpoint_is_appfabrics_own_unless_it_is_given(template: dict[str, Any]) -> None:
    assert template["Parameters"]["AppFabricEndpointUrl"]["Default"] == ""
    assert template["Parameters"]["Architecture"]["Default"] == "x86_64"
    variables = template["Resources"]["ProviderFunction"]["Properties"]["Environment"]["Variables"]
    assert variables["AWS_ENDPOINT_URL_APPFABRIC"] == {"Ref": "AppFabricEndpointUrl"}


def test_every_example_has_a_service_timeout() -> None:
    for example in sorted((ROOT / "examples").glob("*.yaml")):
        text = example.read_text()
        assert text.count("Type: Custom::AppFabricIngestionDestination") == text.count("ServiceTimeout:") > 0
        assert yaml_parse(text)["Resources"]


def test_samconfig_names_no_account_region_or_bucket() -> None:
    text = (ROOT / "samconfig.toml").read_text()
    assert not re.search(r"region|\b\d{12}\b|s3_bucket", text)


def test_the_functions_dependencies_are_the_three_pinned_with_hashes() -> None:
    lines = (ROOT / "src/requirements.txt").read_text().replace("\\\n", " ").splitlines()
    pinned = [line for line in lines if line and not line.lstrip().startswith("#")]
    assert all("==" in line and "--hash=sha256:" in line for line in pinned)
    direct = {"aws-lambda-powertools", "boto3", "crhelper"}
    asked = {line.split("==")[0] for line in pinned}
    assert direct <= asked
    assert asked - direct == {
        "botocore",
        "jmespath",
        "python-dateutil",
        "s3transfer",
        "six",
        "typing-extensions",
        "urllib3",
    }


def test_events_are_as_cloudformation_sends_them() -> None:
    def scalars(value: Any) -> list[Any]:
        if isinstance(value, dict):
            return [each for child in value.values() for each in scalars(child)]
        return [each for child in value for each in scalars(child)] if isinstance(value, list) else [value]

    names = {path.stem: json.loads(path.read_text()) for path in (ROOT / "events").glob("*.json")}
    assert set(names) == {
        "create-s3",
        "create-firehose",
        "create-everything",
        "update-in-place",
        "update-replacement",
        "delete",
        "delete-after-failed-create",
    }
    for event in names.values():
        assert all(isinstance(scalar, str) for scalar in scalars(event))
        assert event["ResponseURL"].startswith("https://127.0.0.1:9/")
        assert ("PhysicalResourceId" in event) == (event["RequestType"] != "Create")
        assert ("OldResourceProperties" in event) == (event["RequestType"] == "Update")
