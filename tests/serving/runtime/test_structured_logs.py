"""Structured logs: one JSON object a line, with the fields and the error of an event."""

import json
import logging

import pytest

from mlnb.serving.runtime.structured_logs import LOG, JsonFormatter, log_event


@pytest.fixture
def lines():
    """The lines that the service logs meanwhile."""
    written = []

    class Handler(logging.Handler):
        def emit(self, record):
            written.append(self.format(record))

    handler = Handler()
    handler.setFormatter(JsonFormatter())
    LOG.addHandler(handler)
    before = LOG.level
    LOG.setLevel(logging.INFO)
    yield written
    LOG.removeHandler(handler)
    LOG.setLevel(before)


def test_an_event_is_a_line_with_its_fields(lines):
    log_event("model switched", old="a:1", new="ü:2", count=3)
    line = json.loads(lines[0])
    assert line.pop("time").endswith("+00:00")
    expected = {
        "level": "info",
        "logger": "mlnb.serving",
        "event": "model switched",
        "old": "a:1",
        "new": "ü:2",
        "count": 3,
    }
    assert line == expected and "\n" not in lines[0]


def test_an_error_is_a_field(lines):
    try:
        raise ValueError("broken")
    except ValueError as error:
        log_event("request failed", logging.ERROR, error)
    line = json.loads(lines[0])
    assert line["level"] == "error" and "ValueError: broken" in line["error"]


def test_levels_that_are_off_are_not_logged(lines):
    log_event("details", logging.DEBUG)
    assert lines == []
