"""Templates as people write them, valid and invalid, through a cfn-lint installed with nothing but the rules."""

from dataclasses import dataclass

import pytest

from tests.template.tools import CFN_LINTS, Finding, cfn_lint_of_all

BASE = """\
AWSTemplateFormatVersion: "2010-09-09"
Parameters:
  Stage: { Type: String, Default: dev, AllowedValues: [dev, prod] }
  Name: { Type: String }
Conditions:
  IsProd: !Equals [!Ref Stage, prod]
  HasPrefix: !Equals [!Ref Name, saas]
Resources:
  Logs:
    Type: AWS::S3::Bucket
    Condition: IsProd
    Properties: { BucketName: !Ref Name }
  Destination:
    Type: Custom::AppFabricIngestionDestination
    Condition: IsProd
    Properties:
      ServiceToken: !ImportValue appfabric-ingestion-destination-ServiceToken
      ServiceTimeout: 720
      AppBundleArn: BUNDLE
      IngestionArn: INGESTION
      ProcessingConfiguration:
        AuditLog: { Schema: ocsf, Format: json }
      DestinationConfiguration:
        AuditLog:
          Destination:
            S3Bucket:
              BucketName: !Ref Logs
              Prefix: saas
      Tags:
        - { Key: team, Value: security }
Outputs:
  Arn:
    Condition: IsProd
    Value: !Ref Destination
"""
BUNDLE_ID, INGESTION_ID = "11111111-1111-4111-8111-111111111111", "22222222-2222-4222-8222-222222222222"
BUNDLE = f"arn:aws:appfabric:us-east-1:111122223333:appbundle/{BUNDLE_ID}"
INGESTION = f"{BUNDLE}/ingestion/{INGESTION_ID}"
BASE = BASE.replace(": BUNDLE\n", f": {BUNDLE}\n").replace(": INGESTION\n", f": {INGESTION}\n")


def sub(arn: str) -> str:
    """Return an ARN as a template for every account and Region has it."""
    generic = "arn:${AWS::Partition}:appfabric:${AWS::Region}:${AWS::AccountId}"
    return arn.replace("arn:aws:appfabric:us-east-1:111122223333", generic)


BUCKET = "BucketName: !Ref Logs"
S3_BUCKET = "S3Bucket:\n              BucketName: !Ref Logs\n              Prefix: saas"
EXPORT = "appfabric-ingestion-destination-ServiceToken"
PROPERTIES = BASE[BASE.rindex("    Properties:\n") : BASE.index("Outputs:\n")]
TOKEN = f"ServiceToken: !ImportValue {EXPORT}"
TYPE = "Type: Custom::AppFabricIngestionDestination"
TOPIC = "\n  Topic: { Type: AWS::SNS::Topic, Condition: IsProd }\n  Destination:"
FUNCTION = """
  Function:
    Type: AWS::Lambda::Function
    Condition: IsProd
    Properties: { Code: { ImageUri: !Ref Name }, PackageType: Image, Role: !Ref Name }
  Destination:"""
RESOURCES = FUNCTION.replace(
    "\n  Destination:",
    """
  Layer: { Type: AWS::Lambda::LayerVersion, Condition: IsProd, Properties: { Content: { S3Bucket: layers, S3Key: k } } }
  Version: { Type: AWS::Lambda::Version, Condition: IsProd, Properties: { FunctionName: !Ref Function } }
  Alias:
    Type: AWS::Lambda::Alias
    Condition: IsProd
    Properties: { Name: live, FunctionName: !Ref Function, FunctionVersion: !GetAtt Version.Version }
  Nested: { Type: AWS::CloudFormation::Stack, Condition: IsProd, Properties: { TemplateURL: !Ref Name } }
  Custom: { Type: Custom::Function, Condition: IsProd, Properties: { ServiceToken: !GetAtt Function.Arn } }
  Destination:""",
)
STREAM = "\n  Stream: { Type: AWS::KinesisFirehose::DeliveryStream, Condition: IsProd }\n  Destination:"
TO_THE_STREAM = "FirehoseStream: { StreamName: !GetAtt Stream.Arn }"
FOR_EACH = """\
  Fn::ForEach::Kinds:
    - Kind
    - [raw, ocsf]
    - Kept${Kind}:
        Type: Custom::AppFabricIngestionDestination
        Properties:
          ServiceToken: !ImportValue appfabric-ingestion-destination-ServiceToken
          ServiceTimeout: 720
          AppBundleArn: !Ref Name
          IngestionArn: !Ref Name
          ProcessingConfiguration: { AuditLog: { Schema: !Ref Kind, Format: json } }
          DestinationConfiguration: { AuditLog: { Destination: { S3Bucket: { BucketName: SCHEMA } } } }
"""


