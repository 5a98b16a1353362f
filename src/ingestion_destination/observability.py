"""The one logger and the few metrics, both Powertools'."""

from __future__ import annotations

import logging

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.logging.utils import copy_config_to_registered_loggers
from aws_lambda_powertools.metrics import MetricUnit

SERVICE = "appfabric-ingestion-destination"

# Unless the timestamp is RFC 3339's, Lambda takes every line for INFO, and filters it as such:
# https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs-log-level.html
logger = Logger(service=SERVICE, use_rfc3339=True, utc=True)
_metrics = Metrics(namespace="CustomAppFabricIngestionDestination", service=SERVICE)

# Nobody needs to read at each start where the credentials were found, nor their use at DEBUG.
for _name in ("boto3", "botocore", "urllib3"):
    logging.getLogger(_name).setLevel(logging.ERROR)

# Lines of crhelper's and of the delivery's in the same form: Powertools copies it to loggers without a dot. At DEBUG
# crhelper logs the whole event, URL and all.
_LIBRARY_LOGGERS = {"crhelper", "ingestion_destination"}
for _name in _LIBRARY_LOGGERS:
    logging.getLogger(_name)
copy_config_to_registered_loggers(source_logger=logger, include=_LIBRARY_LOGGERS)
logging.getLogger("crhelper.resource_helper").setLevel(logging.WARNING)


def count(name: str) -> None:
    """Add one to a metric: a request's outcome, ResponsesUndelivered, OrphansDeleted or PossibleOrphans."""
    _metrics.add_metric(name=name, unit=MetricUnit.Count, value=1)


def report_possible_orphan(arn: object, reason: str) -> None:
    """Log and count a destination that may be left without an owner, for somebody to look at.

    Args:
        arn: The destination's, None when it is not known.
        reason: What may have happened.
    """
    logger.error("possible orphaned ingestion destination", arn=str(arn) if arn else None, reason=reason)
    count("PossibleOrphans")


def flush() -> None:
    """Write what was counted, in CloudWatch's embedded metric format."""
    if _metrics.metric_set:
        _metrics.flush_metrics()
