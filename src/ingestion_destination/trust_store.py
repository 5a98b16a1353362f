"""Whose certificates are trusted: Amazon's few roots first, all others once these were not enough.

Standard library only. Every host that this function calls is AWS's own, and to load more than a hundred roots takes
longer than a handshake. A certificate that is refused ends the handshake before anything is sent, so that all roots can
be tried afterwards: for another endpoint, or a proxy that inspects TLS connections.
"""

from __future__ import annotations

import os
import ssl
from importlib.util import find_spec
from pathlib import Path

# Written by build.py; a checkout has none, and trusts all from the start.
_AMAZON_ROOTS = Path(__file__).parents[1] / "amazon-roots.pem"


def amazon_roots() -> str | None:
    """The file of Amazon's roots; None where the build has not written it."""
    return str(_AMAZON_ROOTS) if _AMAZON_ROOTS.is_file() else None


def first_context() -> ssl.SSLContext:
    """Trusts Amazon's roots and those of AWS_CA_BUNDLE; all, where SSL_CERT_FILE or SSL_CERT_DIR names others."""
    roots = amazon_roots()
    if roots is None or _environment_names_roots():
        return full_context()
    return _with_ca_bundle(ssl.create_default_context(cafile=roots))


def full_context() -> ssl.SSLContext:
    """Trusts what SSL_CERT_FILE and SSL_CERT_DIR name, else the system's roots and botocore's; and AWS_CA_BUNDLE's."""
    context = ssl.create_default_context()
    botocore = find_spec("botocore")
    if botocore and botocore.origin and not _environment_names_roots():
        context.load_verify_locations(cafile=str(Path(botocore.origin).with_name("cacert.pem")))
    return _with_ca_bundle(context)


def _environment_names_roots() -> bool:
    return any(os.environ.get(name) for name in ("SSL_CERT_FILE", "SSL_CERT_DIR"))


def _with_ca_bundle(context: ssl.SSLContext) -> ssl.SSLContext:
    bundle = os.environ.get("AWS_CA_BUNDLE")
    if bundle and not Path(bundle).exists():  # botocore would fail each call as if AppFabric had not responded
        raise FileNotFoundError(f"AWS_CA_BUNDLE names {bundle}, which does not exist")
    if bundle:
        context.load_verify_locations(**{"capath" if Path(bundle).is_dir() else "cafile": bundle})
    return context
