"""The cfn-lint rules in whole templates: the line, the warnings, and no false positives.

tests/contract/test_validators.py tests the rules with the table of valid and invalid properties.
"""

import re
import shutil
from pathlib import Path

import pytest
from samtranslator.yaml_helper import yaml_parse

from tests.template.tools import CFN_LINTS, ROOT, RULES, cfn_lint, run

both = pytest.mark.parametrize("version", CFN_LINTS)

WRONG = """\
AWSTemplateFormatVersion: "2010-09-09"
Transform: {transform}
Parameters:
  Schema: {{ Type: String, AllowedValues: [ocsf, cef], Default: ocsf }}
  Stage: {{ Type: String, Default: dev }}
Conditions:
  IsProd: !Equals [!Ref Stage, prod]
Resources:
  Destination:
    Type: Custom::AppFabricIngestionDestination
    Properties:
      ServiceToken: !ImportValue provider-ServiceToken
      ServiceTimeout: 720
      AppBundleArn: my-bundle # wrong: AppBundleArn must be the ARN of an app bundle
      IngestionIdentifier: 22222222-2222-4222-8222-222222222222
      IngestionArm: arn:aws:x # wrong: IngestionArm is unknown, did you mean IngestionArn?
      ProcessingConfiguration:
        AuditLog:
          Schema: !Ref Schema # wrong: Schema must be one of ocsf, raw
          Format: parqet # wrong: Format must be one of json, parquet
      DestinationConfiguration:
        AuditLog:
          Destination:
            S3Bucket:
              Prefix: !If [IsProd, saas, ""] # wrong: Prefix must have 1 to 120 characters
              Bucket: audit-logs # wrong: S3Bucket.Bucket is unknown
      Tags:
        - !If [IsProd, {{ Key: stage, Value: prod }}, !Ref AWS::NoValue]
        - {{ Key: team, Value: security }}
        - Key: team # wrong: Tags[2].Key is a duplicate of an earlier tag key
          Value: other
Outputs:
  Reason:
    Value: !GetAtt Destination.StatusReasn # wrong: did you mean StatusReason?
  Text:
    Value: !Sub ${{Destination.Arn}} is ${{Destination.State}} # wrong: no attribute State
"""
BUCKET_IS_MISSING = "S3Bucket.BucketName is required"
MARK = re.compile(r"^(.*?)# wrong: (.*)$")


@both
@pytest.mark.parametrize("transform", ["[]", "AWS::Serverless-2016-10-31"], ids=["plain", "SAM"])
def test_each_mistake_is_reported_at_its_line(version: str, transform: str, tmp_path: Path) -> None:
    text = WRONG.format(transform=transform).replace("Transform: []\n", "")
    found = [each for each in cfn_lint(version, text, tmp_path) if each.rule in {"E9701", "E9702"}]
    marks = {number: MARK.match(line) for number, line in enumerate(text.splitlines(), 1)}
    wanted = {number: mark[2] for number, mark in marks.items() if mark}
    bucket = next(number for number, line in enumerate(text.splitlines(), 1) if line.endswith("S3Bucket:"))
    assert {each.line for each in found} == {*wanted, bucket}
    for number, message in {**wanted, bucket: BUCKET_IS_MISSING}.items():
        assert any(each.line == number and message in each.message for each in found), (number, message, found)


