"""The application as CloudFormation gets it: transformed by SAM's translator."""

import json
import re
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.loaders import Loader
from samtranslator.yaml_helper import yaml_parse

from ingestion_destination import observability
from ingestion_destination.cloudformation.delivery import RESPOND_WITHIN
from ingestion_destination.cloudformation.request import REQUEST_TYPES
from ingestion_destination.deadline import CREATE_WITHIN, SEARCH_WITHIN, Deadline
from tests.intrinsics import Template
from tests.template.tools import run

ROOT = Path(__file__).parents[2]
LAMBDA_RETRIES_AFTER = (60, 120)


@pytest.fixture(scope="module")
def source() -> dict[str, Any]:
    return dict(yaml_parse((ROOT / "template.yaml").read_text()))


@pytest.fixture(scope="module")
def template(source: dict[str, Any]) -> dict[str, Any]:
    """The transformed template; managed policies are not read from IAM."""
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
def deployed(template: dict[str, Any]) -> dict[str, Any]:
    """The resources that CloudFormation creates with the default parameters."""
    return Template(template).resources()


@pytest.fixture(scope="module")
def statements(deployed: dict[str, Any]) -> list[dict[str, Any]]:
    return statements_of(deployed)


def statements_of(resources: dict[str, Any]) -> list[dict[str, Any]]:
    (policy,) = resources["ProviderRole"]["Properties"]["Policies"]
    return list(policy["PolicyDocument"]["Statement"])


def actions(statement: dict[str, Any]) -> list[str]:
    value = statement["Action"]
    return value if isinstance(value, list) else [value]


def references(value: Any) -> set[str]:
    """Return the logical ids that a value depends on."""
    if isinstance(value, dict):
        found = {value["Ref"]} if "Ref" in value else set()
        if "Fn::GetAtt" in value:
            found.add(value["Fn::GetAtt"][0] if isinstance(value["Fn::GetAtt"], list) else value["Fn::GetAtt"])
        return found.union(*(references(each) for each in value.values()))
    if isinstance(value, list):
        return set().union(*(references(each) for each in value))
    return set()


def test_the_role_allows_exactly_the_appfabric_actions_that_the_client_calls(
    statements: list[dict[str, Any]],
) -> None:
    called = re.findall(
        r'self\._call\(\s*"(\w+)"', (ROOT / "src/ingestion_destination/appfabric/client.py").read_text()
    )
    granted = {action for statement in statements for action in actions(statement) if action.startswith("appfabric:")}
    assert granted == {f"appfabric:{operation}" for operation in called}
    assert len(granted) == 8


def test_the_role_allows_no_other_actions_than_these(statements: list[dict[str, Any]]) -> None:
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


def test_streams_can_be_tagged_only_with_appfabrics_key(statements: list[dict[str, Any]]) -> None:
    (tagging,) = (statement for statement in statements if "firehose:TagDeliveryStream" in actions(statement))
    assert actions(tagging) == ["firehose:TagDeliveryStream"]
    assert tagging["Condition"] == {"ForAllValues:StringEquals": {"aws:TagKeys": ["AWSAppFabricManaged"]}}


def test_the_role_has_no_managed_policy(resources: dict[str, Any]) -> None:
    assert "ManagedPolicyArns" not in resources["ProviderRole"]["Properties"]
    assert [r["Type"] for r in resources.values()].count("AWS::IAM::Role") == 1


def test_no_partition_is_hard_coded(template: dict[str, Any]) -> None:
    assert "arn:aws:" not in json.dumps(template)
    assert not [path.name for path in (ROOT / "examples").glob("*.yaml") if "arn:aws:" in path.read_text()]


def test_the_function_is_deleted_before_what_it_needs(resources: dict[str, Any]) -> None:
    needs = references(resources["ProviderFunction"])
    assert {"ProviderRole", "ProviderLogGroup"} <= needs
    assert "FailureQueue" in references(resources["ProviderRole"])


def test_the_log_group_belongs_to_the_stack_and_is_deleted_with_it(
    resources: dict[str, Any], deployed: dict[str, Any]
) -> None:
    group = resources["ProviderLogGroup"]
    assert group["DeletionPolicy"] == group["UpdateReplacePolicy"] == "Delete"
    assert "LogGroupName" not in group["Properties"]
    assert deployed["ProviderLogGroup"]["Properties"] == {"RetentionInDays": 30}
    assert resources["ProviderFunction"]["Properties"]["LoggingConfig"] == {
        "LogFormat": "JSON",
        "ApplicationLogLevel": {"Ref": "LogLevel"},
        "LogGroup": {"Ref": "ProviderLogGroup"},
    }


