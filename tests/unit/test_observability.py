"""Log lines in the form that Lambda expects, so that it filters them by level and keeps their timestamp."""

import json
import logging
import re
from datetime import datetime

import pytest
from aws_lambda_powertools.logging.formatter import LambdaPowertoolsFormatter

from ingestion_destination import observability

# https://datatracker.ietf.org/doc/html/rfc3339#section-5.6
RFC_3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")


@pytest.mark.parametrize("name", [observability.SERVICE, "crhelper", "ingestion_destination"])
def test_every_line_has_a_timestamp_that_lambda_can_parse(name: str) -> None:
    handlers = logging.getLogger(name).handlers
    handler = next(each for each in handlers if isinstance(each.formatter, LambdaPowertoolsFormatter))
    record = logging.LogRecord(name, logging.WARNING, __file__, 1, "retrying", None, None)
    line = json.loads(handler.format(record))
    assert line["level"] == "WARNING"
    assert RFC_3339.fullmatch(line["timestamp"])
    assert datetime.fromisoformat(line["timestamp"]).timestamp() == pytest.approx(record.created, abs=0.001)
