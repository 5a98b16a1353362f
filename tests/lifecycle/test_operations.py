"""The commands of docs/deploying.md and docs/operating.md, with the local CloudFormation.

ministack refuses to delete an export in use, has the states UPDATE_ROLLBACK_FAILED and DELETE_FAILED, and knows
`--resources-to-skip` and `--retain-resources`. It has no drift-aware change sets, and asks nobody for a permission.
"""

import io
import json
import re
import shutil
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event
from typing import Any

import pytest
import yaml
from rich.console import Console

from local.appfabric import AppFabricEmulator, Call, Fault, serve
from local.certificates import Certificates
from local.cloudformation import CloudFormation, Stack, emulate
from local.cloudformation.client import _BUCKET as BUCKET
from local.console import Problem
from local.deploy import Deployment
from local.ways_out import check_takes_a_deployment
from tests.lifecycle.pages import ROOT, blocks, commands, run
from tests.support.properties import BUNDLE, properties, to_bucket

PROVIDER = "appfabric-ingestion-destination"
PAGE = "operating.md"
# It is built, questions are confirmed, and the function's AppFabric is the emulator.
SHIM = """
sam() {
    if [ "$1" = build ]; then return; fi
    case "$*" in
        *--parameter-overrides*) set -- "$@" "AppFabricEndpointUrl=$AWS_ENDPOINT_URL_APPFABRIC" ;;
    esac
    if [ "$1" = deploy ]; then set -- "$1" --no-confirm-changeset --no-progressbar "${@:2}"; fi
    command sam "$@"
}
aws() {  # version 1 has an endpoint of its own for SQS
    if [ "$1" = sqs ]; then set -- "$@" --endpoint-url "$AWS_ENDPOINT_URL"; fi
    command aws "$@"
}
"""
REFUSED = Fault(operation="GetIngestionDestination", error="AccessDeniedException", times=999)


class Account:
    """An account with a provider, and the terminal of its operator."""

    def __init__(self, cloudformation: CloudFormation, appfabric: AppFabricEmulator, endpoint: str, home: Path) -> None:
        self.cloudformation, self.appfabric, self._endpoint, self._home = cloudformation, appfabric, endpoint, home

    def deploy_provider(self, **parameters: str) -> Stack:
        return self.cloudformation.deploy(
            ROOT / ".aws-sam/build/template.yaml",
            stack_name=PROVIDER,
            parameters={"AppFabricEndpointUrl": self._endpoint, **parameters},
        )

    @property
    def provider(self) -> Stack:
        return self.cloudformation.stack(PROVIDER)

    @property
    def token(self) -> str:
        return self.provider.outputs["ServiceToken"]

    def terminal(self, script: str, **variables: str) -> str:
        """Run commands of the page as an operator does, and return what they print."""
        ended = self.try_in_terminal(script, **variables)
        assert ended.returncode == 0, ended.stdout + ended.stderr
        return ended.stdout

    def try_in_terminal(self, script: str, **variables: str) -> Any:
        environment = {
            **self.cloudformation.environment(),
            "AWS_ENDPOINT_URL_APPFABRIC": self._endpoint,
            "BUCKET": BUCKET,
            **variables,
        }
        return run(SHIM + script, environment, home=self._home)

    def variables(self) -> str:
        return commands(PAGE, "Operating the provider")

    def wait_for(self, stack: str, status: str) -> None:
        self.cloudformation.wait(lambda: self.cloudformation.stack(stack).status == status, timeout=60)


class Consumer:
    """A stack with one destination."""

    def __init__(self, account: Account, token: Any, **changed: Any) -> None:
        self._account, self._token = account, token
        self.name = f"consumer-{uuid.uuid4().hex[:8]}"
        self.stack = account.cloudformation.create_stack(self.name, self.template(**changed))

    def template(self, **changed: Any) -> str:
        wanted = properties(**{"ServiceToken": self._token, "ServiceTimeout": 60, **changed})
        resource = {"Type": "Custom::AppFabricIngestionDestination", "Properties": wanted}
        return json.dumps({"Resources": {"Destination": resource}})

    def update(self, **changed: Any) -> str:
        return self._account.cloudformation.update_stack(self.name, self.template(**changed)).status

    def delete(self) -> str:
        return self._account.cloudformation.delete_stack(self.name).status


