"""Every way out of a broken state that docs/operating.md shows, with the local CloudFormation.

ministack refuses to delete an export in use, has the states UPDATE_ROLLBACK_FAILED and DELETE_FAILED, and knows
`--resources-to-skip` and `--retain-resources`. It asks nobody for a permission.
"""

import io
import re
from typing import Any

import pytest
from rich.console import Console

from local.appfabric import Fault
from local.cloudformation.client import _BUCKET as BUCKET
from local.console import Problem
from local.deploy import Deployment
from local.ways_out import check_takes_a_deployment
from tests.lifecycle.account import BY_TAG, IMPORTED, PAGE, PROVIDER, Account, Consumer
from tests.lifecycle.pages import commands
from tests.support.properties import to_bucket

REFUSED = Fault(operation="GetIngestionDestination", error="AccessDeniedException", times=999)


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
