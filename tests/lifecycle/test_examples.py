"""Every example is deployed by the local CloudFormation, with the built function and the AppFabric emulator.

What ministack really has of their types: AWS::CloudFormation::Stack, AWS::Lambda::Function and its EventInvokeConfig,
AWS::Logs::LogGroup, AWS::S3::Bucket, AWS::SQS::Queue and its policy, and AWS::KinesisFirehose::DeliveryStream with its
tags. What it has in name only: AWS::IAM::Role, for it asks nobody for a permission. What it does not have:
AWS::CloudFormation::StackSet, so of that example the two templates are deployed as a StackSet would deploy them in one
account; and transforms in a nested stack, so the nested provider is the template that has none. The AppFabric
emulator asks neither S3 nor Data Firehose whether there is such a bucket or stream.
"""

import json
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from samtranslator.yaml_helper import yaml_parse

from local import release
from local.appfabric import AppFabricEmulator, serve
from local.certificates import Certificates
from local.cloudformation import CloudFormation, Stack, emulate
from tests.support.properties import BUNDLE, INGESTION

ROOT = Path(__file__).parents[2]
BUILT = ROOT / ".aws-sam" / "build"
EXAMPLES = {path.stem: path.read_text() for path in (ROOT / "examples").glob("*.yaml")}
PARENTS = {"AppBundleArn": BUNDLE, "IngestionArn": INGESTION}


@dataclass
class Account:
    """A CloudFormation, an AppFabric and, in one stack of its own, the provider."""

    cloudformation: CloudFormation
    appfabric: AppFabricEmulator
    endpoint: str

    def create(self, example: str, **parameters: str) -> Stack:
        stack = self.cloudformation.create_stack(
            f"{example}-{uuid.uuid4().hex[:6]}", EXAMPLES[example], parameters={**PARENTS, **parameters}
        )
        assert stack.status == "CREATE_COMPLETE", self.cloudformation.events(stack.id)
        return stack

    def delete(self, stack: Stack) -> list[str]:
        """The logical ids in the order in which their deletion ended."""
        assert self.cloudformation.delete_stack(stack.name).status == "DELETE_COMPLETE"
        events = self.cloudformation.events(stack.id)
        return [event.logical_id for event in events if event.status == "DELETE_COMPLETE"]

    def destination(self, arn: str) -> Any:
        return self.appfabric.destinations[arn]


@pytest.fixture(scope="module")
def account(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Account]:
    appfabric = AppFabricEmulator()
    certificates = Certificates.create(tmp_path_factory.mktemp("certificates"))
    with serve(appfabric) as endpoint, emulate(certificates=certificates) as cloudformation:
        cloudformation.deploy(
            BUILT / "template.yaml",
            stack_name="appfabric-ingestion-destination",
            parameters={"AppFabricEndpointUrl": endpoint},
        )
        yield Account(cloudformation, appfabric, endpoint)


def test_to_a_bucket(account: Account) -> None:
    stack = account.create("s3", Schema="raw")
    made = account.destination(stack.outputs["DestinationArn"])
    assert stack.outputs["DestinationStatus"] == "Active"
    bucket = made.destination["auditLog"]["destination"]["s3Bucket"]
    assert bucket["prefix"] == "saas"
    account.cloudformation.client("s3").head_bucket(Bucket=bucket["bucketName"])
    assert made.processing == {"auditLog": {"schema": "raw", "format": "json"}}
    account.delete(stack)
    assert not account.appfabric.destinations


def test_to_a_stream_that_appfabric_may_write_to(account: Account) -> None:
    stack = account.create("firehose")
    made = account.destination(stack.outputs["DestinationArn"])
    name = made.destination["auditLog"]["destination"]["firehoseStream"]["streamName"]
    firehose = account.cloudformation.client("firehose")
    described = firehose.describe_delivery_stream(DeliveryStreamName=name)["DeliveryStreamDescription"]
    assert described["DeliveryStreamType"] == "DirectPut"
    tags = firehose.list_tags_for_delivery_stream(DeliveryStreamName=name)["Tags"]
    assert {"Key": "AWSAppFabricManaged", "Value": "true"} in tags
    account.delete(stack)
    assert not account.appfabric.destinations


