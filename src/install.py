"""Puts the function's sources and dependencies into the artifact. Run by the Makefile; not shipped.

    python install.py ARTIFACTS_DIR

The machine's owner decides where packages come from: an index, a proxy and certificates in pip's configuration stay in
force. What else it says (`user`, `require-virtualenv`, `no-binary`, a target of its own …) is about other installations
and would break this one. The wheels are checked against the hashes of requirements.txt, wherever they come from.

Standard library only, for any Python from 3.9 on: it runs on the machine of whoever builds.
"""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
PIP = (sys.executable, "-m", "pip")
CHOOSE = "Choose another with `PYTHON=/path/to/python sam build`."
# How pip reaches packages: https://pip.pypa.io/en/stable/cli/pip/
REACHES = {
    "cache-dir", "cert", "client-cert", "default-timeout", "extra-index-url", "find-links", "index-url",
    "keyring-provider", "no-cache-dir", "no-index", "proxy", "pypi-url", "retries", "timeout", "trusted-host",
    "use-deprecated", "use-feature",
}  # fmt: skip
INSTALL = (
    *("--quiet", "--disable-pip-version-check", "--no-input", "--no-deps", "--require-hashes", "--no-compile"),
    *("--only-binary", ":all:", "--python-version", "3.13", "--implementation", "cp", "--platform", "any"),
    "--ignore-requires-python",  # pip before 24.1 asks whether they suit the Python that runs it
)


def main(artifact: Path) -> None:
    """Install, copy; or say in one sentence why not."""
    version = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info < (3, 9):  # noqa: UP036 - the machine's Python, not the tests'
        raise SystemExit(f"Python 3.9 or newer is needed to build, and {sys.executable} is {version}. {CHOOSE}")
    if subprocess.run([*PIP, "--version"], capture_output=True, check=False).returncode:  # noqa: S603
        raise SystemExit(f"pip is needed to build, and {sys.executable} has none. {CHOOSE}")
    command = [*PIP, "install", *INSTALL, "--requirement", str(HERE / "requirements.txt"), "--target", str(artifact)]
    if subprocess.run(command, env=environment(), check=False).returncode:  # noqa: S603
        raise SystemExit("pip could not install the function's dependencies; its own message is above.")
    copy_sources(artifact)


def environment() -> dict[str, str]:
    """The environment of a pip that reads no configuration, with what was configured about reaching packages."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("PIP_")}
    reached = {f"PIP_{name.upper().replace('-', '_')}": value for name, value in configured().items()}
    return {**inherited, **reached, "PIP_CONFIG_FILE": os.devnull, "PIP_ROOT_USER_ACTION": "ignore"}


def configured() -> dict[str, str]:
    """What pip's configuration files and its environment say about reaching packages, the strongest last."""
    # `user` is for `pip install`, and `pip config` has an option of that name: it would read the user's file only.
    # What it lists is a log to pip, which `quiet` would leave empty.
    all_files = {**os.environ, "PIP_USER": "0", "PIP_GLOBAL": "0", "PIP_SITE": "0", "PIP_QUIET": "0"}
    command = [*PIP, "config", "list"]
    listed = subprocess.run(command, env=all_files, stdout=subprocess.PIPE, check=True).stdout.decode()  # noqa: S603
    found: dict[str, dict[str, str]] = {"global": {}, "install": {}, ":env:": {}}
    for line in listed.splitlines():
        key, _, value = line.partition("=")
        section, _, name = key.rpartition(".")
        if section in found and name in REACHES:
            found[section][name] = ast.literal_eval(value)
    return {name: value for section in found.values() for name, value in section.items()}


def copy_sources(artifact: Path) -> None:
    """Copy the function's modules, the same bytes from every checkout: no editor's files, no CRLF."""
    for source in (HERE / "app.py", *sorted((HERE / "ingestion_destination").rglob("*.py"))):
        target = artifact / source.relative_to(HERE)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(source.read_bytes().replace(b"\r\n", b"\n"))
        shutil.copymode(source, target)


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