@dataclass(frozen=True)
class Case:
    """A template and what has to be reported for it.

    Attributes:
        changes: Text of the base template, and what this template has instead.
        rule: The rule that has to report it, "" if nothing has to be reported.
        message: A part of the message.
        line: A part of the line at which it is reported, if that is not the changed one.
    """

    name: str
    changes: dict[str, str]
    rule: str = ""
    message: str = ""
    line: str = ""

    @property
    def text(self) -> str:
        text = BASE
        for old, new in self.changes.items():
            assert old in text, old
            text = text.replace(old, new)
        return text


def bucket(name: str, value: str, message: str = "the bucket's name alone", rule: str = "E9701") -> Case:
    return Case(f"a bucket: {name}", {BUCKET: f"BucketName: {value}"}, rule, message, "BucketName: ")


def default(name: str, value: str) -> Case:
    parameters = {"Default: dev": "Default: prod", "  Name: {": "  Bad: { Type: String, Default: s3://a }\n  Name: {"}
    return Case(
        f"a default {name}", {**parameters, BUCKET: f"BucketName: {value}"}, "E9701", "name alone", "BucketName"
    )


def mapped(name: str, key: str, rule: str = "") -> Case:
    mappings = "Mappings: { Stages: { prod: { Schema: cef }, dev: { Schema: raw } } }\nConditions:\n"
    changes = {"Conditions:\n": mappings, "Schema: ocsf": f"Schema: !FindInMap [Stages, {key}, Schema]"}
    words = "of ocsf, raw (from an allowed value of parameter Stage)" if "Stage" in key else "must be one of ocsf, raw"
    return Case(f"a schema of a mapping: {name}", changes, rule, words, "Schema: !FindInMap")


def token(name: str, value: str, rule: str = "E9703") -> Case:
    changes = {"\n  Destination:": RESOURCES, TOKEN: f"ServiceToken: {value}"}
    return Case(f"a ServiceToken: {name}", changes, rule, f"Fn::ImportValue {EXPORT}" if rule else "", "ServiceToken: ")


