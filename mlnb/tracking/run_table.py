"""Runs as rows: everything that a run can be sorted, filtered and searched by, under each of its names."""

import ast
import operator
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from mlnb.codec import to_json
from mlnb.engine.runs import Run
from mlnb.errors import UsageError
from mlnb.suggestions import did_you_mean
from mlnb.tracking import run_results
from mlnb.tracking.run_comparison import all_metrics

SMALLER_IS_BETTER = {"log_loss", "brier_score", "rmse", "mae", "mape", "seconds"}
COMPARISON = re.compile(r"^\s*([^\s<>=!]+)\s*(>=|<=|!=|==|=|>|<)\s*(.*?)\s*$")
OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    ">=": operator.ge,
    "<=": operator.le,
    "!=": operator.ne,
    "==": operator.eq,
    "=": operator.eq,
    ">": operator.gt,
    "<": operator.lt,
}


class RunRow(NamedTuple):
    """A run, its verdict, and everything that it can be sorted and filtered by."""

    run: Run
    verdict: run_results.Verdict
    values: dict[str, Any]


def describe(run: Run) -> RunRow:
    """Return a run with everything that it can be sorted and filtered by, under each of its names."""
    record, verdict = run.record, run_results.verdict(run)
    values: dict[str, Any] = {}
    for full_name, value in run_results.parameter_values(run).items():
        values[full_name.partition(".")[2]] = values[full_name] = value
    for full_name, number in all_metrics(run).items():
        name = full_name.partition(".")[2]
        values.update({full_name: number, name: number, f"metrics.{name}": number, f"metrics.{full_name}": number})
    values |= {"data": values.get("ingest.data"), "target": values.get("problem.target")}
    values |= {"pipeline": record.pipeline, "profile": record.profile, "group": record.group}
    values |= {"segment": record.segment}
    values |= {"started": record.started, "seconds": record.seconds, "id": run.id, "state": run.state}
    return RunRow(run, verdict, values | to_json(verdict))


def condition(expression: str, names: Iterable[str]) -> tuple[str, Callable[[Any], bool]]:
    """Return the name of an expression such as "metrics.roc_auc>0.9", and its test.

    Args:
        expression: The filter.
        names: The names that any run has.

    Raises:
        UsageError: The expression cannot be parsed, or no run has that name.
    """
    match = COMPARISON.match(expression)
    if match is None:
        raise UsageError(f"The filter is {expression!r}; expected a name, one of > < >= <= = != and a value.")
    name, sign, text = match.groups()
    name = check_name(name, names)
    try:
        expected = ast.literal_eval(text)
    except (ValueError, SyntaxError):
        expected = {"true": True, "false": False, "none": None, "null": None}.get(text.lower(), text)

    def holds(value: Any) -> bool:
        if isinstance(value, str) != isinstance(expected, str) and sign in ("=", "==", "!="):
            return bool(OPERATORS[sign](str(value), str(expected)))
        try:
            return bool(OPERATORS[sign](value, expected))
        except TypeError:
            return False

    return name, holds


def check_name(name: str, names: Iterable[str]) -> str:
    """Return the name. Raises `UsageError` when no run has it."""
    names = sorted(names)
    if name not in names and names:
        raise UsageError(f"No run has a metric or parameter {name!r}." + did_you_mean(name, names))
    return name


def sort_rows(rows: Sequence[RunRow], name: str, reverse: bool = False) -> list[RunRow]:
    """Return the rows by a value: numbers first, from the best on, then texts; `reverse` reverses both."""
    numbers = [row for row in rows if isinstance(row.values.get(name), int | float)]
    others = [row for row in rows if not isinstance(row.values.get(name), int | float)]
    smaller = name.rpartition(".")[2] in SMALLER_IS_BETTER
    numbers.sort(key=lambda row: row.values[name], reverse=smaller == reverse)
    others.sort(key=lambda row: str(row.values.get(name)), reverse=reverse)
    return numbers + others


def short_data(data: object) -> str:
    """Return the end of a data set's name: a file without its folders, other sources as they are."""
    text = str(data or "")
    return text if "://" in text or text.endswith(("/", "\\")) else text.replace("\\", "/").rpartition("/")[2]
