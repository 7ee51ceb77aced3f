"""A forecast from a file to a verified service, on two short series."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import toys
from in_process import mlnb_in_process

from mlnb.engine import runs
from mlnb.engine.project import Project
from mlnb.methods.contracts.certificates import ParityCertificate
from mlnb.methods.contracts.evaluations import Metrics
from mlnb.methods.contracts.findings import FindingList
from mlnb.methods.contracts.problems import ProblemContract
from mlnb.methods.tasks.task_traits import Task
from mlnb.serving.runtime.model_parts import read_example
from mlnb.serving.runtime.predictor import Predictor
from mlnb.serving.runtime.request_bodies import BadRows
from mlnb.serving.runtime.response_schemas import describe_responses, describe_rows
from mlnb.serving.runtime.served_tasks import find_served_task

QUICK = ("-p", "tune.trials", "2", "-p", "evaluate.resamples", "50", "-p", "evaluate.repeats", "1", "--no-report")
DAYS = 150


def table() -> pd.DataFrame:
    """Return two shops by day with a price that is known ahead, a hole and a day that comes twice."""
    random = np.random.default_rng(0)
    days = pd.date_range("2023-01-01", periods=DAYS).strftime("%Y-%m-%d")
    parts = []
    for shop, size in (("north", 1.0), ("south", 20.0)):
        price = 1.0 + (random.random(DAYS) < 0.2)
        sold = size * (30 + 9 * np.sin(2 * np.pi * np.arange(DAYS) / 7) - 8 * price + random.normal(size=DAYS))
        parts.append(pd.DataFrame({"day": days, "shop": shop, "price": price, "sold": sold.round(2)}))
    whole = pd.concat(parts, ignore_index=True).drop(index=[40, 41])
    return pd.concat([whole, whole.iloc[[7]]], ignore_index=True)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> runs.Run:
    """Return the run of a new project on the table; the task follows from the horizon."""
    root = toys.new_project(tmp_path_factory.mktemp("forecasts"))
    table().to_csv(root / "sold.csv", index=False)
    options = ("-p", "problem.horizon", "7", "-p", "features.known", '["price"]')
    mlnb_in_process(root, "run", "--data", "sold.csv", "--target", "sold", *QUICK, *options)
    return runs.open_run(Project.find(root))


def test_a_forecast_is_served_as_it_was_evaluated(run: runs.Run) -> None:
    contract, metrics = run.load("contract", ProblemContract), run.load("metrics", Metrics)
    assert (contract.task, contract.time, contract.series) == (Task.FORECASTING, "day", ("shop",))
    assert (contract.frequency, contract.horizon, contract.metric) == ("D", 7, "mase")
    sources = contract.sources
    assert all(sources[name].startswith("inferred") for name in ("task", "time", "series", "frequency"))
    assert {"duplicate timestamps", "gaps"} <= {finding.check for finding in run.load("findings", FindingList).findings}
    training, test = run.load("training"), run.load("test")
    assert training["day"].max() < test["day"].min() and test["day"].nunique() % 7 == 0
    dummy, ets = (metrics.reference_score(who, "mase") for who in ("dummy", "ets"))
    assert metrics.deciding.value < dummy and ets > 0
    assert 0.7 < metrics.forecast.intervals.coverage <= 1.0 and len(metrics.forecast.by_step.groups) == 7
    predictions = run.load("predictions")
    assert {"time", "series.shop", "origin", "step", "truth", "prediction", "low", "high"} == set(predictions)
    certificate = run.load("certificate", ParityCertificate)
    assert certificate.identical and certificate.bento.startswith("sold-forecaster")


def test_the_forecast_leaves_for_places_without_a_service(run: runs.Run, tmp_path: Path) -> None:
    root = run.folder.parents[1]
    for form, most in (("text", 1e-12), ("onnx", 1e-9)):
        output = toys.mlnb(root, "export", "--to", form, "--out", str(tmp_path / form), "--json")
        assert json.loads(output.splitlines()[-1])["largest_difference"] <= most
    rows = [{**row, "shop": "west"} for row in table().query("shop == 'south'").tail(60).to_dict("records")]
    command = [sys.executable, "-I", "-S", str(tmp_path / "text" / "scorer.py")]
    done = subprocess.run(command, input=json.dumps(rows), capture_output=True, text=True, check=True)
    expected = Predictor.load(Path(run.load("service")) / "model").predict(rows)  # of a shop that nobody saw
    assert [answer["prediction"] for answer in json.loads(done.stdout)] == pytest.approx(
        [answer["prediction"] for answer in expected], rel=1e-12
    )


def test_the_service_takes_history_and_answers_the_horizon(run: runs.Run) -> None:
    folder = Path(run.load("service")) / "model"
    predictor = Predictor.load(folder)
    assert predictor.replay() is None
    rows = table().query("shop == 'south'").tail(60).to_dict("records")
    future = [{"day": f"2023-06-0{day}", "shop": "south", "price": 2.0, "sold": None} for day in range(1, 4)]
    responses = predictor.predict(rows + future)
    south = [answer for answer in responses if answer["shop"] == "south"]
    assert [answer["time"] for answer in south] == [f"2023-05-{31 + day:02d}" if day < 1 else f"2023-06-0{day}"
                                                    for day in range(7)]  # fmt: skip
    assert all(answer["interval"]["low"] < answer["prediction"] < answer["interval"]["high"] for answer in south)
    cheaper = predictor.predict(rows + [{**row, "price": 1.0} for row in future])
    assert [a["prediction"] for a in responses] != [a["prediction"] for a in cheaper]  # what is known ahead counts
    for wrong, says in [
        (rows[:2], "known values of the series south"),
        ([*rows, {**rows[0], "day": "soon"}], r"column 'day': found 'soon'"),
        ([*rows, {**rows[0], "day": None}], "column 'day'"),
        ([*rows, {**rows[0], "day": "1200-01-01"}], "1200-01-01"),
        ([*rows, {**rows[0], "sold": "lots"}], r"column 'sold': found 'lots'"),
        ([*rows, {"shop": "south", "sold": 1.0}], "column 'day': found nothing"),
    ]:
        with pytest.raises(BadRows, match=says):
            predictor.predict(wrong)
    parts = predictor.parts
    kind = find_served_task(parts.contract)
    example = read_example(folder)
    assert predictor.predict(example.rows) == example.predictions and {row["shop"] for row in example.rows} == {"1"}
    described = describe_rows(kind.columns(parts.schema, parts.contract), example.rows)
    assert set(described["items"]["properties"]) == {"day", "shop", "price", "sold"}
    assert described["items"]["required"] == ["day", "shop"]
    answer = describe_responses(parts.contract, responses[:1])["items"]
    assert {"time", "shop", "prediction", "interval"} <= set(answer["properties"])
