"""`sam deploy`, the AWS SAM CLI's own, in a process that knows nothing of the caller's configuration.

https://docs.aws.amazon.com/serverless-application-model/latest/developerguide/sam-cli-command-reference-sam-deploy.html
"""

import os
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

from local.cloudformation.ministack_process import CloudFormationError
from local.runtime import ROOT

_SAM = ROOT / ".venv-sam" / "bin" / "sam"


def deploy(
    template: Path,
    *,
    stack_name: str,
    parameters: Mapping[str, str],
    bucket: str,
    environment: Mapping[str, str],
    timeout: float | None,
) -> None:
    """Create or update a stack.

    Args:
        template: The built template, or one that needs no build.
        stack_name: The stack.
        parameters: Parameters that differ from their defaults.
        bucket: Where the artifacts go.
        environment: Where AWS is.
        timeout: Seconds until it is given up, None for never.

    Raises:
        CloudFormationError: It failed; the text is its output.
    """
    if not _SAM.exists():
        raise CloudFormationError(f"{_SAM} is missing: run `make setup`")
    command = [str(_SAM), "deploy", "--template-file", str(template.resolve()), "--stack-name", stack_name]
    command += ["--s3-bucket", bucket, "--capabilities", "CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND"]
    command.append("--no-confirm-changeset")
    command += ["--no-fail-on-empty-changeset", "--no-progressbar"]
    if parameters:
        command.append("--parameter-overrides")
        command += [f"ParameterKey={name},ParameterValue={_quoted(value)}" for name, value in parameters.items()]
    with tempfile.TemporaryDirectory() as home:  # nothing of ~/.aws or ~/.aws-sam is read, and SAM writes there
        config = Path(home) / "samconfig.toml"  # not one beside the template, with a profile or a Region of its own
        config.write_text("version = 0.1\n", encoding="utf-8")
        finished = subprocess.run(
            [*command, "--config-file", str(config)],
            env={"PATH": os.defpath, "HOME": home, **environment},
            cwd=home,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=timeout,
            check=False,
        )
    if finished.returncode:
        raise CloudFormationError(f"sam deploy failed:\n{finished.stdout.decode(errors='replace')}")


def _quoted(value: str) -> str:
    """As SAM reads the value of a --parameter-overrides."""
    return '"' + value.replace('"', '\\"') + '"'