def test_every_log_level_is_one_of_lambdas(source: dict[str, Any]) -> None:
    """With JSON logs, Lambda drops lines below its own level, and Powertools adopts that level."""
    logging_config = Loader().load_service_model("lambda", "service-2")["shapes"]["ApplicationLogLevel"]
    assert set(source["Parameters"]["LogLevel"]["AllowedValues"]) <= set(logging_config["enum"])
    variables = source["Resources"]["ProviderFunction"]["Properties"]["Environment"]["Variables"]
    assert "POWERTOOLS_LOG_LEVEL" not in variables


def test_no_setting_that_logs_events_is_on(resources: dict[str, Any]) -> None:
    variables = resources["ProviderFunction"]["Properties"]["Environment"]["Variables"]
    assert not {"POWERTOOLS_LOGGER_LOG_EVENT", "POWERTOOLS_DEV", "POWERTOOLS_DEBUG"} & set(variables)


def test_the_failure_queue_is_encrypted_and_keeps_messages_for_four_days(deployed: dict[str, Any]) -> None:
    assert deployed["FailureQueue"]["Properties"] == {
        "SqsManagedSseEnabled": True,
        "MessageRetentionPeriod": 4 * 86400,
    }


READER = "arn:aws:iam::111122223333:role/on-call"
MAY_RECEIVE = """
import json, sys
from ministack.core.iam_evaluator import EvalContext, resource_policy_allows
policy, action, principal, tls = json.loads(sys.argv[1])
context = EvalContext(
    principal_arn=principal, principal_type="Role", principal_account="111122223333", action=action,
    resource_arn="FailureQueue.Arn", region="us-east-1", secure_transport=tls)
print(resource_policy_allows(json.dumps(policy), context, True))
"""


@pytest.mark.parametrize(
    ("reader", "action", "principal", "tls", "allowed"),
    [
        ("", "sqs:ReceiveMessage", "arn:aws:iam::111122223333:role/admin", True, False),
        ("", "sqs:SendMessage", "arn:aws:iam::111122223333:role/provider", True, True),
        ("", "sqs:SendMessage", "arn:aws:iam::111122223333:role/provider", False, False),
        (READER, "sqs:ReceiveMessage", "arn:aws:iam::111122223333:role/admin", True, False),
        (READER, "sqs:ReceiveMessage", READER, True, True),
        (READER, "sqs:ReceiveMessage", READER, False, False),
        (READER, "sqs:PurgeQueue", "arn:aws:iam::111122223333:role/admin", True, True),
    ],
)
def test_only_the_reader_can_receive_from_the_failure_queue(
    template: dict[str, Any], reader: str, action: str, principal: str, tls: bool, allowed: bool
) -> None:
    """By ministack's policy evaluator, for a principal whose own policies allow everything."""
    policy = Template(template, FailureQueueReaderArn=reader).resources()["FailureQueuePolicy"]["Properties"]
    case = json.dumps([policy["PolicyDocument"], action, principal, tls])
    assert run(ROOT / ".venv-cloudformation/bin/python", "-c", MAY_RECEIVE, case).strip() == str(allowed)


def test_the_timeouts_are_consistent(resources: dict[str, Any]) -> None:
    timeout = resources["ProviderFunction"]["Properties"]["Timeout"]
    invoke = resources["ProviderFunctionEventInvokeConfig"]["Properties"]
    deadline = Deadline.of(now=0, remaining=timeout, age=0, service_timeout=720, is_delete=True)
    assert (timeout, invoke["MaximumRetryAttempts"], invoke["MaximumEventAgeInSeconds"]) == (300, 2, 360)
    # Three invocations that each give up delivering a response fit within the maximum event age
    assert 3 * RESPOND_WITHIN + sum(LAMBDA_RETRIES_AFTER) <= invoke["MaximumEventAgeInSeconds"]
    # A Delete searches longer than any create call can last, and ends within its own invocation
    assert CREATE_WITHIN < SEARCH_WITHIN <= deadline.search_ends < deadline.work_ends < timeout
    # The last invocation has ended before CloudFormation gives up
    for example in sorted((ROOT / "examples").glob("*.yaml")):
        for service_timeout in re.findall(r"ServiceTimeout: (\d+)", example.read_text()):
            assert invoke["MaximumEventAgeInSeconds"] + timeout < int(service_timeout)


def test_failed_events_go_to_the_failure_queue(resources: dict[str, Any]) -> None:
    destination = resources["ProviderFunctionEventInvokeConfig"]["Properties"]["DestinationConfig"]
    assert destination == {"OnFailure": {"Destination": {"Fn::GetAtt": ["FailureQueue", "Arn"]}}}


