"""ForecastHandler by Python alone: the service's from the same history, for every family and every time grid."""

import json
import subprocess
import sys
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from small_forecasts import make_forecaster

from mlnb.errors import ServingError
from mlnb.methods.contracts.responses import to_wire
from mlnb.methods.models.search_spaces import searched_families
from mlnb.serving.edge.portable_export import export_text
from mlnb.serving.runtime.forecast_handler import ForecastHandler
from mlnb.serving.runtime.model_parts import ModelParts
from mlnb.serving.runtime.request_bodies import BadRows

GRIDS = [
    ("s", 30, {"phase": 7.5}), ("min", 15, {}), ("h", 1, {"phase": 1800.0}), ("D", 1, {}), ("D", 2, {"phase": 3600.0}),
    ("B", 1, {}), ("B", 2, {"phase": 30600.0}), ("W", 1, {"phase": 345600.0}), ("M", 1, {}), ("M", 2, {"end": True}),
    ("Q", 1, {"end": True}), ("Y", 1, {}),
]  # fmt: skip


def run_scorer(out: Path, rows: list[dict]) -> subprocess.CompletedProcess:
    command = [sys.executable, "-I", "-S", "-B", str(out / "scorer.py")]
    return subprocess.run(command, input=json.dumps(rows), capture_output=True, text=True)


def list_numbers(answers: list[dict]) -> list[float]:
    return [n for a in answers for n in (a["prediction"], a["interval"]["low"], a["interval"]["high"])]


@pytest.mark.parametrize("family", sorted({*searched_families("forecasting"), "baseline", "ensemble"}))
def test_every_family_predicts_as_the_service_does(family, tmp_path):
    folder = make_forecaster(tmp_path / "model", family)
    result = export_text(folder, tmp_path / "out")
    assert result.largest_difference <= (1e-13 if family in ("mlp", "knn", "rbf_kernel") else 0.0)
    written = {path.name for path in (tmp_path / "out").iterdir()}
    assert {"scorer.py", "forecasts.py", "model.json"} <= written
    assert ("families.py" in written) == (
        family not in ("lightgbm", "random_forest", "extra_trees", "hist_gradient_boosting")
    )


@pytest.mark.parametrize(("unit", "factor", "more"), GRIDS)
def test_every_time_grid_has_the_service_s_periods_and_calendar(unit, factor, more, tmp_path):
    holidays = [*range(-400, 400, 30), (date(2200, 1, 1) - date(1970, 1, 1)).days]
    folder = make_forecaster(tmp_path / "model", "linear", unit, factor, holidays=tuple(holidays), **more)
    assert export_text(folder, tmp_path / "out").largest_difference == 0.0


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """The model of an ensemble, and what it was exported to."""
    folder = tmp_path_factory.mktemp("edge")
    export_text(make_forecaster(folder / "model", "ensemble"), folder / "out")
    golden = json.loads((folder / "model" / "golden.json").read_text())
    return ForecastHandler(ModelParts.load(folder / "model")), folder / "out", golden["rows"]


def test_other_histories_are_predicted_as_by_the_service(exported):
    service, out, rows = exported
    stranger = [{**row, "shop": "a shop that nobody saw", "weather": "hail"} for row in rows if row["shop"] == 2]
    last = max(row["day"] for row in rows)
    ahead = [{"day": "1970-02-21T06:00:00+02:00", "shop": "north", "unit": "kg", "price": 0.5}]
    recent = [row for row in rows if row["day"] > "1970-01-20"]
    assert last < "1970-02-21"
    for request in (stranger, rows + stranger, rows + ahead, recent, rows[:170]):
        expected, done = to_wire(service.respond(request)), run_scorer(out, request)
        actual = json.loads(done.stdout)
        assert [{n: a[n] for n in ("time", "shop", "unit")} for a in actual] == [
            {n: a[n] for n in ("time", "shop", "unit")} for a in expected
        ]
        assert list_numbers(actual) == pytest.approx(list_numbers(expected), rel=1e-12, abs=1e-12)


