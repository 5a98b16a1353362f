// The whole chain, from the app bundle to the destination. The tests synthesize it and do not deploy it: the local
// CloudFormation has no AWS::AppFabric types.
import { App, CfnOutput, CustomResource, Duration, Fn, SecretValue, Stack } from 'aws-cdk-lib';
import { CfnAppAuthorization, CfnAppBundle, CfnIngestion } from 'aws-cdk-lib/aws-appfabric';
import { BlockPublicAccess, Bucket, BucketEncryption } from 'aws-cdk-lib/aws-s3';

const app = new App();
const stack = new Stack(app, 'AuditLogsChain');
const tenant = 'example';

const bundle = new CfnAppBundle(stack, 'AppBundle');

const authorization = new CfnAppAuthorization(stack, 'Authorization', {
  app: 'OKTA',
  appBundleIdentifier: bundle.attrArn,
  authType: 'apiKey',
  credential: {
    apiKeyCredential: { apiKey: SecretValue.secretsManager('appfabric/okta').unsafeUnwrap() },
  },
  tenant: { tenantDisplayName: tenant, tenantIdentifier: tenant },
});

const ingestion = new CfnIngestion(stack, 'Ingestion', {
  app: 'OKTA',
  appBundleArn: bundle.attrArn,
  ingestionType: 'auditLog',
  tenantId: tenant,
});
ingestion.addResourceDependency(authorization);

const logs = new Bucket(stack, 'Logs', {
  encryption: BucketEncryption.S3_MANAGED,
  blockPublicAccess: BlockPublicAccess.BLOCK_ALL,
});

const destination = new CustomResource(stack, 'Destination', {
  resourceType: 'Custom::AppFabricIngestionDestination',
  serviceToken: Fn.importValue('appfabric-ingestion-destination-ServiceToken'),
  serviceTimeout: Duration.seconds(720),
  properties: {
    AppBundleArn: bundle.attrArn,
    IngestionArn: ingestion.attrArn,
    ProcessingConfiguration: { AuditLog: { Schema: 'ocsf', Format: 'json' } },
    DestinationConfiguration: {
      AuditLog: { Destination: { S3Bucket: { BucketName: logs.bucketName } } },
    },
  },
});

new CfnOutput(stack, 'DestinationArn', { value: destination.ref });
