"""What is assumed of CloudFormation, with a throw-away custom resource that records what it is sent."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from canary.account import RECORDER, REQUESTS, Account, StackFailed
from canary.report import Assumption, Report
from ingestion_destination.ownership import Owner

_RESIDUALS, _OPTIONS = "docs/reliability.md#residuals", "tests/simulation/cloudformation.py"
ASSUMPTIONS = (
    Assumption(
        "rolled-back-replacement",
        "A rollback deletes the replacement, after an Update of it with the old properties or without one",
        f"{_OPTIONS}; {_RESIDUALS}",
    ),
    Assumption(
        "kept-failed-create",
        "After --disable-rollback, a Create that failed is deleted and created again, in either order, or updated",
        f"{_OPTIONS}; {_RESIDUALS}",
    ),
    Assumption(
        "made-up-id",
        "The id of a Create without a response is <stack>-<logical id>-<random>, either name cut short",
        "src/ingestion_destination/ownership.py",
    ),
    Assumption(
        "marker-properties",
        "An id that is no ARN is deleted with the properties of its Create, or with those of the next one",
        _OPTIONS,
    ),
)
_CODE = (Path(__file__).parent / "recorder.py").read_text(encoding="utf-8")
_FUNCTION: dict[str, Any] = {
    "Description": "Canary of Custom::AppFabricIngestionDestination: deleted when it has ended",
    "Resources": {
        "Log": {"Type": "AWS::Logs::LogGroup", "Properties": {"RetentionInDays": 1}},
        "Role": {
            "Type": "AWS::IAM::Role",
            "Properties": {
                "AssumeRolePolicyDocument": {
                    "Version": "2012-10-17",
                    "Statement": [
                        {
                            "Effect": "Allow",
                            "Principal": {"Service": "lambda.amazonaws.com"},
                            "Action": "sts:AssumeRole",
                        }
                    ],
                },
                "Policies": [
                    {
                        "PolicyName": "Log",
                        "PolicyDocument": {
                            "Version": "2012-10-17",
                            "Statement": [
                                {
                                    "Effect": "Allow",
                                    "Action": ["logs:CreateLogStream", "logs:PutLogEvents"],
                                    "Resource": {"Fn::GetAtt": ["Log", "Arn"]},
                                }
                            ],
                        },
                    }
                ],
            },
        },
        "Function": {
            "Type": "AWS::Lambda::Function",
            "Properties": {
                "Runtime": "python3.13",
                "Handler": "index.handler",
                "Timeout": 15,
                "Code": {"ZipFile": _CODE},
                "Role": {"Fn::GetAtt": ["Role", "Arn"]},
                "LoggingConfig": {"LogFormat": "Text", "LogGroup": {"Ref": "Log"}},
            },
        },
    },
    "Outputs": {"Arn": {"Value": {"Fn::GetAtt": ["Function", "Arn"]}}, "Log": {"Value": {"Ref": "Log"}}},
}


class Checks:
    """The checks of CloudFormation.

    Args:
        account: The account.
        report: Where what is seen goes.
        service_timeout: Seconds for which CloudFormation waits for a response that never comes.
    """

    def __init__(self, account: Account, report: Report, *, service_timeout: int) -> None:
        self._account, self._report, self._service_timeout = account, report, service_timeout
        self._function = self._log = ""

    def run(self) -> None:
        """Settle every assumption."""
        try:
            outputs = self._account.deploy(RECORDER, _FUNCTION)
            self._function, self._log = outputs["Arn"], outputs["Log"]
            self._roll_a_replacement_back()
            self._keep_a_failed_create()
        except (ClientError, StackFailed) as error:
            for each in ASSUMPTIONS:
                if not self._report.is_settled(each.name):
                    self._report.settle(each.name, None, str(error))

    def _roll_a_replacement_back(self) -> None:
        later = {"DependsOn": "Replaced"}
        first = self._template(Replaced=self._resource("first"), Later=self._resource("later") | later)
        second = self._template(Replaced=self._resource("second"), Later=self._resource("later", does="fail") | later)
        self._account.deploy(REQUESTS, first)
        self._account.begin(REQUESTS, second)
        self._account.settled(REQUESTS)
        self._delete()
        sent = self._requests("Replaced", until_deleted={"first"})
        # After the Create and the Update that replaced it, and before the stack's own deletion.
        rollback = sent[2:-1]
        deletion = {"RequestType": "Delete", "PhysicalResourceId": "second"}
        update = {"RequestType": "Update", "PhysicalResourceId": "second"}
        kinds = [{name: each.get(name) for name in deletion} for each in rollback]
        old = all(each["ResourceProperties"]["Id"] == "first" for each in rollback if each["RequestType"] == "Update")
        seen = f"after Update first to second: {_list(rollback)}"
        holds = (old and kinds in ([deletion], [update, deletion])) if rollback else None  # the log may not show all
        self._report.settle("rolled-back-replacement", holds, seen)

    def _keep_a_failed_create(self) -> None:
        account, report = self._account, self._report
        account.begin(
            REQUESTS,
            self._template(
                Failing=self._resource("marker-1", does="fail"),
                Silent=self._resource("silent-1", does="stay silent"),
            ),
            DisableRollback=True,
        )
        stack = account.settled(REQUESTS)
        account.begin(
            REQUESTS,
            self._template(Failing=self._resource("marker-2"), Silent=self._resource("silent-2")),
            DisableRollback=True,
        )
        account.settled(REQUESTS)
        self._delete()
        silent = self._requests("Silent", until_deleted={"silent-2"})
        failing = self._requests("Failing", until_deleted={"marker-2"})
        old = [each for each in (*failing, *silent) if not each.get("PhysicalResourceId", "-2").endswith("-2")]
        continued = {each["LogicalResourceId"] for each in (*failing, *silent) if _properties_of(each).endswith("-2")}
        holds = {each["LogicalResourceId"] for each in old} >= continued if continued else None
        report.settle("kept-failed-create", holds, f"Failing: {_list(failing)}; Silent: {_list(silent)}")

        of = sorted({_properties_of(each).endswith("-2") for each in old if each["RequestType"] == "Delete"})
        seen = " and ".join(f"the properties of {'the next' if next_one else 'its own'} Create" for next_one in of)
        report.settle("marker-properties", bool(of) or None, seen or "none was deleted")

        made_up = list(
            dict.fromkeys(each["PhysicalResourceId"] for each in old if each["LogicalResourceId"] == "Silent")
        )
        owner = Owner(stack_id=stack["id"] if stack else "", logical_resource_id="Silent")
        recognized = all(map(owner.has_made_up, made_up)) if made_up else None
        report.settle("made-up-id", recognized, ", ".join(made_up) or "no request named it")

    def _delete(self) -> None:
        self._account.client("cloudformation").delete_stack(StackName=REQUESTS)
        if self._account.settled(REQUESTS):
            raise StackFailed(self._account.reasons(REQUESTS))

    def _template(self, **resources: dict[str, Any]) -> dict[str, Any]:
        return {"Description": _FUNCTION["Description"], "Resources": resources}

    def _resource(self, physical_id: str, *, does: str = "succeed") -> dict[str, Any]:
        timeout = self._service_timeout if does == "stay silent" else 300
        properties = {"ServiceToken": self._function, "ServiceTimeout": timeout, "Id": physical_id, "Does": does}
        return {"Type": "Custom::Canary", "Properties": properties}

    def _requests(self, logical_id: str, *, until_deleted: set[str]) -> list[dict[str, Any]]:
        """The requests of a resource in their order; CloudWatch Logs may show them some seconds later."""
        sent: list[dict[str, Any]] = []

        def arrived() -> bool:
            sent[:] = [each for each in self._logged() if each["LogicalResourceId"] == logical_id]
            return until_deleted <= {each["PhysicalResourceId"] for each in sent if each["RequestType"] == "Delete"}

        self._account.seconds_until(arrived)
        return sent

    def _logged(self) -> Iterator[dict[str, Any]]:
        pages = self._account.client("logs").get_paginator("filter_log_events").paginate(logGroupName=self._log)
        events = sorted((each for page in pages for each in page["events"]), key=lambda each: int(each["timestamp"]))
        for event in events:
            for line in event["message"].splitlines():
                if line.startswith('{"canary": '):
                    yield json.loads(line)["canary"]


def _properties_of(request: dict[str, Any]) -> str:
    return str(request["ResourceProperties"]["Id"])


def _list(requests: list[dict[str, Any]]) -> str:
    return (
        ", ".join(
            f"{each['RequestType']} {each.get('PhysicalResourceId', '')} (properties of {_properties_of(each)})"
            for each in requests
        )
        or "nothing"
    )
