"""Structured logs: one JSON object a line, of the service and of everything below it."""

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Any

LOG = logging.getLogger("mlnb.serving")


class Lines(logging.Formatter):
    """Writes a record as one line of JSON: time, level, logger, event, and what `extra={"facts": ...}` adds."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": record.getMessage(),
            **getattr(record, "facts", {}),
        }
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False, default=str)


def structure() -> None:
    """Have this process log in lines of JSON, on standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(Lines())
    for name in ("bentoml", "uvicorn", "uvicorn.error", ""):
        logger = logging.getLogger(name)
        logger.handlers = [handler] if not name else []
        logger.propagate = True
    LOG.setLevel(logging.INFO)


def log(event: str, level: int = logging.INFO, error: BaseException | None = None, **facts: Any) -> None:
    """Log an event with its facts."""
    if LOG.isEnabledFor(level):
        LOG.log(level, event, extra={"facts": facts}, exc_info=error)
