"""The local Lambda runtime and the response receiver behave as the tests and the demo rely on."""

import http.client
import ssl
import threading
import time
import urllib.parse
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from local import runtime
from local.certificates import Certificates
from local.response_receiver import ResponseFault, ResponseReceiver
from local.runtime import LambdaRuntime, LambdaRuntimeError

HANDLER = """
import importlib, os, pathlib, time, urllib.request

print("imported")

def lambda_handler(event, context):
    print("running")
    match event.get("do"):
        case "raise":
            raise ValueError("as asked")
        case "exit":
            os._exit(3)
        case "hang":
            pathlib.Path(event["mark"]).write_text(str(os.getpid()))
            time.sleep(60)
        case "import":
            importlib.import_module(event["module"])
        case "put":
            urllib.request.urlopen(urllib.request.Request(
                event["ResponseURL"], b"{}", {"Content-Type": ""}, method="PUT"
            ))
        case "work":
            began = time.time()
            time.sleep(0.2)
            return [began, time.time()]
    return {
        "event": event,
        "pid": os.getpid(),
        "environment": dict(os.environ),
        "name": context.function_name,
        "memory": context.memory_limit_in_mb,
        "left": context.get_remaining_time_in_millis(),
    }
"""


@pytest.fixture(scope="module")
def task_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("task")
    (directory / "app.py").write_text(HANDLER)
    return directory


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates.create(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def function(task_root: Path, certificates: Certificates) -> Iterator[LambdaRuntime]:
    with LambdaRuntime(
        task_root=task_root,
        handler="app.lambda_handler",
        timeout=5,
        memory=512,
        environment={"OWN": "variable", "SSL_CERT_FILE": str(certificates.ca)},
    ) as function:
        yield function


@pytest.fixture
def receiver(certificates: Certificates) -> Iterator[ResponseReceiver]:
    with ResponseReceiver(certificates) as receiver:
        yield receiver


# The runtime


def test_an_event_goes_in_and_the_result_comes_out(function: LambdaRuntime) -> None:
    invocation = function.invoke({"a": ["é", 1]})

    assert not invocation.failed
    assert invocation.payload["event"] == {"a": ["é", 1]}
    assert invocation.payload["name"] == "ProviderFunction"
    assert invocation.payload["memory"] in ("512", 512)
    assert 0 < invocation.payload["left"] <= 5000
    assert 0 < invocation.seconds < 5


def test_the_next_invocation_is_warm(function: LambdaRuntime) -> None:
    first, second = function.invoke({}), function.invoke({})

    assert first.payload["pid"] == second.payload["pid"]
    assert second.log == "running\n"


def test_the_environment_is_lambdas_and_not_the_callers(task_root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_PROFILE", "AWS_CA_BUNDLE", "AWS_ENDPOINT_URL_S3", "AWS_SAM_LOCAL", "SSL_CERT_FILE"):
        monkeypatch.setenv(name, "the caller's")

    with LambdaRuntime(task_root=task_root, handler="app.lambda_handler", environment={"OWN": "variable"}) as function:
        environment = function.invoke({}).payload["environment"]

    assert "the caller's" not in environment.values()
    assert environment["OWN"] == "variable"
    assert environment["LAMBDA_TASK_ROOT"] == str(task_root)
    assert environment["AWS_REGION"] == environment["AWS_DEFAULT_REGION"] == "us-east-1"
    assert environment["AWS_EC2_METADATA_DISABLED"] == "true"
    assert environment["AWS_ENDPOINT_URL"] == "http://127.0.0.1:9"


@pytest.mark.parametrize("module", ["boto3", "crhelper", "pytest"])
def test_what_the_artifact_lacks_cannot_be_imported(function: LambdaRuntime, module: str) -> None:
    assert function.invoke({"do": "import", "module": module}).error_type == "ModuleNotFoundError"


def test_an_exception_is_a_function_error(function: LambdaRuntime) -> None:
    invocation = function.invoke({"do": "raise"})

    assert (invocation.error_type, invocation.error_message) == ("ValueError", "as asked")
    assert "Traceback" in invocation.log


def test_a_process_that_ends_is_a_function_error_and_the_next_one_is_cold(function: LambdaRuntime) -> None:
    assert function.invoke({"do": "exit"}).error_type == "Runtime.ExitError"
    assert "imported" in function.invoke({}).log


def test_a_handler_that_is_missing_is_a_function_error(task_root: Path) -> None:
    with LambdaRuntime(task_root=task_root, handler="app.nothing") as function:
        assert function.invoke({}).error_type == "Runtime.HandlerNotFound"


def test_the_timeout_is_enforced_and_the_next_one_is_cold(task_root: Path, tmp_path: Path) -> None:
    with LambdaRuntime(task_root=task_root, handler="app.lambda_handler", timeout=1) as function:
        invocation = function.invoke({"do": "hang", "mark": str(tmp_path / "pid")})

        assert invocation.error_message == "Task timed out after 1.00 seconds"
        assert "imported" in function.invoke({}).log


def test_invocations_wait_for_each_other(function: LambdaRuntime) -> None:
    with ThreadPoolExecutor() as pool:
        first, second = sorted(
            invocation.payload for invocation in pool.map(function.invoke, [{"do": "work"}, {"do": "work"}])
        )

    assert first[1] <= second[0]


def test_a_kill_ends_the_function_and_a_restart_is_cold(function: LambdaRuntime, tmp_path: Path) -> None:
    mark = tmp_path / "pid"
    with ThreadPoolExecutor() as pool:
        running = pool.submit(function.invoke, {"do": "hang", "mark": str(mark)})
        wait_until(lambda: mark.exists() and mark.read_text() != "")
        function.kill()
        with pytest.raises(LambdaRuntimeError, match="gone"):
            running.result(timeout=5)
        wait_until(lambda: ended(int(mark.read_text())))
        with pytest.raises(LambdaRuntimeError, match="gone"):
            function.invoke({})

    function.restart()

    assert "imported" in function.invoke({}).log
    assert "INIT START" in function.log


def test_the_runtime_listens_on_this_machine_only(function: LambdaRuntime) -> None:
    runtime_api = function.invoke({}).payload["environment"]["AWS_LAMBDA_RUNTIME_API"]

    addresses = listening()

    assert addresses[function._port] == addresses[int(runtime_api.partition(":")[2])] == "0100007F"


def test_elsewhere_the_error_is_clear(task_root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.machine", lambda: "riscv64")
    with pytest.raises(LambdaRuntimeError, match="Linux only, on x86_64 or aarch64"):
        LambdaRuntime(task_root=task_root, handler="app.lambda_handler").__enter__()


def test_a_missing_environment_is_an_error_that_says_what_to_do(
    task_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runtime, "ROOT", tmp_path)
    with pytest.raises(LambdaRuntimeError, match="make setup"):
        LambdaRuntime(task_root=task_root, handler="app.lambda_handler").__enter__()


# The response receiver


def test_a_response_is_recorded_as_it_was_sent(receiver: ResponseReceiver, certificates: Certificates) -> None:
    url = receiver.response_url(logical_id="Thing", request_id="r-1")
    parts = urllib.parse.urlsplit(url)
    target = f"{parts.path}?{parts.query}"

    status, _ = send(certificates, url, body='{"é": 1}'.encode())
    (request,) = receiver.requests(url)

    assert (status, request.outcome, request.stored) == (200, 200, True)
    assert (request.method, request.target) == ("PUT", target)
    assert (request.header("CONTENT-TYPE"), request.header("content-length")) == ("", "9")
    assert request.body == '{"é": 1}'.encode()
    assert request.json() == {"é": 1}
    assert abs(request.at - time.time()) < 5


def test_a_response_url_looks_like_cloudformations(receiver: ResponseReceiver) -> None:
    parts = urllib.parse.urlsplit(receiver.response_url(logical_id="Thing", request_id="r-1"))

    assert parts.path.startswith("/arn%3Aaws%3Acloudformation%3A")
    assert parts.path.endswith("%7CThing%7Cr-1")
    assert {"X-Amz-Date", "X-Amz-Signature"} <= urllib.parse.parse_qs(parts.query).keys()


@pytest.mark.parametrize(
    "change",
    [
        {"method": "POST"},
        {"content_type": "application/json"},
        {"edit": urllib.parse.unquote},
        {"edit": lambda target: target.partition("?")[0]},
    ],
)
def test_a_response_url_is_good_for_exactly_itself(
    receiver: ResponseReceiver, certificates: Certificates, change: dict[str, object]
) -> None:
    url = receiver.response_url()

    assert send(certificates, url, **change)[0] == 403  # type: ignore[arg-type]
    assert not any(request.stored for request in receiver.requests())


def test_status_codes_are_given_in_the_order_that_was_asked_for(
    receiver: ResponseReceiver, certificates: Certificates
) -> None:
    url = receiver.response_url(outcomes=[503, 403, 200])

    assert [send(certificates, url)[0] for _ in range(4)] == [503, 403, 200, 200]
    assert [request.stored for request in receiver.requests(url)] == [False, False, True, True]


def test_a_redirect_leads_to_another_url(receiver: ResponseReceiver, certificates: Certificates) -> None:
    status, location = send(certificates, receiver.response_url(outcomes=[ResponseFault.REDIRECT]))

    assert status == 307
    assert send(certificates, str(location))[0] == 200


@pytest.mark.parametrize(("fault", "stored"), [(ResponseFault.CUT_BEFORE, False), (ResponseFault.CUT_AFTER, True)])
def test_a_cut_connection_gives_no_response(
    receiver: ResponseReceiver, certificates: Certificates, fault: ResponseFault, stored: bool
) -> None:
    url = receiver.response_url(outcomes=[fault])

    with pytest.raises((http.client.RemoteDisconnected, ssl.SSLEOFError, ConnectionResetError)):
        send(certificates, url)
    assert [request.stored for request in receiver.requests(url)] == [stored]


@pytest.mark.parametrize(("fault", "stored"), [(ResponseFault.HANG, False), (ResponseFault.DRIP, True)])
def test_a_response_that_takes_for_ever_ends_with_the_receiver(
    certificates: Certificates, fault: ResponseFault, stored: bool
) -> None:
    with ResponseReceiver(certificates) as receiver, ThreadPoolExecutor() as pool:
        url = receiver.response_url(outcomes=[fault])
        sending = pool.submit(send, certificates, url, timeout=0.3 if fault is ResponseFault.HANG else 5)
        if fault is ResponseFault.HANG:
            with pytest.raises(TimeoutError):
                sending.result(timeout=5)
        else:
            receiver.wait(url, timeout=5)
            with pytest.raises(TimeoutError):
                sending.result(timeout=0.3)
        assert [request.stored for request in receiver.requests(url)] == [stored]
        receiver.__exit__(None, None, None)
        assert sending.exception(timeout=5) is not None


def test_the_first_response_is_waited_for(receiver: ResponseReceiver, certificates: Certificates) -> None:
    url = receiver.response_url(outcomes=[503])
    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(receiver.wait, url, timeout=5)
        for body in (b"1", b"2", b"3"):
            send(certificates, url, body=body)

        assert waiting.result(timeout=5).body == b"2"
    assert receiver.wait(url, timeout=0).body == b"2"


def test_waiting_is_bounded(receiver: ResponseReceiver) -> None:
    with pytest.raises(TimeoutError, match=r"0\.05 s"):
        receiver.wait(receiver.response_url(), timeout=0.05)


def test_an_authority_that_is_not_trusted_is_refused(receiver: ResponseReceiver, tmp_path: Path) -> None:
    other = Certificates.create(tmp_path)

    with pytest.raises(ssl.SSLCertVerificationError):
        send(other, receiver.response_url())


def test_a_function_reaches_the_receiver(function: LambdaRuntime, receiver: ResponseReceiver) -> None:
    url = receiver.response_url()

    assert not function.invoke({"do": "put", "ResponseURL": url}).failed
    assert receiver.wait(url, timeout=5).body == b"{}"


def send(
    certificates: Certificates,
    url: str,
    *,
    body: bytes = b"{}",
    method: str = "PUT",
    content_type: str = "",
    edit: Callable[[str], str] = str,
    timeout: float = 5,
) -> tuple[int, str | None]:
    """Send one request; the status and the Location of the response."""
    parts = urllib.parse.urlsplit(url)
    trust = ssl.create_default_context(cafile=certificates.ca)
    connection = http.client.HTTPSConnection(parts.netloc, context=trust, timeout=timeout)
    try:
        target = edit(f"{parts.path}?{parts.query}")
        connection.request(method, target, body, {"Content-Type": content_type})
        response = connection.getresponse()
        response.read()
        return response.status, response.getheader("Location")
    finally:
        connection.close()


def wait_until(condition: Callable[[], bool]) -> None:
    """Poll what no event reports: another process's file or end."""
    deadline = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < deadline
        threading.Event().wait(0.01)


def ended(pid: int) -> bool:
    try:
        return ") Z" in Path(f"/proc/{pid}/stat").read_text()  # nobody may be there to reap it
    except FileNotFoundError:
        return True


def listening() -> dict[int, str]:
    """Local port to local address of every TCP socket that listens on IPv4."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    addresses = [row[1].split(":") for row in rows if row[3] == "0A"]
    return {int(port, 16): address for address, port in addresses}