IMPORTED = {"Fn::ImportValue": f"{PROVIDER}-ServiceToken"}
BY_TAG = {"Tags": [{"Key": "reapplied", "Value": "2026-11-25"}]}


@pytest.fixture(scope="module")
def with_provider(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Account]:
    appfabric, home = AppFabricEmulator(), tmp_path_factory.mktemp("home")
    certificates = Certificates.create(tmp_path_factory.mktemp("certificates"))
    with serve(appfabric) as endpoint, emulate(certificates=certificates, retry_seconds=0.05) as cloudformation:
        account = Account(cloudformation, appfabric, endpoint, home)
        account.deploy_provider()
        yield account


@pytest.fixture
def account(with_provider: Account) -> Iterator[Account]:
    with_provider.appfabric.reset()
    yield with_provider
    with_provider.appfabric.reset()
    for stack in with_provider.cloudformation.stacks():
        if stack.name != PROVIDER:
            with_provider.cloudformation.delete_stack(stack.name)


def test_a_provider_that_was_deleted_before_its_resources_is_deployed_again(account: Account) -> None:
    token = account.token
    consumer = Consumer(account, token)
    account.cloudformation.delete_stack(PROVIDER)
    assert consumer.delete() == "DELETE_FAILED"
    assert len(account.appfabric.destinations) == 1

    account.terminal(commands(PAGE, "The provider was deleted before its resources"), TOKEN=token)

    assert account.token == token
    assert consumer.delete() == "DELETE_COMPLETE"
    assert not account.appfabric.destinations


def test_a_function_that_was_deleted_by_hand_is_created_again(account: Account) -> None:
    account.cloudformation.delete_stack(PROVIDER)
    changed = {"MemorySize": "512", "Architecture": "arm64", "LogLevel": "DEBUG", "ReservedConcurrency": "7"}
    account.deploy_provider(**changed)
    consumer = Consumer(account, IMPORTED)
    before = function(account)
    assert before["ReservedConcurrentExecutions"] == 7
    account.cloudformation.client("lambda").delete_function(FunctionName=account.token)
    assert consumer.update(**BY_TAG) == "UPDATE_ROLLBACK_FAILED"
    account.terminal(account.variables() + commands(PAGE, "The function was deleted by hand"))
    account.terminal(commands(PAGE, "A stack is UPDATE_ROLLBACK_FAILED"), STACK=consumer.name)
    account.wait_for(consumer.name, "UPDATE_ROLLBACK_COMPLETE")
    assert consumer.update(**BY_TAG) == "UPDATE_COMPLETE"
    assert function(account) == before
    assert consumer.delete() == "DELETE_COMPLETE"
    assert not account.appfabric.destinations
    account.cloudformation.delete_stack(PROVIDER)
    account.deploy_provider()


def function(account: Account) -> dict[str, Any]:
    """What the template says of the function, as it is."""
    client = account.cloudformation.client("lambda")
    found = client.get_function_configuration(FunctionName=account.token)
    invoked = client.get_function_event_invoke_config(FunctionName=account.token, Qualifier="$LATEST")
    concurrency = client.get_function_concurrency(FunctionName=account.token)
    tags = client.list_tags(Resource=account.token)["Tags"]
    names = (
        "FunctionArn",
        "Description",
        "Handler",
        "Runtime",
        "Architectures",
        "Timeout",
        "MemorySize",
        "Environment",
    )
    return {
        **{name: found.get(name) for name in (*names, "LoggingConfig", "Role")},
        **{name: invoked[name] for name in ("MaximumRetryAttempts", "MaximumEventAgeInSeconds", "DestinationConfig")},
        "Tags": {key: value for key, value in tags.items() if not key.startswith("aws:")},
        "ReservedConcurrentExecutions": concurrency.get("ReservedConcurrentExecutions"),
    }


def fail_to_roll_back(account: Account, consumer: Consumer) -> None:
    account.appfabric.inject(REFUSED)
    assert consumer.update(DestinationConfiguration=to_bucket("other-logs")) == "UPDATE_ROLLBACK_FAILED"


