"""The variables of `make test-aws`, each checked before any call to AWS."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

import boto3

from canary.account import Refused

_INGESTION = re.compile(
    r"arn:[\w-]+:appfabric:(?P<region>[\w-]+):(?P<account>\d{12}):appbundle/[\w-]{36}/ingestion/[\w-]{36}"
)


@dataclass(frozen=True)
class Parameters:
    """What the user gives; docs/canary.md explains each variable."""

    account: str
    ingestion: str
    region: str
    provider: str
    disposable: bool
    only: str
    poll: float
    patience: float
    service_timeout: int

    @classmethod
    def read(cls, variables: Mapping[str, str]) -> "Parameters":
        """Read them from the environment, where make puts them.

        Raises:
            Refused: One is missing or wrong; the text names it.
        """
        account, ingestion = variables.get("ACCOUNT", ""), variables.get("INGESTION", "")
        if not (account and ingestion):
            raise Refused("give ACCOUNT= and INGESTION=, as docs/canary.md says")
        only = variables.get("ONLY", "")
        if only not in ("", "appfabric", "cloudformation"):
            raise Refused(f"ONLY must be appfabric or cloudformation, not {only}")
        disposable = variables.get("DISPOSABLE", "")
        if disposable not in ("", "1"):
            raise Refused(f"DISPOSABLE must be 1 or unset, not {disposable}")
        timeout = variables.get("SERVICE_TIMEOUT") or "30"
        if not (timeout.isdecimal() and 1 <= int(timeout) <= 3600):
            raise Refused(f"SERVICE_TIMEOUT must be a number of seconds from 1 to 3600, not {timeout}")
        return cls(
            account=account,
            ingestion=ingestion,
            region=_region(variables, account, ingestion),
            provider=variables.get("PROVIDER") or "appfabric-ingestion-destination",
            disposable=bool(disposable),
            only=only,
            poll=_seconds("POLL", variables.get("POLL") or "1"),
            patience=_seconds("PATIENCE", variables.get("PATIENCE") or "60"),
            service_timeout=int(timeout),
        )


def _region(variables: Mapping[str, str], account: str, ingestion: str) -> str:
    """Return the Region, after checking that the ingestion is in it and belongs to the account."""
    arn = _INGESTION.fullmatch(ingestion)
    if arn is None:
        raise Refused(f"INGESTION is not the ARN of an ingestion: {ingestion}")
    if arn["account"] != account:
        raise Refused(f"INGESTION belongs to account {arn['account']}, not to ACCOUNT={account}")
    # boto3 does not read AWS_REGION, which the AWS CLI takes before the profile's Region.
    region = variables.get("REGION") or variables.get("AWS_REGION") or boto3.Session().region_name
    if not region:
        raise Refused("no Region: set AWS_REGION or give REGION=")
    if arn["region"] != region:
        raise Refused(f"INGESTION is in {arn['region']}, not in {region}: give REGION={arn['region']}")
    return str(region)


def _seconds(name: str, text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds < math.inf:
        raise Refused(f"{name} must be a number of seconds above 0, not {text}")
    return seconds