WRONG = (
    bucket("Fn::GetAtt of the ARN", "!GetAtt Logs.Arn"),
    bucket("Fn::GetAtt of the ARN, a list", "!GetAtt [Logs, Arn]"),
    bucket("Fn::Sub of the ARN", '!Sub "${Logs.Arn}"'),
    bucket("Fn::Sub that makes an ARN", "!Sub arn:${AWS::Partition}:s3:::${Logs}"),
    bucket("Fn::Join that makes an ARN", '!Join ["", ["arn:aws:s3:::", !Ref Logs]]'),
    bucket("an ARN", "arn:aws:s3:::audit-logs"),
    bucket("a URL", "s3://audit-logs"),
    bucket("a URL with capitals", "s3://Audit-Logs"),
    bucket("a path", "audit-logs/saas"),
    bucket("a path with Fn::Sub", "!Sub ${Logs}/saas"),
    bucket("a block that ends in a newline", "!Sub |\n                ${AWS::AccountId}-audit-logs"),
    bucket("the ARN in one branch", "!If [IsProd, !GetAtt Logs.Arn, audit-logs]"),
    bucket("the ARN by a variable of Fn::Sub", "!Sub ['${Which}', { Which: !GetAtt Logs.Arn }]"),
    default("in Fn::Sub", "!Sub '${Bad}'"),
    default("in Fn::Join", "!Join [-, [audit, !Ref Bad]]"),
    mapped("by key", "prod", "E9701"),
    mapped("by a parameter", "!Ref Stage", "E9701"),
    bucket("its domain name", "!GetAtt Logs.RegionalDomainName"),
    bucket("its website", "!Sub '${Logs.WebsiteURL}'"),
    bucket("the stack's ARN", "!Ref AWS::StackId"),
    bucket("too long", f"!Sub ${{Name}}-{'p' * 64}", "must have 3 to 63 characters (has at least 65)"),
    Case(
        "a prefix: too long",
        {"Prefix: saas": f'Prefix: !Join [/, [!Ref AWS::Region, {"p" * 120}]]'},
        "E9701",
        "must have 1 to 120 characters (has at least 121)",
    ),
    *(
        Case(f"properties: {said}", {PROPERTIES: f"    Properties: {said}\n"}, "E9701", "be an object", "Propert")
        for said in ("none", "[]", "720")
    ),
    token("a block that ends in a newline", "!Sub |\n        arn:aws:lambda:${AWS::Region}:1:function:p\n"),
    Case(
        "an app bundle: a block that ends in a newline",
        {f"{BUNDLE}\n": "!Sub |\n        arn:aws:appfabric:us-east-1:111122223333:appbundle/${Name}\n"},
        "E9701",
        "AppBundleArn must be the ARN of an app bundle",
        "AppBundleArn: ",
    ),
    Case(
        "an app bundle: the ARN of a bucket",
        {f"{BUNDLE}\n": "!GetAtt Logs.Arn\n"},
        "E9701",
        "AppBundleArn must be the ARN of an app bundle",
        "AppBundleArn: ",
    ),
    Case(
        "an app bundle: an ingestion that is not known",
        {f"{BUNDLE}\n": "!Sub ${Name}/ingestion/${Stage}\n"},
        "E9701",
        "AppBundleArn must be the ARN of an app bundle",
        "AppBundleArn: ",
    ),
    Case(
        "a tag of AWS's own, with Fn::Sub",
        {"Key: team,": "Key: !Sub 'aws:${AWS::StackName}',"},
        "E9701",
        "Tags[0].Key must not begin with aws:",
    ),
    Case("a name that is a Boolean", {"Prefix: saas": "on: saas"}, "E9701", "S3Bucket.true is unknown", "S3Bucket:"),
    Case(
        "an allowed value that a mapping turns on",
        {
            "Conditions:\n": "Mappings: { Stages: { prod: { Enabled: true, B: '' }, "
            "dev: { Enabled: false, B: my-logs } } }\nConditions:\n",
            "!Equals [!Ref Stage, prod]": "!Equals [!FindInMap [Stages, !Ref Stage, Enabled], 'true']",
            BUCKET: "BucketName: !FindInMap [Stages, !Ref Stage, B]",
        },
        "E9701",
        "(has 0) (from an allowed value of parameter Stage)",
        "BucketName: !FindInMap",
    ),
    bucket("too short", "ab", "must have 3 to 63 characters (has 2)"),
    bucket("capitals", "Audit-Logs", "only buckets of before March 2018", "W9703"),
    bucket("an underscore with Fn::Sub", "!Sub ${AWS::AccountId}_logs", "only buckets of before March 2018", "W9703"),
    Case(
        "a stream: its ARN",
        {"\n  Destination:": STREAM, S3_BUCKET: TO_THE_STREAM},
        "E9701",
        "the stream's name alone",
        "StreamName",
    ),
    Case("parents: swapped", {f"{BUNDLE}\n": f"{INGESTION}\n"}, "E9701", "must be the ARN of an app bundle", "Bundle"),
    Case(
        "parents: an ingestion of another app bundle",
        {f"{BUNDLE}\n": f"{BUNDLE.replace('1111-4111', '9999-4111')}\n"},
        "E9701",
        "IngestionArn must belong to the app bundle that AppBundleArn specifies",
        "IngestionArn: ",
    ),
    Case(
        "parents: a Region other than the function's",
        {TOKEN: "ServiceToken: arn:aws:lambda:eu-west-1:111122223333:function:appfabric", INGESTION: INGESTION_ID},
        "E9701",
        "AppBundleArn must be in the provider's Region, eu-west-1",
        "AppBundleArn: ",
    ),
    Case(
        "parents: swapped, with Fn::Sub",
        {f"AppBundleArn: {BUNDLE}": f"AppBundleArn: !Sub {sub(INGESTION)}"},
        "E9701",
        "AppBundleArn must be the ARN of an app bundle",
        "AppBundleArn: ",
    ),
    Case(
        "parents: an ingestion of another app bundle, with Fn::Sub",
        {INGESTION: f"!Sub {sub(INGESTION.replace('1111-4111', '9999-4111'))}"},
        "E9701",
        "IngestionArn must belong to the app bundle that AppBundleArn specifies",
        "IngestionArn: ",
    ),
    Case(
        "parents: a default with which the resource is created",
        {
            "Default: dev": "Default: prod",
            "  Name: {": "  Bundle: { Type: String, Default: '' }\n  Name: {",
            f"{BUNDLE}\n": "!Ref Bundle\n",
        },
        "E9701",
        "the ARN of an app bundle",
        "AppBundleArn: ",
    ),
    Case(
        "parents: an ingestion of another Region, the app bundle not known",
        {TOKEN: "ServiceToken: arn:aws:lambda:eu-west-1:111122223333:function:f", f"{BUNDLE}\n": "!Ref Name\n"},
        "E9701",
        "IngestionArn must be in the provider's Region, eu-west-1",
        "IngestionArn: ",
    ),
    Case(
        "parents: a Region other than that of a function with Fn::Sub",
        {TOKEN: "ServiceToken: !Sub arn:aws:lambda:eu-west-1:${AWS::AccountId}:function:f", INGESTION: INGESTION_ID},
        "E9701",
        "AppBundleArn must be in the provider's Region, eu-west-1",
        "AppBundleArn: ",
    ),
    Case(
        "parents: a known Region in an ARN that is not",
        {
            TOKEN: "ServiceToken: !Sub arn:aws:lambda:eu-west-1:${Name}",
            f"AppBundleArn: {BUNDLE}": "AppBundleArn: !Sub arn:aws:appfabric:us-east-1:${Name}:appbundle/${Name}",
            INGESTION: INGESTION_ID,
        },
        "E9701",
        "AppBundleArn must be in the provider's Region, eu-west-1",
        "AppBundleArn: ",
    ),
    Case(
        "parents: a known UUID in an ARN that is not",
        {INGESTION: f"!Sub arn:aws:appfabric:${{Name}}:appbundle/{INGESTION_ID}/ingestion/${{Name}}"},
        "E9701",
        "IngestionArn must belong to the app bundle that AppBundleArn specifies",
        "IngestionArn: ",
    ),
    Case(
        "an adopted destination of another ingestion, the app bundle not known",
        {
            f"{BUNDLE}\n": "!Ref Name\n",
            "Tags:": f"AdoptArn: {BUNDLE}/ingestion/{BUNDLE_ID}/ingestiondestination/{BUNDLE_ID}\n      Tags:",
        },
        "E9701",
        "AdoptArn must belong to the ingestion",
        "AdoptArn: ",
    ),
    Case("parents: another service", {f"{BUNDLE}\n": "arn:aws:iam::1:x\n"}, "E9701", "the ARN of an app b", "AppBund"),
    Case("parents: a name", {f"{BUNDLE}\n": "my-bundle\n"}, "E9701", "the ARN of an app bundle", "AppBundleArn: "),
    Case("parents: two names", {"Tags:": f"AppBundleIdentifier: {BUNDLE_ID}\n      Tags:"}, "E9701", "one of", "Prop"),
    Case("a misspelled property", {"Prefix: saas": "Prefx: saas"}, "E9701", "did you mean Prefix?", "Prefx"),
    Case("a property as the API spells it", {"Tags:": "tags:"}, "E9701", "did you mean Tags?", "tags"),
    Case("a schema in capitals", {"Schema: ocsf": "Schema: OCSF"}, "E9701", "one of ocsf, raw", "Schema"),
    Case("a format that YAML parses as a Boolean", {"Format: json": "Format: no"}, "E9701", "must be one of", "Format"),
    Case("an app bundle that is a number", {f"{BUNDLE}\n": "0x1F\n"}, "E9701", "the ARN of an app bundle", "AppBundle"),
    Case(
        "a wrong branch, beside a resource with the same condition",
        {PROPERTIES: PROPERTIES + BASE[BASE.index("  Destination:") : BASE.index("Outputs:")]
         .replace("Destination:\n", "Second:\n", 1)
         .replace("    Condition: IsProd\n", "")
         .replace("!Ref Logs", "logs")
         .replace("json", "!If [IsProd, json, jsn]")},
        "E9701",
        "Format must be one of json, parquet",
        "Format: !If",
    ),
    Case("a number as an object", {S3_BUCKET: "S3Bucket: 0x1F"}, "E9701", "S3Bucket must be an object", "S3Bucket"),
    Case(
        "parquet to a stream",
        {"Format: json": "Format: parquet", S3_BUCKET: "FirehoseStream: { StreamName: logs }"},
        "E9701",
        "must be json when the destination is a FirehoseStream",
        "Format",
    ),
    Case("an empty prefix", {"Prefix: saas": 'Prefix: ""'}, "E9701", "must have 1 to 120 characters", "Prefix"),
    Case("tags that are a map", {"- { Key: team, Value: security }": "team: security"}, "E9701", "a list", "Tags"),
    Case("a tag without a value", {", Value: security": ""}, "E9701", "Tags[0].Value is required", "Key: team"),
    Case("an unknown attribute", {"!Ref Destination": "!GetAtt Destination.Id"}, "E9702", "no attribute Id", "Value"),
    Case("no ServiceTimeout", {"      ServiceTimeout: 720\n": ""}, "W9701", "missing", "Properties:"),
    Case("a ServiceTimeout that is too short", {"720": "300"}, "W9701", "at least 660 seconds", "ServiceTimeout"),
    Case("a ServiceTimeout that is too long", {"720": "3601"}, "E9704", "from 1 to 3600", "ServiceTimeout"),
    Case("a type with a missing capital", {TYPE: "Type: Custom::AppfabricIngestionDestination"}, "W9702", "the type"),
    Case("a truncated type", {TYPE: "Type: Custom::AppFabricIngestionDestinatio"}, "W9702", "is not validated"),
    Case(
        "CDK's default of the type",
        {TYPE: "Type: AWS::CloudFormation::CustomResource"},
        "W9702",
        "the type is Custom::AppFabricIngestionDestination",
    ),
    Case(
        "CDK's default of the type, the export by Fn::Sub",
        {
            TYPE: "Type: AWS::CloudFormation::CustomResource",
            TOKEN: "ServiceToken: { Fn::ImportValue: !Sub '${Provider}-ServiceToken' }",
            "  Name: {": "  Provider: { Type: String, Default: appfabric-ingestion-destination }\n  Name: {",
        },
        "W9702",
        "the type is Custom::AppFabricIngestionDestination",
        "Type: AWS::CloudFormation::CustomResource",
    ),
    Case("a type of three parts", {TYPE: "Type: Custom::AppFabric::IngestionDestination"}, "W9702", "the type is"),
    Case("the provider under another name", {TYPE: "Type: Custom::Destination"}, "W9702", "is not validated"),
    Case(
        "the provider's function under another name",
        {
            TYPE: "Type: Custom::Destination",
            TOKEN: "ServiceToken: arn:aws:lambda:us-east-1:111122223333:function:"
            "appfabric-ingestion-destination-ProviderFunction-AbC123",
        },
        "W9702",
        "is not validated",
        "Type: Custom::Destination",
    ),
    Case(
        "an SNS topic as ServiceToken",
        {TOKEN: "ServiceToken: arn:aws:sns:us-east-1:111122223333:requests"},
        "E9703",
        "SNS topic",
    ),
    Case(
        "a reference to an SNS topic as ServiceToken",
        {"\n  Destination:": TOPIC, TOKEN: "ServiceToken: !Ref Topic"},
        "E9703",
        "SNS topic",
        "ServiceToken",
    ),
    Case(
        "the name of a function as ServiceToken",
        {"\n  Destination:": FUNCTION, TOKEN: "ServiceToken: !Ref Function"},
        "E9703",
        "the ARN of the provider's function",
        "ServiceToken",
    ),
    Case(
        "the name of the export as ServiceToken",
        {TOKEN: "ServiceToken: appfabric-ingestion-destination-ServiceToken"},
        "E9703",
        "Fn::ImportValue",
    ),
    token("the ARN of a bucket", "!GetAtt Logs.Arn"),
    token("the ARN of a bucket by Fn::Sub", '!Sub "${Logs.Arn}"'),
    token("the ARN of another service by Fn::Sub", "!Sub arn:aws:states:${AWS::Region}:1:stateMachine:${Name}"),
    token("the literal ARN of a layer", "arn:aws:lambda:us-east-1:111122223333:layer:appfabric:1"),
    token("the ARN of a layer", "!Ref Layer"),
    token("the beginning of an ARN", "arn:aws:lambda:us-east-1:111122223333:function"),
    token("another ARN of which the end is not known", "!Sub arn:aws:lambda:us-east-1:111122223333:layer:${Name}"),
    Case(
        "an invalid bucket in Fn::ForEach",
        {"Parameters:": "Transform: AWS::LanguageExtensions\nParameters:", "Resources:\n": "Resources:\n" + FOR_EACH,
         "SCHEMA": "s3://logs"},
        "E9701",
        "the bucket's name alone",
        "BucketName: s3",
    ),
)  # fmt: skip