def local_deploy_says(account: Account, consumer: Consumer, script: str) -> None:
    """What `make local-deploy` refuses such a stack with, and prints after it led there, are the page's commands."""
    prepare, out = 'eval "$(make -s local-env)"', io.StringIO()
    with pytest.raises(Problem) as refused:
        check_takes_a_deployment(account.cloudformation.stack(consumer.name), prepare=prepare)
    deployment = Deployment(Console(file=out), account.cloudformation, consumer.name, prepare=prepare)
    deployment.report("", None)
    for command in [prepare, *script.replace('"$STACK"', consumer.name).splitlines()]:
        assert command in str(refused.value)
        assert re.search(rf"^  \w+ +{re.escape(command)}$", out.getvalue(), re.MULTILINE)


def test_a_failed_rollback_is_continued_once_its_cause_is_repaired(account: Account) -> None:
    consumer = Consumer(account, IMPORTED)
    fail_to_roll_back(account, consumer)
    local_deploy_says(
        account, consumer, "".join(commands(PAGE, "A stack is UPDATE_ROLLBACK_FAILED", n) for n in (0, 1))
    )
    account.appfabric.clear_injections()
    account.terminal(commands(PAGE, "A stack is UPDATE_ROLLBACK_FAILED"), STACK=consumer.name)
    account.wait_for(consumer.name, "UPDATE_ROLLBACK_COMPLETE")
    assert consumer.delete() == "DELETE_COMPLETE"


def test_a_failed_rollback_skips_what_cannot_be_repaired(account: Account) -> None:
    consumer = Consumer(account, IMPORTED)
    fail_to_roll_back(account, consumer)
    account.terminal(commands(PAGE, "A stack is UPDATE_ROLLBACK_FAILED", 1), STACK=consumer.name)
    account.wait_for(consumer.name, "UPDATE_ROLLBACK_COMPLETE")
    account.appfabric.clear_injections()
    assert consumer.update(**BY_TAG) == "UPDATE_COMPLETE"
    assert consumer.delete() == "DELETE_COMPLETE"
    assert not account.appfabric.destinations


def test_a_failed_deletion_retains_what_cannot_be_deleted(account: Account) -> None:
    consumer = Consumer(account, IMPORTED)
    account.appfabric.inject(Fault(operation="DeleteIngestionDestination", error="AccessDeniedException", times=999))
    assert consumer.delete() == "DELETE_FAILED"
    local_deploy_says(account, consumer, commands(PAGE, "A stack is DELETE_FAILED"))
    account.terminal(commands(PAGE, "A stack is DELETE_FAILED"), STACK=consumer.name)
    account.wait_for(consumer.stack.id, "DELETE_COMPLETE")
    (arn,) = account.appfabric.destinations
    account.appfabric.clear_injections()
    # The page says: the message that refuses to adopt it has the command that removes the tags
    heir = Consumer(account, IMPORTED, AdoptArn=arn)
    assert heir.stack.status == "ROLLBACK_COMPLETE"
    reasons = " ".join(event.reason for event in account.cloudformation.events(heir.stack.id))
    (command,) = set(
        re.findall(r"aws appfabric untag-resource --resource-arn \S+ --tag-keys(?: custom-appfabric\S+)+", reasons)
    )
    account.terminal(command)
    assert Consumer(account, IMPORTED, AdoptArn=arn).stack.status == "CREATE_COMPLETE"
    assert list(account.appfabric.destinations) == [arn]
    account.terminal(commands(PAGE, "A possible orphan"), ARN=arn)
    assert not account.appfabric.destinations


def test_sam_delete_of_a_provider_in_use_is_refused_and_the_code_is_uploaded_again(account: Account) -> None:
    consumer = Consumer(account, IMPORTED)
    assert code_key(account) in uploaded(account)
    refused = account.try_in_terminal(f"sam delete --no-prompts --stack-name {PROVIDER} --region us-east-1")
    assert refused.returncode
    assert "cannot be deleted as it is in use by" in refused.stderr
    assert code_key(account) not in uploaded(account)
    assert consumer.update(**BY_TAG) == "UPDATE_COMPLETE"
    account.terminal(commands(PAGE, "`sam delete` of a provider in use"))
    assert code_key(account) in uploaded(account)
    assert consumer.delete() == "DELETE_COMPLETE"


def code_key(account: Account) -> str:
    """Where the provider's stack has the function's code from."""
    client = account.cloudformation.client("cloudformation")
    template = client.get_template(StackName=PROVIDER, TemplateStage="Processed")["TemplateBody"]
    return str(template["Resources"]["ProviderFunction"]["Properties"]["Code"]["S3Key"])


