"""An account in the local CloudFormation with a provider, a terminal for docs/operating.md, and consumers."""

import json
import uuid
from pathlib import Path
from typing import Any

from local.appfabric import AppFabricEmulator
from local.cloudformation import CloudFormation, Stack
from local.cloudformation.client import _BUCKET as BUCKET
from tests.lifecycle.pages import ROOT, commands, run
from tests.support.properties import properties

PROVIDER = "appfabric-ingestion-destination"
PAGE = "operating.md"
# It is built, questions are confirmed, and the function's AppFabric is the emulator.
SHIM = """
sam() {
    if [ "$1" = build ]; then return; fi
    case "$*" in
        *--parameter-overrides*) set -- "$@" "AppFabricEndpointUrl=$AWS_ENDPOINT_URL_APPFABRIC" ;;
    esac
    if [ "$1" = deploy ]; then set -- "$1" --no-confirm-changeset --no-progressbar "${@:2}"; fi
    command sam "$@"
}
aws() {  # version 1 has an endpoint of its own for SQS
    if [ "$1" = sqs ]; then set -- "$@" --endpoint-url "$AWS_ENDPOINT_URL"; fi
    command aws "$@"
}
"""
IMPORTED = {"Fn::ImportValue": f"{PROVIDER}-ServiceToken"}
BY_TAG = {"Tags": [{"Key": "reapplied", "Value": "2026-11-25"}]}


class Account:
    """An account with a provider, and the terminal of its operator."""

    def __init__(self, cloudformation: CloudFormation, appfabric: AppFabricEmulator, endpoint: str, home: Path) -> None:
        self.cloudformation, self.appfabric, self._endpoint, self._home = cloudformation, appfabric, endpoint, home

    def deploy_provider(self, **parameters: str) -> Stack:
        return self.cloudformation.deploy(
            ROOT / ".aws-sam/build/template.yaml",
            stack_name=PROVIDER,
            parameters={"AppFabricEndpointUrl": self._endpoint, **parameters},
        )

    @property
    def provider(self) -> Stack:
        return self.cloudformation.stack(PROVIDER)

    @property
    def token(self) -> str:
        return self.provider.outputs["ServiceToken"]

    def terminal(self, script: str, **variables: str) -> str:
        """Run commands of the page as an operator does, and return what they print."""
        ended = self.try_in_terminal(script, **variables)
        assert ended.returncode == 0, ended.stdout + ended.stderr
        return ended.stdout

    def try_in_terminal(self, script: str, **variables: str) -> Any:
        environment = {
            **self.cloudformation.environment(),
            "AWS_ENDPOINT_URL_APPFABRIC": self._endpoint,
            "BUCKET": BUCKET,
            **variables,
        }
        return run(SHIM + script, environment, home=self._home)

    def variables(self) -> str:
        return commands(PAGE, "Operating the provider")

    def wait_for(self, stack: str, status: str) -> None:
        self.cloudformation.wait(lambda: self.cloudformation.stack(stack).status == status, timeout=60)


class Consumer:
    """A stack with one destination."""

    def __init__(self, account: Account, token: Any, **changed: Any) -> None:
        self._account, self._token = account, token
        self.name = f"consumer-{uuid.uuid4().hex[:8]}"
        self.stack = account.cloudformation.create_stack(self.name, self.template(**changed))

    def template(self, **changed: Any) -> str:
        wanted = properties(**{"ServiceToken": self._token, "ServiceTimeout": 60, **changed})
        resource = {"Type": "Custom::AppFabricIngestionDestination", "Properties": wanted}
        return json.dumps({"Resources": {"Destination": resource}})

    def update(self, **changed: Any) -> str:
        return self._account.cloudformation.update_stack(self.name, self.template(**changed)).status

    def delete(self) -> str:
        return self._account.cloudformation.delete_stack(self.name).status
