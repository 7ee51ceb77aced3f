"""Prometheus metrics: requests, their duration, predictions by class, rejected rows by column."""

from collections.abc import Iterable, Mapping
from functools import cache
from typing import TYPE_CHECKING

from mlnb.methods.contracts.responses import AnomalyResponse, ClassResponse, Response, RowProblem

if TYPE_CHECKING:
    pass

SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0)
NAMED = (ClassResponse, AnomalyResponse)  # responses whose prediction is a name
UNKNOWN = "(unknown)"  # label for a column of a rejected row that the model does not have, whatever its name


class ServiceMetrics:
    """The metrics of one process; BentoML adds up those of all workers.

    The children of the counters are looked up once, as there are few label values.
    """

    def __init__(self) -> None:
        # Imported in a worker: the import chooses between values of one process and of all workers.
        from prometheus_client import Counter, Gauge, Histogram

        self.requests = Counter(
            "mlnb_requests_total", "Requests for predictions, by status and version.", ["status", "model_version"]
        )
        self.seconds = Histogram(
            "mlnb_request_seconds", "Time from a request's first byte to its response.", buckets=SECONDS
        )
        self.predictions = Counter(
            "mlnb_predictions_total", "Predicted rows, by class and version.", ["prediction", "model_version"]
        )
        self.rejected = Counter(
            "mlnb_rejected_rows_total",
            "Rejected rows, by the column at fault and version.",
            ["column", "model_version"],
        )
        self.busy = Gauge("mlnb_batches_in_progress", "Batches in the thread pool.", multiprocess_mode="livesum")
        self.swaps = Counter(
            "mlnb_model_swaps_total", "New models that a pointer named, by result and model.", ["result", "model"]
        )
        self.shadowed = Counter(
            "mlnb_shadow_rows_total", "Rows that a shadow predicted, by comparison.", ["result", "model_version"]
        )
        self.logged = Counter(
            "mlnb_log_rows_total", "Rows of the prediction log, recorded or dropped for want of space.", ["result"]
        )
        self.loaded = Gauge(
            "mlnb_model_info", "1 for the version in use.", ["model_version"], multiprocess_mode="livemax"
        )
        self.loads = Counter(
            "mlnb_model_loads_total", "Loads of the models of a service of several, by result.", ["result", "model"]
        )
        self.models = Gauge("mlnb_models_loaded", "Models that are loaded.", multiprocess_mode="livesum")
        self.models_bytes = Gauge(
            "mlnb_models_loaded_bytes", "Memory of the models that are loaded, in bytes.", multiprocess_mode="livesum"
        )
        self._children: dict[tuple[str, ...], Counter] = {}
        for result in ("recorded", "dropped"):
            self.count("logged", result, amount=0)  # Prometheus sees an increase only of a series that exists

    def count(self, name: str, *labels: str, amount: int = 1) -> None:
        """Add to one of the counters."""
        key = (name, *labels)
        child = self._children.get(key)
        if child is None:
            child = self._children[key] = getattr(self, name).labels(*labels)
        child.inc(amount)

    def count_predictions(self, counts: Mapping[str, int], version: str) -> None:
        """Count predicted rows by class, as `count_classes` counts them."""
        for name, amount in counts.items():
            self.count("predictions", name, version, amount=amount)

    def count_rejected(self, problems: Iterable[RowProblem], columns: frozenset[str], version: str) -> None:
        """Count rejected rows, each once a column."""
        cells = {(problem.row, problem.column) for problem in problems if problem.column is not None}
        for _, column in cells:
            self.count("rejected", column if column in columns else UNKNOWN, version)

    def count_logged(self, result: str, rows: int) -> None:
        """Count rows that the prediction log has recorded or dropped."""
        self.count("logged", result, amount=rows)

    def observe_seconds(self, seconds: float) -> None:
        """Record the duration of a request."""
        self.seconds.observe(seconds)

    def count_refused_model(self, current: str) -> None:
        """Count a new model that is not used instead of the current version; empty: it is not that of one model."""
        self.count("swaps", "refused", _model_of(current))

    def count_withdrawn(self, version: str) -> None:
        """Count a canary that is withdrawn."""
        self.count("swaps", "withdrawn", _model_of(version))

    def switch_version(self, old: str, new: str) -> None:
        """Set the version in use; `old` is empty for the first."""
        if old:
            self.loaded.labels(old).set(0)
            self.count("swaps", "switched", _model_of(new))
        else:
            for result in ("refused", "withdrawn"):  # Prometheus sees an increase only of a series that exists
                self.count("swaps", result, _model_of(new), amount=0)
        self.loaded.labels(new).set(1)

    def unload_version(self, version: str) -> None:
        """Note that a version is no longer in use."""
        self.loaded.labels(version).set(0)

    def set_loaded(self, models: int, size: int) -> None:
        """Set the number of loaded models, and the bytes that they take."""
        self.models.set(models)
        self.models_bytes.set(size)


def _model_of(version: str) -> str:
    """Return the name of the model of a version."""
    return version.partition(":")[0]


def count_classes(responses: Iterable[Response], counts: dict[str, int]) -> None:
    """Add the number of responses of each class to `counts`; predicted numbers are counted together."""
    for response in responses:
        name = response.prediction if isinstance(response, NAMED) else ""
        counts[name] = counts.get(name, 0) + 1


@cache
def service_metrics() -> ServiceMetrics:
    """Return this process's metrics: Prometheus accepts each name once."""
    return ServiceMetrics()