def uploaded(account: Account) -> set[str]:
    listed = account.cloudformation.client("s3").list_objects_v2(Bucket=BUCKET)
    return {each["Key"] for each in listed.get("Contents", [])}


def test_drift_is_undone_by_an_update_that_changes_something_else(account: Account) -> None:
    tags = yaml.safe_load(blocks(PAGE, "Re-apply a template after drift", "yaml")[0])
    consumer = Consumer(account, IMPORTED, Tags=[{"Key": "team", "Value": "security"}])
    (arn,) = account.appfabric.destinations
    destination = account.appfabric.destinations[arn]
    target = json.dumps(destination.destination)
    destination.destination = {"auditLog": {"destination": {"s3Bucket": {"bucketName": "somebodys"}}}}
    del destination.tags["team"]
    destination.tags["cost-center"] = "42"
    assert consumer.update(**tags) == "UPDATE_COMPLETE"
    assert json.dumps(account.appfabric.destinations[arn].destination) == target
    found = account.appfabric.destinations[arn].tags
    assert {"team": "security", "cost-center": "42", "reapplied": "2026-11-25"}.items() <= found.items()

    del account.appfabric.destinations[arn]
    assert consumer.update(Tags=[]) == "UPDATE_COMPLETE"
    (successor,) = account.appfabric.destinations
    assert successor != arn
    assert consumer.delete() == "DELETE_COMPLETE"


def test_a_version_is_deployed_over_another_one_and_back(account: Account, tmp_path: Path) -> None:
    """There is no earlier release yet: the other version is another build of this one."""
    other = tmp_path / ".aws-sam/build"
    shutil.copytree(ROOT / ".aws-sam/build", other)
    for name in ("LICENSE", "README.md"):  # which the template refers to
        shutil.copy(ROOT / name, tmp_path)
    version = other / "ProviderFunction/ingestion_destination/__init__.py"
    version.write_text(version.read_text() + "# another version\n")
    token, code = account.token, code_of(account)

    # A request is in flight while the version changes
    arrived, deployed = Event(), Event()

    def hold(call: Call) -> None:
        if call.operation == "CreateIngestionDestination" and not arrived.is_set():
            arrived.set()
            deployed.wait(60)

    account.appfabric.subscribe(hold)
    with ThreadPoolExecutor() as pool:
        creation = pool.submit(Consumer, account, IMPORTED, ServiceTimeout=300)
        assert arrived.wait(60)
        account.cloudformation.deploy(other / "template.yaml", stack_name=PROVIDER)
        deployed.set()
        consumer = creation.result()
    assert consumer.stack.status == "CREATE_COMPLETE"
    assert account.token == token
    assert code_of(account) != code
    assert consumer.update(**BY_TAG) == "UPDATE_COMPLETE"

    # What an older version, or nobody, tagged is not deleted for want of a tag
    (arn,) = account.appfabric.destinations
    tags = account.appfabric.destinations[arn].tags
    for key in [key for key in tags if key.startswith("custom-appfabric-ingestion-destination:")]:
        del tags[key]
    account.terminal(commands(PAGE, "Upgrade and roll back"))
    assert (account.token, code_of(account)) == (token, code)
    assert consumer.update(DestinationConfiguration=to_bucket("other-logs")) == "UPDATE_COMPLETE"
    assert list(account.appfabric.destinations) == [arn]
    assert consumer.delete() == "DELETE_COMPLETE"
    assert not account.appfabric.destinations


def code_of(account: Account) -> str:
    client = account.cloudformation.client("lambda")
    return str(client.get_function_configuration(FunctionName=account.token)["CodeSha256"])


def test_a_message_in_the_failure_queue_names_its_resource_and_nothing_secret(account: Account) -> None:
    event = {
        "RequestType": "Create",
        "StackId": "arn:aws:cloudformation:us-east-1:111122223333:stack/logs/1",
        "LogicalResourceId": "Destination",
        "ResourceProperties": {"Secret": "s3cr3t"},
        "ResponseURL": "https://example.com/?X-Amz-Signature=s3cr3t",
    }  # without a RequestId it can be no request, so each invocation raises
    account.cloudformation.client("lambda").invoke(
        FunctionName=account.token, InvocationType="Event", Payload=json.dumps(event)
    )
    script = account.variables() + commands(PAGE, "A message in the failure queue")
    printed = ""

    def arrived() -> bool:
        nonlocal printed
        printed = account.terminal(script)
        return bool(printed)

    account.cloudformation.wait(arrived, timeout=60)
    assert printed.split() == ["RetriesExhausted", "Create", event["StackId"], "Destination"]


