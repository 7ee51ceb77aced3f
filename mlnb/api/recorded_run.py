"""A run in Python: its metrics, parameters, artifacts and model."""

import html
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from mlnb.codec import to_json
from mlnb.engine.runs import Run
from mlnb.errors import UnknownRun, UsageError
from mlnb.reports import formatting
from mlnb.tracking import run_results
from mlnb.tracking.artifact_views import load_findings
from mlnb.tracking.run_comparison import all_metrics, compare_runs

if TYPE_CHECKING:
    import pandas as pd

    from mlnb.api.packaged_model import PackagedModel


class RecordedRun:
    """A run of a pipeline, as its record was when it was opened."""

    def __init__(self, run: Run) -> None:
        self._run = run

    @property
    def id(self) -> str:
        """The id: the name of the run's folder."""
        return self._run.id

    @property
    def folder(self) -> Path:
        """The folder of the run."""
        return self._run.folder

    @property
    def state(self) -> str:
        """The state: running, finished, failed, interrupted or killed."""
        return str(self._run.state)

    @property
    def parameters(self) -> dict[str, Any]:
        """The value of each parameter, as `stage.name`."""
        return run_results.parameter_values(self._run)

    @property
    def metrics(self) -> dict[str, float | None]:
        """Each test metric and logged number, as `stage.name`; None for a metric that is undefined on these rows."""
        return all_metrics(self._run)

    @property
    def verdict(self) -> run_results.Verdict:
        """Winner, deciding metric with its interval on the test set, and whether the gate passed."""
        return run_results.verdict(self._run)

    @property
    def artifacts(self) -> tuple[str, ...]:
        """The names of the artifacts, in the order of the stages."""
        return tuple(name for stage in self._run.stages.values() for name in stage.outputs)

    @property
    def report(self) -> Path | None:
        """The HTML report; None where none was written."""
        path = self._run.folder / "report.html"
        return path if path.exists() else None

    def artifact(self, name: str) -> Any:
        """Return an artifact: a data frame, an array, the path of a file or folder, or a JSON value.

        Raises:
            UnknownRun: the run has no artifact of that name; the message lists those that it has.
            StoreCorrupted: its bytes are missing or damaged.
            SchemaError: it is a pickle, which only stages load.
        """
        return self._run.load(name)

    def findings(self) -> "pd.DataFrame":
        """Return the findings about the data: check, severity, column, rows, message and action."""
        import pandas as pd

        columns = ["check", "severity", "column", "rows", "message", "action"]
        return pd.DataFrame([to_json(finding) for finding in load_findings(self._run)], columns=columns)

    def compare(self, other: "RecordedRun") -> "pd.DataFrame":
        """Return what differs between this run and another.

        Returns:
            A frame indexed by kind ("parameter", "metric" or "version") and name, with a column per run, and
            `difference`: the other's number minus this run's.

        Raises:
            UsageError: the other is no run.
        """
        import pandas as pd

        if not isinstance(other, RecordedRun):
            raise UsageError(f"Found {type(other).__name__}; expected a run, such as mlnb.runs()[1].")

        comparison = compare_runs(self._run, other._run)
        kinds = {"parameter": comparison.parameters, "metric": comparison.metrics, "version": comparison.versions}
        pairs = [(kind, name, *pair) for kind, differing in kinds.items() for name, pair in differing.items()]
        index = pd.MultiIndex.from_tuples([pair[:2] for pair in pairs], names=["kind", "name"])
        if not pairs:
            index = pd.MultiIndex.from_arrays([[], []], names=["kind", "name"])
        frame = pd.DataFrame([pair[2:] for pair in pairs], index, [self.id, other.id], dtype=object)
        numbers = frame.map(lambda value: value if isinstance(value, int | float) else None).astype(float)
        return frame.assign(difference=numbers.iloc[:, 1] - numbers.iloc[:, 0])

    def load_model(self) -> "PackagedModel":
        """Return the packaged model of the run.

        Raises:
            UnknownRun: the run has no packaged model: it was stopped before the end of stage `package`.
            ServingError: the model does not return the notebook's predictions in this process.
        """
        from mlnb.api.packaged_model import PackagedModel

        if not self._run.has("certificate"):
            raise UnknownRun(f"Run {self.id} has no packaged model: it is {self.state}. `mlnb run` continues it.")
        return PackagedModel(self._run.load("service") / "model")

    def __repr__(self) -> str:
        """Return id, state and result."""
        described = _describe(self._run)
        shown = [described[name] for name in ("state", "winner", "test") if described[name]]
        return f"<RecordedRun {self.id}: {', '.join(shown)}>"

    def _repr_html_(self) -> str:
        """Return a table for notebooks."""
        return _table([self])


class RunList(Sequence[RecordedRun]):
    """Runs, newest first."""

    def __init__(self, runs: Sequence[RecordedRun]) -> None:
        self._runs = tuple(runs)

    @overload
    def __getitem__(self, position: int) -> RecordedRun: ...

    @overload
    def __getitem__(self, position: slice) -> "RunList": ...

    def __getitem__(self, position: int | slice) -> "RecordedRun | RunList":
        """Return a run, or some of them."""
        return RunList(self._runs[position]) if isinstance(position, slice) else self._runs[position]

    def __len__(self) -> int:
        """Return their number."""
        return len(self._runs)

    def __iter__(self) -> Iterator[RecordedRun]:
        """Return an iterator over the runs."""
        return iter(self._runs)

    def frame(self) -> "pd.DataFrame":
        """Return a row per run, indexed by id: state, start, every parameter and every metric."""
        import pandas as pd

        rows = [
            {"state": run.state, "started": run._run.record.started, **run.parameters, **run.metrics} for run in self
        ]
        return pd.DataFrame(rows, pd.Index([run.id for run in self], name="run"))

    def __repr__(self) -> str:
        """Return a line per run."""
        return "\n".join(map(repr, self._runs)) or "no runs"

    def _repr_html_(self) -> str:
        """Return a table for notebooks."""
        return _table(self._runs)


def _describe(run: Run) -> dict[str, str]:
    """Return what a table of runs shows."""
    verdict, parameters = run_results.verdict(run), run_results.parameters(run)
    data, target = (parameters.get(name) for name in ("ingest.data", "problem.target"))
    value = f"{verdict.metric} {formatting.number(verdict.value)} {formatting.interval(verdict)}"
    return {
        "run": run.id,
        "state": str(run.state),
        "data": formatting.parameter(data.value) if data else "",
        "target": formatting.parameter(target.value) if target else "",
        "winner": verdict.winner or "",
        "test": value.strip() if verdict.value is not None else "",
        "gate": formatting.gate(verdict.gate, verdict.metric),
    }


def _table(runs: Sequence[RecordedRun]) -> str:
    """Return an HTML table of runs."""
    rows = [_describe(run._run) for run in runs]
    if not rows:
        return "<p>no runs</p>"
    head = "".join(f"<th>{name}</th>" for name in rows[0])
    cells = ["".join(f"<td>{html.escape(value)}</td>" for value in row.values()) for row in rows]
    return f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(f'<tr>{row}</tr>' for row in cells)}</tbody></table>"
