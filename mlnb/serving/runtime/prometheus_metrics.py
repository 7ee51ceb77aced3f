"""What Prometheus is told: requests, how long they took, predictions by class, rejected rows by column."""

from collections.abc import Iterable
from functools import cache
from typing import Any

from prometheus_client import Counter, Gauge, Histogram

from mlnb.methods.contracts.responses import AnomalyResponse, ClassResponse, Response, RowProblem

SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0)
CLASSES = (ClassResponse, AnomalyResponse)  # responses whose prediction is a name
UNKNOWN = "(unknown)"  # column of a rejected row that is none of the model's, whatever a client called it


class Meters:
    """The counters of one process; BentoML adds up those of all workers, whichever is asked.

    The labels that occur are few, and are looked up once.
    """

    def __init__(self) -> None:
        self.requests = Counter(
            "mlnb_requests_total", "Requests for predictions, by status and version.", ["status", "model_version"]
        )
        self.seconds = Histogram(
            "mlnb_request_seconds", "Time from a request's first byte to its answer.", buckets=SECONDS
        )
        self.predictions = Counter(
            "mlnb_predictions_total", "Rows answered, by class and version.", ["prediction", "model_version"]
        )
        self.rejected = Counter(
            "mlnb_rejected_rows_total", "Rows refused, by the column at fault and version.", ["column", "model_version"]
        )
        self.busy = Gauge("mlnb_batches_in_progress", "Batches being answered by threads.", multiprocess_mode="livesum")
        self.swaps = Counter(
            "mlnb_model_swaps_total", "Models that were to take over, by what became of it.", ["result"]
        )
        self.shadowed = Counter(
            "mlnb_shadow_rows_total", "Rows that a shadow answered, by how that compares.", ["result", "model_version"]
        )
        self.logged = Counter(
            "mlnb_log_rows_total", "Rows of the prediction log, recorded or dropped for want of room.", ["result"]
        )
        self.loaded = Gauge(
            "mlnb_model_info", "1 for the version that answers.", ["model_version"], multiprocess_mode="livemax"
        )
        self._children: dict[tuple[str, ...], Any] = {}
        for key in (("swaps", "refused"), ("swaps", "withdrawn"), ("logged", "recorded"), ("logged", "dropped")):
            self.count(*key, amount=0)  # an increase can be seen of what was there before

    def count(self, name: str, *labels: str, amount: int = 1) -> None:
        """Add to one of the counters."""
        key = (name, *labels)
        child = self._children.get(key)
        if child is None:
            child = self._children[key] = getattr(self, name).labels(*labels)
        child.inc(amount)

    def answered(self, responses: Iterable[Response], version: str) -> None:
        """Count rows by class; values are counted together."""
        counts: dict[str, int] = {}
        for response in responses:
            name = response.prediction if isinstance(response, CLASSES) else ""
            counts[name] = counts.get(name, 0) + 1
        for name, amount in counts.items():
            self.count("predictions", name, version, amount=amount)

    def refused(self, problems: Iterable[RowProblem], columns: frozenset[str], version: str) -> None:
        """Count rows that were refused, each once a column."""
        places = {(problem.row, problem.column) for problem in problems if problem.column is not None}
        for _, column in places:
            self.count("rejected", column if column in columns else UNKNOWN, version)

    def logged_rows(self, result: str, rows: int) -> None:
        """Count rows that the prediction log has recorded or dropped."""
        self.count("logged", result, amount=rows)

    def took(self, seconds: float) -> None:
        """Record how long a request took."""
        self.seconds.observe(seconds)

    def refused_model(self) -> None:
        """Count a model that may not take over."""
        self.count("swaps", "refused")

    def switched(self, old: str, new: str) -> None:
        """Say which version answers from now on."""
        if old:
            self.loaded.labels(old).set(0)
            self.count("swaps", "switched")
        self.loaded.labels(new).set(1)


@cache
def meters() -> Meters:
    """Return this process's counters: Prometheus knows each name once."""
    return Meters()