def test_two_destinations_on_one_ingestion(account: Account) -> None:
    stack = account.create("two-destinations")
    made = [account.destination(stack.outputs[name]) for name in ("RawArn", "OcsfArn")]
    assert [each.processing["auditLog"] for each in made] == [
        {"schema": "raw", "format": "json"},
        {"schema": "ocsf", "format": "parquet"},
    ]
    buckets = [each.destination["auditLog"]["destination"]["s3Bucket"] for each in made]
    assert len({each["bucketName"] for each in buckets}) == 1
    assert [each["prefix"] for each in buckets] == ["raw", "ocsf"]
    account.delete(stack)
    assert not account.appfabric.destinations


def test_the_provider_as_a_nested_application(account: Account, tmp_path: Path) -> None:
    provider = release.without_transform("")
    provider["Resources"]["ProviderFunction"]["Properties"]["Code"] = str(BUILT / "ProviderFunction")
    for name in release.CODE:
        del provider["Parameters"][name]
    nested, template = tmp_path / "provider.json", tmp_path / "template.yaml"
    nested.write_text(json.dumps(provider))
    template.write_text(EXAMPLES["nested-application"].replace("../template.yaml", str(nested)))
    parameters = {**PARENTS, "BucketName": "audit-logs", "AppFabricEndpointUrl": account.endpoint}
    stack = account.cloudformation.deploy(template, stack_name="nested", parameters=parameters)
    assert account.destination(stack.outputs["DestinationArn"])
    assert account.delete(stack)[:2] == ["Destination", "Provider"]
    assert not account.appfabric.destinations


def test_in_several_accounts(account: Account, tmp_path: Path) -> None:
    """The release's template, which has no transform, and the template in the example; as in one of the accounts."""
    sets = yaml_parse(EXAMPLES["stack-sets"])["Resources"]
    template, code = release.release(tmp_path)
    account.cloudformation.client("s3").create_bucket(Bucket="code-us-east-1")
    account.cloudformation.client("s3").put_object(Bucket="code-us-east-1", Key=code.name, Body=code.read_bytes())
    given = {"CodeBucketPrefix": "code", "CodeKey": code.name, **PARENTS, "BucketName": "audit-logs"}
    assert "Transform" not in yaml.safe_load(template.read_text())
    provider = account.cloudformation.create_stack(
        "stack-set-provider",
        template.read_text(),
        parameters={**parameters_of(sets["Providers"], given), "AppFabricEndpointUrl": account.endpoint},
    )
    assert provider.status == "CREATE_COMPLETE", account.cloudformation.events(provider.id)
    stack = account.cloudformation.create_stack(
        "stack-set-destination",
        sets["Destinations"]["Properties"]["TemplateBody"],
        parameters=parameters_of(sets["Destinations"], given),
    )
    assert account.destination(stack.outputs["DestinationArn"])
    account.delete(stack)
    account.delete(provider)
    assert not account.appfabric.destinations


def parameters_of(stack_set: Any, given: dict[str, str]) -> dict[str, str]:
    """What a StackSet gives its stacks: literals, a Ref, or one ${Name} of Fn::Sub."""

    def value(said: Any) -> str:
        if isinstance(said, str):
            return said
        if "Ref" in said:
            return given[said["Ref"]]
        return str(said["Fn::Sub"].replace("${CodeBucketPrefix}", given["CodeBucketPrefix"]))

    said = stack_set["Properties"]["Parameters"]
    return {each["ParameterKey"]: value(each["ParameterValue"]) for each in said}


def test_every_example_is_deployed_here() -> None:
    assert set(EXAMPLES) == {"s3", "firehose", "two-destinations", "nested-application", "stack-sets"}
