"""Makes the artifact small and quick to start. Run by the Makefile after install.py; not shipped.

    python build.py ARTIFACTS_DIR

What is cut is what nothing in this function reads. What is added is made of what botocore ships, so that an upgrade
of botocore brings its own. The same sources and the same Python 3.13 give the same bytes, for x86_64 as for arm64.
Without a Python 3.13 only the byte code is missing: the function starts slower and is correct all the same.

Standard library only, for any Python from 3.9 on: it runs on the machine of whoever builds.
"""

from __future__ import annotations

import gzip
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

SERVICE = "appfabric"
# Of Python 3.13, as its importlib.util.MAGIC_NUMBER has it: no other version reads this byte code.
MAGIC = "f30d0d0a"
TASK_ROOT = "/var/task"
NO_BYTE_CODE = (
    "No Python 3.13 was found, so the function has no byte code: it works, but a cold start takes 2.5 times as long.\n"
    "Install Python 3.13 (`uv python install 3.13`, `pyenv install 3.13` or your system's package) and build again."
)
# Licenses go with the code, and by METADATA vulnerability scanners know it, Amazon Inspector for one.
OF_METADATA = re.compile(r"METADATA|(LICEN[CS]E|NOTICE|COPYING|AUTHORS).*", re.IGNORECASE)
# What type checkers and browsers read, and a copy of the system's time zones.
NOT_FOR_LAMBDA = ("*.pyi", "py.typed", "*.js", "*.css", "dateutil-zoneinfo.tar.gz")
# The sources of Powertools' web framework and utilities stay: others import them. Their byte code is dead weight.
NOT_LOADED = r"aws_lambda_powertools/(event_handler|utilities/(?!__init__|jmespath_utils))"
# One of these signs for each of AWS's endpoints: https://www.amazontrust.com/repository
AMAZON_ROOTS = (
    "Amazon Root CA 1",
    "Amazon Root CA 2",
    "Amazon Root CA 3",
    "Amazon Root CA 4",
    "Starfield Services Root Certificate Authority - G2",
)


def main(artifact: Path) -> None:
    """Cut, add and compile, and say in the build's output what was done."""
    cut(artifact)
    cut_endpoints(artifact / "botocore" / "data" / "endpoints.json")
    for packed in (artifact / "botocore" / "data" / SERVICE).rglob("*.json.gz"):
        unpack(packed)
    write_amazon_roots(artifact / "botocore" / "cacert.pem", artifact / "amazon-roots.pem")
    python = find_runtime()
    if python:
        compile_all(artifact, python)
        print(f"Compiled with {python}")
    else:
        print(NO_BYTE_CODE)
    settle(artifact)


def cut(artifact: Path) -> None:
    """Remove what this function never reads."""
    data = artifact / "botocore" / "data"
    if not (data / SERVICE).is_dir():
        raise SystemExit(f"{data} has no {SERVICE}")
    remove(each for each in data.iterdir() if each.is_dir() and each.name != SERVICE)
    remove((artifact / "bin", artifact / "boto3" / "data", artifact / "boto3" / "examples"))
    for metadata in artifact.glob("*.dist-info"):
        remove(each for each in metadata.rglob("*") if each.is_file() and not OF_METADATA.fullmatch(each.name))
    for pattern in (*NOT_FOR_LAMBDA, "__pycache__"):
        remove(artifact.rglob(pattern))


def remove(paths: Iterable[Path]) -> None:
    """Remove files and folders, where they are there."""
    for path in list(paths):
        if path.is_dir():
            shutil.rmtree(path)
        elif path.exists():
            path.unlink()


def cut_endpoints(path: Path) -> None:
    """Keep all partitions and Regions, and of the services this one: the rest is parsed at each start for nothing."""
    endpoints = json.loads(path.read_bytes())
    for partition in endpoints["partitions"]:
        partition["services"] = {name: each for name, each in partition["services"].items() if name == SERVICE}
    path.write_bytes(json.dumps(endpoints, indent=1).encode())


def unpack(packed: Path) -> None:
    """Put a model of the service in the place of its compressed form, without the documentation of each shape."""
    model = without_documentation(json.loads(gzip.decompress(packed.read_bytes())))
    packed.with_suffix("").write_bytes(json.dumps(model, separators=(",", ":")).encode())
    packed.unlink()


def without_documentation(model: Any) -> Any:
    """A model without its texts for people; a member of a shape that has the same name stays."""
    if isinstance(model, dict):
        return {
            name: without_documentation(each)
            for name, each in model.items()
            if name != "documentation" or not isinstance(each, str)
        }
    return [without_documentation(each) for each in model] if isinstance(model, list) else model


def write_amazon_roots(bundle: Path, file: Path) -> None:
    """Choose Amazon's roots from botocore's bundle, by their labels: start-up then loads five in place of a hundred."""
    labeled = re.compile(
        r'^# Label: "(.+)"\n(?:#.*\n)*(-----BEGIN CERTIFICATE-----\n[^-]+-----END CERTIFICATE-----\n)', re.MULTILINE
    )
    roots = {found[1]: found[2] for found in labeled.finditer(bundle.read_text())}
    if missing := [label for label in AMAZON_ROOTS if label not in roots]:
        raise SystemExit(f"{bundle} lacks {', '.join(missing)}")
    file.write_text("".join(roots[label] for label in AMAZON_ROOTS))


def find_runtime() -> str | None:
    """A Python whose byte code Lambda's reads: the one that runs this, one on the PATH, or one of pyenv's or uv's."""
    home = Path(os.environ.get("HOME", "/"))  # Path.home() fails for a user without one, as containers have them
    names = ("python3.13", "python3", "python", "python3.13.exe", "python.exe")
    places = [Path(each) for each in os.environ.get("PATH", "").split(os.pathsep) if each]
    installed = (
        Path(os.environ.get("PYENV_ROOT") or home / ".pyenv") / "versions",
        Path(os.environ.get("UV_PYTHON_INSTALL_DIR") or home / ".local" / "share" / "uv" / "python"),
    )
    places += [found / "bin" for each in installed for found in sorted(each.glob("*3.13.*"), reverse=True)]
    candidates = [sys.executable, *(str(place / name) for name in names for place in places)]
    found = (probe(each) for each in candidates if os.access(each, os.X_OK))
    return next((executable for magic, executable in found if magic == MAGIC), None)


def probe(python: str) -> tuple[str, str]:
    """The magic number of a Python's byte code, and its own path; two empty strings if it does not run."""
    command = [python, "-I", "-c", "import importlib.util as u, sys; print(u.MAGIC_NUMBER.hex(), sys.executable)"]
    output = subprocess.run(command, capture_output=True, text=True, check=False).stdout  # noqa: S603
    magic, _, executable = output.strip().partition(" ")
    return magic, executable


def compile_all(artifact: Path, python: str) -> None:
    """Add the byte code, valid whatever times the files get: a zip keeps those of its files only roughly.

    https://docs.python.org/3.13/reference/import.html#cached-bytecode-invalidation
    """
    command = [python, "-I", "-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash"]
    command += ["-s", str(artifact), "-p", TASK_ROOT, "-x", NOT_LOADED, str(artifact)]
    subprocess.run(command, check=True)  # noqa: S603


def settle(artifact: Path) -> None:
    """One time and one mode for all, so that the same content makes the same zip."""
    for path in [artifact, *artifact.rglob("*")]:
        path.chmod(0o755 if path.is_dir() else 0o644)
        os.utime(path, (946684800, 946684800))  # 2000: a zip knows no time before 1980


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