def test_the_scorer_refuses_what_the_service_refuses(exported):
    service, out, golden = exported
    rows = [row for row in golden if row["shop"] == "north" and row["sold"] is not None]
    for request, message in (
        (rows[:2], "known values of the series north, kg in its last"),
        ([*rows, {**rows[0], "day": None}], "found None as day, expected a date"),
        ([*rows, {**rows[0], "day": "soon"}], "soon"),
        ([{**row, "sold": None} for row in rows], "found 0 known values"),
    ):
        with pytest.raises(BadRows):
            service.respond(request)
        done = run_scorer(out, request)
        assert done.returncode
        assert message in done.stderr


def test_a_forecast_beyond_the_known_holidays_is_refused(tmp_path):
    folder = make_forecaster(tmp_path / "model", holidays=(0, 20, 60))
    export_text(folder, tmp_path / "out")
    rows = json.loads((folder / "golden.json").read_text())["rows"]
    later = [{**row, "day": f"1971-01-{number % 28 + 1:02}"} for number, row in enumerate(rows)]
    with pytest.raises(BadRows, match="end of the known holidays"):
        ForecastHandler(ModelParts.load(folder)).respond(later)
    assert "the end of the known holidays; train again" in run_scorer(tmp_path / "out", later).stderr


def test_a_forecast_that_differs_is_found(tmp_path):
    folder = make_forecaster(tmp_path / "model", keys=False)
    golden = json.loads((folder / "golden.json").read_text())
    golden["predictions"][2]["interval"]["low"] *= 1 + 1e-9
    (folder / "golden.json").write_text(json.dumps(golden))
    with pytest.raises(ServingError, match=r"Row 2: found .* from the exported scorer, expected"):
        export_text(folder, tmp_path / "out")


@pytest.mark.parametrize("local", [False, True])
@pytest.mark.parametrize(("unit", "offsets"), [("D", ("+02:00",)), ("h", ("-05:30",)), ("h", ("+01:00", "+02:00"))])
def test_forecasts_are_returned_in_the_zone_of_the_request(unit, offsets, local, tmp_path):
    folder = make_forecaster(tmp_path / "model", "linear", unit, local=local)
    export_text(folder, tmp_path / "out")
    service = ForecastHandler(ModelParts.load(folder))
    rows = sorted(json.loads((folder / "golden.json").read_text())["rows"], key=lambda row: row["day"])
    zoned = []
    for number, row in enumerate(rows):
        moment = datetime.fromisoformat(row["day"]).replace(tzinfo=UTC)
        offset = datetime.fromisoformat(f"2024-01-01T00:00{offsets[number * len(offsets) // len(rows)]}").tzinfo
        day = moment.replace(tzinfo=offset) if unit == "D" else moment.astimezone(offset)
        zoned.append({**row, "day": day.isoformat()})
    for request in (zoned, [*zoned, rows[0]], [rows[0], *zoned]):
        expected, actual = to_wire(service.respond(request)), json.loads(run_scorer(tmp_path / "out", request).stdout)
        assert [answer["time"] for answer in actual] == [answer["time"] for answer in expected]
        assert list_numbers(actual) == pytest.approx(list_numbers(expected), rel=1e-12, abs=1e-12)
        if unit == "D":
            assert expected == to_wire(service.respond(rows)), "the local days of the request"
        else:
            assert local or actual[0]["time"].endswith(offsets[-1]) == (request is zoned)


def test_a_key_may_be_named_like_a_field_of_the_response(tmp_path):
    names = {"shop": "time", "unit": "interval.low"}
    folder = make_forecaster(tmp_path / "model", "linear", renamed=names)
    assert export_text(folder, tmp_path / "out").largest_difference == 0.0
    rows = json.loads((folder / "golden.json").read_text())["rows"]
    answers = json.loads(run_scorer(tmp_path / "out", rows).stdout)
    assert {answer["series.time"] for answer in answers} == {"north", "2"}
    assert {answer["series.interval.low"] for answer in answers} == {"kg", ""}
    expected = to_wire(ForecastHandler(ModelParts.load(folder)).respond(rows))
    assert [set(answer) for answer in answers] == [set(answer) for answer in expected]
    assert list_numbers(answers) == pytest.approx(list_numbers(expected))
