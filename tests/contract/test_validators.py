"""Four validators, one result: properties.py, the schema, the cfn-lint rule and, where it can, the native schema."""

import json
import re
from pathlib import Path
from typing import Any

import botocore.session
import pytest
from botocore.handlers import VALID_BUCKET
from jsonschema import Draft7Validator

from ingestion_destination.appfabric.destination import Destination
from ingestion_destination.exceptions import InvalidRequest
from ingestion_destination.properties import MAX_TAGS, Desired, attributes_of
from tests.intrinsics import NO_VALUE, every
from tests.support.property_sets import (
    CONDITIONS,
    FIREHOSE_MODEL,
    GIVEN,
    PARAMETERS,
    ROWS,
    S3_NAMES,
    TYPE,
    Row,
)
from tests.template.tools import CFN_LINTS, cfn_lint, run

ROOT = Path(__file__).parents[2]
SCHEMA = json.loads((ROOT / "schema" / "custom-appfabric-ingestiondestination.json").read_text())
model = botocore.session.get_session().get_service_model("appfabric")
CLOUDFORMATIONS_OWN = ("ServiceToken", "ServiceTimeout")
PRINT_NATIVE = """
import json
from cfnlint.schema.manager import PROVIDER_SCHEMA_MANAGER as manager
print(json.dumps(manager.get_resource_schema("us-east-1", "AWS::AppFabric::IngestionDestination").schema))
"""
NAMES = {row: f"Row{index}" for index, row in enumerate(each.name for each in ROWS)}
BAD = [row for row in ROWS if not row.good]
GOOD = [row for row in ROWS if row.good]

of_every_row = pytest.mark.parametrize("row", ROWS, ids=[row.name for row in ROWS])


@pytest.fixture(scope="module")
def native() -> dict[str, Any]:
    return dict(json.loads(run(ROOT / ".venv-sam/bin/python", "-c", PRINT_NATIVE)))


def template(rows: list[Row]) -> dict[str, Any]:
    return {
        "Parameters": PARAMETERS,
        "Conditions": CONDITIONS,
        "Resources": {
            "Other": {"Type": "AWS::SNS::Topic"},
            **{NAMES[row.name]: {"Type": TYPE, "Properties": row.properties} for row in rows},
        },
    }


def sent(row: Row) -> list[dict[str, Any]]:
    """Return everything that CloudFormation may send for a row, whatever the parameters."""
    found = []
    for each in every({"Parameters": PARAMETERS, "Conditions": CONDITIONS}, **GIVEN):
        properties = each.resolve(row.properties)
        if properties is not NO_VALUE and (strings := as_strings(properties)) not in found:
            found.append(strings)
    return found


def as_strings(value: Any) -> Any:
    """Return a value with its scalars as CloudFormation sends them."""
    if isinstance(value, dict):
        return {key: as_strings(each) for key, each in value.items()}
    if isinstance(value, list):
        return [as_strings(each) for each in value]
    return str(value).lower() if isinstance(value, bool) else str(value)


def validator(schema: dict[str, Any]) -> Draft7Validator:
    """Return the validator for a template's properties: without attributes and without CloudFormation's own."""
    excluded = {path.rpartition("/")[2] for path in schema["readOnlyProperties"]} | set(CLOUDFORMATIONS_OWN)
    properties = {name: each for name, each in schema["properties"].items() if name not in excluded}
    required = [name for name in schema["required"] if name not in excluded]
    return Draft7Validator({**schema, "properties": properties, "required": required})


def own_properties(properties: dict[str, Any]) -> dict[str, Any]:
    return {name: each for name, each in properties.items() if name not in CLOUDFORMATIONS_OWN}


def test_the_table_is_large_and_its_names_are_unique() -> None:
    assert len(ROWS) >= 60
    assert len(NAMES) == len(ROWS)
    assert min(len(GOOD), len(BAD)) > 30


# The validators


def refused(properties: dict[str, Any]) -> bool:
    try:
        Desired.parse(properties)
    except InvalidRequest:
        return True
    return False


@of_every_row
def test_the_provider_agrees_with_the_table(row: Row) -> None:
    assert any(map(refused, sent(row))) != row.good


@of_every_row
def test_the_schema_agrees_with_the_table(row: Row) -> None:
    schema_validator = validator(SCHEMA)
    assert all(schema_validator.is_valid(own_properties(each)) for each in sent(row)) == (
        row.good or "schema" in row.blind
    )


@pytest.mark.parametrize("row", [row for row in ROWS if row.native is not None], ids=lambda row: row.name)
def test_the_native_schema_agrees_with_the_table(row: Row, native: dict[str, Any]) -> None:
    native_validator = validator(native)
    assert all(native_validator.is_valid(own_properties(each)) for each in sent(row)) == row.native


