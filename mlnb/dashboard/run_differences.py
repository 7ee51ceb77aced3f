"""The difference of two runs on a page: computed once, and only where it does not take too long."""

from mlnb.engine.runs import Run
from mlnb.methods.contracts.evaluations import Metrics
from mlnb.registry.model_versions import output_digest
from mlnb.registry.version_comparison import MetricDifference, run_difference
from mlnb.tracking.artifact_views import load_record

ROWS = 20_000  # test rows up to which a page resamples them in pairs
EVALUATED = ("contract", "test", "predictions")  # artifacts that the difference of two runs depends on


class RunDifferences:
    """Returns the difference of the deciding metric of two runs; as text, why a page has none."""

    def __init__(self) -> None:
        self._known: dict[tuple[str | None, ...], MetricDifference | str] = {}  # by digests

    def __call__(self, first: Run, other: Run) -> MetricDifference | str:
        """Return the difference from one run to another."""
        key = tuple(output_digest(run, artifact) for run in (first, other) for artifact in EVALUATED)
        if None in key or key not in self._known:
            test = load_record(first, "metrics", Metrics)
            if test is not None and test.rows > ROWS:
                return (
                    f"{test.rows:,} test rows take too long for a page; "
                    f"`mlnb report --compare {first.id} {other.id}` computes it"
                )
            self._known[key] = run_difference(first, other)
        return self._known[key]
