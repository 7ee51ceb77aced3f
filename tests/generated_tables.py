"""Small tables of every kind that a pipeline may meet: generated, the same for the same number."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

Table = pd.DataFrame
KINDS = ("table", "table", "table", "series", "series", "ranking", "log", "anomaly")


@dataclass(frozen=True)
class Case:
    """A table and what is stated about it.

    Attributes:
        kind: one of `KINDS`.
        table: as written to a CSV file.
        parameters: "stage.name" -> value.
    """

    kind: str
    table: Table
    parameters: dict[str, Any]

    def __str__(self) -> str:
        return f"{self.kind} {self.table.shape}: {self.parameters}"


def make_case(number: int) -> Case:
    """Return the case of a number; any number is one."""
    random = np.random.default_rng([7, number])
    kind = KINDS[int(random.integers(len(KINDS)))]
    table, parameters = {
        "table": _table, "series": _series, "ranking": _ranking, "log": _log, "anomaly": _anomaly
    }[kind](random)  # fmt: skip
    if random.random() < 0.15 and len(table) > 1:
        table = pd.concat([table] * int(random.integers(2, 5)), ignore_index=True)
    if random.random() < 0.3:
        parameters["tune.families"] = [] if kind != "table" else [str(random.choice(["linear", "lightgbm"]))]
    return Case(kind, table, parameters)


def _rows(random: np.random.Generator) -> int:
    return int(random.choice([random.integers(1, 10), random.integers(10, 30), random.integers(30, 61)]))


def _columns(random: np.random.Generator, rows: int, most: int = 6) -> dict[str, Any]:
    """Return columns of every kind, with gaps, constants, identifiers and dates."""
    count = int(random.integers(120, 200)) if random.random() < 0.05 else int(random.integers(0, most + 1))
    columns: dict[str, Any] = {}
    for index in range(count):
        values = _column(random, rows)
        if random.random() < 0.3:
            values = pd.Series(values, dtype=object)
            values[random.random(rows) < random.choice([0.1, 0.6, 1.0])] = None
        columns[f"c{index}"] = values
    return columns


def _column(random: np.random.Generator, rows: int) -> Any:
    kind = random.choice(["normal", "whole", "level", "constant", "id", "date", "text", "flag", "huge", "zero"])
    if kind == "normal":
        return random.normal(size=rows).round(3)
    if kind == "whole":
        return random.integers(0, 5, rows)
    if kind == "level":
        return random.choice(["a", "b", "c"], rows)
    if kind == "constant":
        return np.full(rows, random.choice(["same", "1"]))
    if kind == "id":
        return [f"id{n}" for n in range(rows)]
    if kind == "date":
        days = pd.Timestamp("2020-01-01") + pd.to_timedelta(random.integers(0, 900, rows), unit="D")
        return days.strftime("%Y-%m-%d")
    if kind == "text":
        words = random.choice(["red", "big", "old", "new", "small"], (rows, 6))
        return [" ".join(line) for line in words]
    if kind == "flag":
        return random.choice(["yes", "no"], rows)
    if kind == "huge":
        return random.normal(size=rows) * 1e15
    return np.where(random.random(rows) < 0.9, 0.0, random.random(rows))


def _table(random: np.random.Generator) -> tuple[Table, dict[str, Any]]:
    rows = _rows(random)
    columns = _columns(random, rows)
    target = random.choice(["two", "rare", "one positive", "several", "unique", "number", "ties", "gaps", "constant"])
    y: Any = random.choice(["no", "yes"], rows)
    if target == "rare":
        y = np.where(np.arange(rows) < 3, "yes", "no")
    elif target == "one positive":
        y = np.where(np.arange(rows) == rows // 2, "yes", "no")
    elif target == "several":
        y = random.choice(list("abcdef"), rows)
    elif target == "unique":
        y = [f"label {n}" for n in range(rows)]
    elif target == "number":
        y = random.normal(size=rows).round(4)
    elif target == "ties":
        y = random.integers(0, 40, rows) / 4 + random.choice([0.1, 1e6])
    elif target == "gaps":
        y = pd.Series(random.choice(["no", "yes"], rows), dtype=object).where(random.random(rows) < 0.5)
    elif target == "constant":
        y = np.full(rows, "yes")
    parameters: dict[str, Any] = {"problem.target": "y"}
    if random.random() < 0.15:
        columns["who"] = random.integers(0, max(1, rows // random.integers(1, 6)), rows)
        parameters["split.group"] = "who"
    elif random.random() < 0.15:
        columns["when"] = pd.date_range("2024-01-01", periods=rows).strftime("%Y-%m-%d")
        parameters["split.time"] = "when"
    if random.random() < 0.2:
        parameters["split.folds"] = int(random.integers(2, 6))
    if random.random() < 0.1 and columns:
        parameters["problem.protected"] = [next(iter(columns))]
    return pd.DataFrame({**columns, "y": y}), parameters


def _series(random: np.random.Generator) -> tuple[Table, dict[str, Any]]:
    """Return one series or several, of every length around the horizon, dense or sparse."""
    horizon = int(random.integers(1, 9))
    frequency = str(random.choice(["D", "h", "MS", "W", "QS", "B", "YS", "15min"]))
    keys = int(random.choice([0, 0, 1, 2]))
    parts = []
    for _ in range(1 if not keys else int(random.integers(1, 4))):
        length = int(max(1, random.integers(1, 6 * horizon + 12)))
        stamps = pd.date_range("2021-01-01", periods=length, freq=frequency)
        values: Any = (10 + np.arange(length) % 7 + random.normal(size=length)).round(2)
        if random.random() < 0.2:
            values = np.full(length, 5.0)
        part = pd.DataFrame({"when": stamps.strftime("%Y-%m-%d %H:%M:%S"), "value": values})
        for key in range(keys):
            part[f"key{key}"] = f"k{random.integers(0, 3)}"
        if random.random() < 0.3:
            part = part[random.random(length) < random.choice([0.15, 0.5, 0.9])]
        if random.random() < 0.2:
            part["value"] = part["value"].where(random.random(len(part)) < 0.6)
        parts.append(part)
    table = pd.concat(parts, ignore_index=True)
    if random.random() < 0.3:
        table["price"] = random.normal(size=len(table)).round(2)
    parameters: dict[str, Any] = {
        "problem.target": "value", "problem.task": "forecasting",
        "problem.series": [f"key{key}" for key in range(keys)],
    }  # fmt: skip
    if random.random() < 0.8:
        parameters["problem.horizon"] = horizon
    if random.random() < 0.6:
        parameters["problem.frequency"] = frequency
    if random.random() < 0.2 and "price" in table:
        parameters["features.known"] = ["price"]
    return table, parameters


def _ranking(random: np.random.Generator) -> tuple[Table, dict[str, Any]]:
    queries = int(random.integers(1, 16))
    sizes = random.integers(1, random.choice([2, 4, 9]), queries)
    rows = int(sizes.sum())
    grades = random.integers(0, random.choice([1, 2, 5]), rows)
    table = pd.DataFrame({"query": np.repeat([f"q{n}" for n in range(queries)], sizes), **_columns(random, rows, 3)})
    table["relevance"] = grades
    if random.random() < 0.3:
        table["item"] = random.integers(0, 5, rows)
    parameters = {"problem.target": "relevance", "problem.task": "ranking", "problem.query": "query"}
    return table, parameters | ({"problem.item": "item"} if "item" in table else {})


def _log(random: np.random.Generator) -> tuple[Table, dict[str, Any]]:
    rows = int(random.integers(1, 120))
    table = pd.DataFrame({
        "user": random.integers(0, max(1, rows // 4), rows), "item": random.integers(0, random.choice([1, 4, 12]), rows)
    })  # fmt: skip
    parameters = {"problem.task": "ranking", "problem.query": "user", "problem.item": "item"}
    if random.random() < 0.7:
        days = np.sort(random.integers(0, random.choice([1, 5, 90]), rows))
        table["day"] = (pd.Timestamp("2024-01-01") + pd.to_timedelta(days, unit="D")).strftime("%Y-%m-%d")
        parameters["problem.time"] = "day"
    if random.random() < 0.3:
        table["stars"] = random.integers(0, 6, rows)
        parameters["problem.rating"] = "stars"
    return table, parameters


def _anomaly(random: np.random.Generator) -> tuple[Table, dict[str, Any]]:
    rows = _rows(random)
    table = pd.DataFrame({"x": random.normal(size=rows).round(3), **_columns(random, rows, 3)})
    parameters: dict[str, Any] = {"problem.task": "anomaly"}
    labels = random.choice(["none", "positives", "both", "some"])
    if labels != "none":
        odd = np.arange(rows) < max(1, rows // random.integers(4, 20))
        labeled = random.random(rows) < 0.5
        y = np.where(odd, "1", {"positives": "", "both": "0", "some": "0"}[str(labels)]).astype(object)
        table["fraud"] = np.where(labeled | odd, y, "") if labels == "some" else y
        parameters["problem.target"] = "fraud"
    if random.random() < 0.3:
        parameters["problem.alert_budget"] = 0.1
    return table.sample(frac=1, random_state=0, ignore_index=True), parameters
