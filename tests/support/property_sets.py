"""Valid and invalid properties, as templates have them: the table on which all validators have to agree.

The functions in it refer to PARAMETERS and CONDITIONS, which every template with a row contains. A row is good if
CloudFormation sends valid properties whatever the parameters are.
"""

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tests.support.properties import BUNDLE, INGESTION, OTHER_INGESTION, STACK_ID, processing, to_bucket, to_stream

TYPE = "Custom::AppFabricIngestionDestination"
UUID_OF_BUNDLE = BUNDLE.rpartition("/")[2]
UUID_OF_INGESTION = INGESTION.rpartition("/")[2]
PARENTS = {"AppBundleArn": BUNDLE, "IngestionArn": INGESTION}
OTHER_BUNDLE = BUNDLE.replace("11111111-1111", "55555555-5555")
DESTINATION = f"{INGESTION}/ingestiondestination/44444444-4444-4444-8444-444444444444"
OWNERS = "custom-appfabric-ingestion-destination:StackId"

PARAMETERS: dict[str, Any] = {
    "Stage": {"Type": "String", "AllowedValues": ["dev", "prod"], "Default": "dev"},
    "Prefix": {"Type": "String", "AllowedValues": ["", "saas"], "Default": ""},
    "Schema": {"Type": "String", "AllowedValues": ["ocsf", "raw"], "Default": "ocsf"},
    "BadSchema": {"Type": "String", "AllowedValues": ["ocsf", "cef"], "Default": "ocsf"},
    "BadFormat": {"Type": "String", "Default": "csv"},
    "AppBundle": {"Type": "String"},
    "Bucket": {"Type": "String"},
}
GIVEN = {"AppBundle": BUNDLE, "Bucket": "audit-logs"}
CONDITIONS: dict[str, Any] = {
    "IsProd": {"Fn::Equals": [{"Ref": "Stage"}, "prod"]},
    "IsDev": {"Fn::Not": [{"Condition": "IsProd"}]},
    "HasPrefix": {"Fn::Not": [{"Fn::Equals": [{"Ref": "Prefix"}, ""]}]},
}
NO_VALUE = {"Ref": "AWS::NoValue"}
REMOVED: Any = object()

S3 = "DestinationConfiguration.AuditLog.Destination.S3Bucket"
STREAM = "DestinationConfiguration.AuditLog.Destination.FirehoseStream"
DESTINATION_OF = "DestinationConfiguration.AuditLog.Destination"
AUDIT_LOG = "ProcessingConfiguration.AuditLog"


@dataclass(frozen=True)
class Row:
    """One set of properties.

    Attributes:
        name: What is special about it.
        properties: As a template has them.
        wrong: The paths of the invalid properties, none if it is good.
        native: Whether the native type's schema accepts it; None if that type has no such property.
        blind: The validators that cannot detect the mistake, each with the reason.
        basis: The source of a rule about names and parents.
    """

    name: str
    properties: Any
    wrong: tuple[str, ...]
    native: bool | None
    blind: Mapping[str, str]
    basis: str = ""

    @property
    def good(self) -> bool:
        return not self.wrong


GOOD: dict[str, Any] = {
    "ServiceToken": "arn:aws:lambda:us-east-1:111122223333:function:provider",
    "ServiceTimeout": 720,
    "AppBundleArn": BUNDLE,
    "IngestionArn": INGESTION,
    "ProcessingConfiguration": processing("ocsf", "json"),
    "DestinationConfiguration": to_bucket("audit-logs", prefix="saas"),
}
_SAME: Any = object()


def row(
    name: str,
    changes: Mapping[str, Any],
    *wrong: str,
    native: Any = _SAME,
    blind: Mapping[str, str] | None = None,
    basis: str = "",
) -> Row:
    properties = copy.deepcopy(GOOD)
    for path, value in changes.items():
        *parents, last = path.split(".")
        place = properties
        for parent in parents:
            place = place.setdefault(parent, {})
        if value is REMOVED:
            del place[last]
        else:
            place[last] = value
    return Row(name, properties, wrong, not wrong if native is _SAME else native, blind or {}, basis)


def when(condition: str, then: Any, otherwise: Any = NO_VALUE) -> dict[str, Any]:
    return {"Fn::If": [condition, then, otherwise]}


def tags(*pairs: tuple[Any, Any]) -> list[dict[str, Any]]:
    return [{"Key": key, "Value": value} for key, value in pairs]