def test_names_that_users_depend_on_do_not_change(template: dict[str, Any], resources: dict[str, Any]) -> None:
    assert resources["ProviderFunction"]["Type"] == "AWS::Lambda::Function"
    assert template["Outputs"]["ServiceToken"] == {
        "Description": "ServiceToken of every Custom::AppFabricIngestionDestination in this account and Region",
        "Value": {"Fn::GetAtt": ["ProviderFunction", "Arn"]},
        "Export": {"Name": {"Fn::Sub": "${AWS::StackName}-ServiceToken"}},
    }


def test_the_endpoint_is_appfabrics_unless_a_parameter_sets_it(template: dict[str, Any]) -> None:
    assert template["Parameters"]["AppFabricEndpointUrl"]["Default"] == ""
    assert template["Parameters"]["Architecture"]["Default"] == "x86_64"
    variables = template["Resources"]["ProviderFunction"]["Properties"]["Environment"]["Variables"]
    assert variables["AWS_ENDPOINT_URL_APPFABRIC"] == {"Ref": "AppFabricEndpointUrl"}


BUNDLE = "arn:aws:appfabric:us-east-1:111122223333:appbundle/11111111-1111-4111-8111-111111111111"
KEY = "arn:aws:kms:us-east-1:111122223333:key/44444444-4444-4444-8444-444444444444"


def test_by_default_the_stack_has_no_optional_resource_or_setting(deployed: dict[str, Any]) -> None:
    assert set(deployed) == {
        "ProviderFunction",
        "ProviderFunctionEventInvokeConfig",
        "ProviderRole",
        "ProviderLogGroup",
        "FailureQueue",
        "FailureQueuePolicy",
    }
    function = deployed["ProviderFunction"]["Properties"]
    assert (function["MemorySize"], function["Timeout"]) == (256, 300)
    assert "ReservedConcurrentExecutions" not in function
    assert "PermissionsBoundary" not in deployed["ProviderRole"]["Properties"]
    assert function["LoggingConfig"]["ApplicationLogLevel"] == "INFO"


def test_the_role_can_be_scoped_to_an_app_bundle_buckets_and_streams(template: dict[str, Any]) -> None:
    bucket, stream = "arn:aws:s3:::audit-logs", "arn:aws:firehose:us-east-1:111122223333:deliverystream/audit-logs"
    scoped = Template(template, AppBundleArn=BUNDLE, BucketArns=f"{bucket}, {bucket}-raw", StreamArns=stream)
    by_sid = {each["Sid"]: each["Resource"] for each in statements_of(scoped.resources())}
    # Naming the destination alone is not enough: an action also needs the app bundle and the ingestion.
    assert by_sid["IngestionDestinations"] == [BUNDLE, f"{BUNDLE}/*"]
    assert by_sid["TagsOfIngestionDestinations"] == f"{BUNDLE}/ingestion/*/ingestiondestination/*"
    assert by_sid["BucketExists"] == [bucket, f"{bucket}-raw"]
    assert by_sid["StreamExists"] == by_sid["StreamIsManaged"] == [stream]


def test_only_destinations_can_be_tagged(statements: list[dict[str, Any]]) -> None:
    (tags,) = (each for each in statements if "appfabric:TagResource" in actions(each))
    assert set(actions(tags)) == {"appfabric:ListTagsForResource", "appfabric:TagResource", "appfabric:UntagResource"}
    assert tags["Resource"].endswith(":appbundle/*/ingestion/*/ingestiondestination/*")


def test_kms_actions_are_allowed_only_for_keys_in_parameters(
    template: dict[str, Any], statements: list[dict[str, Any]]
) -> None:
    def more(**parameters: str) -> list[dict[str, Any]]:
        return [s for s in statements_of(Template(template, **parameters).resources()) if s not in statements]

    assert more() == []
    bundles, grants = more(AppBundleKmsKeyArn=KEY)
    assert set(actions(bundles)) == {"kms:Decrypt", "kms:DescribeKey", "kms:GenerateDataKey"}
    assert actions(grants) == ["kms:CreateGrant"]
    assert grants["Condition"] == {"Bool": {"kms:GrantIsForAWSResource": "true"}}
    (own,) = more(KmsKeyArn=KEY)
    assert set(actions(own)) == {"kms:Decrypt", "kms:GenerateDataKey"}
    assert bundles["Resource"] == grants["Resource"] == own["Resource"] == KEY


