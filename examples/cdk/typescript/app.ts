import { App, CfnOutput, CustomResource, Duration, Fn, Stack } from 'aws-cdk-lib';
import { BlockPublicAccess, Bucket, BucketEncryption } from 'aws-cdk-lib/aws-s3';

const app = new App();
const stack = new Stack(app, 'AuditLogs');

const logs = new Bucket(stack, 'Logs', {
  encryption: BucketEncryption.S3_MANAGED, // AppFabric writes with SSE-S3 or the default key aws/s3
  blockPublicAccess: BlockPublicAccess.BLOCK_ALL,
});

const destination = new CustomResource(stack, 'Destination', {
  resourceType: 'Custom::AppFabricIngestionDestination',
  serviceToken: Fn.importValue('appfabric-ingestion-destination-ServiceToken'),
  serviceTimeout: Duration.seconds(720),
  properties: {
    AppBundleArn: app.node.getContext('appBundleArn'),
    IngestionArn: app.node.getContext('ingestionArn'),
    ProcessingConfiguration: { AuditLog: { Schema: 'ocsf', Format: 'json' } },
    DestinationConfiguration: {
      AuditLog: { Destination: { S3Bucket: { BucketName: logs.bucketName, Prefix: 'saas' } } },
    },
    Tags: [{ Key: 'team', Value: 'security' }],
  },
});

new CfnOutput(stack, 'DestinationArn', { value: destination.ref });
new CfnOutput(stack, 'DestinationStatus', { value: destination.getAttString('Status') });
