"""The models of segments in Python: the run of each, the results of all, and the comparison with a global model."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from mlnb.api.progress import progress_listener
from mlnb.api.queue_progress import QueueProgress
from mlnb.api.recorded_run import RecordedRun
from mlnb.api.run_request import RunRequest
from mlnb.api.segment_comparison import SegmentComparison
from mlnb.api.segment_training import SegmentOptions, SegmentTraining, compare_global, find_segments, train_global
from mlnb.codec import to_json
from mlnb.engine.project import Project
from mlnb.engine.runs import Run, open_run
from mlnb.tracking.run_results import INTERRUPTED
from mlnb.tracking.segment_results import SegmentResult

if TYPE_CHECKING:
    import pandas as pd


class SegmentRuns(Mapping[str, RecordedRun]):
    """The runs of segments by the name of the segment; those without a model have none.

    Attributes:
        results: what became of each segment: state, rows, run, verdict, the reason of a failure, and exit code.
        whole: run of the model of all rows; None without `with_global`.
        comparison: how much better the models of the segments are than that one; None where it was not compared.
    """

    def __init__(
        self,
        project: Project,
        results: Sequence[SegmentResult],
        whole: RecordedRun | None = None,
        comparison: SegmentComparison | None = None,
    ) -> None:
        self._runs = {one.segment: RecordedRun(open_run(project, one.run)) for one in results if one.run}
        self.results = tuple(results)
        self.whole = whole
        self.comparison = comparison

    def __getitem__(self, segment: str) -> RecordedRun:
        """Return the run of a segment. Raises `KeyError` for one without a run."""
        return self._runs[segment]

    def __len__(self) -> int:
        """Return the number of segments with a run."""
        return len(self._runs)

    def __iter__(self) -> Iterator[str]:
        """Return an iterator over the names of the segments with a run."""
        return iter(self._runs)

    @property
    def failed(self) -> tuple[SegmentResult, ...]:
        """The results of the segments whose run has failed, or was not started."""
        return tuple(result for result in self.results if result.code)

    def frame(self) -> "pd.DataFrame":
        """Return a row per segment, indexed by its name: state, rows, run, seconds, the verdict, note and exit code."""
        import pandas as pd

        rows = []
        for result in self.results:
            values = to_json(result)
            verdict = values.pop("verdict") or {}
            rows.append({**{name: values[name] for name in values if name != "segment"}, **verdict})
        return pd.DataFrame(rows, pd.Index([result.segment for result in self.results], name="segment"))

    def differences(self) -> "pd.DataFrame":
        """Return how the models of segments differ from that of all rows.

        Returns:
            A row per segment, and "" for all of them: `metric`, its value by the model of all rows (`whole`) and by
            that of the segment (`own`), the `difference` with the interval `low` to `high`, and the number of held-out
            `rows`. Without a comparison it is empty; NaN where the metric is undefined on these rows.
        """
        import pandas as pd

        columns = ["metric", "whole", "own", "difference", "low", "high", "rows"]
        compared = [*self.comparison.segments, self.comparison.total] if self.comparison is not None else []
        rows = [
            [one.metric, *one.scores, one.value, one.low, one.high, one.rows]
            if one is not None
            else [None] * len(columns)
            for one in (each.difference for each in compared)
        ]
        index = pd.Index([each.segment for each in compared], name="segment", dtype=object)
        return pd.DataFrame(rows, index, columns)

    def __repr__(self) -> str:
        """Return a line per segment."""
        return "\n".join(f"{one.title}: {one.state}{f' ({one.note})' if one.note else ''}" for one in self.results)

    def _repr_html_(self) -> str:
        """Return a table for notebooks."""
        table: str = self.frame().to_html()
        return table


def run_segments(project: Project, request: RunRequest, options: SegmentOptions, progress: bool) -> SegmentRuns | Run:
    """Train a model for each segment; return their runs, or the run of the shared stages where that has failed.

    Args:
        project: The project.
        request: What each run is to do.
        options: How they are trained.
        progress: Whether to print the progress.

    Raises:
        UsageError: There are too many segments, or none with a model, or the request is wrong.
        KeyboardInterrupt: The runs were interrupted; finished stages are kept.
    """
    listener = progress_listener(as_json=False) if progress else None
    segments, shared = find_segments(project, request, options, listener)
    if not segments and shared is not None:
        return shared
    training = SegmentTraining(project, segments, options, QueueProgress(len(segments)) if progress else None)
    results = training.run()
    if training.interrupted:
        raise KeyboardInterrupt(f"The runs were interrupted (exit code {INTERRUPTED}); the same call continues them.")
    if not options.with_global:
        return SegmentRuns(project, results)
    whole = train_global(project, request, options, progress_listener(as_json=False) if progress else None)
    return SegmentRuns(project, results, RecordedRun(whole), compare_global(project, whole, results))