def test_the_log_of_one_resource(account: Account) -> None:
    consumer = Consumer(account, IMPORTED)
    script = account.variables() + commands("troubleshooting.md", "Troubleshooting")
    printed = ""

    def logged() -> bool:
        nonlocal printed
        printed = account.terminal(script)
        return consumer.stack.id in printed

    account.cloudformation.wait(logged, timeout=60)
    assert '"LogicalResourceId":"Destination"' in printed


def test_the_hardened_deployment(account: Account) -> None:
    account.cloudformation.delete_stack(PROVIDER)
    account_id = "arn:aws:{}:us-east-1:111122223333:{}"
    reader = "arn:aws:iam::111122223333:role/on-call"
    given = {
        "APP_BUNDLE_ARN": BUNDLE,
        "BUCKET_ARNS": "arn:aws:s3:::audit-logs,arn:aws:s3:::audit-logs-raw",
        "STREAM_ARNS": account_id.format("firehose", "deliverystream/audit-logs"),
        "BOUNDARY_ARN": "arn:aws:iam::111122223333:policy/boundary",
        "KEY_ARN": account_id.format("kms", "key/44444444-4444-4444-8444-444444444444"),
        "READER_ARN": reader,
        "TOPIC_ARN": account_id.format("sns", "on-call"),
    }
    account.terminal(commands("deploying.md", "A hardened deployment"), **given)
    assert account.token == account_id.format("lambda", "function:appfabric-ingestion-destination")
    parameters = account.provider.parameters
    assert set(given.values()) <= set(parameters.values())
    queue = account.cloudformation.client("sqs").get_queue_attributes(
        QueueUrl=account.provider.outputs["FailureQueue"], AttributeNames=["Policy", "KmsMasterKeyId"]
    )["Attributes"]
    assert queue["KmsMasterKeyId"] == given["KEY_ARN"]
    assert reader in queue["Policy"]
    alarms = account.cloudformation.client("cloudwatch").describe_alarms()["MetricAlarms"]
    assert [alarm["AlarmActions"] for alarm in alarms] == 3 * [[given["TOPIC_ARN"]]]
    consumer = Consumer(account, IMPORTED)
    assert consumer.stack.status == "CREATE_COMPLETE"
    assert consumer.delete() == "DELETE_COMPLETE"

    # ministack sees no change where only a condition changes, so the stack is created again
    account.cloudformation.delete_stack(PROVIDER)
    account.terminal(commands(PAGE, "Alarms and the dashboard"), TOPIC=given["TOPIC_ARN"])
    assert account.cloudformation.client("cloudwatch").list_dashboards()["DashboardEntries"]
    account.cloudformation.delete_stack(PROVIDER)
    account.deploy_provider()


def test_the_provider_is_removed_when_nothing_imports_it(account: Account) -> None:
    consumer = Consumer(account, IMPORTED)
    script = commands(PAGE, "Remove the provider")
    imports, deletion = script.splitlines()
    assert consumer.name in account.terminal(f"PROVIDER={PROVIDER}; {imports}")
    assert "cannot be deleted as it is in use by" in account.try_in_terminal(f"PROVIDER={PROVIDER}; {deletion}").stderr
    assert consumer.delete() == "DELETE_COMPLETE"
    provider, logs, sqs = account.provider, account.cloudformation.client("logs"), account.cloudformation.client("sqs")
    account.terminal(f"PROVIDER={PROVIDER}; {deletion}")
    account.wait_for(provider.id, "DELETE_COMPLETE")
    log_groups = [each["logGroupName"] for each in logs.describe_log_groups()["logGroups"]]
    assert provider.outputs["LogGroup"] not in log_groups
    assert provider.outputs["FailureQueue"] not in sqs.list_queues().get("QueueUrls", [])
    account.deploy_provider()
