"""Audit logs of one SaaS application in an S3 bucket."""

from aws_cdk import App, CfnOutput, CustomResource, Duration, Fn, Stack
from aws_cdk.aws_s3 import BlockPublicAccess, Bucket, BucketEncryption

app = App()
stack = Stack(app, "AuditLogs")

logs = Bucket(
    stack,
    "Logs",
    encryption=BucketEncryption.S3_MANAGED,  # AppFabric writes with SSE-S3 or the default key aws/s3
    block_public_access=BlockPublicAccess.BLOCK_ALL,
)

destination = CustomResource(
    stack,
    "Destination",
    resource_type="Custom::AppFabricIngestionDestination",
    service_token=Fn.import_value("appfabric-ingestion-destination-ServiceToken"),
    service_timeout=Duration.seconds(720),
    properties={
        "AppBundleArn": app.node.get_context("appBundleArn"),
        "IngestionArn": app.node.get_context("ingestionArn"),
        "ProcessingConfiguration": {"AuditLog": {"Schema": "ocsf", "Format": "json"}},
        "DestinationConfiguration": {
            "AuditLog": {"Destination": {"S3Bucket": {"BucketName": logs.bucket_name, "Prefix": "saas"}}},
        },
        "Tags": [{"Key": "team", "Value": "security"}],
    },
)

CfnOutput(stack, "DestinationArn", value=destination.ref)
CfnOutput(stack, "DestinationStatus", value=destination.get_att_string("Status"))

app.synth()
