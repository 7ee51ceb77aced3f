"""The table of runs: filter, order and chosen columns are in the address, so that it can be bookmarked."""

from collections.abc import Sequence
from itertools import islice
from typing import NamedTuple
from urllib.parse import urlencode

from msgspec import field
from starlette.datastructures import QueryParams

from mlnb.codec import Record, replace
from mlnb.dashboard.metric_history import metric_history
from mlnb.dashboard.project_views import ProjectView
from mlnb.errors import UsageError
from mlnb.reports import formatting
from mlnb.reports.charts import Chart
from mlnb.tracking import run_results
from mlnb.tracking.run_comparison import all_metrics
from mlnb.tracking.run_table import COMPARISON, SMALLER_IS_BETTER, RunRow, check_name, condition, sort_rows

NEWEST = 200  # runs that are shown without `last`
OFFERED = 20  # runs of another project to compare with
CHOICES = ("state", "pipeline", "data", "target")  # filters with a list of values
SEARCHED = ("id", "state", "pipeline", "data", "target", "winner", "profile", "group", "segment")
FIXED = {  # the columns of every table: name of the value, head, whether it is a number
    "id": ("run", False),
    "state": ("state", False),
    "started": ("started", False),
    "seconds": ("duration", True),
    "data": ("data", False),
    "target": ("target", False),
    "winner": ("winner", False),
    "value": ("test metric", False),
    "gate": ("gate", False),
}


class RunQuery(Record, frozen=True, kw_only=True):
    """What the address of a table of runs states.

    Args:
        text: Words to search for, or a condition such as roc_auc>0.9.
        chosen: Value by name of a filter in `CHOICES`.
        sort: Name of a value; empty: newest first.
        reverse: Whether the order is reversed.
        columns: Names of parameters and metrics with a column, as `stage.name`.
        shown: Names in `FIXED` that have a column besides `id`; empty: all.
        last: Number of newest runs.
    """

    text: str = ""
    chosen: dict[str, str] = field(default_factory=dict)
    sort: str = ""
    reverse: bool = False
    columns: tuple[str, ...] = ()
    shown: tuple[str, ...] = ()
    last: int = NEWEST

    @classmethod
    def read(cls, parameters: QueryParams) -> "RunQuery":
        """Return what an address states. Raises `UsageError` when `last` is no number above 0."""
        last = parameters.get("last", "") or str(NEWEST)
        if not last.isdecimal() or int(last[:9]) < 1:
            raise UsageError(f"last is {last[:40]!r}; expected a number above 0.")
        return cls(
            text=parameters.get("q", "").strip(),
            chosen={name: parameters[name] for name in CHOICES if parameters.get(name)},
            sort=parameters.get("sort", ""),
            reverse="reverse" in parameters,
            columns=tuple(dict.fromkeys(parameters.getlist("column"))),
            shown=_chosen_fixed(parameters.getlist("show")),
            last=int(last[:9]),
        )

    def address(self) -> str:
        """Return the query of the address of this table, with its question mark."""
        pairs = [("q", self.text), *self.chosen.items(), ("sort", self.sort), ("reverse", "1" * self.reverse)]
        pairs += [("column", name) for name in self.columns] + [("show", name) for name in self.shown]
        pairs += [("last", str(self.last) if self.last != NEWEST else "")]
        return "?" + urlencode([(name, value) for name, value in pairs if value])


class ColumnHead(NamedTuple):
    """The head of a column: its name and text, the address that sorts by it, and the order for screen readers."""

    name: str
    text: str
    number: bool
    address: str
    order: str


class RunListing(Record, frozen=True, kw_only=True):
    """A table of runs.

    Args:
        query: What was requested.
        rows: The rows.
        heads: The head of each column.
        total: Number of runs of the project.
        choices: The values of each filter.
        offered: Names of parameters that differ, and of metrics, that can be columns.
        fixed: Name and head of the columns of every table that can be left out.
        problems: A message for each damaged run.
        history: The test metric of these runs over time; None for fewer than two.
        mistake: Why the filter or the order is not used; empty otherwise.
    """

    query: RunQuery
    rows: list[RunRow]
    heads: list[ColumnHead]
    total: int
    choices: dict[str, list[str]]
    offered: dict[str, list[str]]
    fixed: dict[str, str]
    problems: list[str]
    history: Chart | None = None
    mistake: str = ""


