"""The commands of docs/deploying.md and docs/operating.md, with the local CloudFormation.

ministack has no drift-aware change sets, and asks nobody for a permission.
"""

import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

import yaml

from local.appfabric import Call
from tests.lifecycle.account import BY_TAG, IMPORTED, PAGE, PROVIDER, Account, Consumer
from tests.lifecycle.pages import ROOT, blocks, commands
from tests.support.properties import BUNDLE, to_bucket


def test_drift_is_undone_by_an_update_that_changes_something_else(account: Account) -> None:
    harmless = yaml.safe_load(blocks(PAGE, "Re-apply a template after drift", "yaml")[0])
    tags = [{"Key": "team", "Value": "security"}]
    consumer = Consumer(account, IMPORTED, Tags=tags)
    (arn,) = account.appfabric.destinations
    destination = account.appfabric.destinations[arn]
    target = json.dumps(destination.destination)
    destination.destination = {"auditLog": {"destination": {"s3Bucket": {"bucketName": "somebodys"}}}}
    del destination.tags["team"]
    destination.tags["cost-center"] = "42"
    assert consumer.update(Tags=tags, **harmless) == "UPDATE_COMPLETE"
    assert json.dumps(account.appfabric.destinations[arn].destination) == target
    found = account.appfabric.destinations[arn].tags
    assert {"team": "security", "cost-center": "42"}.items() <= found.items()

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
    emptied = """'FailureQueueReaderArn=""'"""
    assert f"`{emptied}`" in (ROOT / "docs" / "deploying.md").read_text()
    account.terminal(f'sam deploy --s3-bucket "$BUCKET" --parameter-overrides {emptied}')
    assert account.provider.parameters["FailureQueueReaderArn"] == ""
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
