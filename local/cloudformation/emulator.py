"""Starts the emulator of CloudFormation."""

from collections.abc import Iterator
from contextlib import contextmanager

from local.certificates import Certificates
from local.cloudformation.client import CloudFormation
from local.cloudformation.ministack_process import Ministack


@contextmanager
def emulate(
    *, certificates: Certificates, region: str = "us-east-1", port: int | None = None, retry_seconds: float = 0.2
) -> Iterator[CloudFormation]:
    """Emulate CloudFormation, Lambda, S3 and what else ministack has, on 127.0.0.1, while the context lasts.

        with emulate(certificates=Certificates.create(directory)) as cloudformation:
            stack = cloudformation.deploy(template, stack_name="provider")
            for request in cloudformation.activity.requests():
                print(request.event["RequestType"], request.outcome)

    Args:
        certificates: For its endpoint and for the pre-signed URLs.
        region: The Region of every stack.
        port: Where it listens; None for any free port.
        retry_seconds: How long Lambda waits before it retries a failed invocation, twice that before the
            second retry. 60 on AWS.

    Raises:
        CloudFormationError: It did not start.
    """
    with Ministack(certificates=certificates, region=region, port=port, retry_seconds=retry_seconds) as ministack:
        cloudformation = CloudFormation(
            endpoint=f"https://127.0.0.1:{ministack.port}",
            region=region,
            ca=certificates.ca,
            directory=ministack.directory,
        )
        try:
            cloudformation.create_deployment_bucket()
            yield cloudformation
        finally:
            cloudformation.close()
