"""Partial dependence and ICE lines of a run as charts: one for each column, in groups by class."""

from typing import TYPE_CHECKING, NamedTuple

from mlnb.engine.runs import Run
from mlnb.methods.contracts.evaluations import MEAN
from mlnb.methods.contracts.problems import ProblemContract, describe_response
from mlnb.reports.charts import Chart, Series
from mlnb.tracking.artifact_views import load_optional

if TYPE_CHECKING:
    import pandas as pd

ARTIFACT = "partial_dependence"
WIDTH, HEIGHT = 352, 232


class DependenceGroup(NamedTuple):
    """The charts of one response: a class, or the target."""

    response: str
    charts: list[Chart]


def dependence_charts(run: Run, contract: ProblemContract | None) -> list[DependenceGroup]:
    """Return the charts of each response, that of the most frequent class first; [] when the run has none."""
    table = load_optional(run, ARTIFACT)
    if contract is None or table is None or not len(table):
        return []
    groups = []
    for response in table["response"].unique():
        label, own = describe_response(contract, str(response)), table[table["response"] == response]
        limits = float(own["prediction"].min()), float(own["prediction"].max())
        columns = [own[own["column"] == name] for name in own["column"].unique()]
        groups.append(DependenceGroup(str(response), [_chart(column, label, limits) for column in columns]))
    return groups


def _chart(table: "pd.DataFrame", label: str, limits: tuple[float, float]) -> Chart:
    """Return the chart of one column; the limits are those of all columns, so that their effects can be compared."""
    means = table[table["row"] == MEAN]
    name, kind = str(means["column"].iloc[0]), str(means["kind"].iloc[0])
    levels = kind in ("category", "boolean")
    x = means["point"] if levels else means["number"]
    lines = [
        Series(f"test row {row}", line["prediction"].tolist(), "thin", 0)
        for row, line in table[table["row"] != MEAN].groupby("row", sort=True)
    ]
    lines.append(Series("mean", means["prediction"].tolist(), "points" if kind == "category" else "line"))
    return Chart(
        title=f"Partial dependence of {label} on {name}",
        x_label=name,
        y_label=label,
        x=tuple(x.astype(float)),
        names=() if kind == "number" else tuple(means["value"].astype(str)),
        series=tuple(lines),
        low=limits[0],
        high=limits[1],
        width=WIDTH,
        height=HEIGHT,
    )
