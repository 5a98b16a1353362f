"""The root certificates that the build lays out, so that no start-up loads a hundred to use one: see build.py.

A checkout has none of them, and loads what Python and botocore load by themselves. So does a function whose
environment names other certificates, or another way to AppFabric.
"""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import getproxies

_LAID_OUT = Path(__file__).parents[1] / "roots"


def for_answers() -> str | None:
    """The folder in which OpenSSL looks up the root that it needs; None where the environment or the system says it."""
    named = any(os.environ.get(name) for name in ("SSL_CERT_FILE", "SSL_CERT_DIR"))
    return str(_LAID_OUT) if _LAID_OUT.is_dir() and not named else None


def amazons(*, named: str | None) -> str | None:
    """A file of the roots that sign for AWS's own endpoints; None where botocore or the environment says which.

    Args:
        named: The bundle that botocore's configuration names, by AWS_CA_BUNDLE for one.
    """
    file = _LAID_OUT / "amazon.pem"
    return str(file) if file.is_file() and not named and not getproxies().get("https") else None


def are_amazons_enough(endpoint: str) -> bool:
    """Whether a URL is of an endpoint of AWS's own."""
    return (urlsplit(endpoint).hostname or "").endswith((".amazonaws.com", ".api.aws"))
