"""FAIL: a failure of AppFabric in a deployment or deletion, e.g. `DeleteIngestionDestination:AccessDeniedException`."""

import http.client
import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from local.appfabric.control import PREFIX
from local.appfabric.model import errors_of, service_model
from local.console import Problem

_USAGE = "FAIL is Operation:Failed:reason or Operation:ErrorCode:message"
_CAN_BECOME_FAILED = ("CreateIngestionDestination", "UpdateIngestionDestination")
_ALWAYS = 1_000_000
EXAMPLE = "UpdateIngestionDestination:Failed:The bucket is full"


@dataclass(frozen=True)
class Rehearsal:
    """A failure of one operation: the destination becomes Failed, or the call fails with an error.

    Attributes:
        operation: The operation, as AppFabric's API names it.
        kind: `Failed`, or the code of an error.
        text: The statusReason, or the error's message.
    """

    operation: str
    kind: str
    text: str

    @classmethod
    def parse(cls, text: str) -> "Rehearsal":
        """Read FAIL.

        Raises:
            Problem: AppFabric cannot fail like this.
        """
        operation, _, rest = text.partition(":")
        kind, _, message = rest.partition(":")
        if not kind:
            raise Problem(f"{_USAGE}, not {text}", status=2)
        if operation not in service_model().operation_names:
            raise Problem(f"AppFabric has no operation {operation}: {_USAGE}", status=2)
        if kind == "Failed" and operation not in _CAN_BECOME_FAILED:
            raise Problem(f"only {' and '.join(_CAN_BECOME_FAILED)} can lead to Failed", status=2)
        codes = errors_of(operation)
        if kind not in ("Failed", *codes):
            raise Problem(f"{operation} has no error {kind}: Failed, or one of {', '.join(sorted(codes))}", status=2)
        return cls(operation, kind, message or ("The destination cannot be written to" if kind == "Failed" else ""))

    @contextmanager
    def injected(self, endpoint: str) -> Iterator[None]:
        """Let the emulator at `endpoint` fail like this while the context lasts."""
        if self.kind == "Failed":
            failed = {"operation": self.operation, "status": "Failed", "status_reason": self.text}
            # What the provider or CloudFormation then restores is in order again.
            restored = {"operation": "UpdateIngestionDestination", "status": "Active", "times": _ALWAYS}
            _send(endpoint, "POST", "outcomes", [failed, restored])
        else:
            fault = {"operation": self.operation, "error": self.kind, "times": _ALWAYS}
            _send(endpoint, "POST", "faults", [fault | ({"message": self.text} if self.text else {})])
        try:
            yield
        finally:
            with suppress(OSError):  # the environment has ended meanwhile
                _send(endpoint, "DELETE", "faults", None)

    def why_without_effect(self, entries: Iterable[Mapping[str, Any]]) -> str:
        """Why the stack did not fail, with its leading punctuation, according to the activity log of the operation."""
        called = any(entry.get("operation") == self.operation for entry in entries)
        return f", although {self.operation} failed" if called else f": {self.operation} was not called"


def _send(endpoint: str, method: str, name: str, body: list[Mapping[str, Any]] | None) -> None:
    connection = http.client.HTTPConnection(urlsplit(endpoint).netloc, timeout=10)
    try:
        connection.request(method, PREFIX + name, json.dumps(body), {"Content-Type": "application/json"})
        connection.getresponse().read()
    finally:
        connection.close()
