"""The lifecycle of an AWS AppFabric ingestion destination as a CloudFormation resource."""
