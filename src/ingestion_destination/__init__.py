"""The lifecycle of an AWS AppFabric ingestion destination as a CloudFormation resource."""

__version__ = "0.1.0"
