"""Which certificates are trusted, by real TLS handshakes: the artifact's own roots, and those that users configure."""

import shutil
import socket
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import trustme

import build
from tests.artifact.test_artifact import ARTIFACT, run

AWS = "appfabric.us-east-1.amazonaws.com"
OTHER = "localhost"

# AWS's host names resolve to this machine.
RESOLVE_TO_THIS_MACHINE = """
import json, socket, sys
ask = socket.getaddrinfo
socket.getaddrinfo = lambda host, *args, **options: ask("127.0.0.1", *args, **options)
"""
CALL = f"""{RESOLVE_TO_THIS_MACHINE}
from botocore.exceptions import ClientError, SSLError
from ingestion_destination.appfabric.client import Connection
connection, refused = Connection(), 0
for _ in range(3):
    try:
        connection().list_tags_for_resource(resourceArn="arn:aws:appfabric:us-east-1:111122223333:appbundle/x")
    except SSLError:
        refused += 1
    except ClientError:
        pass
print(json.dumps(refused))
"""
RESPOND = f"""{RESOLVE_TO_THIS_MACHINE}
from ingestion_destination.cloudformation.delivery import Delivery, Undelivered
from ingestion_destination.deadline import Clock
from ingestion_destination.trust_store import first_context, full_context
pauses = []
clock = Clock(sleep=pauses.append)
delivery = Delivery(context=first_context(), full_context=full_context, clock=clock)
for _ in range(2):
    try:
        delivery.put(f"https://localhost:{{sys.argv[1]}}/", b"", ends=clock.monotonic() + 2)
    except Undelivered as failure:
        reached = "HTTP 403" in str(failure)
print(json.dumps(len(pauses) if reached else None))
"""


@dataclass
class Server:
    """A server that rejects every request after the TLS handshake."""

    authority: trustme.CA = field(default_factory=trustme.CA)

    def __post_init__(self) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.authority.issue_cert(AWS, OTHER).configure_cert(context)
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        threading.Thread(target=self._serve, args=(context,), daemon=True).start()

    @property
    def pem(self) -> bytes:
        return self.authority.cert_pem.bytes()

    def close(self) -> None:
        self._socket.close()

    def _serve(self, context: ssl.SSLContext) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            try:
                with context.wrap_socket(connection, server_side=True) as tls:
                    tls.recv(65536)
                    tls.sendall(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}")
            except OSError:
                connection.close()


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.close()


@pytest.fixture(scope="module")
def bundle(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("trust") / "authority.pem"
    path.write_bytes(server.pem)
    return path


@pytest.fixture
def artifact(tmp_path: Path) -> Path:
    """A copy of the artifact that a test can change."""
    return Path(shutil.copytree(ARTIFACT, tmp_path / "artifact"))


def append(path: Path, pem: bytes) -> None:
    path.write_bytes(path.read_bytes() + pem)


def refusals_of_the_client(server: Server, artifact: Path = ARTIFACT, host: str = AWS, **environment: str) -> int:
    """Return how many of three calls fail to verify the certificate."""
    endpoint = f"https://{host}:{server.port}"
    return int(run(CALL, artifact=artifact, AWS_ENDPOINT_URL_APPFABRIC=endpoint, **environment))


def refusals_of_the_delivery(server: Server, artifact: Path = ARTIFACT, **environment: str) -> int | None:
    """Return how many attempts of two responses fail to verify it; None if the second one does not reach the server."""
    refused: int | None = run(RESPOND, str(server.port), artifact=artifact, **environment)
    return refused


def test_amazons_roots_are_taken_from_botocores_bundle() -> None:
    bundle, file = ARTIFACT / "botocore" / "cacert.pem", ARTIFACT / "amazon-roots.pem"
    context = ssl.create_default_context(cafile=file)
    names = {dict(part for (part,) in root["subject"])["commonName"] for root in context.get_ca_certs()}
    assert names == set(build.AMAZON_ROOTS)
    end = "-----END CERTIFICATE-----"
    assert all(f"{root}{end}" in bundle.read_text() for root in file.read_text().split(end)[:-1])


def test_a_build_fails_if_a_root_of_amazon_is_missing(tmp_path: Path) -> None:
    bundle = (ARTIFACT / "botocore" / "cacert.pem").read_text()
    (tmp_path / "cacert.pem").write_text(bundle.replace('# Label: "Amazon Root CA 3"', '# Label: "Another"'))
    with pytest.raises(SystemExit, match="lacks Amazon Root CA 3"):
        build.write_amazon_roots(tmp_path / "cacert.pem", tmp_path / "amazon-roots.pem")


def test_an_unknown_authority_is_never_trusted(server: Server) -> None:
    assert refusals_of_the_client(server) == 3
    assert refusals_of_the_client(server, host=OTHER) == 3
    assert refusals_of_the_delivery(server) is None


def test_amazons_roots_are_trusted_at_the_first_attempt(server: Server, artifact: Path) -> None:
    append(artifact / "amazon-roots.pem", server.pem)
    assert refusals_of_the_client(server, artifact) == 0
    assert refusals_of_the_delivery(server, artifact) == 0


def test_botocores_full_bundle_is_used_from_then_on_when_amazons_roots_fail(server: Server, artifact: Path) -> None:
    append(artifact / "botocore" / "cacert.pem", server.pem)
    assert refusals_of_the_client(server, artifact) == 1
    assert refusals_of_the_client(server, artifact, OTHER) == 1
    assert refusals_of_the_delivery(server, artifact) == 1


@pytest.mark.parametrize("host", [AWS, OTHER])
def test_the_client_trusts_aws_ca_bundle(server: Server, bundle: Path, host: str) -> None:
    assert refusals_of_the_client(server, host=host, AWS_CA_BUNDLE=str(bundle)) == 0


def test_the_client_trusts_the_bundle_of_the_aws_config_file(server: Server, bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "config").write_text(f"[default]\nca_bundle = {bundle}\n")
    assert refusals_of_the_client(server, AWS_CONFIG_FILE=str(tmp_path / "config")) == 0


@pytest.mark.parametrize("name", ["AWS_CA_BUNDLE", "SSL_CERT_FILE"])
def test_the_delivery_trusts_the_bundle_of_the_environment(server: Server, bundle: Path, name: str) -> None:
    assert refusals_of_the_delivery(server, **{name: str(bundle)}) == 0


def test_a_bundle_of_the_environment_replaces_all_roots(server: Server, artifact: Path, tmp_path: Path) -> None:
    for file in (artifact / "amazon-roots.pem", artifact / "botocore" / "cacert.pem"):
        append(file, server.pem)
    unknown = tmp_path / "unknown.pem"
    unknown.write_bytes(trustme.CA().cert_pem.bytes())
    assert refusals_of_the_delivery(server, artifact, SSL_CERT_FILE=str(unknown)) is None