def api_names(bundle: Any, ingestion: Any) -> dict[str, Any]:
    names = {"AppBundleIdentifier": bundle, "IngestionIdentifier": ingestion}
    return {"AppBundleArn": REMOVED, "IngestionArn": REMOVED, **names}


NATIVE_ACCEPTS = True  # the native type accepts it, and this one reports it before a deployment fails

ROWS = (
    # Good
    row("to a bucket", {}),
    row("to a bucket without a prefix", {f"{S3}.Prefix": REMOVED}),
    row("to a stream", {"DestinationConfiguration": to_stream("audit-logs")}),
    row("raw", {f"{AUDIT_LOG}.Schema": "raw"}),
    row("parquet to a bucket", {f"{AUDIT_LOG}.Format": "parquet"}),
    row("the API's names, ARNs", api_names(BUNDLE, INGESTION), native=None),
    row("the API's names, UUIDs", api_names(UUID_OF_BUNDLE, UUID_OF_INGESTION), native=None),
    row("one of each name", {"AppBundleArn": REMOVED, "AppBundleIdentifier": UUID_OF_BUNDLE}, native=None),
    row("UUIDs in the native type's names", {"AppBundleArn": UUID_OF_BUNDLE}, native=False),
    row("tags", {"Tags": tags(("team", "security"), ("cost-center", "1400"))}),
    row("no tags", {"Tags": []}),
    row("an empty value of a tag", {"Tags": tags(("reviewed", ""))}),
    row(
        "numbers and Booleans, which CloudFormation sends as strings",
        {"Tags": tags(("cost-center", 1400), ("pci", True))},
    ),
    row("keys that differ in case", {"Tags": tags(("team", "a"), ("Team", "b"))}),
    row("the maximum number of tags", {"Tags": tags(*((f"k{i}", "v") for i in range(46)))}),
    row("the longest key and value", {"Tags": tags(("k" * 128, "v" * 256))}),
    row("the shortest bucket name", {f"{S3}.BucketName": "abc"}),
    row("the longest bucket name", {f"{S3}.BucketName": "b" * 63}),
    row("the longest prefix", {f"{S3}.Prefix": "p" * 120}),
    row("the longest stream name", {"DestinationConfiguration": to_stream("s" * 64)}),
    row("the shortest stream name", {"DestinationConfiguration": to_stream("abc")}),
    row("a ServiceTimeout that is a string", {"ServiceTimeout": "720"}),
    row("adopts", {"AdoptArn": DESTINATION}, native=None),
    row("adopts nothing, by a parameter's default", {"AdoptArn": ""}, native=None),
    row(
        "adopts, parents by UUID",
        {**api_names(UUID_OF_BUNDLE, UUID_OF_INGESTION), "AdoptArn": DESTINATION},
        native=None,
    ),
    # Good, with functions
    row("references", {"AppBundleArn": {"Ref": "AppBundle"}, f"{S3}.BucketName": {"Ref": "Bucket"}}),
    row("an import", {"Tags": tags(("owner", {"Fn::ImportValue": "Owner"}))}),
    row("a Sub without variables", {f"{S3}.BucketName": {"Fn::Sub": "audit-logs"}}),
    row("a Sub", {f"{S3}.BucketName": {"Fn::Sub": "audit-logs-${AWS::AccountId}"}}),
    row("an attribute", {f"{S3}.Prefix": {"Fn::GetAtt": ["Other", "TopicName"]}}),
    row("a Join", {f"{S3}.Prefix": {"Fn::Join": ["/", ["saas", {"Ref": "AWS::Region"}]]}}),
    row("a parameter of which all values are allowed", {f"{AUDIT_LOG}.Schema": {"Ref": "Schema"}}),
    row("a prefix, or none", {f"{S3}.Prefix": when("HasPrefix", {"Ref": "Prefix"})}),
    row("tags by condition", {"Tags": [*tags(("team", "a")), when("IsProd", tags(("pci", "yes"))[0])]}),
    row("all tags by condition", {"Tags": when("IsProd", tags(("pci", "yes")))}),
    row("the same key in two branches", {"Tags": [when("IsProd", *(tags(("a", v))[0] for v in "bc"))]}),
    row(
        "a bucket or a stream, by value",
        {
            DESTINATION_OF: {
                "S3Bucket": when("IsProd", {"BucketName": "audit-logs"}),
                "FirehoseStream": when("IsProd", NO_VALUE, {"StreamName": "audit-logs"}),
            }
        },
    ),
    row(
        "a bucket or a stream, by opposite conditions",
        {
            DESTINATION_OF: {
                "S3Bucket": when("IsProd", {"BucketName": "audit-logs"}),
                "FirehoseStream": when("IsDev", {"StreamName": "audit-logs"}),
            }
        },
    ),
    row(
        "a bucket with parquet or a stream with json",
        {
            AUDIT_LOG: {"Schema": "ocsf", "Format": when("IsProd", "parquet", "json")},
            DESTINATION_OF: when(
                "IsProd", {"S3Bucket": {"BucketName": "audit-logs"}}, {"FirehoseStream": {"StreamName": "audit-logs"}}
            ),
        },
    ),
    row(
        "the name of a parent by condition",
        {"AppBundleArn": when("IsProd", BUNDLE), "AppBundleIdentifier": when("IsDev", UUID_OF_BUNDLE)},
        native=None,
    ),
    row("adopts in one stage", {"AdoptArn": when("IsProd", DESTINATION)}, native=None),
    # Bad
    row(
        "no properties",
        dict.fromkeys(GOOD, REMOVED),
        "AppBundleArn",
        "IngestionArn",
        "ProcessingConfiguration",
        "DestinationConfiguration",
    ),
    row("no app bundle", {"AppBundleArn": REMOVED}, "AppBundleArn"),
    row("no ingestion", {"IngestionArn": REMOVED}, "IngestionArn"),
    row("two names of the app bundle", {"AppBundleIdentifier": BUNDLE}, "AppBundleIdentifier", native=None),
    row("two names of the ingestion", {"IngestionIdentifier": INGESTION}, "IngestionIdentifier", native=None),
    row("a misspelled name", {"IngestionArn": REMOVED, "IngestionAr": INGESTION}, "IngestionAr", "IngestionArn"),
    row("a name in the API's case", {"tags": []}, "tags"),
    row("an attribute as a property", {"Status": "Active"}, "Status"),
    row("neither an ARN nor a UUID", {"AppBundleArn": "my-bundle"}, "AppBundleArn"),
    row("an empty identifier", {"IngestionArn": ""}, "IngestionArn"),
    row(
        "a UUID in capitals",
        api_names("ABCDEFAB-1111-4111-8111-111111111111", INGESTION),
        "AppBundleIdentifier",
        native=None,
    ),
    row("an identifier that is too long", {"IngestionArn": INGESTION + "x" * 1012}, "IngestionArn"),
    row(
        "an identifier that is a list",
        {"AppBundleArn": [BUNDLE]},
        "AppBundleArn",
    ),
    row("no processing", {"ProcessingConfiguration": REMOVED}, "ProcessingConfiguration"),
    row("processing that is a string", {"ProcessingConfiguration": "ocsf"}, "ProcessingConfiguration"),
    row("processing without an audit log", {"ProcessingConfiguration": {}}, AUDIT_LOG),
    row("no schema", {f"{AUDIT_LOG}.Schema": REMOVED}, f"{AUDIT_LOG}.Schema"),
    row("no format", {f"{AUDIT_LOG}.Format": REMOVED}, f"{AUDIT_LOG}.Format"),
    row("an unknown schema", {f"{AUDIT_LOG}.Schema": "ocsff"}, f"{AUDIT_LOG}.Schema"),
    row("an unknown format", {f"{AUDIT_LOG}.Format": "csv"}, f"{AUDIT_LOG}.Format"),
    row("a schema in capitals", {f"{AUDIT_LOG}.Schema": "OCSF"}, f"{AUDIT_LOG}.Schema"),
    row("an unknown property of processing", {f"{AUDIT_LOG}.Compression": "gzip"}, f"{AUDIT_LOG}.Compression"),
    row("no configuration of the destination", {"DestinationConfiguration": REMOVED}, "DestinationConfiguration"),
    row("a configuration without an audit log", {"DestinationConfiguration": {}}, "DestinationConfiguration.AuditLog"),
    row("an audit log without a destination", {"DestinationConfiguration.AuditLog": {}}, DESTINATION_OF),
    row("neither bucket nor stream", {DESTINATION_OF: {}}, DESTINATION_OF),
    row("both bucket and stream", {f"{STREAM}.StreamName": "audit-logs"}, DESTINATION_OF),
    row("another kind of destination", {f"{DESTINATION_OF}.SecurityLake": {}}, f"{DESTINATION_OF}.SecurityLake"),
    row("no bucket name", {f"{S3}.BucketName": REMOVED}, f"{S3}.BucketName"),
    row("an unknown property BucketArn", {f"{S3}.BucketArn": "arn:aws:s3:::audit-logs"}, f"{S3}.BucketArn"),
    row("a bucket name that is too short", {f"{S3}.BucketName": "ab"}, f"{S3}.BucketName"),
    row("a bucket name that is too long", {f"{S3}.BucketName": "b" * 64}, f"{S3}.BucketName"),
    row("an empty prefix", {f"{S3}.Prefix": ""}, f"{S3}.Prefix"),
    row("a prefix that is too long", {f"{S3}.Prefix": "p" * 121}, f"{S3}.Prefix"),
    row(
        "a prefix that is an object",
        {f"{S3}.Prefix": {"Name": "saas"}},
        f"{S3}.Prefix",
    ),
    row("a stream name that is too short", {"DestinationConfiguration": to_stream("ab")}, f"{STREAM}.StreamName"),
    row("a stream name that is too long", {"DestinationConfiguration": to_stream("s" * 65)}, f"{STREAM}.StreamName"),
    row("no stream name", {DESTINATION_OF: {"FirehoseStream": {}}}, f"{STREAM}.StreamName"),
    row(
        "parquet to a stream",
        {f"{AUDIT_LOG}.Format": "parquet", "DestinationConfiguration": to_stream("audit-logs")},
        f"{AUDIT_LOG}.Format",
        native=NATIVE_ACCEPTS,
    ),
    row("tags that are an object", {"Tags": {"team": "security"}}, "Tags"),
    row("a tag that is a string", {"Tags": ["team"]}, "Tags[0]"),
    row("a tag without a value", {"Tags": [{"Key": "team"}]}, "Tags[0].Value"),
    row("a tag without a key", {"Tags": [{"Value": "x"}]}, "Tags[0].Key"),
    row("an empty key", {"Tags": tags(("", "x"))}, "Tags[0].Key"),
    row("a key that is too long", {"Tags": tags(("k" * 129, "x"))}, "Tags[0].Key"),
    row("a value that is too long", {"Tags": tags(("k", "v" * 257))}, "Tags[0].Value"),
    row(
        "an unknown property of a tag",
        {"Tags": [{"Key": "a", "Value": "b", "Propagate": "yes"}]},
        "Tags[0].Propagate",
    ),
    row(
        "an AWS key",
        {"Tags": tags(("team", "a"), ("aws:cloudformation:stack-id", STACK_ID))},
        "Tags[1].Key",
        native=NATIVE_ACCEPTS,
    ),
    row("an AWS key in capitals", {"Tags": tags(("AWS:x", "a"))}, "Tags[0].Key", native=NATIVE_ACCEPTS),
    row("the key of an ownership tag", {"Tags": tags((OWNERS, STACK_ID))}, "Tags[0].Key", native=NATIVE_ACCEPTS),
    row(
        "a duplicate key",
        {"Tags": tags(("team", "a"), ("team", "b"))},
        "Tags[1].Key",
        native=NATIVE_ACCEPTS,
        blind={"schema": "JSON Schema cannot require unique keys"},
    ),
    row(
        "too many tags",
        {"Tags": tags(*((f"k{i}", "v") for i in range(47)))},
        "Tags",
        native=NATIVE_ACCEPTS,
    ),
    row("an adopted destination's UUID", {"AdoptArn": DESTINATION.rpartition("/")[2]}, "AdoptArn", native=None),
    row(
        "an adopted destination of another ingestion, whose ARN goes on",
        {"AdoptArn": f"{DESTINATION.replace(INGESTION, OTHER_INGESTION)}/x"},
        "AdoptArn",
        native=None,
    ),
    row(
        "an adopted destination of another ingestion, and no app bundle",
        {"AppBundleArn": "my-bundle", "AdoptArn": DESTINATION.replace(INGESTION, OTHER_INGESTION)},
        "AppBundleArn",
        native=None,
    ),
    row(
        "an adopted destination of another ingestion",
        {"AdoptArn": DESTINATION.replace(INGESTION, OTHER_INGESTION)},
        "AdoptArn",
        native=None,
        blind={"schema": "JSON Schema cannot compare two values"},
    ),
    # Bad, with functions
    row(
        "a parameter of which one value is wrong",
        {f"{AUDIT_LOG}.Schema": {"Ref": "BadSchema"}},
        f"{AUDIT_LOG}.Schema",
    ),
    row(
        "a parameter whose default is wrong",
        {f"{AUDIT_LOG}.Format": {"Ref": "BadFormat"}},
        f"{AUDIT_LOG}.Format",
    ),
    row(
        "a Sub without variables that is too short",
        {f"{S3}.BucketName": {"Fn::Sub": "ab"}},
        f"{S3}.BucketName",
    ),
    row("a prefix that may be empty", {f"{S3}.Prefix": {"Ref": "Prefix"}}, f"{S3}.Prefix"),
    row(
        "a wrong value in one branch",
        {f"{AUDIT_LOG}.Format": when("IsProd", "json", "jsn")},
        f"{AUDIT_LOG}.Format",
    ),
    row("no parent in one branch", {"IngestionArn": when("IsProd", INGESTION)}, "IngestionArn"),
    row(
        "required, and none in one branch",
        {"ProcessingConfiguration": when("IsProd", GOOD["ProcessingConfiguration"])},
        "ProcessingConfiguration",
    ),
    row(
        "a second destination in one branch",
        {f"{DESTINATION_OF}.FirehoseStream": when("IsProd", {"StreamName": "audit-logs"})},
        DESTINATION_OF,
    ),
    row(
        "an unknown property in one branch",
        {DESTINATION_OF: {"S3Bucket": when("IsProd", {"Bucket": "audit-logs"}, {"BucketName": "audit-logs"})}},
        f"{S3}.Bucket",
        f"{S3}.BucketName",
    ),
    row(
        "parquet to a stream in one branch",
        {
            AUDIT_LOG: {"Schema": "ocsf", "Format": when("IsDev", "parquet", "json")},
            "DestinationConfiguration": to_stream("audit-logs"),
        },
        f"{AUDIT_LOG}.Format",
        native=NATIVE_ACCEPTS,
    ),
    row(
        "a duplicate key in one branch",
        {"Tags": [*tags(("a", "b")), when("IsProd", tags(("a", "c"))[0])]},
        "Tags[1].Key",
        native=NATIVE_ACCEPTS,
        blind={"schema": "JSON Schema cannot require unique keys"},
    ),
    row("a function in a wrong place", {f"{S3}.Bucketname": {"Ref": "Bucket"}}, f"{S3}.Bucketname"),
)

