"""`sam build` produces the same bytes on every machine, or says in a sentence why it cannot."""

import os
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

import build
import install
from local.certificates import Certificates
from local.cloudformation import emulate
from local.runtime import ROOT
from tests.artifact.test_artifact import ARTIFACT, content, needs_the_runtime, run

TOOLS_PYTHON = ROOT / ".tools" / "bin" / "python"
SAM = ROOT / ".venv-sam" / "bin" / "sam"

# Settings that a user may have for other purposes. Each of them alone breaks or changes what plain pip does.
PIP_CONF = """\
[global]
require-virtualenv = true
no-binary = :all:
only-binary = boto3
pre = true
user = true
[install]
prefix = /nowhere
constraint = /nowhere/constraints.txt
"""
PIP_VARIABLES = {
    "PIP_USER": "1",
    "PIP_REQUIRE_VIRTUALENV": "1",
    "PIP_TARGET": "/nowhere",
    "PIP_DRY_RUN": "1",
    "PIP_PLATFORM": "win_amd64",
}


def crlf(directory: Path) -> None:
    """Convert the line endings as Git does on Windows unless .gitattributes prevents it."""
    for path in directory.rglob("*"):
        if path.is_file():
            path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))


def make(source: Path, artifact: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Build in a copy of src, as `sam build` does."""
    return subprocess.run(
        ["make", "--silent", "build-ProviderFunction"],
        cwd=source,
        env={**os.environ, "ARTIFACTS_DIR": str(artifact), "PYTHON": str(TOOLS_PYTHON), **environment},
        check=False,
        capture_output=True,
        text=True,
    )


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A copy of src."""
    return Path(shutil.copytree(ROOT / "src", tmp_path / "src", ignore=shutil.ignore_patterns("__pycache__")))


def test_sam_builds_the_same_in_a_hostile_environment(tmp_path: Path, source: Path) -> None:
    """A path with a space, a dollar sign and parentheses, CRLF, an editor's files, and all pip settings above."""
    project = tmp_path / "some $dir (x)"
    project.mkdir()
    shutil.copy(ROOT / "template.yaml", project)
    source.rename(project / "src")
    (project / "src" / "ingestion_destination" / "lifecycle.py~").write_text("")
    (project / "src" / "ingestion_destination" / ".DS_Store").write_text("")
    crlf(project / "src")
    (project / "pip.conf").write_text(PIP_CONF)
    built = subprocess.run(
        [SAM, "build"],
        cwd=project,
        env={
            **os.environ,
            "PATH": f"{TOOLS_PYTHON.parent}:{os.environ['PATH']}",
            "SAM_CLI_TELEMETRY": "0",
            **PIP_VARIABLES,
            "PIP_CONFIG_FILE": str(project / "pip.conf"),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stderr
    again = project / ".aws-sam" / "build" / "ProviderFunction"
    assert content(again) == content(ARTIFACT)
    assert len({path.stat().st_mtime for path in again.rglob("*")}) == 1


@pytest.mark.slow
@needs_the_runtime
@pytest.mark.parametrize("version", ["3.9", "3.10", "3.11", "3.12", "3.13", "3.14"])
def test_every_python_builds_the_same(tmp_path: Path, source: Path, version: str) -> None:
    python = installed(version)
    if python is None:
        pytest.skip(f"no Python {version} is installed")
    result = make(source, tmp_path / "artifact", PYTHON=str(python))
    assert result.returncode == 0, result.stderr
    assert content(tmp_path / "artifact") == content(ARTIFACT)


def installed(version: str) -> Path | None:
    """Return a Python of this version that has pip, from the PATH or from pyenv."""
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
    places = [Path(each) for each in os.environ["PATH"].split(os.pathsep)]
    candidates = (place / f"python{version}" for place in [*places, *(p / "bin" for p in pyenv.glob(f"{version}.*"))])
    for each in candidates:
        command = [each, "-m", "pip", "--version"]  # in a folder where a version manager may refuse to run it
        if each.exists() and subprocess.run(command, cwd="/", check=False, capture_output=True).returncode == 0:
            return each
    return None


# --- dependencies


def test_the_requirements_match_the_lock() -> None:
    command = [ROOT / ".tools/bin/uv", "export", "--quiet", "--frozen", "--only-group", "function", "--no-header"]
    exported = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    exported = exported.replace(" ; python_full_version >= '3.11'", "")
    assert (ROOT / "src" / "requirements.txt").read_text() == exported, "make src/requirements.txt"


def test_shipped_packages_are_not_pinned_outside_the_lock() -> None:
    groups = tomllib.loads((ROOT / "pyproject.toml").read_text())["dependency-groups"]
    assert not [requirement for requirement in groups["function"] if "==" in requirement]


# --- pip's configuration


def test_the_users_pip_index_is_respected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    (tmp_path / "pip.conf").write_text(
        PIP_CONF.replace("[install]\n", "index-url = https://one.example/\nproxy = http://proxy.example\n[install]\n")
        + "extra-index-url =\n    https://two.example/\n    https://three.example/\n"
    )
    monkeypatch.setattr(install, "PIP", (str(TOOLS_PYTHON), "-m", "pip"))
    monkeypatch.setenv("PIP_CONFIG_FILE", str(tmp_path / "pip.conf"))
    monkeypatch.setenv("PIP_CERT", "/etc/company.pem")
    monkeypatch.setenv("PIP_INDEX_URL", "https://stronger.example/")
    monkeypatch.setenv("PIP_USER", "1")
    monkeypatch.setenv("PIP_QUIET", "1")
    pips = {name: value.split() for name, value in install.environment().items() if name.startswith("PIP_")}
    assert (
        pips.items()
        >= {
            "PIP_CERT": ["/etc/company.pem"],
            "PIP_CONFIG_FILE": [os.devnull],
            "PIP_EXTRA_INDEX_URL": ["https://two.example/", "https://three.example/"],
            "PIP_INDEX_URL": ["https://stronger.example/"],
            "PIP_PROXY": ["http://proxy.example"],
        }.items()
    )
    left_out = {line.partition(" = ")[0] for line in PIP_CONF.splitlines() if " = " in line}
    assert not {f"PIP_{name.upper().replace('-', '_')}" for name in left_out} & set(pips)


def test_a_build_without_an_index_fails(tmp_path: Path, source: Path) -> None:
    """Shows that pip's settings have an effect, and are not only passed on."""
    (tmp_path / "pip.conf").write_text("[global]\nquiet = 2\n[install]\nno-index = true\n")
    result = make(source, tmp_path / "artifact", PIP_CONFIG_FILE=str(tmp_path / "pip.conf"))
    assert result.returncode != 0
    assert "pip could not install the function's dependencies" in result.stderr
    assert not list((tmp_path / "artifact").rglob("*.py"))


def test_a_python_without_pip_is_reported(tmp_path: Path, source: Path) -> None:
    subprocess.run([TOOLS_PYTHON, "-m", "venv", "--without-pip", tmp_path / "bare"], check=True)
    result = make(source, tmp_path / "artifact", PYTHON=str(tmp_path / "bare" / "bin" / "python"))
    assert result.returncode != 0
    assert result.stderr.startswith(f"pip is needed to build, and {tmp_path / 'bare' / 'bin' / 'python'} has none. ")


def test_a_python_that_is_too_old_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(install.sys, "version_info", (3, 8, 18))
    with pytest.raises(SystemExit, match=r"Python 3\.9 or newer is needed to build, and .* is 3\.8\.18\. Choose"):
        install.main(tmp_path)


# --- byte code


def test_without_python_3_13_the_build_reports_that_only_byte_code_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    artifact = tmp_path / "artifact"
    shutil.copytree(ARTIFACT, artifact)
    (artifact / "amazon-roots.pem").unlink()
    monkeypatch.setattr(build, "find_runtime", lambda: None)
    build.main(artifact)
    assert "No Python 3.13 was found" in capsys.readouterr().out
    assert not list(artifact.rglob("*.pyc"))
    without = {path.relative_to(artifact) for path in artifact.rglob("*") if path.is_file()}
    assert without == {p.relative_to(ARTIFACT) for p in ARTIFACT.rglob("*") if p.is_file() and p.suffix != ".pyc"}
    assert run("import app, json; print(json.dumps(callable(app.lambda_handler)))", artifact=artifact) is True


def test_a_python_with_other_byte_code_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, probed in (("python3.13", "deadbeef /other/python"), ("python3", "")):
        (tmp_path / name).write_text(f"#!/bin/sh\necho {probed}\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setattr(build.sys, "executable", str(tmp_path / "python3"))
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path))
    monkeypatch.setenv("UV_PYTHON_INSTALL_DIR", str(tmp_path))
    assert build.find_runtime() is None
    elsewhere = tmp_path / "versions" / "3.13.9" / "bin"
    elsewhere.mkdir(parents=True)
    (elsewhere / "python3.13").write_text(f"#!/bin/sh\necho {build.MAGIC} /real/python3.13\n")
    (elsewhere / "python3.13").chmod(0o755)
    assert build.find_runtime() == "/real/python3.13", "a version manager's command works only in some folders"


# --- deploying it


def test_sam_deploys_with_the_users_bucket(tmp_path: Path) -> None:
    """In the project's own folder, with its samconfig.toml."""
    with emulate(certificates=Certificates.create(tmp_path)) as cloudformation:
        s3 = cloudformation.client("s3")
        s3.create_bucket(Bucket="amzn-s3-demo-bucket")
        deployed = subprocess.run(
            [SAM, "deploy", "--s3-bucket", "amzn-s3-demo-bucket", "--no-confirm-changeset"],
            cwd=ROOT,
            env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), **cloudformation.environment()},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        assert deployed.returncode == 0, deployed.stdout + deployed.stderr
        assert cloudformation.stack("appfabric-ingestion-destination").status == "CREATE_COMPLETE"
        uploaded = [each["Key"] for each in s3.list_objects_v2(Bucket="amzn-s3-demo-bucket")["Contents"]]
        assert {key.partition("/")[0] for key in uploaded} == {"appfabric-ingestion-destination"}
