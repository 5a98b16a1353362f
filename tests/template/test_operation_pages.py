"""docs/deploying.md, docs/operating.md and SECURITY.md: what they say about the template and the log."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from samtranslator.yaml_helper import yaml_parse

from ingestion_destination.cloudformation.delivery import Undelivered
from local import release
from local.appfabric import Fault
from tests.conftest import Logs
from tests.intrinsics import Template
from tests.support.custom_resource import CustomResource
from tests.support.properties import processing, properties
from tests.template.tools import run

ROOT = Path(__file__).parents[2]
DEPLOYING, OPERATING = ((ROOT / "docs" / name).read_text() for name in ("deploying.md", "operating.md"))
SECURITY = (ROOT / "SECURITY.md").read_text()


@pytest.fixture(scope="module")
def template() -> dict[str, Any]:
    return release.without_transform("code.zip")


def section(text: str, heading: str) -> str:
    found = re.search(rf"^#+ {re.escape(heading)}\n(.*?)(?=^#|\Z)", text, re.MULTILINE | re.DOTALL)
    assert found, heading
    return found[1]


def rows(text: str) -> list[list[str]]:
    """Return the cells of each row of a table, without its header."""
    table = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line.startswith("|")
    ]
    return table[2:]


def words(cell: str) -> set[str]:
    return set(re.findall(r"`([^`]+)`", cell))


def test_the_page_lists_every_parameter_with_its_default() -> None:
    parameters = yaml_parse((ROOT / "template.yaml").read_text())["Parameters"]
    shown = {row[0].strip("`"): row[1] for row in rows(section(DEPLOYING, "Parameters"))}
    assert list(shown) == sorted(parameters, key=list(shown).index)
    for name, parameter in parameters.items():
        default = str(parameter["Default"])
        assert shown[name].startswith(f"`{default}`" if default else "empty"), name


def test_the_page_lists_every_resource(template: dict[str, Any]) -> None:
    shown = {name for row in rows(section(DEPLOYING, "What is in the stack")) for name in words(row[0])}
    assert shown == set(template["Resources"])


def test_the_page_lists_every_action_of_the_function(template: dict[str, Any]) -> None:
    given = {"AppBundleKmsKeyArn": "arn:aws:kms:us-east-1:1:key/1", "KmsKeyArn": "arn:aws:kms:us-east-1:1:key/2"}
    (policy,) = Template(template, **given).resources()["ProviderRole"]["Properties"]["Policies"]
    statements = policy["PolicyDocument"]["Statement"]
    granted = {action for each in statements for action in as_list(each["Action"])}
    shown, who = set(), ""
    for row in rows(section(DEPLOYING, "Who needs which permissions")):
        who = row[0] or who
        if who == "the function":
            shown |= actions(row[1])
    assert shown == granted


def as_list(actions: str | list[str]) -> list[str]:
    return [actions] if isinstance(actions, str) else actions


def actions(cell: str) -> set[str]:
    """Return the actions in a cell such as `s3:PutObject`, `GetObject`; a prefix also applies to those after it."""
    found, prefix = set(), ""
    for word in re.findall(r"`([\w:*]+)`", cell):
        name = word.rpartition(":")[2]
        prefix = word.removesuffix(name) or prefix
        if name[0].isupper() and not name.endswith("Arn") and not name.startswith("AWSAppFabric"):
            found.add(f"{prefix}{name}")
    return found


def test_the_page_has_the_tested_version_of_sam() -> None:
    (locked,) = set(re.findall(r'name = "aws-sam-cli"\nversion = "(\d+\.\d+)', (ROOT / "uv.lock").read_text()))
    assert f"(tested with {locked})" in DEPLOYING


@pytest.mark.parametrize(
    ("row", "dollars"),
    [
        ("1,000 requests of 3 s", 1000 * 3 * 0.25 * 0.0000166667 + 1000 * 0.0000002),
        ("a rollback that searches for five minutes", 300 * 0.25 * 0.0000166667),
        ("logs of 1,000 requests", 1000 * 3e3 / 1e9 * 0.50),
    ],
)
def test_the_cost_arithmetic_is_right(row: str, dollars: float) -> None:
    (cell,) = (each[2] for each in rows(section(DEPLOYING, "What it costs")) if each[0] == row)
    assert float(cell.split()[0]) == pytest.approx(dollars, rel=0.35)


def test_the_page_lists_every_alarm_and_metric(template: dict[str, Any]) -> None:
    alarms = {name for name, each in template["Resources"].items() if each["Type"] == "AWS::CloudWatch::Alarm"}
    shown = [row[0].strip("`") for row in rows(section(OPERATING, "Alarms and the dashboard"))]
    assert set(shown) == alarms
    metrics = {name for row in rows(section(OPERATING, "Metrics")) for name in words(row[0])}
    source = "".join(path.read_text() for path in (ROOT / "src/ingestion_destination").rglob("*.py"))
    outcomes = {f"{kind}{end}" for kind in ("Create", "Update", "Delete") for end in ("Succeeded", "Failed")}
    assert metrics == {*re.findall(r'\bcount\("(\w+)"\)', source), *outcomes, "UnknownFailed"}


# Logs Insights


class Query:
    """The subset of Logs Insights that the page's queries use.

    https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/CWL_QuerySyntax.html
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self._commands = [command.strip() for command in text.split("\n| ")]

    def fields(self) -> set[str]:
        """Return the fields of log lines that the query uses, without those that it defines."""
        named, made = set(), {"@timestamp"}
        for command in self._commands:
            verb, _, rest = command.partition(" ")
            if verb == "parse":
                made |= set(re.split(r", ", rest.partition(" as ")[2]))
                rest = rest.partition(" ")[0]
            elif verb == "stats":
                made.add(re.split(r" as | by ", rest)[1])
                rest = rest.partition(" by ")[2]
            elif verb == "limit":
                rest = ""
            rest = re.sub(r"\"[^\"]*\"|'[^']*'|\b(and|like|in|asc|desc)\b", "", rest)
            named |= set(re.findall(r"@?\w+", rest))
        return named - made

    def run(self, lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Return the lines that pass the filters, or the rows of the statistics."""
        for command in self._commands:
            verb, _, rest = command.partition(" ")
            if verb == "filter":
                lines = [line for line in lines if all(_holds(test, line) for test in rest.split(" and "))]
            elif verb == "parse":
                field, pattern, names = re.fullmatch(r'(\w+) "(.+)" as (.+)', rest).groups()  # type: ignore[union-attr]
                glob = re.escape(pattern).replace(r"\*", "(.*?)") + "$"
                for line in lines:
                    if found := re.match(glob, line[field], re.DOTALL):
                        line.update(zip(names.split(", "), found.groups(), strict=True))
            elif verb == "stats":
                by = rest.partition(" by ")[2].split(", ")
                keys = [tuple(line.get(name) for name in by) for line in lines]
                lines = [
                    {**dict(zip(by, key, strict=True)), "failures": keys.count(key)} for key in dict.fromkeys(keys)
                ]
            else:
                assert verb in {"fields", "sort"}
        return lines


def _holds(test: str, line: dict[str, Any]) -> bool:
    field, operator, value = re.fullmatch(r'(\w+) (=|like) "([^"]*)"', test).groups()  # type: ignore[union-attr]
    actual = str(line.get(field, ""))
    return value in actual if operator == "like" else actual == value


@pytest.fixture
def lines(resource: CustomResource, logs: Logs) -> list[dict[str, Any]]:
    """The log of an invalid template, of an undelivered response and of a possible orphan."""
    resource.create(properties(ProcessingConfiguration=processing("OCSF", "json")))
    resource.appfabric.inject(Fault(operation="CreateIngestionDestination", error="ThrottlingException"))
    resource.mailbox.refuse.append(Undelivered("example.com responded with HTTP 403", refused=True))
    with pytest.raises(Undelivered):
        resource.create()
    late = resource.event("Create", RequestId=REQUEST_ID)
    created = resource.send(late)
    resource.delete(created.id)
    resource.appfabric.created_by.clear()
    resource.time.sleep(60)
    resource.send(late)
    return logs.lines


@pytest.fixture
def resource() -> CustomResource:
    return CustomResource()


REQUEST_ID = "11111111-1111-4111-8111-111111111111"
FOUND = [
    ("What happened to one resource", 3, {"RequestType": "Create"}),
    ("What failed, by cause", 1, {"RequestType": "Create", "cause": "InvalidRequest", "failures": 1}),
    ("Responses that were not delivered", 1, {"status": "SUCCESS", "reason": "example.com responded with HTTP 403"}),
    ("How long requests took", 5, {"RequestType": "Delete", "status": "SUCCESS"}),
    ("Calls that were sent again", 1, {"operation": "CreateIngestionDestination"}),
    ("Possible orphans", 1, {"LogicalResourceId": "Destination"}),
    ("All invocations of one request", 1, {"level": "ERROR", "function_request_id": "lambda-request"}),
]


def query(title: str) -> Query:
    """Return the query of the page that follows a sentence."""
    after = section(OPERATING, "Logs").partition(f"\n{title}")[2]
    return Query(after.partition("\n```\n")[2].partition("```")[0].strip())


def test_every_query_is_tested() -> None:
    assert len(FOUND) == section(OPERATING, "Logs").count("\n```\n") / 2


@pytest.mark.parametrize(("title", "count", "first"), FOUND, ids=[title for title, _, _ in FOUND])
def test_each_query_finds_what_its_title_says(
    title: str, count: int, first: dict[str, Any], lines: list[dict[str, Any]]
) -> None:
    tried = query(title)
    assert tried.fields() <= {name for line in lines for name in line}
    if "StackId like" in tried.text:
        tried = Query(tried.text.replace("/my-stack/", "/audit-logs/"))
    found = tried.run(lines)
    assert len(found) >= count
    assert any(first.items() <= line.items() for line in found)
    if count == 1 and "arn" in tried.fields():
        assert found[0]["arn"].startswith("arn:aws:appfabric:")


def test_the_dashboard_queries_fields_that_the_function_writes(
    template: dict[str, Any], lines: list[dict[str, Any]]
) -> None:
    dashboard = Template(template, Dashboard="true").resources()["ProviderDashboard"]["Properties"]["DashboardBody"]
    (asked,) = (widget["properties"]["query"] for widget in json.loads(dashboard)["widgets"] if widget["type"] == "log")
    tried = Query(asked.partition(" | ")[2].replace(" | ", "\n| "))
    assert {"level", "message", "reason"} <= tried.fields() <= {name for line in lines for name in line}


# SECURITY.md


DECIDE = """
import json, sys
from ministack.core.iam_evaluator import EvalContext, evaluate, parse_policy_document
statement, action, principal, keys = json.loads(sys.argv[1])
everything = {"Effect": "Allow", "Action": "*", "Resource": "*"}
context = EvalContext(
    principal_arn=principal, principal_type="Role", principal_account="111122223333", action=action, tag_keys=keys,
    resource_arn="arn:aws:appfabric:us-east-1:111122223333:appbundle/1/ingestion/2/ingestiondestination/3",
    region="us-east-1")
print(evaluate(context, [parse_policy_document({"Statement": [everything, statement]})]).decision)
"""
ROLES = "arn:aws:iam::111122223333:role/"
OWNERS = "custom-appfabric-ingestion-destination:StackId"


@pytest.mark.parametrize(
    ("action", "role", "keys", "decision"),
    [
        ("appfabric:TagResource", "admin", [OWNERS], "Deny"),
        ("appfabric:UntagResource", "admin", ["team", OWNERS], "Deny"),
        ("appfabric:CreateIngestionDestination", "admin", [OWNERS], "Deny"),
        ("appfabric:TagResource", "admin", ["team"], "Allow"),
        ("appfabric:CreateIngestionDestination", "admin", [], "Allow"),
        ("appfabric:TagResource", "appfabric-ingestion-destination-ProviderRole-1A2B3C", [OWNERS], "Allow"),
    ],
)
def test_the_policy_lets_only_the_provider_set_ownership_tags(
    action: str, role: str, keys: list[str], decision: str
) -> None:
    """By ministack's policy evaluator, for a principal whose own policies allow everything."""
    (statement,) = re.findall(r"^```json\n(.*?)^```$", SECURITY, re.MULTILINE | re.DOTALL)
    case = json.dumps([json.loads(statement), action, ROLES + role, keys])
    assert run(ROOT / ".venv-cloudformation/bin/python", "-c", DECIDE, case).strip() == decision
