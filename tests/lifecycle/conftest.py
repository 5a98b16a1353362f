from collections.abc import Iterator

import pytest

from local.appfabric import AppFabricEmulator, serve
from local.certificates import Certificates
from local.cloudformation import emulate
from tests.lifecycle.account import PROVIDER, Account


@pytest.fixture(scope="module")
def with_provider(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Account]:
    appfabric, home = AppFabricEmulator(), tmp_path_factory.mktemp("home")
    certificates = Certificates.create(tmp_path_factory.mktemp("certificates"))
    with serve(appfabric) as endpoint, emulate(certificates=certificates, retry_seconds=0.05) as cloudformation:
        account = Account(cloudformation, appfabric, endpoint, home)
        account.deploy_provider()
        yield account


@pytest.fixture
def account(with_provider: Account) -> Iterator[Account]:
    with_provider.appfabric.reset()
    yield with_provider
    with_provider.appfabric.reset()
    for stack in with_provider.cloudformation.stacks():
        if stack.name != PROVIDER:
            with_provider.cloudformation.delete_stack(stack.name)
