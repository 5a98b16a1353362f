"""The one logger and the few metrics, both Powertools'."""

from __future__ import annotations

import logging

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.logging.utils import copy_config_to_registered_loggers
from aws_lambda_powertools.metrics import MetricUnit

SERVICE = "appfabric-ingestion-destination"

logger = Logger(service=SERVICE)
_metrics = Metrics(namespace="CustomAppFabricIngestionDestination", service=SERVICE)

# Nobody needs to read at each start where the credentials were found, nor their use at DEBUG.
for _name in ("boto3", "botocore", "urllib3"):
    logging.getLogger(_name).setLevel(logging.ERROR)

# crhelper's lines in the same form; at DEBUG it logs the whole event, address and all.
copy_config_to_registered_loggers(source_logger=logger, include={"crhelper.resource_helper"})
logging.getLogger("crhelper.resource_helper").setLevel(logging.WARNING)


def count(name: str) -> None:
    """Add one to a metric: a request's outcome, AnswersUndelivered, OrphansRemoved or OrphansSuspected."""
    _metrics.add_metric(name=name, unit=MetricUnit.Count, value=1)


def flush() -> None:
    """Write what was counted, in CloudWatch's embedded metric format."""
    if _metrics.metric_set:
        _metrics.flush_metrics()
