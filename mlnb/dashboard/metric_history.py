"""The test metric of a project's runs over time, with intervals."""

from collections import Counter
from collections.abc import Sequence

from mlnb.dashboard.project_views import ProjectView
from mlnb.dashboard.stage_timeline import moment
from mlnb.reports import formatting
from mlnb.reports.charts import Chart, Series
from mlnb.tracking.run_table import RunRow, short_data

WIDTH, HEIGHT = 1040, 240


def metric_history(view: ProjectView, rows: Sequence[RunRow]) -> Chart | None:
    """Return the metric of the runs that have the most frequent metric and target; None for fewer than two such runs.

    Args:
        view: The project, for the addresses of the runs.
        rows: The runs, in any order.
    """
    scored = [row for row in rows if row.verdict.metric and row.verdict.value is not None]
    kinds = Counter((row.verdict.metric, row.values.get("target")) for row in scored)
    if not kinds:
        return None
    metric, target = kinds.most_common(1)[0][0]
    chosen = [row for row in scored if (row.verdict.metric, row.values.get("target")) == (metric, target)]
    chosen.sort(key=lambda row: (row.run.record.started or "", row.run.id))
    if len(chosen) < 2:
        return None
    verdicts = [row.verdict for row in chosen]
    name = formatting.metric(metric)
    predicted = f" that predict {target}" if target else ""
    return Chart(
        title=f"{name} of {formatting.count(len(chosen), 'run')}{predicted}, oldest first",
        x_label="run",
        y_label=name,
        x=tuple(float(number) for number in range(1, len(chosen) + 1)),
        series=(
            Series("interval, lower end", [one.low for one in verdicts], "thin", 0),
            Series("interval, upper end", [one.high for one in verdicts], "thin", 0),
            Series(name, [one.value for one in verdicts]),
        ),
        names=tuple(_time(row) for row in chosen),
        notes=tuple(_note(row, name) for row in chosen),
        links=tuple(view.run_url(row.run) for row in chosen),
        width=WIDTH,
        height=HEIGHT,
    )


def _time(row: RunRow) -> str:
    started = moment(row.run.record.started)
    return formatting.minute(started.timestamp()) if started else "–"


def _note(row: RunRow, name: str) -> str:
    """Return the result of a run in words."""
    result = f"{name} {formatting.number(row.verdict.value)} {formatting.interval(row.verdict)}".strip()
    data = short_data(row.values.get("data"))
    return "; ".join(filter(None, [row.run.id, result, formatting.family(row.values.get("winner")), str(data or "")]))