# The sources of the rules about names and parents. Nothing that AppFabric might accept may be rejected.
FIREHOSE_MODEL = "botocore firehose DeliveryStreamName: [a-zA-Z0-9_.-]+"
S3_NAMES = "S3's naming rules, and botocore.handlers.VALID_BUCKET, by which S3 clients reject other names"
IDENTIFIER_MODEL = "botocore appfabric Identifier: an ARN, or a UUID in lower case"
ARN_FORMAT = "the formats of AppFabric's ARNs in the Service Authorization Reference"
ONE_REGION = "an AppFabric endpoint serves the resources of its own Region"
CROSS_PROPERTY = {"schema": "JSON Schema cannot compare two values"}
_US_GOV = {name: arn.replace("arn:aws:", "arn:aws-us-gov:") for name, arn in PARENTS.items()}


def bucket(name: str, *wrong: str, called: str) -> Row:
    return row(f"a bucket: {called}", {f"{S3}.BucketName": name}, *wrong, native=len(name) <= 63, basis=S3_NAMES)


def stream(name: str, *wrong: str, called: str) -> Row:
    properties = {"DestinationConfiguration": to_stream(name)}
    return row(f"a stream: {called}", properties, *wrong, native=True, basis=FIREHOSE_MODEL)


def parents(called: str, changes: Mapping[str, Any], *wrong: str, basis: str = ARN_FORMAT, **known: Any) -> Row:
    return row(f"parents: {called}", changes, *wrong, basis=basis, **known)