RIGHT = """\
AWSTemplateFormatVersion: "2010-09-09"
Transform: AWS::LanguageExtensions
Parameters:
  Bundle: { Type: "AWS::SSM::Parameter::Value<String>", Default: /appfabric/bundle }
  Prefix: { Type: String, Default: "" }
  Stage: { Type: String, Default: dev }
  SecondBundle: { Type: String, Default: "" }
  Format: { Type: String, Default: json, AllowedValues: [json, parquet] }
Mappings:
  Stages:
    dev: { Schema: ocsf }
    prod: { Schema: raw }
Conditions:
  HasPrefix: !Not [!Equals [!Ref Prefix, ""]]
  IsProd: !Equals [!Ref Stage, prod]
  HasBundle: !And [!Condition HasPrefix, !Not [!Equals ["", !Ref SecondBundle]]]
  Both: !And [!Condition HasPrefix, !Condition IsProd]
Resources:
  Bucket:
    Type: AWS::S3::Bucket
  First:
    Type: Custom::AppFabricIngestionDestination
    Condition: IsProd
    Properties:
      ServiceToken: !ImportValue provider-ServiceToken
      ServiceTimeout: !If [IsProd, 900, 1]
      AppBundleArn: !Ref Bundle
      IngestionArn: "{{resolve:ssm:/appfabric/ingestion}}"
      ProcessingConfiguration:
        AuditLog:
          Schema: !FindInMap [Stages, !Ref Stage, Schema]
          Format: !If [IsProd, json, of-no-matter]
      DestinationConfiguration: !If
        - IsProd
        - AuditLog:
            Destination:
              S3Bucket:
                BucketName: !Ref Bucket
                Prefix: !If [Both, !Sub "${Prefix}/${AWS::Region}", !If [HasPrefix, !Ref Prefix, !Ref AWS::NoValue]]
        - !Ref AWS::NoValue
      Tags:
        - Key: bucket
          Value: !GetAtt Bucket.Arn
        - Fn::If:
            - HasPrefix
            - Key: prefix
              Value: !Ref Prefix
            - Ref: AWS::NoValue
  Second:
    Type: Custom::AppFabricIngestionDestination
    Condition: HasBundle
    Properties:
      ServiceToken: !ImportValue provider-ServiceToken
      ServiceTimeout: 720
      AppBundleArn: !Ref SecondBundle
      IngestionArn: !Sub ${SecondBundle}/ingestion/22222222-2222-4222-8222-222222222222
      ProcessingConfiguration:
        AuditLog: { Schema: raw, Format: !Ref Format }
      DestinationConfiguration:
        AuditLog:
          Destination:
            FirehoseStream: { StreamName: !Ref AWS::StackName }
Outputs:
  Destination:
    Condition: IsProd
    Value: !Sub
      - "${First} ${First.Status} ${First.IngestionArn} ${!First.Nothing} ${Local}"
      - Local: !GetAtt [First, UpdatedAt]
"""


EXPANDED = """\
AWSTemplateFormatVersion: "2010-09-09"
Transform: AWS::LanguageExtensions
Parameters:
  Buckets: { Type: CommaDelimitedList, Default: "logs-a,logs-b" }
Mappings:
  Destinations:
    Here: { Value: { S3Bucket: { BucketName: audit-logs } } }
Resources:
  Fn::ForEach::Kinds:
    - Kind
    - [raw, ocsf]
    - Kept${Kind}:
        Type: Custom::AppFabricIngestionDestination
        Properties:
          ServiceToken: !ImportValue provider-ServiceToken
          ServiceTimeout: 720
          AppBundleArn: 11111111-1111-4111-8111-111111111111
          IngestionArn: 22222222-2222-4222-8222-222222222222
          ProcessingConfiguration: { AuditLog: { Schema: !Ref Kind, Format: json } }
          DestinationConfiguration:
            AuditLog:
              Destination: { S3Bucket: { BucketName: !Select [0, !Ref Buckets], Prefix: !Sub "x/${Kind}" } }
  Included:
    Type: Custom::AppFabricIngestionDestination
    Properties:
      ServiceToken: !ImportValue provider-ServiceToken
      ServiceTimeout: 720
      Fn::Transform: { Name: AWS::Include, Parameters: { Location: s3://bucket/key } }
  PartlyIncluded:
    Type: Custom::AppFabricIngestionDestination
    Properties:
      ServiceToken: !ImportValue provider-ServiceToken
      ServiceTimeout: 720
      AppBundleArn: 11111111-1111-4111-8111-111111111111
      IngestionArn: 22222222-2222-4222-8222-222222222222
      ProcessingConfiguration:
        AuditLog: { "Fn::Transform": { Name: AWS::Include, Parameters: { Location: s3://bucket/key } } }
      DestinationConfiguration:
        AuditLog: { Destination: !FindInMap [Destinations, Here, Value] }
      Tags: !Split [",", !Ref AWS::StackName]
"""


@both
def test_nothing_is_reported_for_values_of_a_transform_or_mapping(version: str, tmp_path: Path) -> None:
    found = cfn_lint(version, EXPANDED, tmp_path)
    assert [each for each in found if each.rule[1:].startswith("97") or each.rule == "E0002"] == []


