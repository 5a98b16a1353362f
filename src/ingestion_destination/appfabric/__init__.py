"""AWS AppFabric: its ingestion destinations, its operations and its errors. Knows nothing of CloudFormation."""
