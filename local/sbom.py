"""What a release contains, as a CycloneDX SBOM: https://cyclonedx.org/docs/1.6/json/."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Collection
from datetime import datetime
from importlib.metadata import Distribution, distributions
from pathlib import Path

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model import HashAlgorithm, HashType, Property
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output import make_outputter
from cyclonedx.schema import OutputFormat, SchemaVersion
from packageurl import PackageURL
from packaging.requirements import Requirement
from packaging.utils import NormalizedName, canonicalize_name


def generate(
    artifact: Path, code: Path, *, name: str, version: str, commit: str, time: datetime, direct: Collection[str]
) -> str:
    """Describe the code and every Python distribution in it, the same for the same commit.

    Args:
        artifact: The directory that was zipped, with the METADATA of its distributions.
        code: The zip file.
        name: The application's.
        version: The application's.
        commit: Full id of the commit.
        time: When the commit was made.
        direct: Names of the distributions that the application itself requires.

    Returns:
        CycloneDX 1.6 in JSON.
    """
    digest = hashlib.sha256(code.read_bytes()).hexdigest()
    licenses = LicenseFactory()
    application = Component(
        type=ComponentType.APPLICATION,
        name=name,
        version=version,
        bom_ref=f"{name}@{version}",
        licenses=[licenses.make_from_string("Apache-2.0")],
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=digest)],
        properties=[Property(name="commit", value=commit)],
    )
    found = {canonicalize_name(each.name): each for each in distributions(path=[str(artifact)])}
    components = {key: _component(each, licenses) for key, each in found.items()}
    bom = Bom(components=components.values(), serial_number=uuid.uuid5(uuid.NAMESPACE_URL, f"{name}/{commit}/{digest}"))
    bom.metadata.timestamp = time
    bom.metadata.component = application
    bom.register_dependency(application, [components[canonicalize_name(each)] for each in direct])
    for key, each in found.items():
        bom.register_dependency(components[key], [components[required] for required in _requires(each)])
    return make_outputter(bom, OutputFormat.JSON, SchemaVersion.V1_6).output_as_string(indent=2) + "\n"


def _component(distribution: Distribution, licenses: LicenseFactory) -> Component:
    name = canonicalize_name(distribution.name)
    url = PackageURL(type="pypi", name=name, version=distribution.version)
    stated = distribution.metadata.get_all("License-Expression") or distribution.metadata.get_all("License")
    return Component(
        type=ComponentType.LIBRARY,
        name=name,
        version=distribution.version,
        bom_ref=url.to_string(),
        purl=url,
        licenses=[licenses.make_from_string(stated[0])] if stated else [],
    )


def _requires(distribution: Distribution) -> list[NormalizedName]:
    requirements = [Requirement(each) for each in distribution.requires or []]
    in_lambda = {"extra": "", "python_version": "3.13", "python_full_version": "3.13.0"}
    return [
        canonicalize_name(each.name) for each in requirements if each.marker is None or each.marker.evaluate(in_lambda)
    ]
