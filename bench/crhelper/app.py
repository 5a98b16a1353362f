"""The same resource in twenty lines of crhelper, without Powertools."""

import boto3
from crhelper import CfnResource

helper = CfnResource()
client = boto3.client("appfabric")


@helper.create
def create(event, _context):
    properties = event["ResourceProperties"]
    audit_log = properties["ProcessingConfiguration"]["AuditLog"]
    bucket = properties["DestinationConfiguration"]["AuditLog"]["Destination"]["S3Bucket"]
    made = client.create_ingestion_destination(
        appBundleIdentifier=properties["AppBundleIdentifier"],
        ingestionIdentifier=properties["IngestionIdentifier"],
        processingConfiguration={"auditLog": {"schema": audit_log["Schema"], "format": audit_log["Format"]}},
        destinationConfiguration={"auditLog": {"destination": {"s3Bucket": {"bucketName": bucket["BucketName"]}}}},
    )
    return made["ingestionDestination"]["arn"]


def lambda_handler(event, context):
    helper(event, context)
