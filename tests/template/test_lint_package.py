"""The cfn-lint rules as other repositories use them: as a wheel or as a folder, as the README describes."""

import email
import re
import shlex
import shutil
import zipfile
from pathlib import Path

import pytest
import yaml

from tests.template.tools import CFN_LINTS, ROOT, RULES, run

README = (ROOT / "README.md").read_text()
REQUIRED = """
import re
from importlib import metadata

left, required = ["cfn-lint"], set()
while left:
    name = left.pop().lower().replace("_", "-")
    if name not in required:
        required.add(name)
        requires = [each for each in metadata.requires(name) or [] if "extra ==" not in each]
        left += [re.split("[^A-Za-z0-9._-]", each)[0] for each in requires]
installed = {each.name.lower().replace("_", "-") for each in metadata.distributions()}
print(sorted(installed - required))
"""
WRONG = (ROOT / "examples/s3.yaml").read_text().replace("!Ref AuditLogs", "!GetAtt AuditLogs.Arn")
WORDS = "BucketName must be the bucket's name alone"

both = pytest.mark.parametrize("version", CFN_LINTS)


def block(language: str, containing: str) -> str:
    """Return the one code block of the README that contains a text."""
    blocks: list[str] = re.findall(rf"^```{language}\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
    (found,) = (each for each in blocks if containing in each)
    return found


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The contents of the wheel, as pip installs them."""
    directory = tmp_path_factory.mktemp("wheel")
    run(ROOT / ".venv/bin/python", "-m", "hatchling", "build", "--target", "wheel", "--directory", directory, cwd=ROOT)
    (wheel,) = directory.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(directory / "site-packages")
    return directory / "site-packages"


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A user's repository that contains only an invalid template."""
    directory = tmp_path / "a repository"
    directory.mkdir()
    (directory / "template.yaml").write_text(WRONG)
    return directory


def test_the_wheel_has_the_version_of_the_application(installed: Path) -> None:
    (metadata,) = installed.glob("*.dist-info/METADATA")
    version = email.message_from_string(metadata.read_text())["Version"]
    assert f"    SemanticVersion: {version}\n" in (ROOT / "template.yaml").read_text()


@both
def test_the_environments_contain_only_cfn_lint(version: str) -> None:
    assert run(CFN_LINTS[version].with_name("python"), "-c", REQUIRED) == "[]\n"


@both
def test_the_wheel_works_as_in_the_readme(version: str, installed: Path, repository: Path) -> None:
    command = block("console", "pip install cfn-lint").splitlines()[1]
    _, program, *arguments = shlex.split(command)
    assert program == "cfn-lint"
    environment = {"PYTHONPATH": str(installed), "HOME": str(repository)}
    output = run(CFN_LINTS[version], *arguments, cwd=repository, env=environment, codes=(2,))
    assert WORDS in output


@both
def test_the_folder_works_as_in_the_readme(version: str, repository: Path) -> None:
    copy_the_folder(repository)
    output = run(CFN_LINTS[version], "template.yaml", cwd=repository, env={"HOME": str(repository)}, codes=(2,))
    assert WORDS in output


def test_the_folder_works_as_in_the_readme_with_sam(repository: Path) -> None:
    copy_the_folder(repository)
    sam = (ROOT / ".venv-sam/bin/sam", "validate", "--lint")
    assert WORDS in run(*sam, cwd=repository, env={"HOME": str(repository)}, codes=(1,))
    (repository / "template.yaml").write_text(
        re.sub(" +ServiceTimeout: .*\n", "", (ROOT / "examples/s3.yaml").read_text())
    )
    assert "W9701" in run(*sam, cwd=repository, env={"HOME": str(repository)}, codes=(1,))
    silenced = "ignore_checks: [W9701]"
    assert silenced in README
    with (repository / ".cfnlintrc").open("a") as file:
        file.write(f"{silenced}\n")
    assert "valid SAM Template" in run(*sam, cwd=repository, env={"HOME": str(repository)})


@both
def test_the_folder_and_the_hook_together_report_once(version: str, installed: Path, repository: Path) -> None:
    """cfn-lint rejects rules that it is given twice, except under the same name."""
    copy_the_folder(repository)
    (hook,) = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())
    command = [CFN_LINTS[version], *shlex.split(hook["entry"])[1:], "template.yaml"]
    environment = {"PYTHONPATH": str(installed), "HOME": str(repository)}
    assert run(*command, cwd=repository, env=environment, codes=(2,)).count(WORDS) == 1


@both
def test_the_folder_works_under_another_name(version: str, repository: Path) -> None:
    shutil.copytree(RULES, repository / "our lint-rules")
    command = [CFN_LINTS[version], "--append-rules", "our lint-rules", "--", "template.yaml"]
    assert WORDS in run(*command, cwd=repository, env={"HOME": str(repository)}, codes=(2,))


@both
def test_the_pre_commit_hook_checks_the_given_files(version: str, installed: Path, repository: Path) -> None:
    """As pre-commit calls it: the entry, then the names of files. tests/fresh tests the hook itself."""
    (hook,) = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())
    assert hook["id"] in block("yaml", "hooks:")
    program, *arguments = shlex.split(hook["entry"])
    assert program == "cfn-lint"
    (repository / "second.yaml").write_text(WRONG)
    environment = {"PYTHONPATH": str(installed), "HOME": str(repository)}
    command = [CFN_LINTS[version], *arguments, "template.yaml", "second.yaml"]
    output = run(*command, cwd=repository, env=environment, codes=(2,))
    assert output.count(WORDS) == 2


def copy_the_folder(repository: Path) -> None:
    shutil.copytree(RULES, repository / RULES.name, ignore=shutil.ignore_patterns("__pycache__"))
    (repository / ".cfnlintrc").write_text(block("yaml", "append_rules:"))
