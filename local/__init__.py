"""The local environment: emulators of AppFabric, CloudFormation and Lambda's runtime. Never shipped."""
