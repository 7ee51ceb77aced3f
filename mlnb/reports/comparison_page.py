"""The comparison of two or more runs: parameters, metrics with intervals, plots in pairs, changed cells."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

from mlnb.codec import Record
from mlnb.engine.files import PRIVATE, write_whole
from mlnb.engine.runs import Run
from mlnb.errors import UsageError
from mlnb.methods.contracts.evaluations import DecidingMetric, Estimate, Metrics
from mlnb.registry.version_comparison import MetricDifference, run_difference
from mlnb.reports import formatting
from mlnb.reports.charts import Chart
from mlnb.reports.prediction_charts import calibration_chart, read_scored, threshold_charts
from mlnb.reports.run_details import show_plot
from mlnb.reports.run_index import report_link
from mlnb.reports.run_page_sections import PlotImage
from mlnb.reports.run_report import environment, style
from mlnb.tracking import run_results
from mlnb.tracking.artifact_views import load_record
from mlnb.tracking.cell_changes import StageChanges, changed_code
from mlnb.tracking.notebook_plots import Plot, read_plots
from mlnb.tracking.run_comparison import RunComparison, compare_runs

MOST = 6  # runs that a page has columns for
Difference = Callable[[Run, Run], MetricDifference | str]


class ComparedRun(NamedTuple):
    """A run as a column: its letter, itself, and its result as text."""

    letter: str
    run: Run
    result: str
    gate: str


class ComparedValue(NamedTuple):
    """A parameter or a version by name: its text in each run."""

    name: str
    values: list[str]


class ComparedMetric(NamedTuple):
    """A metric by name: its estimate in each run, the change from the first run to the last, whether it decides."""

    name: str
    estimates: list[Estimate]
    change: float | None
    decides: bool
    differs: bool


class DifferenceText(NamedTuple):
    """The difference of the deciding metric from the first run to another one, in words, and whether it is clear."""

    letter: str
    text: str
    clear: bool


class PlotRow(NamedTuple):
    """Plots under one heading: the stage, the title, the images of each run, and whether all are the same bytes.

    Each run has one image, unless the runs have different numbers of plots under the heading, which cannot be paired.
    """

    stage: str
    title: str
    images: list[list[PlotImage]]
    same: bool


class CodeChanges(NamedTuple):
    """The changes of code from the first run to another one."""

    letter: str
    stages: list[StageChanges]


class ComparisonPage(Record, frozen=True, kw_only=True):
    """Everything that the template of a comparison prints."""

    title: str
    projects: list[str]
    runs: list[ComparedRun]
    comparison: RunComparison
    different: list[ComparedValue]
    same: list[ComparedValue]
    metrics: list[ComparedMetric]
    logged: list[ComparedMetric]
    differences: list[DifferenceText]
    versions: list[ComparedValue]
    curves: list[Chart]
    plots: list[PlotRow]
    code: list[CodeChanges]


def write_comparison(compared: Sequence[Run]) -> Path:
    """Write runs/comparisons/<ids>.html, one self-contained file; return its path.

    Raises:
        UsageError: There are fewer than two different runs, or too many.
        StoreFull: The disk is full.
    """
    text = render_comparison(collect_comparison(compared), partial(report_link, base="../"))
    folder = compared[0].project.runs / "comparisons"
    path = folder / ("--".join(run.id for run in compared)[:200] + ".html")
    write_whole(path, text.encode(errors="backslashreplace"), PRIVATE)
    return path


def render_comparison(page: ComparisonPage, run_url: Callable[[Run], str]) -> str:
    """Return a comparison as HTML.

    Args:
        page: Its content.
        run_url: Returns the address of a run's report; empty for none.
    """
    return environment().get_template("comparison.html").render(page=page, run_url=run_url, site=None, style=style())


def collect_comparison(compared: Sequence[Run], difference: Difference = run_difference) -> ComparisonPage:
    """Return the content of a comparison.

    Args:
        compared: The runs; the first is the one that the others are compared with.
        difference: Returns the difference of the deciding metric of two runs, or why there is none.

    Raises:
        UsageError: There are fewer than two different runs, or too many.
    """
    if not 2 <= len({(run.project.root, run.id) for run in compared}) == len(compared) <= MOST:
        ids = ", ".join(run.id for run in compared) or "none"
        raise UsageError(f"The runs to compare are {ids}; expected 2 to {MOST} different ones.")
    comparison = compare_runs(*compared)
    columns = [run_results.parameter_values(run) for run in compared]
    names = sorted({name for column in columns for name in column} - comparison.parameters.keys())
    metrics = _metrics(compared)
    letters = [chr(ord("A") + index) for index in range(len(compared))]
    return ComparisonPage(
        title=f"Comparison of {len(compared)} runs",
        projects=list(dict.fromkeys(run.project.name for run in compared)),
        runs=[_column(letter, run) for letter, run in zip(letters, compared, strict=True)],
        comparison=comparison,
        different=[_texts(name, values) for name, values in sorted(comparison.parameters.items())],
        same=[_texts(name, [columns[0].get(name)]) for name in names],
        metrics=metrics,
        logged=_logged(compared, metrics),
        differences=[_difference(letter, compared[0], run, difference) for letter, run in _others(letters, compared)],
        versions=[
            ComparedValue(name, [str(value or "–") for value in values])
            for name, values in sorted(comparison.versions.items())
        ],
        curves=_curves(letters, compared),
        plots=_plots(compared),
        code=[
            CodeChanges(letter, changes)
            for letter, run in _others(letters, compared)
            if (changes := changed_code(compared[0], run))
        ],
    )


def _others(letters: Sequence[str], compared: Sequence[Run]) -> list[tuple[str, Run]]:
    return list(zip(letters, compared, strict=True))[1:]


def _column(letter: str, run: Run) -> ComparedRun:
    verdict = run_results.verdict(run)
    result = f"{formatting.metric(verdict.metric)} {formatting.number(verdict.value)} {formatting.interval(verdict)}"
    gate = formatting.gate(verdict.gate, verdict.metric)
    return ComparedRun(letter, run, result.strip() if verdict.value is not None else "", gate)


def _texts(name: str, values: Sequence[object]) -> ComparedValue:
    return ComparedValue(name, [formatting.parameter(value) for value in values])


def _metrics(compared: Sequence[Run]) -> list[ComparedMetric]:
    """Return every test metric with its interval, the deciding one first."""
    tests = [load_record(run, "metrics", Metrics) for run in compared]
    estimates = [test.estimates() if test else {} for test in tests]
    deciding = [test.deciding for test in tests if test]
    return [_metric(name, estimates, deciding) for name in dict.fromkeys(name for own in estimates for name in own)]


def _logged(compared: Sequence[Run], tested: Sequence[ComparedMetric]) -> list[ComparedMetric]:
    """Return the numbers that stages logged, without test metrics; those that differ first."""
    columns = [{name: Estimate(value=value) for name, value in run_results.metrics(run).items()} for run in compared]
    repeated = {f"evaluate.test_{metric.name}" for metric in tested}
    names = dict.fromkeys(name for column in columns for name in column if name not in repeated)
    return sorted((_metric(name, columns, []) for name in names), key=lambda row: not row.differs)


def _metric(name: str, columns: Sequence[dict[str, Estimate]], deciding: Sequence[DecidingMetric]) -> ComparedMetric:
    row = [column.get(name, Estimate(value=None)) for column in columns]
    first, last = row[0].value, row[-1].value
    change = last - first if first is not None and last is not None else None
    differs = any(estimate.value != first for estimate in row)
    return ComparedMetric(name, row, change, any(one.name == name for one in deciding), differs)


def _difference(letter: str, first: Run, other: Run, difference: Difference) -> DifferenceText:
    gap = difference(first, other)
    if isinstance(gap, str):
        return DifferenceText(letter, f"No confidence interval of the difference: {gap}.", False)
    better = "larger" if gap.direction == "maximize" else "smaller"
    interval = f"[{formatting.number(gap.low)}, {formatting.number(gap.high)}]"
    text = (
        f"{formatting.metric(gap.metric)} ({better} is better), {letter} minus A: {formatting.number(gap.value)} "
        f"{interval} on the same {formatting.count(gap.rows, 'test row')}; {letter} is better in "
        f"{gap.second_better:.0%} of the resamples"
    )
    return DifferenceText(letter, text, gap.low > 0 or gap.high < 0)


def _curves(letters: Sequence[str], compared: Sequence[Run]) -> list[Chart]:
    """Return calibration and threshold curves of the runs, each a line; [] for fewer than two of one kind."""
    scored = [(letter, rows) for letter, run in zip(letters, compared, strict=True) if (rows := read_scored(run))]
    if len(scored) < 2 or len({(rows.positive, rows.target) for _, rows in scored}) > 1:
        return []
    calibration = calibration_chart(scored)
    return [*([calibration] if calibration else []), *threshold_charts(scored)]


def _plots(compared: Sequence[Run]) -> list[PlotRow]:
    """Return the plots by stage and heading, in pairs where the runs have equally many; those that differ first."""
    rows: list[PlotRow] = []
    for name in dict.fromkeys(name for run in compared for name in run.stages):
        columns = [_by_heading(run, name) for run in compared]
        stage = next(run.stages[name].title for run in compared if name in run.stages) or name
        for heading in dict.fromkeys(heading for column in columns for heading in column):
            plots = [column.get(heading, []) for column in columns]
            if len({len(column) for column in plots}) > 1:
                rows.append(PlotRow(stage, heading, [list(map(show_plot, column)) for column in plots], False))
                continue
            for pair in zip(*plots, strict=True):
                same = all(plot.image == pair[0].image for plot in pair)
                rows.append(PlotRow(stage, pair[0].title, [[show_plot(plot)] for plot in pair], same))
    return sorted(rows, key=lambda row: row.same)


def _by_heading(run: Run, stage: str) -> dict[str, list[Plot]]:
    """Return the plots of a stage's executed notebook by the heading above them."""
    notebook = run.notebook_file(stage) if stage in run.stages else None
    plots: dict[str, list[Plot]] = {}
    for plot in read_plots(notebook) if notebook else ():
        plots.setdefault(plot.heading, []).append(plot)
    return plots
