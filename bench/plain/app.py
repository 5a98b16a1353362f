"""The same resource as each library's documentation shows its use: all of it at module level."""

import boto3
from aws_lambda_powertools import Logger, Metrics, Tracer
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.parser import BaseModel, parse
from crhelper import CfnResource

logger = Logger(service="plain")
metrics = Metrics(namespace="Plain", service="plain")
tracer = Tracer(service="plain", disabled=True)
helper = CfnResource()
client = boto3.client("appfabric")


class Properties(BaseModel):
    AppBundleIdentifier: str
    IngestionIdentifier: str
    ProcessingConfiguration: dict
    DestinationConfiguration: dict


@helper.create
def create(event, _context):
    properties = parse(event["ResourceProperties"], model=Properties)
    audit_log = properties.ProcessingConfiguration["AuditLog"]
    bucket = properties.DestinationConfiguration["AuditLog"]["Destination"]["S3Bucket"]
    made = client.create_ingestion_destination(
        appBundleIdentifier=properties.AppBundleIdentifier,
        ingestionIdentifier=properties.IngestionIdentifier,
        processingConfiguration={"auditLog": {"schema": audit_log["Schema"], "format": audit_log["Format"]}},
        destinationConfiguration={"auditLog": {"destination": {"s3Bucket": {"bucketName": bucket["BucketName"]}}}},
    )
    metrics.add_metric(name="Created", unit=MetricUnit.Count, value=1)
    return made["ingestionDestination"]["arn"]


@logger.inject_lambda_context
@tracer.capture_lambda_handler
@metrics.log_metrics
def lambda_handler(event, context):
    helper(event, context)