@pytest.mark.parametrize("version", CFN_LINTS)
def test_cfn_lint_reports_no_valid_row(version: str, tmp_path: Path) -> None:
    # cfn-lint's own rules report nothing either, except that not every row uses every parameter, or needs Fn::Sub.
    found = cfn_lint(version, json.dumps(template(GOOD)), tmp_path)
    old_names = {NAMES[row.name] for row in GOOD if "old buckets" in row.name}
    assert {each.path[1] for each in found if each.rule == "W9703"} == old_names
    assert [each for each in found if each.rule not in {"W1020", "W2001", "W9703"}] == []


@pytest.mark.parametrize("version", CFN_LINTS)
def test_cfn_lint_reports_every_invalid_property_with_its_path(version: str, tmp_path: Path) -> None:
    found = cfn_lint(version, json.dumps(template(BAD)), tmp_path)
    for row in BAD:
        messages = [each.message for each in found if each.path[1] == NAMES[row.name] and each.rule == "E9701"]
        assert messages, row.name
        for path in row.wrong:
            assert any(re.search(rf"(?<![\w.]){re.escape(path)}(?!\w)", message) for message in messages), (
                row.name,
                path,
            )
        # At the property itself, or at its nearest ancestor that the template has.
        for each in found:
            assert each.path[2:3] in ([], ["Properties"])


def test_cfn_lint_and_the_provider_report_the_same_messages(tmp_path: Path) -> None:
    plain = [row for row in BAD if len(sent(row)) == 1 and "Fn::" not in str(row.properties)]
    assert len(plain) > 40
    found = cfn_lint("newest", json.dumps(template(plain)), tmp_path)
    for row in plain:
        with pytest.raises(InvalidRequest) as refusal:
            Desired.parse(sent(row)[0])
        messages = {each.message for each in found if each.path[1] == NAMES[row.name] and each.rule == "E9701"}
        assert without_guesses(messages) == without_guesses(refusal.value.message.split("; ")), row.name


def without_guesses(messages: Any) -> set[str]:
    """And without the parameter that a value is of, which the function does not know."""
    return {re.split(r", did you mean| \(from the default of ", message)[0] for message in messages}


# The schemas themselves


def test_the_schema_is_valid_json_schema() -> None:
    Draft7Validator.check_schema(SCHEMA)


def test_the_shape_matches_the_native_type(native: dict[str, Any]) -> None:
    """Apart from additional properties, and from constraints that report a mistake before a stack fails."""
    mine = json.loads(json.dumps(SCHEMA))
    more = {"ServiceToken", "ServiceTimeout", "AppBundleIdentifier", "IngestionIdentifier", "AdoptArn", "StatusReason"}
    assert mine["properties"].keys() - native["properties"].keys() == more
    assert native["properties"].keys() <= mine["properties"].keys()
    for name in ("AppBundleArn", "IngestionArn"):  # a UUID is valid too; the ARN of something else is not
        mine["properties"][name]["pattern"] = native["properties"][name]["pattern"]
    for name in native["properties"].keys() - {"Tags"}:
        assert shape(mine["properties"][name]) == shape(native["properties"][name]), name
    tags = native["properties"]["Tags"]
    assert shape(mine["properties"]["Tags"]) == shape({**tags, "maxItems": tags["maxItems"] - 4})  # the ownership tags
    del mine["definitions"]["Tag"]["properties"]["Key"]["allOf"]
    del mine["definitions"]["S3Bucket"]["properties"]["BucketName"]["pattern"]
    del mine["definitions"]["FirehoseStream"]["properties"]["StreamName"]["pattern"]
    assert shape(mine["definitions"]) == shape(native["definitions"])


def test_create_only_properties_match_the_native_type(native: dict[str, Any]) -> None:
    replaced = {path.rpartition("/")[2] for path in SCHEMA["createOnlyProperties"]}
    natives = {path.rpartition("/")[2] for path in native["createOnlyProperties"]}
    assert replaced - natives == {"ServiceToken", "AppBundleIdentifier", "IngestionIdentifier"}
    assert natives <= replaced


def test_identity_tagging_and_attributes_match_the_native_type(native: dict[str, Any]) -> None:
    for name in ("primaryIdentifier", "tagging", "additionalProperties"):
        assert SCHEMA[name] == native[name]
    assert set(SCHEMA["readOnlyProperties"]) - set(native["readOnlyProperties"]) == {"/properties/StatusReason"}
    assert set(native["readOnlyProperties"]) <= set(SCHEMA["readOnlyProperties"])