RIGHT = (
    Case("the base", {}),
    Case(
        "a bucket or a stream by opposite conditions, beside a default",
        {
            "  Name: {": "  Team: { Type: String, Default: security }\n  Name: {",
            S3_BUCKET: "S3Bucket: !If [HasPrefix, { BucketName: logs }, !Ref AWS::NoValue]\n"
            "            FirehoseStream: !If [HasPrefix, !Ref AWS::NoValue, { StreamName: logs }]",
            "Format: json": "Format: !If [HasPrefix, parquet, json]",
            "Value: security": "Value: !Ref Team",
        },
    ),
    mapped("another key", "dev"),
    mapped("by Region", "!Ref AWS::Region"),
    mapped("by no key", "test"),
    Case("a prefix of samples", {"Prefix: saas": f"Prefix: !Sub {'p' * 108}-${{AWS::Region}}${{AWS::Partition}}"}),
    Case("a prefix that is a domain", {"Prefix: saas": "Prefix: !GetAtt Logs.DomainName"}),
    Case("a prefix that YAML parses as a date", {"Prefix: saas": "Prefix: 2026-11-25"}),
    Case("a tag that YAML parses as a date", {"Value: security": "Value: 2026-11-25"}),
    Case("a tag that YAML parses as a time", {"Value: security": "Value: 2026-11-25T10:00:00Z"}),
    Case("a tag that YAML parses as a number", {"Value: security": "Value: 1_400"}),
    Case("a tag that YAML parses as a Boolean", {"Value: security": "Value: on"}),
    Case("a bucket that YAML parses as a small number", {BUCKET: "BucketName: 0x1F"}),
    Case("tags whose keys are numbers", {"- { Key: team,": "- { Key: 0010, Value: a }\n        - { Key: 8,"}),
    Case("tags whose keys are true to YAML", {"- { Key: team,": "- { Key: yes, Value: a }\n        - { Key: on,"}),
    Case("a prefix of a number by Fn::Join", {"Prefix: saas": f'Prefix: !Join ["", [{"p" * 118}, 0x1F]]'}),
    Case("tags whose keys are versions", {"- { Key: team,": "- { Key: 1.1, Value: a }\n        - { Key: 1.10,"}),
    Case("a bucket of digits", {BUCKET: "BucketName: 20261125"}),
    Case("UUIDs", {f"{BUNDLE}\n": f"{BUNDLE_ID}\n", INGESTION: INGESTION_ID}),
    Case("the API's names", {"AppBundleArn:": "AppBundleIdentifier:", "IngestionArn:": "IngestionIdentifier:"}),
    Case("Fn::Sub of parts", {BUCKET: "BucketName: !Sub ${AWS::StackName}-${AWS::Region}-logs"}),
    Case("a folded block without a newline", {BUCKET: "BucketName: !Sub >-\n                ${AWS::AccountId}-logs"}),
    Case("a bucket name extracted from its ARN", {BUCKET: 'BucketName: !Select [5, !Split [":", !GetAtt Logs.Arn]]'}),
    Case("an imported bucket", {BUCKET: "BucketName: !ImportValue LogsBucket"}),
    Case("a dynamic reference", {BUCKET: 'BucketName: "{{resolve:ssm:/logs/bucket}}"'}),
    Case("no prefix by condition", {"Prefix: saas": "Prefix: !If [HasPrefix, saas, !Ref AWS::NoValue]"}),
    Case("a literal function", {TOKEN: "ServiceToken: arn:aws:lambda:us-east-1:111122223333:function:appfabric"}),
    Case("Fn::Join of parts", {BUCKET: "BucketName: !Join [-, [!Ref AWS::AccountId, !Ref Name, logs]]"}),
    Case("a function's ARN", {"\n  Destination:": FUNCTION, TOKEN: "ServiceToken: !GetAtt Function.Arn"}),
    Case("a token by Fn::Sub", {TOKEN: "ServiceToken: !Sub arn:${AWS::Partition}:lambda:${AWS::Region}:1:function:f"}),
    *(token(said, f"!{said}", "") for said in (
        "Ref Version", "Ref Alias", "GetAtt Alias.AliasArn", "GetAtt Version.FunctionArn", "GetAtt Nested.Outputs.Arn",
        "GetAtt Custom.Arn", "Sub ${Name}:function:f", "Sub arn:${Name}", "Sub ${Function.Arn}:live", "Ref Name",
        "Sub arn:aws-cn:lambda:${AWS::Region}:${AWS::AccountId}:function:${Name}:live",
    )),
    Case(
        "the function of a SAM template as ServiceToken",
        {
            "Parameters:": "Transform: AWS::Serverless-2016-10-31\nParameters:",
            "\n  Destination:": """
  Function:
    Type: AWS::Serverless::Function
    Condition: IsProd
    Properties: { PackageType: Image, ImageUri: !Ref Name }
  Destination:""",
            TOKEN: "ServiceToken: !GetAtt Function.Arn",
        },
    ),
    Case("a token from a parameter", {TOKEN: "ServiceToken: !Ref Name"}),
    Case("parents from parameters", {f"{BUNDLE}\n": "!Ref Name\n", INGESTION: "!Sub ${Name}/ingestion/1"}),
    Case("an ingestion in a known app bundle, with Fn::Sub", {INGESTION: f"!Sub ${{Name}}/ingestion/{INGESTION_ID}"}),
    Case("a token of this Region", {TOKEN: "ServiceToken: !Sub arn:aws:lambda:${AWS::Region}:1:function:f"}),
    Case("a token of a Region that is not known", {TOKEN: "ServiceToken: !Sub arn:aws:lambda:${Name}:1:function:f"}),
    Case(
        "parents with Fn::Sub",
        {f"AppBundleArn: {BUNDLE}": f"AppBundleArn: !Sub {sub(BUNDLE)}", INGESTION: f"!Sub {sub(INGESTION)}"},
    ),
    Case("one parent with Fn::Sub", {f"AppBundleArn: {BUNDLE}": f"AppBundleArn: !Sub {sub(BUNDLE)}"}),
    Case(
        "a default with which the resource is not created",
        {"  Name: {": "  Bundle: { Type: String, Default: '' }\n  Name: {", f"{BUNDLE}\n": "!Ref Bundle\n"},
    ),
    Case(
        "a default that the resource's condition tests",
        {
            "  Name: {": "  Bundle: { Type: String, Default: '' }\n  Name: {",
            "!Equals [!Ref Stage, prod]": '!And [!Equals [!Ref Name, a], !Not [!Equals [!Sub "${Bundle}", ""]]]',
            f"{BUNDLE}\n": "!Ref Bundle\n",
        },
    ),
    Case(
        "a default of the parameter store that the resource's condition tests",
        {
            "  Name: {": "  Disabled: { Type: 'AWS::SSM::Parameter::Value<String>', Default: /off }\n"
            "  Bundle: { Type: String, Default: '' }\n  Name: {",
            "!Equals [!Ref Stage, prod]": "!Not [!Equals [!Ref Disabled, 'true']]",
            f"{BUNDLE}\n": "!Ref Bundle\n",
        },
    ),
    Case(
        "an allowed value with which the resource is not created",
        {
            "  Name: {": "  Seconds: { Type: Number, Default: 720, AllowedValues: [0, 720] }\n  Name: {",
            "!Equals [!Ref Stage, prod]": "!Not [!Equals [!Ref Seconds, '0']]",
            "ServiceTimeout: 720": "ServiceTimeout: !Ref Seconds",
        },
    ),
    Case(
        "an allowed value that a mapping turns off",
        {
            "Conditions:\n": "Mappings: { Stages: { prod: { Enabled: true, B: my-logs }, "
            "dev: { Enabled: false, B: '' } } }\nConditions:\n",
            "!Equals [!Ref Stage, prod]": "!Equals [!FindInMap [Stages, !Ref Stage, Enabled], 'true']",
            BUCKET: "BucketName: !FindInMap [Stages, !Ref Stage, B]",
        },
    ),
    Case(
        "an allowed value that a condition may turn off",
        {
            "Conditions:\n": "Mappings: { Stages: { dev: { B: my-logs }, prod: { B: '' } } }\nConditions:\n",
            "!Equals [!Ref Stage, prod]": "!Equals [!Sub '${Stage}-${Name}', dev-saas]",
            BUCKET: "BucketName: !FindInMap [Stages, !Ref Stage, B]",
        },
    ),
    Case(
        "a resource that is never created",
        {"!Equals [!Ref Stage, prod]": "!Equals [!Ref Stage, test]", f"{BUNDLE}\n": "my-bundle\n"},
    ),
    Case(
        "an adopted destination with Fn::Sub",
        {"Tags:": f"AdoptArn: !Sub {INGESTION.replace(BUNDLE_ID, '${Name}')}/ingestiondestination/1\n      Tags:"},
    ),
    Case("Fn::Transform", {"Prefix: saas": "Fn::Transform: { Name: AWS::Include, Parameters: { Location: s3://b } }"}),
    Case(
        "Fn::ForEach",
        {"Parameters:": "Transform: AWS::LanguageExtensions\nParameters:", "Resources:\n": "Resources:\n" + FOR_EACH,
         "SCHEMA": "!Sub '${Kind}-logs'"},
    ),
    Case(
        "a variable of Fn::Sub that is named like an attribute",
        {"Value: !Ref Destination": 'Value: !Sub ["${Destination.Id}", { Destination.Id: !Ref Destination }]'},
    ),
    Case(
        "a custom resource whose type begins with the name",
        {TYPE: f"{TYPE}Report", TOKEN: "ServiceToken: !ImportValue other-ServiceToken"},
    ),
    Case(
        "a custom resource of a function that has the provider's name in its own",
        {
            TYPE: "Type: Custom::Report",
            TOKEN: "ServiceToken: arn:aws:lambda:us-east-1:111122223333:function:"
            "appfabric-ingestion-destination-report",
        },
    ),
    Case(
        "another custom resource",
        {TYPE: "Type: Custom::Other", TOKEN: "ServiceToken: !ImportValue other-ServiceToken"},
    ),
)  # fmt: skip
CASES = WRONG + RIGHT