@both
def test_nothing_is_reported_for_a_template_full_of_functions(version: str, tmp_path: Path) -> None:
    found = cfn_lint(version, RIGHT, tmp_path)
    assert [each for each in found if each.rule[1:].startswith("97") or each.rule == "E0002"] == []


WHOLE = "E9704 ServiceTimeout must be a whole number of seconds from 1 to 3600"
SERVICE_TIMEOUTS = {
    "720": "",
    '"720"': "",
    "660": "",
    "3600": "",
    "!Ref Seconds": "",
    "!If [IsProd, 720, 3600]": "",
    "!GetAtt Other.TopicName": "",
    "1": "W9701 ServiceTimeout should be at least 660",
    "3601": WHOLE,
    "0": WHOLE,
    "-1": WHOLE,
    "720.5": WHOLE,
    '"720.0"': WHOLE,
    f'"{"9" * 5000}"': WHOLE,
    "yes": WHOLE,
    "!Ref AWS::AccountId": WHOLE,
    "659": "W9701 ServiceTimeout should be at least 660",
    "!Ref TooFew": "W9701 ServiceTimeout should be at least 660",
    "!If [IsProd, 300, 720]": "W9701 ServiceTimeout should be at least 660",
    "!If [IsProd, 720, !Ref AWS::NoValue]": "W9701 ServiceTimeout is missing",
    "!Ref AWS::NoValue": "W9701 ServiceTimeout is missing",
    "soon": WHOLE,
}


@both
def test_an_unsuitable_service_timeout_is_reported_once(version: str, tmp_path: Path) -> None:
    text = """
Parameters:
  Stage: { Type: String, Default: dev }
  Seconds: { Type: Number, Default: 720 }
  TooFew: { Type: Number, Default: 60 }
Conditions:
  IsProd: !Equals [!Ref Stage, prod]
Resources:
  Other: { Type: AWS::SNS::Topic }
"""
    for index, said in enumerate(SERVICE_TIMEOUTS):
        text += f"""
  Row{index}:
    Type: Custom::AppFabricIngestionDestination
    Properties:
      ServiceToken: !ImportValue provider-ServiceToken
      ServiceTimeout: {said}
      AppBundleArn: 11111111-1111-4111-8111-111111111111
      IngestionArn: 22222222-2222-4222-8222-222222222222
      ProcessingConfiguration: {{ AuditLog: {{ Schema: ocsf, Format: json }} }}
      DestinationConfiguration: {{ AuditLog: {{ Destination: {{ S3Bucket: {{ BucketName: audit-logs }} }} }} }}
"""
    found = [each for each in cfn_lint(version, text, tmp_path) if each.rule[1:3] == "97"]
    for index, (said, words) in enumerate(SERVICE_TIMEOUTS.items()):
        messages = [f"{each.rule} {each.message}" for each in found if each.path[1] == f"Row{index}"]
        assert len(messages) == bool(words), said
        assert all(words in message for message in messages), said


def with_many_conditions(index: int, count: int) -> str:
    """Return two resources: one is wrong with a pair of the conditions, and one where all of them are false."""
    chain = "".join(f"!If [Of{index}Is{each}, saas, " for each in range(count))
    tags = [f"!If [Of{index}Has{each}, {{ Key: k{each}, Value: v }}, !Ref AWS::NoValue]" for each in range(count)]
    common = """
    Type: Custom::AppFabricIngestionDestination
    Properties:
      ServiceToken: !ImportValue provider-ServiceToken
      AppBundleArn: 11111111-1111-4111-8111-111111111111
      IngestionArn: 22222222-2222-4222-8222-222222222222"""
    return f"""
  Pair{index}:
    Condition: IsProd{common}
      ServiceTimeout: !If [IsDev, 1, 720]
      ProcessingConfiguration: {{ AuditLog: {{ Schema: ocsf, Format: !If [Of{index}Has0, parquet, json] }} }}
      DestinationConfiguration:
        AuditLog:
          Destination:
            S3Bucket: !If [Of{index}Has{count - 1}, {{ BucketName: audit-logs }}, !Ref AWS::NoValue]
            FirehoseStream: !If [Of{index}Lacks, {{ StreamName: audit-logs }}, !Ref AWS::NoValue]
      Tags: [{", ".join(tags)}]
  Chain{index}:{common}
      ServiceTimeout: 720
      ProcessingConfiguration: {{ AuditLog: {{ Schema: ocsf, Format: json }} }}
      DestinationConfiguration:
        AuditLog: {{ Destination: {{ S3Bucket: {{ BucketName: audit-logs, Prefix: {chain}""{"]" * count} }} }} }}
"""


