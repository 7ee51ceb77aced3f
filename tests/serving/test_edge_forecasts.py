"""Forecasts by Python alone: the service's answers from the same history, for every family and every ruler."""

import json
import subprocess
import sys
from datetime import date
from pathlib import Path
from runpy import run_path

import numpy as np
import onnxruntime
import pytest
from small_forecasts import make_forecaster

from mlnb.errors import ServingError
from mlnb.methods.contracts.responses import to_wire
from mlnb.methods.models.search_spaces import TASK_FAMILIES
from mlnb.serving.edge.onnx.onnx_export import export_onnx
from mlnb.serving.edge.portable_export import export_text
from mlnb.serving.runtime.forecast_service import Forecasts
from mlnb.serving.runtime.request_bodies import BadRows
from mlnb.serving.runtime.service_parts import Parts

RULERS = [
    ("s", 30, {"phase": 7.5}), ("min", 15, {}), ("h", 1, {"phase": 1800.0}), ("D", 1, {}), ("D", 2, {"phase": 3600.0}),
    ("B", 1, {}), ("B", 2, {"phase": 30600.0}), ("W", 1, {"phase": 345600.0}), ("M", 1, {}), ("M", 2, {"end": True}),
    ("Q", 1, {"end": True}), ("Y", 1, {}),
]  # fmt: skip


def ask(out: Path, rows: list[dict]) -> subprocess.CompletedProcess:
    command = [sys.executable, "-I", "-S", "-B", str(out / "scorer.py")]
    return subprocess.run(command, input=json.dumps(rows), capture_output=True, text=True)


def leaves(answers: list[dict]) -> list[float]:
    return [n for a in answers for n in (a["prediction"], a["interval"]["low"], a["interval"]["high"])]


@pytest.mark.parametrize("family", sorted({*TASK_FAMILIES["forecasting"], "baseline", "ensemble"}))
def test_every_family_answers_as_the_service_does(family, tmp_path):
    folder = make_forecaster(tmp_path / "model", family)
    facts = export_text(folder, tmp_path / "out")
    assert facts["largest_difference"] <= (1e-13 if family in ("network", "neighbours") else 0.0)
    assert export_onnx(folder, tmp_path / "model.onnx")["largest_difference"] <= 1e-12
    written = {path.name for path in (tmp_path / "out").iterdir()}
    assert {"scorer.py", "forecasts.py", "model.json"} <= written
    assert ("families.py" in written) == (family not in ("lightgbm", "random_forest", "extra_trees", "hist_boosting"))


@pytest.mark.parametrize(("unit", "factor", "more"), RULERS)
def test_every_ruler_has_the_service_s_periods_and_calendar(unit, factor, more, tmp_path):
    holidays = [*range(-400, 400, 30), (date(2200, 1, 1) - date(1970, 1, 1)).days]
    folder = make_forecaster(tmp_path / "model", "linear", unit, factor, holidays=tuple(holidays), **more)
    assert export_text(folder, tmp_path / "out")["largest_difference"] == 0.0


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """The model of an ensemble, and what it was exported to."""
    folder = tmp_path_factory.mktemp("edge")
    export_text(make_forecaster(folder / "model", "ensemble"), folder / "out")
    golden = json.loads((folder / "model" / "golden.json").read_text())
    return Forecasts(Parts.load(folder / "model")), folder / "out", golden["rows"]


def test_other_histories_are_answered_as_by_the_service(exported):
    service, out, rows = exported
    stranger = [{**row, "shop": "a shop that nobody saw", "weather": "hail"} for row in rows if row["shop"] == 2]
    last = max(row["day"] for row in rows)
    ahead = [{"day": "1970-02-21T06:00:00+02:00", "shop": "north", "unit": "kg", "price": 0.5}]
    recent = [row for row in rows if row["day"] > "1970-01-20"]
    assert last < "1970-02-21"
    for asked in (stranger, rows + stranger, rows + ahead, recent, rows[:170]):
        expected, done = to_wire(service.respond(asked)), ask(out, asked)
        found = json.loads(done.stdout)
        assert [{n: a[n] for n in ("time", "shop", "unit")} for a in found] == [
            {n: a[n] for n in ("time", "shop", "unit")} for a in expected
        ]
        assert leaves(found) == pytest.approx(leaves(expected), rel=1e-12, abs=1e-12)


def test_the_graph_answers_examples_that_python_alone_has_made(exported, tmp_path):
    service, out, rows = exported
    export_onnx(out.parent / "model", tmp_path / "model.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx", providers=["CPUExecutionProvider"])
    scorer, forecasts = (run_path(str(out / name)) for name in ("scorer.py", "forecasts.py"))
    told, examples, level, scale = zip(
        *forecasts["examples"](rows, scorer["MODEL"]["windows"], scorer["encode"]), strict=True
    )
    inputs = {"examples": np.array(examples), "level": np.array(level)[:, None], "scale": np.array(scale)[:, None]}
    assert json.loads(session.get_modelmeta().custom_metadata_map["mlnb.examples"]) == list(service.encoder.names)
    expected = to_wire(service.respond(rows))
    assert [about["time"] for about in told] == [answer["time"] for answer in expected]
    found = np.hstack(session.run(["prediction", "low", "high"], inputs)).ravel()
    np.testing.assert_allclose(found, leaves(expected), rtol=1e-12)


def test_what_the_service_refuses_is_refused(exported):
    service, out, golden = exported
    rows = [row for row in golden if row["shop"] == "north" and row["sold"] is not None]
    for asked, says in (
        (rows[:2], "known values of the series north, kg in its last"),
        ([*rows, {**rows[0], "day": None}], "found None as day, expected a date"),
        ([*rows, {**rows[0], "day": "soon"}], "soon"),
        ([{**row, "sold": None} for row in rows], "found 0 known values"),
    ):
        with pytest.raises(BadRows):
            service.respond(asked)
        done = ask(out, asked)
        assert done.returncode and says in done.stderr


def test_a_forecast_beyond_the_known_holidays_is_refused(tmp_path):
    folder = make_forecaster(tmp_path / "model", holidays=(0, 20, 60))
    export_text(folder, tmp_path / "out")
    rows = json.loads((folder / "golden.json").read_text())["rows"]
    later = [{**row, "day": f"1971-01-{number % 28 + 1:02}"} for number, row in enumerate(rows)]
    with pytest.raises(BadRows, match="end of the known holidays"):
        Forecasts(Parts.load(folder)).respond(later)
    assert "the end of the known holidays; train again" in ask(tmp_path / "out", later).stderr


def test_a_forecast_that_differs_is_found(tmp_path):
    folder = make_forecaster(tmp_path / "model", keys=False)
    golden = json.loads((folder / "golden.json").read_text())
    golden["predictions"][2]["interval"]["low"] *= 1 + 1e-9
    (folder / "golden.json").write_text(json.dumps(golden))
    with pytest.raises(ServingError, match="Row 2: the exported scorer says"):
        export_text(folder, tmp_path / "out")
