"""AWS Lambda's own runtime, without a container: the runtime interface emulator and awslambdaric.

The emulator is the one that AWS SAM CLI ships for `sam local invoke`; awslambdaric is the runtime interface
client of the managed Python runtimes. Standard library only: ministack's interpreter imports this module too.
https://docs.aws.amazon.com/lambda/latest/dg/python-image.html#python-image-clients
"""

import http.client
import importlib.metadata
import json
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from local.processes import accepts, free_ports, kill_session

ROOT = Path(__file__).resolve().parent.parent
_PYTHON = ROOT / ".venv" / "bin" / "python"
_EMULATORS = {"x86_64": "aws-lambda-rie-x86_64", "aarch64": "aws-lambda-rie-arm64"}
_INVOKE = "/2015-03-31/functions/function/invocations"
_START_SECONDS = 10.0
_EMULATORS_OWN = re.compile(r"^(?:\d\d \w{3} .* \(rapid\) .*|(?:START|END|REPORT) RequestId: .*)\n+", re.MULTILINE)
_NO_SERVICE = "http://127.0.0.1:9"  # the discard port: a call that nobody redirected is refused here at once


class LambdaRuntimeError(RuntimeError):
    """The runtime could not be started, or ended during an invocation."""


@dataclass(frozen=True)
class Invocation:
    """The result of one invocation.

    Attributes:
        payload: The handler's result as JSON gave it; Lambda's error object when the function failed.
        error_type: Lambda's errorType; None when the function returned.
        error_message: Lambda's errorMessage, "Task timed out after ..." for a timeout; None likewise.
        seconds: Wall-clock time, the cold start included.
        log: What the function wrote meanwhile, without the emulator's own lines.
    """

    payload: Any
    error_type: str | None
    error_message: str | None
    seconds: float
    log: str

    @property
    def failed(self) -> bool:
        """Whether Lambda counts a function error, after which an asynchronous invocation is retried."""
        return self.error_type is not None


