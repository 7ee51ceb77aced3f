"""Partial dependence and ICE lines of a run as charts: one for each column, in groups by class."""

from collections.abc import Sequence
from itertools import groupby
from typing import NamedTuple

from mlnb.engine.runs import Run
from mlnb.methods.contracts.evaluations import MEAN
from mlnb.methods.contracts.problems import ProblemContract, describe_response
from mlnb.reports.charts import Chart, Series
from mlnb.tracking.artifact_views import View
from mlnb.tracking.run_results import read_rows

ARTIFACT = "partial_dependence"
WIDTH, HEIGHT = 352, 232


class DependencePoint(View, frozen=True, kw_only=True):
    """A row of the artifact: the prediction at a point of a column's grid, of a test row or the mean."""

    column: str
    kind: str
    response: str
    point: int
    value: str
    number: float | None = None
    row: int
    prediction: float


class DependenceGroup(NamedTuple):
    """The charts of one response: a class, or the target."""

    response: str
    charts: list[Chart]


def dependence_charts(run: Run, contract: ProblemContract | None) -> list[DependenceGroup]:
    """Return the charts of each response, that of the most frequent class first; [] when the run has none."""
    points = read_rows(run, ARTIFACT, DependencePoint) if contract is not None else []
    if contract is None or not points:
        return []
    groups = []
    for response in dict.fromkeys(point.response for point in points):
        label, own = describe_response(contract, response), [one for one in points if one.response == response]
        limits = min(one.prediction for one in own), max(one.prediction for one in own)
        columns = [[one for one in own if one.column == name] for name in dict.fromkeys(one.column for one in own)]
        groups.append(DependenceGroup(response, [_chart(column, label, limits) for column in columns]))
    return groups


def _chart(points: Sequence[DependencePoint], label: str, limits: tuple[float, float]) -> Chart:
    """Return the chart of one column; the limits are those of all columns, so that their effects can be compared."""
    lines = {row: list(line) for row, line in groupby(sorted(points, key=lambda one: one.row), key=lambda one: one.row)}
    means = lines.pop(MEAN)
    name, kind = means[0].column, means[0].kind
    levels = kind in ("category", "boolean")
    series = [Series(f"test row {row}", [one.prediction for one in line], "thin", 0) for row, line in lines.items()]
    series.append(Series("mean", [one.prediction for one in means], "points" if kind == "category" else "line"))
    return Chart(
        title=f"Partial dependence of {label} on {name}",
        x_label=name,
        y_label=label,
        x=tuple(float(one.point) if levels or one.number is None else one.number for one in means),
        names=() if kind == "number" else tuple(one.value for one in means),
        series=tuple(series),
        low=limits[0],
        high=limits[1],
        width=WIDTH,
        height=HEIGHT,
    )
