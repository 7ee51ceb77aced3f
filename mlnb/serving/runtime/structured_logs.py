"""Structured logs: one JSON object a line, from the service and everything below it."""

import json
import logging
import sys
import traceback
from datetime import UTC, datetime

from mlnb.codec import Json

LOG = logging.getLogger("mlnb.serving")


class JsonFormatter(logging.Formatter):
    """Writes a record as one line of JSON: time, level, logger, event, and the fields that `log_event` adds."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        line: dict[str, Json] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
            if getattr(record, "hidden", False):
                kind, _, trace = record.exc_info
                line["error"] = "".join(traceback.format_tb(trace)) + getattr(kind, "__name__", "")
        return json.dumps(line, ensure_ascii=False, default=str)


def configure_logging() -> None:
    """Make this process log lines of JSON, to standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter())
    for name in ("bentoml", "uvicorn", "uvicorn.error", ""):
        logger = logging.getLogger(name)
        logger.handlers = [handler] if not name else []
        logger.propagate = True
    LOG.setLevel(logging.INFO)


def log_event(
    event: str, level: int = logging.INFO, error: BaseException | None = None, hidden: bool = False, **fields: Json
) -> None:
    """Log an event with its fields.

    Args:
        event: what happened.
        level: of the logging module.
        error: its traceback is logged.
        hidden: leave out the message of `error`, which may quote values of a request.
        fields: further fields of the line.
    """
    if LOG.isEnabledFor(level):
        LOG.log(level, event, extra={"fields": fields, "hidden": hidden}, exc_info=error)