def test_every_attribute_of_a_response_is_in_the_schema() -> None:
    arn = "arn:aws:appfabric:us-east-1:111122223333:appbundle/{0}/ingestion/{0}/ingestiondestination/{0}"
    returned = {
        "arn": arn.format("44444444-4444-4444-8444-444444444444"),
        "processingConfiguration": {"auditLog": {}},
        "destinationConfiguration": {"auditLog": {}},
    }
    destination = Destination.parse(returned)
    assert destination
    attributes = attributes_of(destination)
    read_only = [path.rpartition("/")[2] for path in SCHEMA["readOnlyProperties"]]
    assert set(attributes) == {*read_only, "AppBundleArn", "IngestionArn"}


def test_permissions_are_those_of_the_native_type_plus_a_few(native: dict[str, Any]) -> None:
    """ListIngestionDestinations, to search for what a Create left; a failed Create and a replacement also delete."""
    more = {"appfabric:ListIngestionDestinations", "appfabric:DeleteIngestionDestination"}
    for handler, said in SCHEMA["handlers"].items():
        natives = set(native["handlers"][handler]["permissions"])
        assert natives <= set(said["permissions"])
        others = {"appfabric:CreateIngestionDestination", "appfabric:UntagResource"}
        assert set(said["permissions"]) - natives <= more | others


def test_the_tag_limit_matches_the_provider() -> None:
    assert SCHEMA["properties"]["Tags"]["maxItems"] == MAX_TAGS


SHAPES = {
    "AppBundleArn": "Identifier",
    "AppBundleIdentifier": "Identifier",
    "IngestionArn": "Identifier",
    "IngestionIdentifier": "Identifier",
    "AuditLogProcessingConfiguration.Schema": "Schema",
    "AuditLogProcessingConfiguration.Format": "Format",
    "S3Bucket.BucketName": "String63",
    "S3Bucket.Prefix": "String120",
    "FirehoseStream.StreamName": "String64",
    "Tag.Key": "TagKey",
    "Tag.Value": "TagValue",
    "Arn": "Arn",
    "Status": "IngestionDestinationStatus",
}


@pytest.mark.parametrize(("name", "shape_name"), SHAPES.items())
def test_limits_match_the_service_model(name: str, shape_name: str) -> None:
    definition, _, key = name.rpartition(".")
    properties = SCHEMA["definitions"][definition]["properties"] if definition else SCHEMA["properties"]
    limits = model.shape_for(shape_name)
    assert set(properties[key].get("enum", [])) == set(getattr(limits, "enum", []))
    assert properties[key].get("minLength") == limits.metadata.get("min")
    assert properties[key].get("maxLength") == limits.metadata.get("max")
    if shape_name == "Arn":
        assert properties[key]["pattern"] == f"^{limits.metadata['pattern']}$"  # botocore's patterns omit ^ and $


@pytest.mark.parametrize("row", [row for row in ROWS if row.basis], ids=lambda row: row.name)
def test_names_and_parents_are_accepted_as_in_the_service_models(row: Row) -> None:
    """And what they reject is rejected."""
    if row.basis == FIREHOSE_MODEL:
        pattern = botocore.session.get_session().get_service_model("firehose").shape_for("DeliveryStreamName").metadata
        name = row.properties["DestinationConfiguration"]["AuditLog"]["Destination"]["FirehoseStream"]["StreamName"]
        assert row.good == bool(re.fullmatch(pattern["pattern"], name))
    elif row.basis == S3_NAMES:
        name = row.properties["DestinationConfiguration"]["AuditLog"]["Destination"]["S3Bucket"]["BucketName"]
        assert row.good == bool(VALID_BUCKET.fullmatch(name))
    elif row.good:
        for name, value in row.properties.items():
            if name.startswith(("AppBundle", "Ingestion")):
                assert re.fullmatch(model.shape_for("Identifier").metadata["pattern"].replace("$|^", "|"), value)


def test_every_member_of_the_create_request_is_a_property() -> None:
    def members(shape_name: str) -> set[str]:
        return {name[0].upper() + name[1:] for name in model.shape_for(shape_name).members}

    request = members("CreateIngestionDestinationRequest") - {"ClientToken"}
    assert SCHEMA["properties"].keys() >= request
    same = {"Destination", "FirehoseStream", "ProcessingConfiguration", "S3Bucket", "DestinationConfiguration", "Tag"}
    for name in same | {"AuditLogProcessingConfiguration", "AuditLogDestinationConfiguration"}:
        assert set(SCHEMA["definitions"][name]["properties"]) == members(name)


def shape(schema: Any) -> Any:
    """Return a schema without descriptions, and without cfn-lint's formats, which AWS's registry does not know."""
    if isinstance(schema, dict):
        return {
            key: shape(each)
            for key, each in schema.items()
            if key not in {"description", "$comment"} and not (key == "format" and str(each).startswith("AWS::"))
        }
    return sorted(map(str, schema)) if isinstance(schema, list) and all(isinstance(e, str) for e in schema) else schema
