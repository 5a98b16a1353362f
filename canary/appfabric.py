"""What is assumed of AppFabric, each with the check that settles it.

A stack of the canary's creates the destinations. Three checks send such a create call again, as a duplicate invocation
of the provider does: what that creates bears the stack's ownership tags, by which it is found and deleted.
"""

import json
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

from botocore.exceptions import ClientError

from canary.account import DESTINATIONS, Account, StackFailed
from canary.report import Assumption, Report
from ingestion_destination.appfabric.client import CONSISTENT_AFTER, UNKNOWN_AFTER_CREATE_FOR
from ingestion_destination.ownership import OWNERSHIP_TAGS, REQUEST

_RELIABILITY, _KNOWN = "docs/reliability.md#residuals", "docs/reliability.md#what-is-known"
_CLIENT, _CREATION = "src/ingestion_destination/appfabric/client.py", "src/ingestion_destination/creation.py"
_REFERENCE = "docs/reference.md"
_OBSERVATION = "src/ingestion_destination/observation.py"
_ERRORS, _EMULATOR = "src/ingestion_destination/appfabric/errors.py", "local/appfabric/operations.py"
_FRESH = f"at most {CONSISTENT_AFTER:.0f} s later"
ASSUMPTIONS = (
    Assumption(
        "enabled-ingestion",
        "Deleting one of several destinations of an enabled ingestion disables it, within ten times PATIENCE",
        f"{_RELIABILITY}; local/appfabric/account.py",
    ),
    Assumption("creation", "The provider creates a destination, and it becomes Active", _CLIENT),
    Assumption("statuses", "A new destination has no status, then Active: no other one, if its bucket exists", _CLIENT),
    Assumption("list-shows-create", f"List shows a new destination {_FRESH}", _KNOWN),
    Assumption(
        "get-shows-create", f"Get finds it at most {UNKNOWN_AFTER_CREATE_FOR:.0f} s after List shows it", _CLIENT
    ),
    Assumption("tags-show-create", f"ListTags shows its tags {_FRESH}", _KNOWN),
    Assumption("update-during-create", "A destination that is not Active yet takes an update, or refuses it", _CLIENT),
    Assumption("same-token", "The same clientToken and parameters return the same destination", _CREATION),
    Assumption(
        "other-parameters",
        "The same clientToken with other parameters is refused: IdempotentParameterMismatch",
        _ERRORS,
    ),
    Assumption(
        "token-after-delete", "The clientToken of a destination that was deleted creates another one", _RELIABILITY
    ),
    Assumption("tag-visible", f"ListTags shows a tag {_FRESH}", _KNOWN),
    Assumption("untag-visible", f"ListTags shows no longer a tag that was removed {_FRESH}", _KNOWN),
    Assumption("untag-missing", "A key that is not there can be removed", _EMULATOR),
    Assumption("untagged", "A destination without tags lists none", _KNOWN),
    Assumption("tag-characters", "A key of 128 characters with : . / @ and a value of 256 can be set", _REFERENCE),
    Assumption("tag-limit", "A destination takes 50 tags, and a 51st is a ValidationException", _REFERENCE),
    Assumption("aws-tags", "A key that begins with aws: is a ValidationException", _REFERENCE),
    Assumption("update-visible", f"Get shows an update {_FRESH}", _KNOWN),
    Assumption("whole-configuration", "An update without a prefix removes the prefix", _REFERENCE),
    Assumption("updated-at", "updatedAt is createdAt until the first update, and later after it", _OBSERVATION),
    Assumption("update-after-update", "An update right after another one is accepted", _OBSERVATION),
    Assumption(
        "missing-bucket",
        "A bucket that does not exist is refused, makes the destination Failed with a reason, or is not noticed",
        "docs/troubleshooting.md",
    ),
    Assumption("equal", "Two equal destinations of one ingestion can exist", _RELIABILITY),
    Assumption("replacement", "Another schema and format, raw and parquet, may go into the same bucket", _REFERENCE),
    Assumption("stream-parquet", "A stream with the format parquet is a ValidationException", _REFERENCE),
    Assumption("get-after-delete", f"Get does not find a destination {_FRESH} than its deletion", _KNOWN),
    Assumption("list-after-delete", f"List does not show it {_FRESH}", _KNOWN),
    Assumption("delete-again", "Deleting it another time is a ResourceNotFoundException", _CLIENT),
    Assumption(
        "missing-ingestion",
        "Create and List with an ingestion that does not exist: ValidationException or ResourceNotFoundException",
        _CLIENT,
    ),
)
_NOT_ALLOWED = ("AccessDenied", "Throttling", "ServiceQuotaExceeded", "InternalServer")
_GONE = ("ValidationException", "ResourceNotFoundException")
_TEMPLATE = json.loads((Path(__file__).parent / "destination.json").read_text(encoding="utf-8"))


