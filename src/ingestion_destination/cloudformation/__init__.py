"""CloudFormation's protocol for custom resources: request, response, delivery. Knows nothing of AppFabric."""