COUNTS = (5, 6, 12)  # Pair has two more


@both
def test_a_mistake_of_two_conditions_is_found_among_any_number(version: str, tmp_path: Path) -> None:
    parameters, conditions = ["Stage"], "  IsProd: !Equals [!Ref Stage, prod]\n  IsDev: !Equals [!Ref Stage, dev]\n"
    for index, count in enumerate(COUNTS):
        conditions += f"  Of{index}Lacks: !Not [!Condition Of{index}Has{count - 1}]\n"
        for each in range(count):
            parameters.append(f"P{index}x{each}")
            conditions += f'  Of{index}Has{each}: !Equals [!Ref P{index}x{each}, "yes"]\n'
            conditions += f"  Of{index}Is{each}: !Equals [!Ref Stage, stage-{each}]\n"
    text = "Parameters:\n" + "".join(f"  {name}: {{ Type: String }}\n" for name in parameters)
    text += f"Conditions:\n{conditions}Resources:\n"
    text += "".join(with_many_conditions(index, count) for index, count in enumerate(COUNTS))
    found = [each for each in cfn_lint(version, text, tmp_path) if each.rule[1:].startswith("97")]
    reported = {(each.path[1], each.message.partition(" ")[0].rpartition(".")[2]) for each in found}
    wrong = {"Pair": "Format", "Chain": "Prefix"}
    assert reported == {(f"{name}{index}", wrong[name]) for name in wrong for index in range(len(COUNTS))}


@both
def test_a_missing_service_timeout_is_a_warning(version: str, tmp_path: Path) -> None:
    text = re.sub(r" +ServiceTimeout: .*\n", "", (ROOT / "examples/s3.yaml").read_text())
    (found,) = cfn_lint(version, text, tmp_path)
    assert found.rule == "W9701"
    assert "an hour" in found.message


def test_the_rules_use_the_functions_timeouts() -> None:
    function = yaml_parse((ROOT / "template.yaml").read_text())["Resources"]["ProviderFunction"]["Properties"]
    age, timeout = function["EventInvokeConfig"]["MaximumEventAgeInSeconds"], function["Timeout"]
    assert f"MAX_REQUEST_SECONDS = {age} + {timeout}\n" in (RULES / "_rules.py").read_text()


def test_sam_validate_applies_the_rules(tmp_path: Path) -> None:
    """Because of the .cfnlintrc in the current folder."""
    for name in (".cfnlintrc", "lint", "schema"):
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, tmp_path / name)
    (tmp_path / "template.yaml").write_text(WRONG.format(transform="AWS::Serverless-2016-10-31"))
    output = run(
        ROOT / ".venv-sam/bin/sam", "validate", "--lint", codes=(1,), cwd=tmp_path, env={"HOME": str(tmp_path)}
    )
    assert "IngestionArm is unknown, did you mean IngestionArn?" in output
    assert output.count("E9701") >= 7


@both
@pytest.mark.parametrize("parameters", ["{ Name: 5 }", "[Name]", "Name"])
def test_parameters_of_a_wrong_shape_do_not_keep_the_rules_from_running(
    parameters: str, version: str, tmp_path: Path
) -> None:
    text = WRONG.format(transform="AWS::Serverless-2016-10-31").replace("Transform: AWS::Serverless-2016-10-31\n", "")
    text = re.sub(r"Parameters:\n(  .*\n)*", f"Parameters: {parameters}\n", text)
    found = cfn_lint(version, text, tmp_path)
    assert not [each for each in found if each.rule == "E0002" and re.search("[EW]97", each.message)]
    assert any("IngestionArm is unknown" in each.message for each in found)


@both
def test_rules_given_twice_report_once(version: str, tmp_path: Path) -> None:
    """By .cfnlintrc and on the command line."""
    text = WRONG.format(transform="AWS::Serverless-2016-10-31")
    once = cfn_lint(version, text, tmp_path)
    (tmp_path / ".cfnlintrc").write_text(f"append_rules:\n  - {RULES}\n")
    assert cfn_lint(version, text, tmp_path) == once