ROWS += (
    bucket("my.old.Bucket_Name", called="capitals and an underscore, as in old buckets"),
    bucket("logs-2026.example.com", called="dots"),
    bucket("..logs..", called="forbidden by S3 today, but not rejected by clients"),
    bucket("my-access-point-abcdefgh12345-s3alias", called="an alias of an access point"),
    bucket("arn:aws:s3:::audit-logs", f"{S3}.BucketName", called="its ARN"),
    bucket(f"arn:aws:s3:::{'audit-logs-' * 5}", f"{S3}.BucketName", called="its ARN, which is also too long"),
    bucket("s3://audit-logs", f"{S3}.BucketName", called="a URL"),
    bucket("audit-logs/saas", f"{S3}.BucketName", called="a path"),
    bucket("audit-logs\n", f"{S3}.BucketName", called="a newline, as from !Sub |"),
    bucket(" audit-logs", f"{S3}.BucketName", called="leading white space"),
    bucket("audit logs", f"{S3}.BucketName", called="inner white space"),
    bucket("audit-l\u00f6gs", f"{S3}.BucketName", called="a letter that is not ASCII"),
    stream("Audit_Logs-1.0", called="every kind of character"),
    stream("arn:aws:firehose:us-east-1:111122223333:deliverystream/a", f"{STREAM}.StreamName", called="its ARN"),
    stream("deliverystream/audit-logs", f"{STREAM}.StreamName", called="a path"),
    stream("audit-logs\n", f"{STREAM}.StreamName", called="a newline"),
    stream("audit logs", f"{STREAM}.StreamName", called="white space"),
    stream("audit:logs", f"{STREAM}.StreamName", called="a colon"),
    parents("another partition", _US_GOV),
    parents(
        "an upper-case UUID in an ARN",
        {"IngestionArn": f"{BUNDLE}/ingestion/ABCDEFAB-2222-4222-8222-222222222222"},
        basis=IDENTIFIER_MODEL,
    ),
    parents("the app bundle by UUID, the ingestion by ARN", api_names(UUID_OF_BUNDLE, INGESTION), native=None),
    parents("the app bundle by ARN, the ingestion by UUID", api_names(BUNDLE, UUID_OF_INGESTION), native=None),
    parents(
        "of another account, which only AppFabric can reject",
        {name: arn.replace("111122223333", "444455556666") for name, arn in PARENTS.items()},
        basis="no documentation says that AppFabric shares nothing between accounts",
    ),
    parents(
        "swapped",
        {"AppBundleArn": INGESTION, "IngestionArn": BUNDLE},
        "AppBundleArn",
        "IngestionArn",
        native=True,
    ),
    parents("the ingestion's ARN twice", {"AppBundleArn": INGESTION}, "AppBundleArn", native=True),
    parents("a destination's ARN", {"IngestionArn": DESTINATION}, "IngestionArn", native=True),
    parents("of another service", {"AppBundleArn": "arn:aws:s3:::audit-logs"}, "AppBundleArn", native=True),
    parents(
        "another service with the same path",
        {"IngestionArn": INGESTION.replace(":appfabric:", ":appflow:")},
        "IngestionArn",
        native=True,
    ),
    parents("a truncated UUID", {"AppBundleArn": BUNDLE[:-1]}, "AppBundleArn", native=True),
    parents("a newline", {"IngestionArn": f"{INGESTION}\n"}, "IngestionArn", native=True),
    parents(
        "an ingestion of another app bundle",
        {"AppBundleArn": OTHER_BUNDLE},
        "IngestionArn",
        native=True,
        blind=CROSS_PROPERTY,
    ),
    parents(
        "an ingestion of another app bundle, which is given by UUID",
        api_names(OTHER_BUNDLE.rpartition("/")[2], INGESTION),
        "IngestionIdentifier",
        native=None,
        blind=CROSS_PROPERTY,
    ),
    parents(
        "a Region other than the function's",
        {name: arn.replace("us-east-1", "eu-west-1") for name, arn in PARENTS.items()},
        "AppBundleArn",
        "IngestionArn",
        native=True,
        blind=CROSS_PROPERTY,
        basis=ONE_REGION,
    ),
    parents(
        "an adopted destination of another Region",
        {
            **api_names(UUID_OF_BUNDLE, UUID_OF_INGESTION),
            "AdoptArn": DESTINATION.replace("us-east-1", "eu-west-1"),
        },
        "AdoptArn",
        native=None,
        blind=CROSS_PROPERTY,
        basis=ONE_REGION,
    ),
)
