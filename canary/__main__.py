"""`make test-aws`: check in a real account what this project assumes of AWS. See docs/canary.md."""

import argparse
import os
import re
import signal
import sys
import traceback
from datetime import UTC, datetime
from pathlib import Path
from typing import NoReturn

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from canary import appfabric, cloudformation
from canary.account import Account, Refused
from canary.report import Report

_INGESTION = re.compile(
    r"arn:[\w-]+:appfabric:(?P<region>[\w-]+):(?P<account>\d{12}):appbundle/[\w-]{36}/ingestion/[\w-]{36}"
)

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_ROOM = 2  # an ingestion has at most five destinations: https://docs.aws.amazon.com/general/latest/gr/appfabric.html


def main() -> int:
    """Run the canary.

    Returns:
        0 if nothing differs, 1 if something does, 2 if it was refused, 3 if something is left behind, 130 if it was
        interrupted.
    """
    arguments = _arguments()
    account = Account(
        account_id=arguments.account,
        ingestion=arguments.ingestion,
        region=arguments.region,
        poll=arguments.poll,
        patience=arguments.patience,
    )
    try:
        token = account.check(disposable=arguments.disposable, provider=arguments.provider)
        if left := account.clean_up():  # what an interrupted run left
            raise Refused("what an earlier run left cannot be deleted: " + "; ".join(left))
        account.foreign = frozenset(account.listed())
        if len(account.foreign) > _ROOM:
            raise Refused(f"the ingestion has {len(account.foreign)} of 5 destinations, and the canary needs three")
    except (Refused, ClientError, BotoCoreError) as error:
        print(f"refused: {error}", file=sys.stderr)
        return 2
    report = Report([*appfabric.ASSUMPTIONS, *cloudformation.ASSUMPTIONS], {arguments.account: "ACCOUNT"})
    ended = 0
    for number in _SIGNALS:
        signal.signal(number, _interrupt)
    try:
        _run(account, report, token, arguments)
    except KeyboardInterrupt:
        ended = 130
    except Exception:  # whatever it is, what was seen until then is reported
        traceback.print_exc()
        ended = 1
    finally:
        _ignore_signals()
        print("deleting everything of the canary", flush=True)
        left = account.clean_up()
    today = datetime.now(UTC).date().isoformat()
    print(f"\n{report.text(version=_version(), region=arguments.region, date=today)}\n")
    for each in left:
        print(f"left behind: {each}", file=sys.stderr)
    print("everything of the canary was deleted" if not left else "delete what is left, or run the canary again")
    return 3 if left else ended or int(bool(report.differing))


def _run(account: Account, report: Report, token: str, arguments: argparse.Namespace) -> None:
    if arguments.only != "cloudformation":
        appfabric.Checks(account, report, token).run(disposable=arguments.disposable)
    if arguments.only != "appfabric":
        cloudformation.Checks(account, report, service_timeout=arguments.service_timeout).run()


def _interrupt(*_: object) -> NoReturn:
    """End the checks; the second signal, which make may send as well, must not end the clean-up."""
    _ignore_signals()
    raise KeyboardInterrupt


def _ignore_signals() -> None:
    for number in _SIGNALS:
        signal.signal(number, signal.SIG_IGN)


def _version() -> str:
    """The version of this checkout, which may differ from that of the deployed provider."""
    template = (Path(__file__).parents[1] / "template.yaml").read_text(encoding="utf-8")
    return template.partition("SemanticVersion: ")[2].split()[0]


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make test-aws", description=__doc__)
    parser.add_argument("--account", required=True, help="ACCOUNT: the account that the credentials must be of")
    parser.add_argument(
        "--ingestion", required=True, help="INGESTION: ARN of an ingestion that is stopped or disposable"
    )
    parser.add_argument("--region", help="REGION: the Region, where the credentials' configuration has none")
    parser.add_argument("--provider", default="appfabric-ingestion-destination", help="PROVIDER: the provider's stack")
    parser.add_argument("--disposable", action="store_true", help="DISPOSABLE=1: the ingestion may be broken")
    parser.add_argument("--poll", type=float, default=1.0, help="POLL: seconds between two looks")
    parser.add_argument("--patience", type=float, default=60.0, help="PATIENCE: seconds until a look is given up")
    parser.add_argument("--service-timeout", type=int, default=30, help="seconds for a response that never comes")
    parser.add_argument("--only", choices=["appfabric", "cloudformation"], help="ONLY: the checks of one service")
    arguments = parser.parse_args()
    if not (arguments.account and arguments.ingestion):
        parser.error("give ACCOUNT= and INGESTION=, as docs/canary.md says")
    try:
        # boto3 does not read AWS_REGION, which the AWS CLI takes before the profile's Region.
        arguments.region = arguments.region or os.environ.get("AWS_REGION") or boto3.Session().region_name
    except BotoCoreError as error:  # the profile does not exist
        parser.error(str(error))
    if not arguments.region:
        parser.error("no Region: set AWS_REGION or give REGION=")
    arn = _INGESTION.fullmatch(arguments.ingestion)
    if arn is None:
        parser.error(f"INGESTION is not the ARN of an ingestion: {arguments.ingestion}")
    if (arn["region"], arn["account"]) != (arguments.region, arguments.account):
        parser.error(f"INGESTION is not of the account {arguments.account} in {arguments.region}")
    return arguments


if __name__ == "__main__":
    sys.exit(main())
