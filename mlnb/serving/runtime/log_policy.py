"""How the prediction log of a service is kept: its limits, its segments, and what is left out."""

from dataclasses import dataclass

from mlnb.settings import ServiceSettings


@dataclass(frozen=True)
class LogPolicy:
    """How the log is kept.

    Attributes:
        limit: rows that may wait to be written.
        when_full: drop: the response is sent unlogged and counted; wait: it is sent when the queue has space. An event
            loop never waits: its few rows are queued above the limit.
        rows: rows after which a segment ends.
        seconds: seconds after which a segment ends.
        masked: columns whose values are not logged.
        event_time: whether the time of a record is that in the request, as in simulations.
    """

    limit: int = ServiceSettings.log_limit.default
    when_full: str = ServiceSettings.log_when_full.default
    rows: int = ServiceSettings.log_rows.default
    seconds: float = ServiceSettings.log_seconds.default
    masked: frozenset[str] = frozenset()
    event_time: bool = False

    @classmethod
    def from_settings(cls, settings: ServiceSettings) -> "LogPolicy":
        """Return the policy that the settings configure."""
        return cls(
            limit=settings.log_limit,
            when_full=settings.log_when_full,
            rows=settings.log_rows,
            seconds=settings.log_seconds,
            masked=frozenset(settings.log_mask),
            event_time=settings.log_event_time,
        )
