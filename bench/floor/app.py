"""The least that Python can take for one Create: the standard library, a signature by hand, and no guard at all."""

import datetime
import hashlib
import hmac
import http.client
import json
import os
import ssl
from pathlib import Path
from urllib.parse import quote, urlsplit

context = ssl.create_default_context(cafile=str(Path(__file__).with_name("amazon-roots.pem")))
endpoint = urlsplit(os.environ["AWS_ENDPOINT_URL_APPFABRIC"])
region = os.environ["AWS_REGION"]
appfabric = http.client.HTTPSConnection(endpoint.netloc, context=context)


def lambda_handler(event, _context):
    properties = event["ResourceProperties"]
    parents = properties["AppBundleIdentifier"], properties["IngestionIdentifier"]
    path = "/appbundles/{}/ingestions/{}/ingestiondestinations".format(*(quote(each, safe="") for each in parents))
    audit_log = properties["ProcessingConfiguration"]["AuditLog"]
    bucket = properties["DestinationConfiguration"]["AuditLog"]["Destination"]["S3Bucket"]
    body = json.dumps(
        {
            "processingConfiguration": {"auditLog": {"schema": audit_log["Schema"], "format": audit_log["Format"]}},
            "destinationConfiguration": {
                "auditLog": {"destination": {"s3Bucket": {"bucketName": bucket["BucketName"]}}}
            },
            "clientToken": event["RequestId"],
        }
    ).encode()
    appfabric.request("POST", path, body, signed(path, body))
    made = json.loads(appfabric.getresponse().read())
    response = {
        "Status": "SUCCESS",
        "PhysicalResourceId": made["ingestionDestination"]["arn"],
        **{name: event[name] for name in ("StackId", "RequestId", "LogicalResourceId")},
        "Data": {},
    }
    address = urlsplit(event["ResponseURL"])
    connection = http.client.HTTPSConnection(address.netloc, context=context)
    connection.request("PUT", f"{address.path}?{address.query}", json.dumps(response), {"content-type": ""})
    connection.getresponse().read()
    connection.close()


def signed(path, body):
    # https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
    now = datetime.datetime.now(datetime.UTC).strftime("%Y%m%dT%H%M%SZ")
    headers = {"content-type": "application/json", "host": endpoint.netloc, "x-amz-date": now}
    headers["x-amz-security-token"] = os.environ["AWS_SESSION_TOKEN"]
    names = ";".join(headers)
    lines = "".join(f"{name}:{value}\n" for name, value in headers.items())
    request = f"POST\n{quote(path)}\n\n{lines}\n{names}\n{hashlib.sha256(body).hexdigest()}"
    scope = f"{now[:8]}/{region}/appfabric/aws4_request"
    text = f"AWS4-HMAC-SHA256\n{now}\n{scope}\n{hashlib.sha256(request.encode()).hexdigest()}"
    key = f"AWS4{os.environ['AWS_SECRET_ACCESS_KEY']}".encode()
    for part in (*scope.split("/"), text):
        key = hmac.digest(key, part.encode(), "sha256")
    credential = f"Credential={os.environ['AWS_ACCESS_KEY_ID']}/{scope}"
    return {
        **headers,
        "authorization": f"AWS4-HMAC-SHA256 {credential}, SignedHeaders={names}, Signature={key.hex()}",
    }
