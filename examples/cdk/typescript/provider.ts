// The provider as a stack of a CDK app, from the template and the code that `make release` puts into dist.
import { App, Stack } from 'aws-cdk-lib';
import { Asset } from 'aws-cdk-lib/aws-s3-assets';
import { CfnInclude } from 'aws-cdk-lib/cloudformation-include';

const app = new App();
const stack = new Stack(app, 'appfabric-ingestion-destination'); // a part of the export's name

const code = new Asset(stack, 'Code', { path: app.node.getContext('code') });
new CfnInclude(stack, 'Provider', {
  templateFile: app.node.getContext('template'),
  parameters: { CodeBucket: code.s3BucketName, CodeKey: code.s3ObjectKey },
});
