"""Who is trusted, by handshakes: the artefact's own roots, and those that a user names."""

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
from tests.artefact.test_artefact import ARTEFACT, run

AWS = "appfabric.us-east-1.amazonaws.com"
OTHER = "localhost"

# AWS's names lead to this machine, as DNS would have it.
LEAD_HERE = """
import json, socket, sys
ask = socket.getaddrinfo
socket.getaddrinfo = lambda host, *args, **options: ask("127.0.0.1", *args, **options)
"""
CALL = f"""{LEAD_HERE}
from botocore.exceptions import ClientError, SSLError
from ingestion_destination.appfabric.client import connect
try:
    connect().list_tags_for_resource(resourceArn="arn:aws:appfabric:us-east-1:111122223333:appbundle/x")
except (ClientError, SSLError) as error:
    print(json.dumps(type(error).__name__ == "ClientError"))
"""
ANSWER = f"""{LEAD_HERE}
import ssl
from http.client import HTTPSConnection
from ingestion_destination.cloudformation.delivery import tls
connection = HTTPSConnection("localhost", int(sys.argv[1]), context=tls())
try:
    connection.request("PUT", "/")
    print(json.dumps(connection.getresponse().status == 403))
except ssl.SSLCertVerificationError:
    print(json.dumps(False))
"""


@dataclass
class Server:
    """Refuses every request, after a handshake."""

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
def artefact(tmp_path: Path) -> Path:
    """One to change."""
    return Path(shutil.copytree(ARTEFACT, tmp_path / "artefact"))


def append(path: Path, pem: bytes) -> None:
    path.write_bytes(path.read_bytes() + pem)


def called(server: Server, host: str, artefact: Path = ARTEFACT, **environment: str) -> bool:
    endpoint = f"https://{host}:{server.port}"
    return bool(run(CALL, artefact=artefact, AWS_ENDPOINT_URL_APPFABRIC=endpoint, **environment))


def answered(server: Server, artefact: Path = ARTEFACT, **environment: str) -> bool:
    return bool(run(ANSWER, str(server.port), artefact=artefact, **environment))


def test_the_roots_are_botocores_and_no_other() -> None:
    bundle = (ARTEFACT / "botocore" / "cacert.pem").read_text()
    roots = {path.read_text() for path in (ARTEFACT / "roots").glob("*.[0-9]")}
    assert len(roots) == bundle.count("BEGIN CERTIFICATE") > 100
    assert all(root in bundle for root in roots)
    amazons = (ARTEFACT / "roots" / "amazon.pem").read_text()
    assert amazons.count("BEGIN CERTIFICATE") == len(build.AMAZONS_ROOTS)
    assert sum(root in amazons for root in roots) == len(build.AMAZONS_ROOTS)


def test_a_stranger_is_trusted_nowhere(server: Server) -> None:
    assert not called(server, AWS)
    assert not called(server, OTHER)
    assert not answered(server)


def test_a_root_in_the_folder_is_found_by_its_hash(server: Server, artefact: Path) -> None:
    subject = build.subject_of(ssl.PEM_cert_to_DER_cert(server.pem.decode()))
    (artefact / "roots" / f"{build.subject_hash(subject)}.0").write_bytes(server.pem)
    assert answered(server, artefact)


def test_aws_is_trusted_by_amazons_roots_only(server: Server, artefact: Path) -> None:
    append(artefact / "botocore" / "cacert.pem", server.pem)
    assert not called(server, AWS, artefact)
    append(artefact / "roots" / "amazon.pem", server.pem)
    assert called(server, AWS, artefact)


def test_another_endpoint_is_trusted_by_all_of_botocores_roots(server: Server, artefact: Path) -> None:
    append(artefact / "roots" / "amazon.pem", server.pem)
    assert not called(server, OTHER, artefact)
    append(artefact / "botocore" / "cacert.pem", server.pem)
    assert called(server, OTHER, artefact)


def test_behind_a_proxy_all_of_botocores_roots_are_asked(artefact: Path) -> None:
    code = "import json; from ingestion_destination.roots import amazons; print(json.dumps(amazons(named=None)))"
    assert run(code, artefact=artefact).endswith("amazon.pem")
    assert run(code, artefact=artefact, HTTPS_PROXY="https://proxy.example:3128") is None


@pytest.mark.parametrize("host", [AWS, OTHER])
def test_aws_ca_bundle_is_what_the_client_trusts(server: Server, bundle: Path, host: str) -> None:
    assert called(server, host, AWS_CA_BUNDLE=str(bundle))


def test_a_bundle_in_the_configuration_file_is_what_the_client_trusts(
    server: Server, bundle: Path, tmp_path: Path
) -> None:
    (tmp_path / "config").write_text(f"[default]\nca_bundle = {bundle}\n")
    assert called(server, AWS, AWS_CONFIG_FILE=str(tmp_path / "config"))


@pytest.mark.parametrize("name", ["AWS_CA_BUNDLE", "SSL_CERT_FILE"])
def test_what_the_environment_names_is_what_an_answer_trusts(server: Server, bundle: Path, name: str) -> None:
    assert answered(server, **{name: str(bundle)})


def test_a_named_file_takes_the_place_of_the_roots(server: Server, artefact: Path, tmp_path: Path) -> None:
    subject = build.subject_of(ssl.PEM_cert_to_DER_cert(server.pem.decode()))
    (artefact / "roots" / f"{build.subject_hash(subject)}.0").write_bytes(server.pem)
    stranger = tmp_path / "stranger.pem"
    stranger.write_bytes(trustme.CA().cert_pem.bytes())
    assert not answered(server, artefact, SSL_CERT_FILE=str(stranger))
