"""The throw-away custom resource: logs each request and responds as the resource's properties say.

It is deployed inline, so it is one file of at most 4,096 characters. The pre-signed URL is not logged.
"""

import json
import urllib.request
from typing import Any

LOGGED = ["RequestType", "LogicalResourceId", "PhysicalResourceId", "ResourceProperties", "OldResourceProperties"]


def handler(event: dict[str, Any], context: object) -> None:  # noqa: ARG001
    """Log a request and respond to it."""
    print(json.dumps({"canary": {name: event[name] for name in LOGGED if name in event}}), flush=True)
    wanted, deletes = event["ResourceProperties"], event["RequestType"] == "Delete"
    if wanted["Does"] == "stay silent" and not deletes:
        return
    response = {
        "Status": "FAILED" if wanted["Does"] == "fail" and not deletes else "SUCCESS",
        "Reason": "as its properties say",
        "PhysicalResourceId": event["PhysicalResourceId"] if deletes else wanted["Id"],
        **{name: event[name] for name in ("StackId", "RequestId", "LogicalResourceId")},
    }
    request = urllib.request.Request(  # noqa: S310 - CloudFormation's own URL
        event["ResponseURL"], json.dumps(response).encode(), {"Content-Type": ""}, method="PUT"
    )
    urllib.request.urlopen(request, timeout=10).close()  # noqa: S310