def list_rows(view: ProjectView, query: RunQuery) -> RunListing:
    """Return the table of a project's runs that a query requests."""
    runs, problems = view.runs()
    rows = [view.row(run) for run in runs[: query.last]]
    choices = {name: sorted({str(row.values[name]) for row in rows if row.values.get(name)}) for name in CHOICES}
    shown, mistake = rows, ""
    try:
        shown = _ordered(_filtered(rows, query), rows, query)
    except UsageError as error:
        mistake = str(error)
    return RunListing(
        query=query,
        rows=shown,
        heads=_heads(shown, query),
        total=len(runs),
        choices=choices,
        offered=_offered(rows, query),
        fixed={name: head for name, (head, _) in FIXED.items() if name != "id"},
        problems=problems,
        history=metric_history(view, shown),
        mistake=mistake,
    )


def newest_results(view: ProjectView) -> list[RunRow]:
    """Return the newest runs of a project that have a test metric, at most `OFFERED`."""
    rows = (view.row(run) for run in view.runs()[0])
    return list(islice((row for row in rows if row.verdict.value is not None), OFFERED))


def _chosen_fixed(names: Sequence[str]) -> tuple[str, ...]:
    """Return the columns in `FIXED` that an address names besides `id`; empty when it names all or none of them."""
    chosen = tuple(name for name in FIXED if name in names and name != "id")
    return chosen if len(chosen) < len(FIXED) - 1 else ()


def _filtered(rows: Sequence[RunRow], query: RunQuery) -> list[RunRow]:
    for name, value in query.chosen.items():
        rows = [row for row in rows if str(row.values.get(name)) == value]
    if COMPARISON.match(query.text):
        name, holds = condition(query.text, {name for row in rows for name in row.values})
        return [row for row in rows if name in row.values and holds(row.values[name])]
    words = query.text.lower().split()
    texts = [" ".join(str(row.values.get(name) or "") for name in SEARCHED).lower() for row in rows]
    return [row for row, text in zip(rows, texts, strict=True) if all(word in text for word in words)]


def _ordered(rows: list[RunRow], every: Sequence[RunRow], query: RunQuery) -> list[RunRow]:
    if not query.sort:
        return rows[::-1] if query.reverse else rows
    return sort_rows(rows, check_name(query.sort, {name for row in every for name in row.values}), query.reverse)


def _heads(rows: Sequence[RunRow], query: RunQuery) -> list[ColumnHead]:
    columns = {name: FIXED[name] for name in FIXED if name == "id" or not query.shown or name in query.shown}
    columns |= {name: (name, True) for name in query.columns if name not in FIXED}
    return [_head(name, text, number, rows, query) for name, (text, number) in columns.items()]


def _head(name: str, text: str, number: bool, rows: Sequence[RunRow], query: RunQuery) -> ColumnHead:
    """Return the head of a column; its address sorts by it, and in the reverse order when it already does."""
    if name != query.sort:
        return ColumnHead(name, text, number, replace(query, sort=name, reverse=False).address(), "none")
    numeric = any(isinstance(row.values.get(name), int | float) for row in rows)
    smaller = name.rpartition(".")[2] in SMALLER_IS_BETTER
    descending = smaller == query.reverse if numeric else query.reverse
    address = replace(query, reverse=not query.reverse).address()
    return ColumnHead(name, text, number, address, "descending" if descending else "ascending")


def _offered(rows: Sequence[RunRow], query: RunQuery) -> dict[str, list[str]]:
    values: dict[str, set[str]] = {}
    metrics: set[str] = set()
    for row in rows:
        metrics.update(all_metrics(row.run) if row.verdict.metric else run_results.metrics(row.run))
        for name, value in run_results.parameter_values(row.run).items():
            values.setdefault(name, set()).add(formatting.parameter(value))
    differing = {name for name, texts in values.items() if len(texts) > 1}
    return {
        "parameters that differ": sorted((differing | (set(query.columns) & values.keys())) - metrics),
        "metrics": sorted(metrics),
    }