def test_a_kms_key_encrypts_the_log_group_and_the_queue(template: dict[str, Any]) -> None:
    resources = Template(template, KmsKeyArn=KEY).resources()
    assert resources["ProviderLogGroup"]["Properties"]["KmsKeyId"] == KEY
    assert resources["FailureQueue"]["Properties"]["KmsMasterKeyId"] == KEY
    assert "SqsManagedSseEnabled" not in resources["FailureQueue"]["Properties"]


def test_an_organizations_requirements_are_parameters(template: dict[str, Any]) -> None:
    boundary = "arn:aws:iam::111122223333:policy/boundary"
    resources = Template(
        template,
        PermissionsBoundaryArn=boundary,
        LogRetentionInDays=365,
        LogLevel="DEBUG",
        MemorySize=512,
        ReservedConcurrency=5,
        FunctionName="appfabric",
    ).resources()
    function = resources["ProviderFunction"]["Properties"]
    assert resources["ProviderRole"]["Properties"]["PermissionsBoundary"] == boundary
    assert resources["ProviderLogGroup"]["Properties"]["RetentionInDays"] == 365
    assert function["LoggingConfig"]["ApplicationLogLevel"] == "DEBUG"
    assert (function["MemorySize"], function["ReservedConcurrentExecutions"]) == (512, 5)
    assert function["FunctionName"] == "appfabric"


def test_the_functions_name_is_unique_to_the_stack_and_short_enough(template: dict[str, Any]) -> None:
    guid = "51af3dc0-da77-11e4-872e-1234567db123"
    stack_id = f"arn:aws:cloudformation:us-east-1:111122223333:stack/{'s' * 128}/{guid}"
    deployed = Template(template, **{"AWS::StackId": stack_id}).resources()
    name = deployed["ProviderFunction"]["Properties"]["FunctionName"]
    assert name == f"appfabric-destination-{guid}"
    assert len(name) <= 64


PRINT_FUNCTION = """
from samcli.lib.providers.sam_function_provider import SamFunctionProvider
from samcli.lib.providers.sam_stack_provider import SamLocalStackProvider
stacks, _ = SamLocalStackProvider.get_stacks("template.yaml")
function, = SamFunctionProvider(stacks).get_all()
print(function.functionname, function.memory, function.timeout, *map(repr, function.environment["Variables"].values()))
"""


def test_sam_local_can_read_the_function() -> None:
    """It cannot resolve every function: a name from Fn::If and AWS::NoValue breaks every `sam local invoke`."""
    read = run(ROOT / ".venv-sam/bin/python", "-c", PRINT_FUNCTION, cwd=ROOT).split()
    assert read[0].startswith("appfabric-destination-")
    assert read[1:] == ["256", "300", "''", "'appfabric-ingestion-destination'"]


TOPIC = "arn:aws:sns:us-east-1:111122223333:on-call"


def test_there_are_no_alarms_without_a_topic(template: dict[str, Any], deployed: dict[str, Any]) -> None:
    resources = Template(template, AlarmTopicArn=TOPIC).resources()
    alarms = {name: each["Properties"] for name, each in resources.items() if name not in deployed}
    assert set(alarms) == {"FailureAlarm", "ResponsesUndeliveredAlarm", "PossibleOrphansAlarm"}
    assert all(alarm["AlarmActions"] == [TOPIC] for alarm in alarms.values())
    queue = alarms["FailureAlarm"]
    assert queue["Dimensions"] == [{"Name": "QueueName", "Value": "FailureQueue.QueueName"}]
    # The number of messages in the queue would keep the alarm on until somebody purges it.
    assert (queue["MetricName"], queue["Statistic"]) == ("NumberOfMessagesSent", "Sum")


