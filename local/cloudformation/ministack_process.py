"""ministack's process: `ministack_patches.py` in an environment of its own, on 127.0.0.1 only."""

import contextlib
import os
import shutil
import socket
import ssl
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from local.certificates import Certificates
from local.processes import free_ports
from local.runtime import ROOT

_PYTHON = ROOT / ".venv-cloudformation" / "bin" / "python"
ACCOUNT_ID = "111122223333"  # as in the ARNs of the examples
_START_SECONDS = 30.0
_STOP_SECONDS = 10.0


class CloudFormationError(RuntimeError):
    """CloudFormation did not start, or an operation failed; the text holds the output."""


class Ministack:
    """ministack from the beginning of a `with` block to its end, with a directory for its files.

    Args:
        certificates: For its endpoint and for the pre-signed URLs.
        region: The only Region that it serves.
        port: Where it listens; None for any free port.
        retry_seconds: How long Lambda waits before the first retry of a failed invocation; twice that before
            the second.
    """

    def __init__(self, *, certificates: Certificates, region: str, port: int | None, retry_seconds: float) -> None:
        self._certificates = certificates
        self._region = region
        self._port = port
        self._retry_seconds = retry_seconds

    def __enter__(self) -> Self:
        if not _PYTHON.exists():
            raise CloudFormationError(f"{_PYTHON} is missing: run `make setup`")
        self.directory = Path(tempfile.mkdtemp(prefix="cloudformation-"))
        self.port = self._port or free_ports(1)[0]
        # -P: the working directory holds no modules
        command = [str(_PYTHON), "-P", "-m", "local.cloudformation.ministack_patches"]
        command += [str(self.directory), str(self._certificates.directory.resolve())]
        with (self.directory / "ministack.log").open("wb") as log:
            self._process = subprocess.Popen(
                command,
                cwd=self.directory,
                env=self._environment(),
                stdin=subprocess.PIPE,  # ends with this process, and then so does ministack
                stdout=log,
                stderr=log,
                start_new_session=True,  # an interrupt at the keyboard is for this process to handle
            )
        try:
            self._wait_until_ready()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process.stdin:
            self._process.stdin.close()
        try:
            self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        shutil.rmtree(self.directory, ignore_errors=True)

    @property
    def log(self) -> str:
        """What it logged so far."""
        return (self.directory / "ministack.log").read_text(encoding="utf-8", errors="replace")

    def _environment(self) -> dict[str, str]:
        return {
            "PATH": os.defpath,
            "HOME": str(self.directory),
            "TMPDIR": str(self.directory),
            "PYTHONPATH": str(ROOT),
            "BIND_HOST": "127.0.0.1",  # every interface otherwise
            "GATEWAY_PORT": str(self.port),
            "MINISTACK_HOST": "localhost",
            "MINISTACK_REGION": self._region,
            "MINISTACK_ACCOUNT_ID": ACCOUNT_ID,
            "USE_SSL": "1",
            "MINISTACK_SSL_CERT": str(self._certificates.certificate.resolve()),
            "MINISTACK_SSL_KEY": str(self._certificates.key.resolve()),
            "IOT_MTLS_ENABLED": "0",
            "SFTP_ENABLED": "0",
            "LAMBDA_EXECUTOR": "local",
            "LAMBDA_ASYNC_RETRY_BASE_SECONDS": str(self._retry_seconds),
        }

    def _wait_until_ready(self) -> None:
        trust = ssl.create_default_context(cafile=self._certificates.ca)
        deadline = time.monotonic() + _START_SECONDS
        while True:
            with contextlib.suppress(OSError):
                with socket.create_connection(("127.0.0.1", self.port)) as connection:
                    trust.wrap_socket(connection, server_hostname="localhost").close()
                return
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise CloudFormationError(f"ministack did not start:\n{self.log}")
            time.sleep(0.02)