class Checks:
    """The checks of AppFabric, in an order in which one destination does for most of them.

    Args:
        account: The account.
        report: Where what is seen goes.
        token: The provider's ServiceToken.
    """

    def __init__(self, account: Account, report: Report, token: str) -> None:
        self._account, self._report = account, report
        self._parameters = {"ServiceToken": token, "AppBundle": account.bundle, "Ingestion": account.ingestion}
        self._arn = self._twin = self._bucket = ""
        self._of_twin: dict[str, Any] = {}
        self._statuses: list[str] = []
        self._seen_at: dict[str, float] = {}

    def run(self, *, disposable: bool) -> None:
        """Settle every assumption, as far as the account allows.

        Args:
            disposable: Whether the ingestion may be broken: it is started, and one of its destinations deleted.
        """
        if not self._creation():
            return
        self._check(self._create_again, "same-token")
        self._check(self._create_otherwise, "other-parameters")
        for check, *names in (
            (self._tag, "tag-visible", "untag-visible", "tag-characters"),
            (self._untag_missing, "untag-missing"),
            (self._many_tags, "tag-limit"),
            (self._reserved_tag, "aws-tags"),
            (self._no_tags, "untagged"),
            (self._update, "update-visible", "whole-configuration", "updated-at", "update-after-update"),
            (self._missing_bucket, "missing-bucket"),
        ):
            self._check(check, *names)
        self._stack_update("equal", "two", Destinations="2")
        if not self._twin:
            with suppress(ClientError, StackFailed):  # one that is not equal does for the other checks
                self._deploy(Destinations="2", TwinPrefix="canary-twin")
        if self._twin:
            if disposable:
                self._check(self._break_the_ingestion, "enabled-ingestion")
            self._check(self._delete, "get-after-delete", "list-after-delete", "delete-again")
            if self._of_twin:
                self._check(self._create_once_more, "token-after-delete")
        self._stack_update("replacement", "replaced, and what was replaced deleted", Schema="raw", Format="parquet")
        self._check(self._stream_with_parquet, "stream-parquet")
        self._check(self._missing_ingestion, "missing-ingestion")

    def _check(self, check: Callable[[], None], *names: str) -> None:
        """Run one check; an error that it does not expect settles the first of its assumptions that is open."""
        try:
            check()
        except ClientError as error:
            code = _code(error)
            holds = None if code.startswith(_NOT_ALLOWED) else False
            message = error.response["Error"].get("Message")
            name = next((name for name in names if not self._report.is_settled(name)), names[-1])
            self._report.settle(name, holds, f"{error.operation_name}: {message} ({code})")

    def _fresh(self, name: str, shows: Callable[[], bool], limit: float = CONSISTENT_AFTER) -> None:
        seconds = self._account.seconds_until(shows)
        if seconds is None:
            self._report.settle(name, False, f"not within {self._account.patience:.0f} s")
        else:
            self._report.settle(name, seconds <= limit, f"after {seconds:.1f} s")

    # A stack creates a destination

    def _creation(self) -> bool:
        account, report = self._account, self._report
        account.begin(DESTINATIONS, _TEMPLATE, self._parameters)
        try:
            outputs = account.succeeded(DESTINATIONS, account.settled(DESTINATIONS, meanwhile=self._watch))
        except StackFailed as error:
            report.settle("creation", False, str(error))
            self._settle_what_was_watched(unseen=None)
            return False
        self._arn, self._bucket = outputs["Destination"], outputs["Bucket"]
        report.redact(self._bucket, "BUCKET")
        self._watch()
        found = account.get(self._arn) or {}
        status, created, updated = found.get("status"), found.get("createdAt"), found.get("updatedAt")
        report.settle("creation", status == "Active", f"the stack was created; it is {status}")
        self._settle_what_was_watched(unseen=False)
        if not report.is_settled("update-during-create"):
            report.settle("update-during-create", None, "it was Active when it was first seen")
            if created != updated:
                report.settle("updated-at", False, f"updatedAt is {updated} and createdAt {created} before any update")
        return True

    def _settle_what_was_watched(self, *, unseen: bool | None) -> None:
        """Settle what was seen while the stack was created; `unseen` is whether what was not seen is as assumed."""
        seen, report = self._statuses, self._report
        first_seen = f"first seen with: {', then '.join(seen) or 'nothing'}"
        report.settle("statuses", set(seen) <= {"none", "Active"} if seen else None, first_seen)
        for name, limit in (
            ("list-shows-create", CONSISTENT_AFTER),
            ("get-shows-create", UNKNOWN_AFTER_CREATE_FOR),
            ("tags-show-create", CONSISTENT_AFTER),
        ):
            seconds = self._seen_at.get(name)
            if seconds is None:
                report.settle(name, unseen, "not while the stack was created")
            else:
                report.settle(name, seconds <= limit, f"{seconds:.0f} s after createdAt, which says little below 1 s")

    def _watch(self) -> None:
        """One look at what there is of the destination that the stack creates."""
        account = self._account
        for arn in account.listed() - account.foreign:
            found, tags = account.get(arn), account.tags(arn)
            if tags and not account.is_own(tags):
                continue  # somebody else created it meanwhile
            now = datetime.now(UTC)
            created_at = found.get("createdAt", now) if found else now
            age = max((self._service_time() - created_at).total_seconds(), 0.0)
            self._seen_at.setdefault("list-shows-create", age)
            if found:
                self._seen_at.setdefault("get-shows-create", age)
                status = found.get("status") or "none"
                if status not in self._statuses[-1:]:
                    self._statuses.append(status)
                if tags and status != "Active" and not self._report.is_settled("update-during-create"):
                    self._update_during_create(arn, found)
            if tags and tags.keys() >= set(OWNERSHIP_TAGS):
                self._seen_at.setdefault("tags-show-create", age)

    def _service_time(self) -> datetime:
        """AppFabric's clock: the caller's may be wrong."""
        headers = self._account.appfabric.list_ingestion_destinations(**self._account.parents)["ResponseMetadata"]
        date = headers["HTTPHeaders"].get("date")
        return parsedate_to_datetime(date) if date else datetime.now(UTC)

    def _update_during_create(self, arn: str, found: dict[str, Any]) -> None:
        try:
            self._move(arn, found["destinationConfiguration"])
        except ClientError as error:
            self._report.settle("update-during-create", True, f"refused: {_code(error)}")
        else:
            self._report.settle("update-during-create", True, "accepted")

    def _is_refused(self, name: str, code: str, call: Callable[[], object]) -> bool:
        """Settle the assumption that a call is refused with a code; whether it is refused at all."""
        try:
            call()
        except ClientError as error:
            self._report.settle(name, _code(error) == code, f"refused: {_code(error)}")
            return True
        self._report.settle(name, False, "accepted")
        return False

    def _stack_update(self, name: str, seen: str, **parameters: str) -> None:
        """Update the stack, and settle an assumption by whether that succeeds."""
        try:
            self._deploy(**parameters)
        except (ClientError, StackFailed) as error:
            self._report.settle(name, False, str(error))
        else:
            self._report.settle(name, True, seen)

    def _deploy(self, **parameters: str) -> None:
        wanted = self._parameters | parameters
        outputs = self._account.deploy(DESTINATIONS, _TEMPLATE, wanted)
        self._parameters, self._arn, self._twin = wanted, outputs["Destination"], outputs.get("Twin", "")

    # clientToken

    def _created_with(self, arn: str) -> dict[str, Any]:
        """The parameters of the create call that the provider sent for a destination."""
        found, tags = self._account.get(arn), self._account.tags(arn)
        if found is None or tags is None:
            raise AssertionError("the destination of the stack is gone")
        return {
            **self._account.parents,
            "processingConfiguration": found["processingConfiguration"],
            "destinationConfiguration": found["destinationConfiguration"],
            "clientToken": tags[REQUEST].partition("@")[0],
            "tags": [{"key": key, "value": tags[key]} for key in sorted(tags)],
        }

    def _create(self, parameters: dict[str, Any]) -> str:
        created = self._account.appfabric.create_ingestion_destination(**parameters)["ingestionDestination"]
        return str(created["arn"])

    def _create_again(self) -> None:
        arn = self._create(self._created_with(self._arn))
        same = arn == self._arn
        self._report.settle("same-token", same, "the same ARN" if same else "another destination was created")
        self._remove(arn)

    def _create_otherwise(self) -> None:
        parameters = self._created_with(self._arn)
        parameters["destinationConfiguration"] = self._to_bucket(prefix="canary-otherwise")
        try:
            arn = self._create(parameters)
        except ClientError as error:
            expected = _code(error).startswith("IdempotentParameterMismatch")
            self._report.settle("other-parameters", expected, f"refused: {_code(error)}")
        else:
            seen = "accepted, and the same ARN" if arn == self._arn else "another destination was created"
            self._report.settle("other-parameters", False, seen)
            self._remove(arn)

    def _create_once_more(self) -> None:
        try:
            arn = self._create(self._of_twin)
        except ClientError as error:
            self._report.settle("token-after-delete", False, f"refused: {_code(error)}")
            return
        another = arn != self._twin
        seen = "another one was created" if another else "the ARN of the one that was deleted"
        self._report.settle("token-after-delete", another, seen)
        self._remove(arn)

    def _remove(self, arn: str) -> None:
        """Delete what a create call that was sent again has created, if it has."""
        if arn not in (self._arn, self._twin):
            self._account.appfabric.delete_ingestion_destination(**self._account.own(arn))

    # Tags

    def _put(self, tags: dict[str, str]) -> None:
        self._account.own(self._arn)
        listed = [{"key": key, "value": value} for key, value in tags.items()]
        self._account.appfabric.tag_resource(resourceArn=self._arn, tags=listed)

    def _take_off(self, *keys: str) -> None:
        self._account.own(self._arn)
        self._account.appfabric.untag_resource(resourceArn=self._arn, tagKeys=list(keys))

    def _live_tags(self) -> dict[str, str]:
        return self._account.tags(self._arn) or {}

    def _tag(self) -> None:
        self._put({"canary-tag": "1"})
        self._fresh("tag-visible", lambda: self._live_tags().get("canary-tag") == "1")
        self._take_off("canary-tag")
        self._fresh("untag-visible", lambda: "canary-tag" not in self._live_tags())
        key, value = "canary:./@-_=+ ".ljust(128, "k"), "https://example.com/@:=+-_. ".ljust(256, "v")
        self._put({key: value})
        kept = self._account.seconds_until(lambda: self._live_tags().get(key) == value)
        self._report.settle("tag-characters", kept is not None, "set" if kept is not None else "not as it was set")
        self._take_off(key)

    def _untag_missing(self) -> None:
        self._take_off("canary-never-there")
        self._report.settle("untag-missing", True, "accepted")

    def _many_tags(self) -> None:
        room = 50 - len(self._live_tags())
        keys = [f"canary-{number}" for number in range(room)]
        self._put(dict.fromkeys(keys, ""))
        try:
            self._put({"canary-too-many": ""})
        except ClientError as error:
            self._report.settle("tag-limit", _code(error) == "ValidationException", f"50, then {_code(error)}")
        else:
            self._report.settle("tag-limit", False, "a 51st was accepted")
            keys.append("canary-too-many")
        self._take_off(*keys)

    def _reserved_tag(self) -> None:
        if not self._is_refused("aws-tags", "ValidationException", lambda: self._put({"aws:canary": ""})):
            self._take_off("aws:canary")

    def _no_tags(self) -> None:
        tags = self._live_tags()
        self._take_off(*tags)
        try:
            seconds = self._account.seconds_until(lambda: self._account.tags(self._arn) == {})
            seen = f"none after {seconds:.1f} s" if seconds is not None else f"lists {sorted(self._live_tags())}"
            self._report.settle("untagged", seconds is not None, seen)
        finally:
            self._put(tags)

    # Updates

    def _to_bucket(self, *, prefix: str | None = None, name: str | None = None) -> dict[str, Any]:
        bucket = {"bucketName": name or self._bucket} | ({"prefix": prefix} if prefix else {})
        return {"auditLog": {"destination": {"s3Bucket": bucket}}}

    def _move(self, arn: str, configuration: dict[str, Any]) -> None:
        self._account.appfabric.update_ingestion_destination(
            **self._account.own(arn), destinationConfiguration=configuration
        )

    def _live(self) -> dict[str, Any]:
        return self._account.get(self._arn) or {}

    def _update(self) -> None:
        report, before = self._report, self._live()
        moved, bare = self._to_bucket(prefix="canary-moved"), self._to_bucket()
        self._move(self._arn, moved)
        self._fresh("update-visible", lambda: self._live().get("destinationConfiguration") == moved)
        after = self._live()
        later = bool(after.get("updatedAt") and after["updatedAt"] > before["createdAt"])
        report.settle("updated-at", later, "later after an update" if later else "an update does not change it")
        self._move(self._arn, bare)
        removed = self._account.seconds_until(lambda: self._live().get("destinationConfiguration") == bare)
        seen = "removed" if removed is not None else f"it is {self._live().get('destinationConfiguration')}"
        report.settle("whole-configuration", removed is not None, seen)
        self._move(self._arn, moved)
        self._move(self._arn, self._to_bucket(prefix="canary"))
        report.settle("update-after-update", True, "accepted")

    def _missing_bucket(self) -> None:
        missing = f"{self._bucket[:50]}-not-there"
        self._report.redact(missing, "MISSING-BUCKET")
        try:
            self._move(self._arn, self._to_bucket(name=missing, prefix="canary"))
        except ClientError as error:
            expected = _code(error) in (*_GONE, "AccessDeniedException")
            self._report.settle("missing-bucket", expected, f"refused: {_code(error)}")
            return
        self._account.seconds_until(lambda: self._live().get("status") in ("Active", "Failed"))
        found = self._live()
        status, reason = found.get("status"), found.get("statusReason")
        expected = status == "Active" or (status == "Failed" and bool(reason))
        self._report.settle("missing-bucket", expected, f"accepted; {status}{f': {reason}' if reason else ''}")
        self._move(self._arn, self._to_bucket(prefix="canary"))

    def _stream_with_parquet(self) -> None:
        if self._live().get("processingConfiguration", {}).get("auditLog", {}).get("format") != "parquet":
            return
        stream = {"auditLog": {"destination": {"firehoseStream": {"streamName": "canary-not-there"}}}}
        self._is_refused("stream-parquet", "ValidationException", lambda: self._move(self._arn, stream))

    # Deletions

    def _break_the_ingestion(self) -> None:
        """Delete one of two destinations of an enabled ingestion: what every replacement ends in."""
        account, patience = self._account, 10 * self._account.patience
        account.start_or_stop("enabled")
        if account.seconds_until(lambda: account.state() == "enabled") is None:
            self._report.settle("enabled-ingestion", None, "the ingestion could not be started")
            return
        self._delete()
        seconds = account.seconds_until(lambda: account.state() == "disabled", patience=patience)
        if seconds is None:
            seen = f"still enabled {patience:.0f} s later: look at it again tomorrow"
        else:
            seen = f"disabled after {seconds:.1f} s"
        self._report.settle("enabled-ingestion", seconds is not None, seen)
        account.start_or_stop("disabled")

    def _delete(self) -> None:
        account, twin = self._account, self._twin
        if self._report.is_settled("get-after-delete"):
            return
        self._of_twin = self._created_with(twin)
        account.appfabric.delete_ingestion_destination(**account.own(twin))
        self._fresh("get-after-delete", lambda: account.get(twin) is None)
        self._fresh("list-after-delete", lambda: twin not in account.listed())
        self._is_refused(
            "delete-again",
            "ResourceNotFoundException",
            lambda: account.appfabric.delete_ingestion_destination(**account.own(twin)),
        )

    def _missing_ingestion(self) -> None:
        nowhere = {**self._account.parents, "ingestionIdentifier": f"{self._account.bundle}/ingestion/{UUID(int=0)}"}
        client, codes = self._account.appfabric, []
        parameters = {**self._created_with(self._arn), **nowhere, "clientToken": str(uuid4())}
        try:
            arn = self._create(parameters)
        except ClientError as error:
            codes.append(_code(error))
        else:
            codes.append("accepted")
            client.delete_ingestion_destination(**nowhere, ingestionDestinationIdentifier=arn)
        try:
            client.list_ingestion_destinations(**nowhere)
        except ClientError as error:
            codes.append(_code(error))
        else:
            codes.append("accepted")
        seen = f"Create: {codes[0]}; List: {codes[1]}"
        self._report.settle("missing-ingestion", all(code in _GONE for code in codes), seen)


def _code(error: ClientError) -> str:
    return str(error.response["Error"].get("Code"))
