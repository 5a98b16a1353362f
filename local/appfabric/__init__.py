"""A local imitation of AWS AppFabric's ingestion destinations and their tags.

It judges by the service model that botocore ships and by the limits AWS documents, and it misbehaves on
order: see `Fault` for what can befall a call and `Outcome` for what can become of a destination. Where AWS
documents nothing, the choice made here is marked "guess" beside the code.

Not imitated: app bundles, ingestions and authorizations (each well-formed one exists until a test says
otherwise), signatures, permissions, and whether a bucket or stream exists.
"""

from local.appfabric.faults import Fault, Outcome
from local.appfabric.inprocess import attach
from local.appfabric.rate import RateLimit
from local.appfabric.server import serve
from local.appfabric.service import AppFabric, Call

__all__ = ["AppFabric", "Call", "Fault", "Outcome", "RateLimit", "attach", "serve"]
