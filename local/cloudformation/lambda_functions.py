"""Lambda functions under AWS's own runtime: as many execution environments as there are invocations at once.

https://docs.aws.amazon.com/lambda/latest/dg/lambda-concurrency.html
"""

import hashlib
import io
import json
import threading
import zipfile
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from local.activity_log import ActivityLog
from local.runtime import Invocation, LambdaRuntime, LambdaRuntimeError

_GONE = "Runtime.ExitError"


class Functions:
    """The execution environments of all functions, warm ones used again.

    Args:
        ca: The certificate authority that the functions trust.
        directory: Where their code is unpacked.
        activity: Where invocations with a custom resource request are logged.
    """

    def __init__(self, *, ca: Path, directory: Path, activity: ActivityLog) -> None:
        self._ca = ca
        self._directory = directory
        self._activity = activity
        self._lock = threading.Lock()
        self._all: set[LambdaRuntime] = set()
        self._idle: dict[str, list[LambdaRuntime]] = defaultdict(list)
        self._newest: dict[str, str] = {}  # the configuration that was started last, by the function's ARN

    def invoke(self, function: Mapping[str, Any], event: object) -> Invocation:
        """Invoke a function once, in an idle environment of the same configuration or in a new one.

        Args:
            function: ministack's record of it: `config`, as Lambda's GetFunctionConfiguration gives it,
                and `code_zip`, the artifact's bytes.
            event: What the handler gets.
        """
        key = _configuration(function["config"])
        environment = self._borrow(key) or self._start(key, function)
        try:
            invocation = environment.invoke(event)
        except LambdaRuntimeError as error:  # a function error like any other; the environment is lost
            invocation = Invocation(None, _GONE, str(error), seconds=0.0, log=str(error))
        else:
            self._return(key, function, environment)
        if isinstance(event, Mapping) and "RequestId" in event:
            error_text = f"{invocation.error_type}: {invocation.error_message}" if invocation.failed else None
            self._activity.write(
                "invocation", request_id=event["RequestId"], seconds=invocation.seconds, error=error_text
            )
        return invocation

    def close(self) -> None:
        """End every environment, and the invocations in them."""
        with self._lock:
            for environment in self._all:
                environment.__exit__(None, None, None)
            self._all.clear()

    def _borrow(self, key: str) -> LambdaRuntime | None:
        with self._lock:
            return self._idle[key].pop() if self._idle[key] else None

    def _return(self, key: str, function: Mapping[str, Any], environment: LambdaRuntime) -> None:
        with self._lock:
            if self._newest[function["config"]["FunctionArn"]] == key:
                self._idle[key].append(environment)
            else:
                self._end(environment)

    def _end(self, environment: LambdaRuntime) -> None:
        environment.__exit__(None, None, None)
        self._all.discard(environment)

    def _start(self, key: str, function: Mapping[str, Any]) -> LambdaRuntime:
        config = function["config"]
        task_root = self._directory / key
        with self._lock:
            earlier = self._newest.get(config["FunctionArn"], key)
            if earlier != key:  # as on Lambda, what is idle ends; what is in use ends when it is returned
                for environment in self._idle.pop(earlier, []):
                    self._end(environment)
            self._newest[config["FunctionArn"]] = key
            if not task_root.exists():
                zipfile.ZipFile(io.BytesIO(function["code_zip"])).extractall(task_root)
            environment = LambdaRuntime(
                task_root=task_root,
                handler=config["Handler"],
                timeout=config["Timeout"],
                memory=config["MemorySize"],
                name=config["FunctionName"],
                region=config["FunctionArn"].split(":")[3],
                environment={
                    "SSL_CERT_FILE": str(self._ca),
                    **_logging_variables(config["LoggingConfig"]),
                    **((config.get("Environment") or {}).get("Variables") or {}),
                },
            ).__enter__()
            self._all.add(environment)
        return environment


def _logging_variables(config: Mapping[str, str]) -> dict[str, str]:
    """The variables that say how the runtime and the code log; the level is Lambda's only where the format is JSON.

    https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs-log-level.html
    """
    if config.get("LogFormat") != "JSON":
        return {"AWS_LAMBDA_LOG_FORMAT": "Text"}
    return {"AWS_LAMBDA_LOG_FORMAT": "JSON", "AWS_LAMBDA_LOG_LEVEL": config.get("ApplicationLogLevel", "INFO")}


def _configuration(config: Mapping[str, Any]) -> str:
    """What execution environments can be shared for: the same code, invoked in the same way."""
    shared = ("FunctionName", "CodeSha256", "Handler", "Timeout", "MemorySize", "Environment", "LoggingConfig")
    text = json.dumps([config.get(name) for name in shared], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