@pytest.fixture
def written(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    """The embedded metrics that CloudWatch reads after each metric of the source was counted."""
    for name in metrics():
        observability.count(name)
    observability.flush()
    return dict(json.loads(capsys.readouterr().out.splitlines()[-1]))


def metrics() -> set[str]:
    """Return every metric of the source; a request's outcome is counted by its type."""
    source = "".join(path.read_text() for path in (ROOT / "src/ingestion_destination").rglob("*.py"))
    outcomes = {f"{kind}{end}" for kind in (*REQUEST_TYPES, "Unknown") for end in ("Succeeded", "Failed")}
    return {*re.findall(r'\bcount\("(\w+)"\)', source), *outcomes}


def test_alarms_and_the_dashboard_use_metrics_that_the_function_writes(
    template: dict[str, Any], written: dict[str, Any]
) -> None:
    (directive,) = written["_aws"]["CloudWatchMetrics"]
    assert directive["Dimensions"] == [["service"]]
    exist = {(directive["Namespace"], each["Name"]) for each in directive["Metrics"]}
    resources = Template(template, AlarmTopicArn=TOPIC, Dashboard="true").resources()
    read = [
        (alarm["Properties"]["Namespace"], alarm["Properties"]["MetricName"], *alarm["Properties"]["Dimensions"])
        for alarm in resources.values()
        if alarm["Type"] == "AWS::CloudWatch::Alarm"
    ]
    widgets = json.loads(resources["ProviderDashboard"]["Properties"]["DashboardBody"])["widgets"]
    for widget in widgets:
        for namespace, name, dimension, value in widget["properties"].get("metrics", []):
            read.append((namespace, name, {"Name": dimension, "Value": value}))
    own = [each for each in read if not each[0].startswith("AWS/")]
    assert {each[:2] for each in own} <= exist
    assert all(each[2] == {"Name": "service", "Value": written["service"]} for each in own)
    assert {name for _, name, _ in own} == metrics() - {"UnknownSucceeded", "UnknownFailed"}


def test_every_parameter_has_a_description_a_group_and_a_default(source: dict[str, Any]) -> None:
    interface = source["Metadata"]["AWS::CloudFormation::Interface"]
    grouped = [name for group in interface["ParameterGroups"] for name in group["Parameters"]]
    assert sorted(grouped) == sorted(source["Parameters"]) == sorted(interface["ParameterLabels"])
    assert all({"Default", "Description"} <= set(each) for each in source["Parameters"].values())
    # A parameter whose default is broad says so
    for name, wide in {
        "AppBundleArn": "every app bundle",
        "BucketArns": "every bucket",
        "StreamArns": "every stream",
    }.items():
        assert f"Empty for {wide}" in source["Parameters"][name]["Description"]
    assert "Never change it" in source["Parameters"]["FunctionName"]["Description"]


@pytest.mark.parametrize(
    ("parameter", "value", "accepted"),
    [
        ("AppFabricEndpointUrl", "", True),
        ("AppFabricEndpointUrl", "http://127.0.0.1:4571", True),
        ("AppFabricEndpointUrl", "127.0.0.1:4571", False),
        ("AppFabricEndpointUrl", "https://example.com/ ", False),
        ("FailureQueueReaderArn", "", True),
        ("FailureQueueReaderArn", READER, True),
        ("FailureQueueReaderArn", "arn:aws:iam::111122223333:role/aws-reserved/sso.amazonaws.com/on-call", True),
        ("FailureQueueReaderArn", "arn:aws:sts::111122223333:assumed-role/on-call/session", False),
        ("FailureQueueReaderArn", "*", False),
    ],
)
def test_a_parameter_accepts_what_its_pattern_allows(
    source: dict[str, Any], parameter: str, value: str, accepted: bool
) -> None:
    assert bool(re.fullmatch(source["Parameters"][parameter]["AllowedPattern"], value)) == accepted


def test_the_application_can_be_published(source: dict[str, Any]) -> None:
    application = source["Metadata"]["AWS::ServerlessRepo::Application"]
    assert re.fullmatch(r"[A-Za-z0-9-]{1,140}", application["Name"])
    assert re.fullmatch(r"\d+\.\d+\.\d+", application["SemanticVersion"])
    assert re.fullmatch(r"[a-z0-9](([a-z0-9]|-(?!-))*[a-z0-9])?", application["Author"])
    assert 0 < len(application["Description"]) <= 256
    assert len(application["Labels"]) <= 10
    assert application["SpdxLicenseId"] == "Apache-2.0"
    assert {(ROOT / application[name]).name for name in ("LicenseUrl", "ReadmeUrl")} == {"LICENSE", "README.md"}
    assert all((ROOT / application[name]).is_file() for name in ("LicenseUrl", "ReadmeUrl"))


def test_every_example_has_a_service_timeout() -> None:
    for example in sorted((ROOT / "examples").glob("*.yaml")):
        text = example.read_text()
        assert text.count("Type: Custom::AppFabricIngestionDestination") == text.count("ServiceTimeout:") > 0
        assert yaml_parse(text)["Resources"]


def test_samconfig_names_no_account_region_or_bucket() -> None:
    text = (ROOT / "samconfig.toml").read_text()
    assert not re.search(r"region|\b\d{12}\b|s3_bucket", text)


def test_the_functions_three_dependencies_are_pinned_with_hashes() -> None:
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


def test_the_events_have_cloudformations_form() -> None:
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