class LambdaRuntime:
    """One execution environment of a function: a cold start, then one invocation at a time.

    The function's environment is Lambda's and nothing of the caller's, except the `environment` argument.
    AWS endpoints point nowhere unless `environment` names one. Memory is reported, not enforced.

        with LambdaRuntime(task_root=artifact, handler="app.lambda_handler") as function:
            print(function.invoke({"RequestType": "Create"}).payload)

    Args:
        task_root: The unpacked artifact, LAMBDA_TASK_ROOT.
        handler: `module.function` in it.
        timeout: The function's Timeout in seconds.
        memory: The function's MemorySize in MB.
        name: The function's name.
        region: The Region that it is in.
        environment: The function's own variables, as a template's Environment gives them.
    """

    def __init__(
        self,
        *,
        task_root: Path,
        handler: str,
        timeout: int = 15,
        memory: int = 256,
        name: str = "ProviderFunction",
        region: str = "us-east-1",
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.timeout = timeout
        self._task_root = task_root.resolve()
        self._handler = handler
        self._memory = memory
        self._name = name
        self._region = region
        self._environment = dict(environment or {})
        self._process: subprocess.Popen[bytes] | None = None
        self._port = 0
        # The emulator dies of a second invocation beside the first one.
        self._one_at_a_time = threading.Lock()

    def __enter__(self) -> Self:
        self._directory = Path(tempfile.mkdtemp(prefix="lambda-runtime-"))
        self._log = self._directory / "function.log"
        self._log.touch()
        _link_interface_client(self._directory / "runtime")
        try:
            self._start()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()
        shutil.rmtree(self._directory, ignore_errors=True)

    @property
    def log(self) -> str:
        """Everything that the function and the runtime logged so far, restarts included."""
        return self._log.read_text(encoding="utf-8", errors="replace")

    def invoke(self, event: object) -> Invocation:
        """Invoke the handler with `event` and wait for it, at most its timeout and a cold start.

        Raises:
            LambdaRuntimeError: The runtime was killed before or during the invocation.
        """
        with self._one_at_a_time:
            logged, began = len(self.log), time.monotonic()
            connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=self.timeout + 30)
            try:
                connection.request("POST", _INVOKE, json.dumps(event), {"Content-Type": "application/json"})
                body = connection.getresponse().read()
            except (OSError, http.client.HTTPException) as error:
                raise LambdaRuntimeError(f"the runtime is gone: {error!r}\n{self.log[logged:]}") from error
            finally:
                connection.close()
            return _invocation(body, seconds=time.monotonic() - began, log=_EMULATORS_OWN.sub("", self.log[logged:]))

    def kill(self) -> None:
        """End the runtime and the function in it at once, as a crash of the container does."""
        if self._process is None:
            return
        kill_session(self._process.pid)
        self._process.wait()
        self._process = None

    def restart(self) -> None:
        """Replace the execution environment by a cold one."""
        self.kill()
        self._start()

    def _start(self) -> None:
        emulator = _emulator()
        if not _PYTHON.exists():
            raise LambdaRuntimeError(f"{_PYTHON} is missing: run `make setup`")
        self._port, runtime_api = free_ports(2)
        command = [str(emulator), "--log-level", "info"]
        # Both addresses: without them the emulator listens on every interface.
        command += ["--runtime-interface-emulator-address", f"127.0.0.1:{self._port}"]
        command += ["--runtime-api-address", f"127.0.0.1:{runtime_api}"]
        # -S: what is installed beside awslambdaric is not in Lambda, so a dependency that the artifact
        # lacks must be missing here as well.
        command += [str(_PYTHON), "-S", "-m", "awslambdaric", self._handler]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                command,
                cwd=self._task_root,
                env=self._variables(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        deadline = time.monotonic() + _START_SECONDS
        while not accepts(self._port):
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise LambdaRuntimeError(f"the runtime interface emulator did not start:\n{self.log}")
            time.sleep(0.01)

    def _variables(self) -> dict[str, str]:
        """What a function finds in its environment, and nothing that this process has in its own.

        https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html#configuration-envvars-runtime
        """
        return {
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            "HOME": str(self._directory),  # no ~/.aws
            "LANG": "en_US.UTF-8",
            "TZ": ":UTC",
            "LAMBDA_TASK_ROOT": str(self._task_root),
            "LAMBDA_RUNTIME_DIR": str(self._directory / "runtime"),
            "PYTHONPATH": f"{self._task_root}:{self._directory / 'runtime'}",
            "PYTHONDONTWRITEBYTECODE": "1",  # the task directory is read-only in Lambda
            "_HANDLER": self._handler,
            "AWS_EXECUTION_ENV": "AWS_Lambda_python3.13",
            "AWS_LAMBDA_FUNCTION_NAME": self._name,
            "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
            "AWS_LAMBDA_FUNCTION_TIMEOUT": str(self.timeout),
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(self._memory),
            "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
            "AWS_LAMBDA_LOG_GROUP_NAME": f"/aws/lambda/{self._name}",
            "AWS_LAMBDA_LOG_STREAM_NAME": "local",
            "AWS_REGION": self._region,
            "AWS_DEFAULT_REGION": self._region,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_SESSION_TOKEN": "test",
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_ENDPOINT_URL": _NO_SERVICE,
            **self._environment,
        }


def _emulator() -> Path:
    name = _EMULATORS.get(platform.machine())
    if sys.platform != "linux" or name is None:
        raise LambdaRuntimeError("the Lambda runtime runs on Linux only, on x86_64 or aarch64")
    found = list((ROOT / ".venv-sam").glob(f"lib/python3*/site-packages/samcli/local/rapid/{name}"))
    if not found:
        raise LambdaRuntimeError(f"{name} is missing in {ROOT / '.venv-sam'}: run `make setup`")
    return found[0]


def _link_interface_client(directory: Path) -> None:
    """Offer awslambdaric and what it needs, and nothing else of its environment, in `directory`."""
    directory.mkdir()
    for site_packages in (ROOT / ".venv").glob("lib/python3*/site-packages"):
        for distribution in importlib.metadata.distributions(path=[str(site_packages)]):
            if distribution.name in {"awslambdaric", "simplejson", "snapshot-restore-py"}:
                for top in {file.parts[0] for file in distribution.files or () if file.parts[0] != ".."}:
                    (directory / top).symlink_to(site_packages / top)


def _invocation(body: bytes, *, seconds: float, log: str) -> Invocation:
    try:
        payload = json.loads(body or b"null")
    except ValueError:  # the emulator reports a timeout in plain text
        message = body.decode(errors="replace")
        return Invocation(message, "Sandbox.Timedout", message, seconds, log)
    error = payload if isinstance(payload, dict) and "errorType" in payload else {}
    return Invocation(payload, error.get("errorType"), error.get("errorMessage"), seconds, log)
