"""What `sam build` made, under AWS's runtime interface emulator: real sockets, real limits, real kills."""

import json
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
from tests.contract.laptop import STACK_ID, processing, properties

ARTEFACT = Path(__file__).parents[2] / ".aws-sam" / "build" / "ProviderFunction"
LIMIT = 8


@dataclass
class Laptop:
    """The function, its AppFabric and the place for its answers."""

    appfabric: AppFabricEmulator
    sink: ResponseReceiver
    function: LambdaRuntime

    def event(self, request_type: str, order: tuple[int | ResponseFault, ...] = (), **more: Any) -> dict[str, Any]:
        request_id = str(uuid.uuid4())
        return {
            "RequestType": request_type,
            "ResponseURL": self.sink.response_url(outcomes=order, request_id=request_id),
            "StackId": STACK_ID,
            "RequestId": request_id,
            "LogicalResourceId": "Destination",
            "ResourceType": "Custom::AppFabricIngestionDestination",
            "ResourceProperties": properties(),
            **more,
        }

    def run(self, event: dict[str, Any]) -> tuple[Invocation, dict[str, Any]]:
        """Run an event whose answer arrives."""
        invocation = self.function.invoke(event)
        return invocation, self.sink.wait(event["ResponseURL"], timeout=1).json()


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates.create(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def start(certificates: Certificates) -> Iterator[Callable[..., Any]]:
    with ResponseReceiver(certificates) as sink:

        @contextmanager
        def start(task_root: Path = ARTEFACT, **environment: str) -> Iterator[Laptop]:
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
                yield Laptop(appfabric, sink, function)

        yield start


@pytest.fixture(scope="module")
def shared(start: Callable[..., Any]) -> Iterator[Laptop]:
    with start() as laptop:
        yield laptop


@pytest.fixture
def laptop(shared: Laptop) -> Laptop:
    shared.appfabric.reset()
    return shared


def test_a_whole_life(laptop: Laptop) -> None:
    _, made = laptop.run(laptop.event("Create"))
    assert made["Status"] == "SUCCESS"
    assert list(laptop.appfabric.destinations) == [made["PhysicalResourceId"]]
    new = properties(ProcessingConfiguration=processing("raw", "json"))
    update = {"ResourceProperties": new, "OldResourceProperties": properties()}
    _, replaced = laptop.run(laptop.event("Update", PhysicalResourceId=made["PhysicalResourceId"], **update))
    assert replaced["Status"] == "SUCCESS"
    for answer in (made, replaced):
        invocation, gone = laptop.run(laptop.event("Delete", PhysicalResourceId=answer["PhysicalResourceId"]))
        assert gone["Status"] == "SUCCESS"
        assert invocation.payload is None
        assert invocation.seconds < 5
    assert not laptop.appfabric.destinations


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
def test_a_fault_that_stays_is_reported_before_lambdas_limit(laptop: Laptop, fault: Fault) -> None:
    laptop.appfabric.inject(fault)
    invocation, answer = laptop.run(laptop.event("Create"))
    assert invocation.error_type is None
    assert invocation.seconds < LIMIT
    assert answer["Status"] == "FAILED"
    assert answer["Reason"].startswith(fault.error or "NetworkFailure")


def test_a_response_of_appfabrics_that_trickles_in_is_interrupted_and_its_effect_found(laptop: Laptop) -> None:
    laptop.appfabric.inject(Fault(operation="CreateIngestionDestination", drip=0.3, times=99))
    _, answer = laptop.run(laptop.event("Create"))
    assert (answer["Status"], [answer["PhysicalResourceId"]]) == ("SUCCESS", list(laptop.appfabric.destinations))


@pytest.mark.parametrize(
    "order", [(503, 503), (ResponseFault.CUT_BEFORE,), (ResponseFault.CUT_AFTER,), (ResponseFault.HANG,)], ids=str
)
def test_an_answer_that_does_not_get_through_at_first_gets_through(laptop: Laptop, order: Any) -> None:
    event = laptop.event("Create", order=order)
    invocation, answer = laptop.run(event)
    assert invocation.error_type is None
    assert answer["Status"] == "SUCCESS"
    assert len({request.body for request in laptop.sink.requests(event["ResponseURL"])}) == 1


def test_an_answer_that_never_gets_through_is_delivered_by_lambdas_own_retry(laptop: Laptop) -> None:
    event = laptop.event("Create", order=(500,) * 20)
    lost = laptop.function.invoke(event)
    assert lost.error_type == "Undelivered"
    assert "Signature" not in str(lost.payload)
    assert lost.seconds < LIMIT
    retried = {**event, "ResponseURL": laptop.sink.response_url()}
    _, answer = laptop.run(retried)
    assert list(laptop.appfabric.destinations) == [answer["PhysicalResourceId"]]


def test_a_response_that_is_refused_raises_and_nothing_is_changed_after_it(laptop: Laptop) -> None:
    event = laptop.event("Create", order=(403,) * 20)
    refused = laptop.function.invoke(event)
    assert refused.error_type == "Undelivered"
    assert len(laptop.sink.requests(event["ResponseURL"])) == 1
    assert [call.operation for call in laptop.appfabric.calls] == ["CreateIngestionDestination"]


def test_a_container_killed_after_its_create_is_made_good_by_the_next_run(start: Callable[..., Any]) -> None:
    with start() as laptop:
        created = threading.Event()
        laptop.appfabric.subscribe(lambda _: created.set())
        event = laptop.event("Create", order=(ResponseFault.HANG,))
        running = threading.Thread(target=lambda: _ignore(lambda: laptop.function.invoke(event)))
        running.start()
        assert created.wait(10)
        laptop.function.kill()
        running.join()
        laptop.function.restart()
        _, answer = laptop.run({**event, "ResponseURL": laptop.sink.response_url()})
        assert list(laptop.appfabric.destinations) == [answer["PhysicalResourceId"]]


def test_what_a_killed_container_made_is_found_by_the_delete_that_cloudformation_sends(
    start: Callable[..., Any],
) -> None:
    with start() as laptop:
        created = threading.Event()
        laptop.appfabric.subscribe(lambda _: created.set())
        event = laptop.event("Create", order=(ResponseFault.HANG,))
        running = threading.Thread(target=lambda: _ignore(lambda: laptop.function.invoke(event)))
        running.start()
        assert created.wait(10)
        laptop.function.kill()
        running.join()
        laptop.function.restart()
        made_up = "audit-logs-Destination-1A2B3C4D5E6F"
        _, answer = laptop.run(laptop.event("Delete", PhysicalResourceId=made_up))
        assert answer["Status"] == "SUCCESS"
        assert not laptop.appfabric.destinations


def test_garbage_in_a_warm_container_is_refused_at_once_and_answered_nowhere(laptop: Laptop) -> None:
    laptop.run(laptop.event("Create"))
    answered = len(laptop.sink.requests())
    calls = len(laptop.appfabric.calls)
    for garbage in (None, [], {}, "text", {"RequestType": "Delete"}, laptop.event("Create") | {"StackId": None}):
        invocation = laptop.function.invoke(garbage)
        assert invocation.error_type == "NotARequest"
        assert invocation.seconds < 1
    assert len(laptop.sink.requests()) == answered
    assert len(laptop.appfabric.calls) == calls


def test_a_region_without_appfabric_is_told_within_seconds(start: Callable[..., Any]) -> None:
    nowhere = {
        "AWS_ENDPOINT_URL_APPFABRIC": "https://appfabric.eu-central-1.invalid",
        "AWS_REGION": "eu-central-1",
        "AWS_DEFAULT_REGION": "eu-central-1",
    }
    with start(**nowhere) as laptop:
        began = time.monotonic()
        _, answer = laptop.run(laptop.event("Create"))
        assert time.monotonic() - began < LIMIT
    assert answer["PhysicalResourceId"].startswith("not-created:")
    for region in ("us-east-1", "eu-west-1", "ap-northeast-1"):
        assert region in answer["Reason"]


def test_a_function_that_a_variable_keeps_from_starting_says_so(start: Callable[..., Any]) -> None:
    with start(POWERTOOLS_LOGGER_SAMPLE_RATE="abc") as laptop:
        invocation, answer = laptop.run(laptop.event("Create"))
        assert answer["Reason"].startswith("InternalFailure: the function cannot start: ")
        assert "abc" in answer["Reason"]
        assert "Traceback" in invocation.log
        delete = laptop.event("Delete", PhysicalResourceId=answer["PhysicalResourceId"])
        assert laptop.run(delete)[1]["Status"] == "SUCCESS"
    assert not laptop.appfabric.calls


def test_a_function_that_was_deployed_without_its_build_says_so(start: Callable[..., Any], tmp_path: Path) -> None:
    """That is src as it is, without the packages."""
    shutil.copytree(ARTEFACT.parents[2] / "src", tmp_path / "src")
    for package in ("crhelper", "boto3", "botocore", "aws_lambda_powertools"):
        (tmp_path / "src" / f"{package}.py").write_text(f"raise ModuleNotFoundError('No module named {package}')")
    with start(tmp_path / "src") as laptop:
        _, answer = laptop.run(laptop.event("Create"))
    assert answer["Status"] == "FAILED"
    assert answer["Reason"].startswith(
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
    with start(**switches) as laptop:
        laptop.run(laptop.event("Create", order=(503,)))
        laptop.run(laptop.event("Create", ResourceProperties=properties(AppBundleIdentifier="s3cr3t-value")))
        laptop.function.invoke(laptop.event("Create", order=(403,)))
        laptop.function.invoke(laptop.event("Create") | {"StackId": None})
        log = laptop.function.log
    assert '"level":"DEBUG"' in log or "INFO" in log
    for secret in ("X-Amz-Signature", "X-Amz-Credential", "s3cr3t", "%7CDestination%7C"):
        assert secret not in log


def test_under_sam_local_the_answer_is_returned_though_its_address_leads_nowhere(start: Callable[..., Any]) -> None:
    with start(AWS_SAM_LOCAL="true") as laptop:
        for path in sorted((ARTEFACT.parents[2] / "events").glob("*.json")):
            invocation = laptop.function.invoke(json.loads(path.read_text()))
            assert invocation.error_type is None, path.name
            assert invocation.payload["Status"] == "SUCCESS", path.name
            assert invocation.seconds < 9, path.name
            laptop.appfabric.destinations.clear()
        generated = laptop.event("Create") | {"ResponseURL": "http://pre-signed-S3-url-for-response"}
        invocation = laptop.function.invoke(generated)
        assert invocation.payload["Status"] == "SUCCESS"


def _ignore(call: Callable[[], object]) -> None:
    try:
        call()
    except Exception:
        return
