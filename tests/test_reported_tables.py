"""Tables that were once read wrongly, or ended in a traceback: each ends in the stated result.

Every table is made here, of the size and spelling of the one that was reported.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest
from stage_cells import StageCells

from mlnb.errors import MlnbError, UsageError
from mlnb.methods.contracts.evaluations import Metrics
from mlnb.methods.contracts.findings import FindingList
from mlnb.methods.contracts.gates import Gate
from mlnb.methods.contracts.problems import ProblemContract
from mlnb.methods.tables.columns import Schema
from mlnb.serving.batch.batch_job import JobOptions, run_job

FEW = {"tune.families": ["linear"], "split.folds": 2, "split.repeats": 1}


@pytest.fixture
def random() -> np.random.Generator:
    """Return a generator of the same numbers in every test."""
    return np.random.default_rng(0)


@pytest.fixture
def train(tmp_path: Path) -> Callable[..., StageCells]:
    """Write a file, and run the stages on it."""

    def run(text: str, upto: str = "bundle", **parameters: object) -> StageCells:
        (tmp_path / "data.csv").write_text(text, encoding="utf-8")
        values = {name.replace("__", "."): value for name, value in parameters.items()}
        families = [] if values.get("problem.task") in ("forecasting", "anomaly") else FEW["tune.families"]
        return StageCells(tmp_path).run({"ingest.data": "data.csv", **FEW, "tune.families": families, **values}, upto)

    return run


def score(cells: StageCells, text: str, **options: bool) -> pd.DataFrame:
    """Return what `mlnb score` writes for a file."""
    root = cells.project.root
    (root / "new.csv").write_text(text, encoding="utf-8")
    model = root / "bundle" / "model"
    run_job(JobOptions([str(root / "new.csv")], str(root / "out.csv"), model, "test:1", **options), root / "score")
    return pd.read_csv(root / "out.csv")


def test_thousands_with_points_mean_the_same_in_training_and_scoring(train, random):
    prices = (random.integers(150, 1900, 120) * 1000 + 905).tolist()
    rows = [f"{price:,};{'abc'[n % 3]};{'high' if price > 600_000 else 'low'}" for n, price in enumerate(prices)]
    cells = train("price;kind;tax\n" + "\n".join(rows).replace(",", "."), problem__target="tax")
    scored = score(cells, "price;kind\n950.000;a\n1.720.500;b\n160.000;c\n")
    assert scored["prediction"].tolist() == ["high", "high", "low"]


def test_blanks_in_a_header_are_no_part_of_the_name(train, random):
    income = random.uniform(10, 99, 120).round(2).tolist()
    rows = [f"{n % 60 + 18},{value if n % 9 else ''},{'yes' if value > 50 else 'no'}" for n, value in enumerate(income)]
    cells = train("age, income ,churn\n" + "\n".join(rows), problem__target="churn")
    padded = score(cells, "age, income ,churn\n" + "\n".join(rows))
    clean = score(cells, "age,income\n" + "\n".join(row.rsplit(",", 1)[0] for row in rows))
    assert padded.equals(clean) and padded["prediction"].nunique() == 2


def test_separators_at_the_end_of_rows_shift_no_column(train):
    rows = [f"{int(n % 7 < 2)},{20 + n % 50},{n % 30}," for n in range(90)]
    cells = train("default,age,years_worked\n" + "\n".join(rows), "validate", problem__target="default")
    contract = cells.load("contract", ProblemContract)
    assert (contract.target, contract.task, contract.classes) == ("default", "binary", ("0", "1"))
    assert cells.load("table")["age"].tolist() == [20 + n % 50 for n in range(90)]


def test_days_at_local_midnight_remain_these_days(train):
    start, zone = datetime(2024, 1, 1, 12, tzinfo=UTC), ZoneInfo("Europe/Berlin")
    days = [(start + timedelta(days=n)).astimezone(zone).replace(hour=0) for n in range(120)]
    values = [50 + (10 if day.weekday() > 4 else 0) for day in days]
    rows = [f"{day.isoformat()},{value}" for day, value in zip(days, values, strict=True)]
    stated = {"problem__task": "forecasting", "problem__target": "kwh", "problem__horizon": 7}
    predictor = train("day,kwh\n" + "\n".join(rows), **stated).bundle()
    history = [{"day": day.isoformat(), "kwh": value} for day, value in zip(days, values, strict=True)]
    times = [answer["time"][:10] for answer in predictor.predict(history)]
    assert times == ["2024-04-30", *[f"2024-05-{day:02}" for day in range(1, 7)]]


def test_rows_without_an_anomaly_label_are_rows_of_the_test_set_too(train, random):
    table = pd.DataFrame(random.normal(size=(150, 3)).round(3), columns=["a", "b", "c"])
    table.loc[:9] += 6
    text = table.assign(fraud=["1"] * 10 + [""] * 140).to_csv(index=False)
    cells = train(text, problem__target="fraud", problem__task="anomaly")
    assert len(cells.load("test")) > 15 and cells.load("metrics", Metrics).scores
    findings = cells.load("findings", FindingList).findings
    assert any("label" in each.message and each.severity == "warning" for each in findings)


def test_copies_of_noise_are_not_predicted(train, random):
    noise = pd.DataFrame(random.normal(size=(200, 3)).round(4), columns=["a", "b", "c"])
    noise["y"] = random.integers(0, 2, 200)
    text = pd.concat([noise] * 4).sample(frac=1, random_state=0).to_csv(index=False)
    cells = train(text, problem__target="y", tune__families=["lightgbm"])
    assert cells.load("metrics", Metrics).deciding.value < 0.8 and not cells.load("gate", Gate).passed
    assert {column.name for column in Schema.from_json(cells.load("schema")).features} == {"a", "b", "c"}


def test_columns_in_other_letters_are_refused_with_a_suggestion(train, random):
    table = pd.DataFrame(random.normal(size=(90, 2)).round(3), columns=["income", "debt"])
    table["y"] = np.where(table["income"] > table["debt"], "good", "bad")
    table.iloc[::9, :2] = None
    cells = train(table.to_csv(index=False), problem__target="y")
    wrong = table.rename(columns={"income": "Income", "debt": "DEBT"}).drop(columns="y").to_csv(index=False)
    with pytest.raises(UsageError, match=r"'income' is missing.*did you mean 'Income'\?"):
        score(cells, wrong)


def test_the_first_of_each_month_is_a_monthly_series(train):
    rows = [f"01/{n % 12 + 1:02}/{2016 + n // 12};{900 + 10 * (n % 12)},{n % 10}" for n in range(72)]
    stated = {"problem__task": "forecasting", "problem__target": "Absatz"}
    cells = train("Datum;Absatz\n" + "\n".join(rows), **stated)
    contract = cells.load("contract", ProblemContract)
    assert contract.frequency == "M" and cells.load("table")["Absatz"].iloc[0] == 900.0


def test_a_sparse_series_of_stated_days_works_or_is_refused_in_words(train, random):
    days = pd.Timestamp("2020-01-28") + pd.to_timedelta(np.cumsum(random.integers(25, 35, 90)), unit="D")
    text = "day,value\n" + "".join(f"{day.date()},{20 + n % 9}\n" for n, day in enumerate(days))
    stated = {"problem__task": "forecasting", "problem__target": "value", "problem__frequency": "D"}
    try:
        assert train(text, **stated).load("golden")["predictions"]
    except MlnbError as error:
        assert "frequency" in str(error)


def test_a_decimal_comma_in_one_column_decides_about_points_in_another(train, random):
    area = random.uniform(30, 160, 90).round(1)
    rent = [f"{round(12 * size + 5):,}".replace(",", ".") for size in area]
    areas = [f"{size:.1f}".replace(".", ",") for size in area]
    rows = [f"{size};{n % 5 + 1};{price}" for n, (size, price) in enumerate(zip(areas, rent, strict=True))]
    cells = train("Flaeche;Zimmer;Miete\n" + "\n".join(rows), "validate", problem__target="Miete")
    assert cells.load("table")["Miete"].between(300, 2000).all()
    assert cells.load("contract", ProblemContract).task == "regression"


def test_features_may_be_named_like_the_ends_of_an_interval(train, random):
    table = pd.DataFrame(random.uniform(90, 110, size=(90, 3)).round(2), columns=["open", "high", "low"])
    text = table.assign(close=table.mean(axis=1).round(2)).to_csv(index=False)
    assert train(text, problem__target="close").load("metrics", Metrics).rows