@pytest.fixture(scope="module", params=CFN_LINTS)
def found(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Finding]]:
    """The findings of one invocation of cfn-lint, by the name of the template."""
    directory = tmp_path_factory.mktemp("likely templates")  # a path with a space
    files = {directory / f"{index}.yaml": case for index, case in enumerate(CASES)}
    for path, case in files.items():
        path.write_text(case.text)
    by_file = cfn_lint_of_all(request.param, list(files), directory)
    return {case.name: by_file[path] for path, case in files.items()}


@pytest.mark.parametrize("case", WRONG, ids=lambda case: case.name)
def test_a_likely_mistake_is_reported_at_its_line(case: Case, found: dict[str, list[Finding]]) -> None:
    own = [each for each in found[case.name] if each.rule[1:3] == "97"]
    assert {each.rule for each in own} == {case.rule}, own
    line = case.line or next(iter(case.changes.values()))
    lines = case.text.splitlines()
    assert any(case.message in each.message and line in lines[each.line - 1] for each in own), own


@pytest.mark.parametrize("case", RIGHT, ids=lambda case: case.name)
def test_nothing_is_reported_for_a_valid_template(case: Case, found: dict[str, list[Finding]]) -> None:
    # cfn-lint's own rules report nothing either, except for parameters and conditions that a variant does not use.
    assert [each for each in found[case.name] if each.rule not in {"W2001", "W8001"}] == []


def test_there_are_many_templates() -> None:
    assert len(CASES) > 55
    assert len({case.name for case in CASES}) == len(CASES)
