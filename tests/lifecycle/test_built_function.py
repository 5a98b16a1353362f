"""What `sam build` made, under AWS's runtime interface emulator: real sockets, real limits, real kills."""

import json
import os
import shutil
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from local.appfabric import AppFabricEmulator, Fault, serve
from local.certificates import Certificates
from local.response_receiver import ResponseFault, ResponseReceiver
from local.runtime import Invocation, LambdaRuntime
from tests.support.properties import STACK_ID, processing, properties

ARTIFACT = Path(__file__).parents[2] / ".aws-sam" / "build" / "ProviderFunction"
LIMIT = 8


@dataclass
class Provider:
    """The function, its AppFabric and the receiver of its responses."""

    appfabric: AppFabricEmulator
    receiver: ResponseReceiver
    function: LambdaRuntime

    def event(self, request_type: str, outcomes: tuple[int | ResponseFault, ...] = (), **more: Any) -> dict[str, Any]:
        request_id = str(uuid.uuid4())
        return {
            "RequestType": request_type,
            "ResponseURL": self.receiver.response_url(outcomes=outcomes, request_id=request_id),
            "StackId": STACK_ID,
            "RequestId": request_id,
            "LogicalResourceId": "Destination",
            "ResourceType": "Custom::AppFabricIngestionDestination",
            "ResourceProperties": properties(),
            **more,
        }

    def run(self, event: dict[str, Any]) -> tuple[Invocation, dict[str, Any]]:
        """Invoke the function with an event whose response arrives."""
        invocation = self.function.invoke(event)
        return invocation, self.receiver.wait(event["ResponseURL"], timeout=1).json()


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates.create(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def start(certificates: Certificates) -> Iterator[Callable[..., Any]]:
    with ResponseReceiver(certificates) as receiver:

        @contextmanager
        def start(task_root: Path = ARTIFACT, **environment: str) -> Iterator[Provider]:
            appfabric = AppFabricEmulator()
            with (
                serve(appfabric) as endpoint,
                LambdaRuntime(
                    task_root=task_root,
                    handler="app.lambda_handler",
                    timeout=LIMIT,
                    environment={
                        "AWS_ENDPOINT_URL_APPFABRIC": endpoint,
                        "SSL_CERT_FILE": str(certificates.ca),
                        **environment,
                    },
                ) as function,
            ):
                yield Provider(appfabric, receiver, function)

        yield start


@pytest.fixture(scope="module")
def shared(start: Callable[..., Any]) -> Iterator[Provider]:
    with start() as provider:
        yield provider


@pytest.fixture
def provider(shared: Provider) -> Provider:
    shared.appfabric.reset()
    return shared


def test_create_replace_and_delete(provider: Provider) -> None:
    _, created = provider.run(provider.event("Create"))
    assert created["Status"] == "SUCCESS"
    assert list(provider.appfabric.destinations) == [created["PhysicalResourceId"]]
    new = properties(ProcessingConfiguration=processing("raw", "json"))
    update = {"ResourceProperties": new, "OldResourceProperties": properties()}
    _, replaced = provider.run(provider.event("Update", PhysicalResourceId=created["PhysicalResourceId"], **update))
    assert replaced["Status"] == "SUCCESS"
    for response in (created, replaced):
        invocation, gone = provider.run(provider.event("Delete", PhysicalResourceId=response["PhysicalResourceId"]))
        assert gone["Status"] == "SUCCESS"
        assert invocation.payload is None
        assert invocation.seconds < 5
    assert not provider.appfabric.destinations


@pytest.mark.parametrize(
    "fault",
    [
        Fault(operation="CreateIngestionDestination", hang=60, times=99),
        Fault(operation="CreateIngestionDestination", error="ThrottlingException", times=999),
        Fault(operation="CreateIngestionDestination", error="InternalServerException", times=999),
        Fault(operation="CreateIngestionDestination", cut=True, times=999),
    ],
    ids=["hang", "throttle", "500", "cut"],
)
def test_a_fault_that_stays_is_reported_before_lambdas_limit(provider: Provider, fault: Fault) -> None:
    provider.appfabric.inject(fault)
    invocation, response = provider.run(provider.event("Create"))
    assert invocation.error_type is None
    assert invocation.seconds < LIMIT
    assert response["Status"] == "FAILED"
    assert response["Reason"].startswith(fault.error or "NetworkFailure")


def test_a_response_of_appfabrics_that_trickles_in_is_interrupted_and_its_effect_found(
    provider: Provider,
) -> None:
    provider.appfabric.inject(Fault(operation="CreateIngestionDestination", drip=0.3, times=99))
    _, response = provider.run(provider.event("Create"))
    assert (response["Status"], [response["PhysicalResourceId"]]) == (
        "SUCCESS",
        list(provider.appfabric.destinations),
    )


@pytest.mark.parametrize(
    "outcomes", [(503, 503), (ResponseFault.CUT_BEFORE,), (ResponseFault.CUT_AFTER,), (ResponseFault.HANG,)], ids=str
)
def test_a_response_that_does_not_get_through_at_first_gets_through(provider: Provider, outcomes: Any) -> None:
    event = provider.event("Create", outcomes=outcomes)
    invocation, response = provider.run(event)
    assert invocation.error_type is None
    assert response["Status"] == "SUCCESS"
    assert len({request.body for request in provider.receiver.requests(event["ResponseURL"])}) == 1


def test_a_response_that_never_gets_through_is_delivered_by_lambdas_own_retry(provider: Provider) -> None:
    event = provider.event("Create", outcomes=(500,) * 20)
    lost = provider.function.invoke(event)
    assert lost.error_type == "Undelivered"
    assert "Signature" not in str(lost.payload)
    assert lost.seconds < LIMIT
    retried = {**event, "ResponseURL": provider.receiver.response_url()}
    _, response = provider.run(retried)
    assert list(provider.appfabric.destinations) == [response["PhysicalResourceId"]]


def test_a_response_that_is_refused_raises_and_nothing_is_changed_after_it(provider: Provider) -> None:
    event = provider.event("Create", outcomes=(403,) * 20)
    refused = provider.function.invoke(event)
    assert refused.error_type == "Undelivered"
    assert len(provider.receiver.requests(event["ResponseURL"])) == 1
    assert [call.operation for call in provider.appfabric.calls] == ["CreateIngestionDestination"]


def test_a_container_killed_after_its_create_is_completed_by_the_next_invocation(start: Callable[..., Any]) -> None:
    with start() as provider:
        created = threading.Event()
        provider.appfabric.subscribe(lambda _: created.set())
        event = provider.event("Create", outcomes=(ResponseFault.HANG,))
        running = threading.Thread(target=lambda: _ignore(lambda: provider.function.invoke(event)))
        running.start()
        assert created.wait(10)
        provider.function.kill()
        running.join()
        provider.function.restart()
        _, response = provider.run({**event, "ResponseURL": provider.receiver.response_url()})
        assert list(provider.appfabric.destinations) == [response["PhysicalResourceId"]]


def test_what_a_killed_container_created_is_found_by_the_delete_that_cloudformation_sends(
    start: Callable[..., Any],
) -> None:
    with start() as provider:
        created = threading.Event()
        provider.appfabric.subscribe(lambda _: created.set())
        event = provider.event("Create", outcomes=(ResponseFault.HANG,))
        running = threading.Thread(target=lambda: _ignore(lambda: provider.function.invoke(event)))
        running.start()
        assert created.wait(10)
        provider.function.kill()
        running.join()
        provider.function.restart()
        invented = "audit-logs-Destination-1A2B3C4D5E6F"
        _, response = provider.run(provider.event("Delete", PhysicalResourceId=invented))
        assert response["Status"] == "SUCCESS"
        assert not provider.appfabric.destinations


def test_garbage_in_a_warm_container_is_refused_at_once_without_a_response(provider: Provider) -> None:
    provider.run(provider.event("Create"))
    responses = len(provider.receiver.requests())
    calls = len(provider.appfabric.calls)
    for garbage in (None, [], {}, "text", {"RequestType": "Delete"}, provider.event("Create") | {"StackId": None}):
        invocation = provider.function.invoke(garbage)
        assert invocation.error_type == "NotARequest"
        assert invocation.seconds < 1
    assert len(provider.receiver.requests()) == responses
    assert len(provider.appfabric.calls) == calls


def test_a_region_without_appfabric_is_reported_within_seconds(start: Callable[..., Any]) -> None:
    nowhere = {
        "AWS_ENDPOINT_URL_APPFABRIC": "https://appfabric.eu-central-1.invalid",
        "AWS_REGION": "eu-central-1",
        "AWS_DEFAULT_REGION": "eu-central-1",
    }
    with start(**nowhere) as provider:
        began = time.monotonic()
        _, response = provider.run(provider.event("Create"))
        assert time.monotonic() - began < LIMIT
    assert response["PhysicalResourceId"].startswith("not-created:")
    for region in ("us-east-1", "eu-west-1", "ap-northeast-1"):
        assert region in response["Reason"]


@pytest.mark.parametrize(
    ("variable", "value", "shown"),
    [
        ("POWERTOOLS_LOGGER_SAMPLE_RATE", "abc", "abc"),
        ("POWERTOOLS_LOGGER_SAMPLE_RATE", os.fsdecode(b"not\xffutf-8"), "not utf-8"),
        ("AWS_CA_BUNDLE", "/opt/missing.pem", "/opt/missing.pem"),
    ],
    ids=["a number", "UTF-8", "a file"],
)
def test_a_function_that_a_variable_keeps_from_starting_says_so(
    start: Callable[..., Any], variable: str, value: str, shown: str
) -> None:
    with start(**{variable: value}) as provider:
        invocation, response = provider.run(provider.event("Create"))
        assert response["Reason"].startswith("InternalFailure: the function cannot start: ")
        assert variable in response["Reason"]
        assert shown in response["Reason"]
        assert "Traceback" in invocation.log
        delete = provider.event("Delete", PhysicalResourceId=response["PhysicalResourceId"])
        assert provider.run(delete)[1]["Status"] == "SUCCESS"
    assert not provider.appfabric.calls


def test_a_function_that_was_deployed_without_its_build_says_so(start: Callable[..., Any], tmp_path: Path) -> None:
    """That is src as it is, without the packages."""
    shutil.copytree(ARTIFACT.parents[2] / "src", tmp_path / "src")
    for package in ("crhelper", "boto3", "botocore", "aws_lambda_powertools"):
        (tmp_path / "src" / f"{package}.py").write_text(f"raise ModuleNotFoundError('No module named {package}')")
    with start(tmp_path / "src") as provider:
        _, response = provider.run(provider.event("Create"))
    assert response["Status"] == "FAILED"
    assert response["Reason"].startswith(
        "InternalFailure: the function cannot start: ModuleNotFoundError: No module named"
    )


def test_no_log_line_holds_a_secret_at_debug_with_every_switch_on(start: Callable[..., Any]) -> None:
    switches = {
        "POWERTOOLS_LOG_LEVEL": "DEBUG",
        "POWERTOOLS_LOGGER_LOG_EVENT": "true",
        "POWERTOOLS_DEBUG": "true",
        "AWS_LAMBDA_LOG_LEVEL": "DEBUG",
        "AWS_LAMBDA_LOG_FORMAT": "JSON",
        "AWS_SECRET_ACCESS_KEY": "s3cr3t-key",
    }
    with start(**switches) as provider:
        provider.run(provider.event("Create", outcomes=(503,)))
        provider.run(provider.event("Create", ResourceProperties=properties(AppBundleIdentifier="s3cr3t-value")))
        provider.function.invoke(provider.event("Create", outcomes=(403,)))
        provider.function.invoke(provider.event("Create") | {"StackId": None})
        log = provider.function.log
    assert '"level":"DEBUG"' in log or "INFO" in log
    for secret in ("X-Amz-Signature", "X-Amz-Credential", "s3cr3t", "%7CDestination%7C"):
        assert secret not in log


def test_under_sam_local_the_response_is_returned_though_its_url_leads_nowhere(start: Callable[..., Any]) -> None:
    with start(AWS_SAM_LOCAL="true") as provider:
        for path in sorted((ARTIFACT.parents[2] / "events").glob("*.json")):
            invocation = provider.function.invoke(json.loads(path.read_text()))
            assert invocation.error_type is None, path.name
            assert invocation.payload["Status"] == "SUCCESS", path.name
            assert invocation.seconds < 9, path.name
            provider.appfabric.destinations.clear()
        generated = provider.event("Create") | {"ResponseURL": "http://pre-signed-S3-url-for-response"}
        invocation = provider.function.invoke(generated)
        assert invocation.payload["Status"] == "SUCCESS"


def _ignore(call: Callable[[], object]) -> None:
    try:
        call()
    except Exception:
        return
