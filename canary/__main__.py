"""`make test-aws`: check in a real account what this project assumes of AWS. See docs/canary.md."""

import os
import signal
import sys
import traceback
from datetime import UTC, datetime
from pathlib import Path
from typing import NoReturn

from botocore.exceptions import BotoCoreError, ClientError

from canary import appfabric, cloudformation
from canary.account import Account, Refused
from canary.parameters import Parameters
from canary.report import Report

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_ROOM = 2  # an ingestion has at most five destinations: https://docs.aws.amazon.com/general/latest/gr/appfabric.html


def main() -> int:
    """Run the canary.

    Returns:
        0 if nothing differs, 1 if something does, 2 if it was refused, 3 if something is left behind, 130 if it was
        interrupted.
    """
    try:
        parameters = Parameters.read(os.environ)
        account = Account(
            account_id=parameters.account,
            ingestion=parameters.ingestion,
            region=parameters.region,
            poll=parameters.poll,
            patience=parameters.patience,
        )
        token = account.check(disposable=parameters.disposable, provider=parameters.provider)
        if left := account.clean_up():  # what an interrupted run left
            raise Refused("what an earlier run left cannot be deleted: " + "; ".join(left))
        account.foreign = frozenset(account.listed())
        if len(account.foreign) > _ROOM:
            raise Refused(f"the ingestion has {len(account.foreign)} of 5 destinations, and the canary needs three")
    except (Refused, ClientError, BotoCoreError) as error:
        print(f"refused: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    report = Report([*appfabric.ASSUMPTIONS, *cloudformation.ASSUMPTIONS], {parameters.account: "ACCOUNT"})
    ended = 0
    for number in _SIGNALS:
        signal.signal(number, _interrupt)
    try:
        _run(account, report, token, parameters)
    except KeyboardInterrupt:
        ended = 130
    except Exception:  # whatever it is, what was seen until then is reported
        traceback.print_exc()
        ended = 1
    finally:
        _ignore_signals()
        print("deleting everything of the canary", flush=True)
        left = account.clean_up()
    if ended != 130:  # each thing seen has its line above, and most was not seen
        today = datetime.now(UTC).date().isoformat()
        print(f"\n{report.text(version=_version(), region=parameters.region, date=today)}\n")
    for each in left:
        print(f"left behind: {each}", file=sys.stderr)
    print("everything of the canary was deleted" if not left else "delete what is left, or run the canary again")
    return 3 if left else ended or int(bool(report.differing))


def _run(account: Account, report: Report, token: str, parameters: Parameters) -> None:
    if parameters.only != "cloudformation":
        appfabric.Checks(account, report, token).run(disposable=parameters.disposable)
    if parameters.only != "appfabric":
        cloudformation.Checks(account, report, service_timeout=parameters.service_timeout).run()


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


if __name__ == "__main__":
    sys.exit(main())
