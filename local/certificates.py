"""A throw-away certificate authority, so that HTTPS on this machine is verified like any other."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Certificates:
    """The files of a throw-away authority and of the server certificate that it signed.

    Attributes:
        directory: Where the files are. Only `create` writes there.
    """

    directory: Path

    @property
    def ca(self) -> Path:
        """What a client trusts: SSL_CERT_FILE of the function, AWS_CA_BUNDLE of boto3 and SAM."""
        return self.directory / "ca.pem"

    @property
    def certificate(self) -> Path:
        """The server's certificate chain, for localhost and 127.0.0.1."""
        return self.directory / "server.pem"

    @property
    def key(self) -> Path:
        """The server's private key."""
        return self.directory / "server.key"

    @classmethod
    def create(cls, directory: Path) -> "Certificates":
        """Make a new authority and a server certificate for localhost and 127.0.0.1 in `directory`."""
        import trustme  # not in ministack's environment, which only reads the files

        directory.mkdir(parents=True, exist_ok=True)
        certificates = cls(directory=directory)
        authority = trustme.CA(organization_name="Local test authority")
        server = authority.issue_cert("localhost", "127.0.0.1")
        authority.cert_pem.write_to_path(str(certificates.ca))
        server.private_key_pem.write_to_path(str(certificates.key))
        for position, certificate in enumerate(server.cert_chain_pems):
            certificate.write_to_path(str(certificates.certificate), append=position > 0)
        return certificates
