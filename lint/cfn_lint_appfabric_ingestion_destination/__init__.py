"""cfn-lint rules for Custom::AppFabricIngestionDestination: what would fail a deployment, reported in the editor.

    cfn-lint --append-rules cfn_lint_appfabric_ingestion_destination -- template.yaml

cfn-lint accepts any property of a custom resource. These rules validate a resource against the schema of the type, as
CloudFormation would send it, once for every combination of conditions that is possible (every pair of them when there
are many); what only a deployment can resolve (`Fn::ImportValue`, most of `Fn::GetAtt`, …) may be anything. They need
cfn-lint and the standard library, and of cfn-lint only what is the same in version 1.22 and in the newest.
"""

from ._rules import Attributes, BucketName, Properties, ServiceTimeout, ServiceTimeoutRange, ServiceToken, Type

__all__ = ["Attributes", "BucketName", "Properties", "ServiceTimeout", "ServiceTimeoutRange", "ServiceToken", "Type"]
