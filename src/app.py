"""The Lambda function: what a cold start sets up. docs/performance.md says why it does it like this."""

from __future__ import annotations

import gc
import os
from contextlib import suppress
from importlib import import_module

gc.disable()  # start-up makes almost no garbage

try:
    # Leaves first: where imports nest deeply, Python maps memory for its stack again and again.
    for leaf in ("encodings.idna", "urllib3", "botocore.utils", "botocore.session", "boto3"):
        import_module(leaf)

    from ingestion_destination.appfabric.client import Connection
    from ingestion_destination.cloudformation.delivery import RESPOND_WITHIN, Delivery
    from ingestion_destination.deadline import Clock
    from ingestion_destination.provider import Provider
    from ingestion_destination.trust_store import first_context, full_context

    client = Connection()
    with suppress(Exception):  # what prevents it is reported to the first request that needs it
        client()
    clock = Clock()
    sam_local = bool(os.environ.get("AWS_SAM_LOCAL"))
    lambda_handler = Provider(
        client=client,
        # The ResponseURL of an event made by hand leads nowhere.
        delivery=Delivery(
            context=first_context(),
            full_context=full_context,
            clock=clock,
            within=3 if sam_local else RESPOND_WITHIN,
        ),
        clock=clock,
        started=clock.monotonic(),
        sam_local=sam_local,
    )
except Exception as error:
    from ingestion_destination.startup_failure import StartupFailure

    lambda_handler = StartupFailure(error)  # type: ignore[assignment]

gc.enable()
gc.freeze()  # what start-up made is left out of every later collection
