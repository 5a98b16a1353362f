"""An emulator of AWS AppFabric's ingestion destinations and their tags.

It validates requests by the service model that botocore ships and by the limits that AWS documents. Faults can be
injected: a `Fault` into a call, an `Outcome` into a destination. Where AWS documents nothing, the choice made here is
marked "guess" beside the code.

Not emulated: app bundles, ingestions and authorizations (each well-formed one exists until a test says otherwise, but
for the UUID of zeros; an ingestion can be started and stopped), signatures, permissions, and whether a bucket or stream
exists.
"""

from local.appfabric.emulator import AppFabricEmulator, Call
from local.appfabric.faults import Fault, Outcome
from local.appfabric.in_process import attach
from local.appfabric.rate_limit import RateLimit
from local.appfabric.server import serve

__all__ = ["AppFabricEmulator", "Call", "Fault", "Outcome", "RateLimit", "attach", "serve"]
