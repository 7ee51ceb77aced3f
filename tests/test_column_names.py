"""A column may have any name: under other names a table gives the same model bytes and the same metrics.

MLNB_RENAMINGS=50 python -m pytest tests/test_column_names.py    all renamings; a few without the variable
"""

import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from stage_cells import StageCells

from mlnb.methods.contracts.evaluations import Metrics

HOSTILE = (
    "loss", "truth", "prediction", "because", "row", "index", "target", "run", "low", "high", "interval", "score",
    "id", "0", "", "a[b]<c>",
    'so "hi"', "it's", "two\nlines", "n" * 300, "возраст", "label", "why", "weight", "fold",
    "level_0", "column", "time", "series", "step", "origin", "query", "item", "user", "cut", "request", "relevance",
    "$x_{$", "a|b", "a,b;c\td", " padded ", "%", "{x}", "\\n", "__class__", "None", "nan", "p yes", "in.age", "name",
    "values", "size", "T", "dtype", "self", "kind", "y", "X", "groups", "<b>bold</b>", "年龄", "e\u0301te\u0301",
    "anomaly",
)  # fmt: skip
RENAMINGS = int(os.environ.get("MLNB_RENAMINGS", "2"))


def customers(rows: int = 90) -> pd.DataFrame:
    """Return a table with columns of every kind; `y` is its target."""
    random = np.random.default_rng(0)
    spent, city = random.exponential(30, rows).round(2), random.choice(["Rome", "Oslo", "Bern"], rows)
    days = pd.Timestamp("2023-01-01") + pd.to_timedelta(random.integers(0, 300, rows), unit="D")
    comment = [" ".join(words) for words in random.choice(["good", "bad", "slow", "late", "fast", "cheap"], (rows, 8))]
    odds = spent / 30 + 2 * (city == "Oslo") + random.normal(size=rows)
    return pd.DataFrame(
        {
            "spent": spent,
            "city": np.where(random.random(rows) < 0.1, None, city),
            "since": days.strftime("%Y-%m-%d"),
            "vip": random.choice(["yes", "no"], rows),
            "comment": comment,
            "visits": random.integers(0, 9, rows),
            "y": np.where(odds > np.median(odds), "buys", "leaves"),
        }
    )


def sales() -> pd.DataFrame:
    """Return two series of days with a price; `y` is their target."""
    random = np.random.default_rng(0)
    days = pd.date_range("2024-01-01", periods=70).strftime("%Y-%m-%d")
    return pd.concat(
        [
            pd.DataFrame(
                {"day": days, "shop": shop, "price": random.normal(9, 1, 70).round(2), "y": np.arange(70) % 7 + level}
            )
            for shop, level in (("north", 10.0), ("south", 30.0))
        ]
    )


def searches() -> pd.DataFrame:
    """Return rows of queries with their relevance as `y`."""
    random = np.random.default_rng(0)
    match = random.normal(size=120).round(3)
    return pd.DataFrame(
        {
            "search": np.repeat([f"q{n}" for n in range(20)], 6),
            "match": match,
            "page": random.integers(0, 30, 120),
            "y": np.clip(np.round(match + 0.3 * random.normal(size=120)), 0, 3).astype(int),
        }
    )


def payments() -> pd.DataFrame:
    """Return rows of which a few are anomalies, labeled in `y`."""
    random = np.random.default_rng(0)
    table = pd.DataFrame(random.normal(size=(120, 3)).round(3), columns=["amount", "delay", "count"])
    table.loc[:9, "amount"] += 8
    return table.assign(y=np.where(np.arange(120) < 10, "1", "0"))


TASKS: dict[str, tuple[pd.DataFrame, dict[str, Any]]] = {
    "binary": (customers(), {"split.folds": 2, "split.repeats": 1}),
    "regression": (
        customers().assign(y=customers()["spent"] * 2.5 + 0.125 * customers()["visits"]),
        {"split.folds": 2},
    ),
    "forecasting": (sales(), {"problem.time": "day", "problem.series": ["shop"], "problem.horizon": 3}),
    "ranking": (searches(), {"problem.query": "search"}),
    "anomaly": (payments(), {}),
}
WITH_PLOTS = ("validate.plots", "explore.plots", "tune.plots", "train.plots", "evaluate.plots")
COLUMN_PARAMETERS = ("problem.target", "problem.time", "problem.series", "problem.query")


def result(root: Path, task: str, names: dict[str, str], render: bool) -> tuple[str, dict[str, Any], list[Any]]:
    """Return digest of the model, metrics and predictions of a task whose columns are renamed.

    Args:
        root: A folder to be made.
        task: One of `TASKS`.
        names: The new name of each column.
        render: Whether there are plots, which are rendered: names end in texts that matplotlib parses.
    """
    table, stated = TASKS[task]
    root.mkdir()
    table.rename(columns=names).to_parquet(root / "data.parquet", index=False)
    values: dict[str, Any] = {"problem.task": task, "problem.target": "y", **stated}
    for name in COLUMN_PARAMETERS:
        if name in values:
            old = values[name]
            values[name] = [names[one] for one in old] if isinstance(old, list) else names[old]
    values |= {} if render else dict.fromkeys(WITH_PLOTS, False)
    families = [] if task in ("ranking", "forecasting", "anomaly") else ["lightgbm"]
    cells = StageCells(root, render)
    cells.run({"ingest.data": "data.parquet", "tune.families": families, "explore.most": 9, **values})
    metrics = cells.load("metrics", Metrics)
    scores = {name: score.value for name, score in metrics.scores.items()}
    return cells.artifacts["model"].digest, scores, cells.load("predictions")["prediction"].tolist()


def renaming(table: pd.DataFrame, number: int) -> dict[str, str]:
    """Return a renaming: names are drawn without replacement."""
    drawn = np.random.default_rng(number).permutation(len(HOSTILE))[: table.shape[1]]
    return dict(zip(table, (HOSTILE[index] for index in drawn), strict=True))


@pytest.mark.parametrize("task", TASKS)
def test_names_of_columns_change_nothing(tmp_path: Path, task: str) -> None:
    table = TASKS[task][0]
    plain = result(tmp_path / "plain", task, {name: name for name in table}, render=False)
    for number in range(RENAMINGS if task == "binary" else -(-RENAMINGS // 3)):
        names = renaming(table, number)
        assert result(tmp_path / str(number), task, names, render=True) == plain, names
