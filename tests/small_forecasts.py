"""Small forecasting models of every family and frequency, as in a bundle."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from small_fits import QUICK

from mlnb.codec import encode, replace
from mlnb.methods.contracts.decisions import Decision, StepInterval
from mlnb.methods.contracts.problems import ProblemContract
from mlnb.methods.contracts.responses import Golden, to_wire
from mlnb.methods.contracts.table_formats import ColumnFormat, DateFormat
from mlnb.methods.decisions.decision_rules import write_decision
from mlnb.methods.encoding.custom_encoders import EncoderCode
from mlnb.methods.models.fitted_models import Model, save_model
from mlnb.methods.models.model_families import fit_model
from mlnb.methods.models.search_spaces import default_params
from mlnb.methods.series.calendars import Frequency, stamp_text
from mlnb.methods.series.forecast_windows import Windows, request_schema
from mlnb.methods.tables.columns import Column, Schema, to_arrays
from mlnb.methods.tasks.task_traits import Task
from mlnb.methods.training_data.forecast_examples import choose_origins
from mlnb.serving.runtime.forecast_handler import ForecastHandler
from mlnb.serving.runtime.model_parts import ModelParts

Row = dict[str, Any]
KEYS = ("shop", "unit")
COLUMNS = (
    Column("day", "date", role="identifier", nullable=False),
    Column("shop", "category", role="identifier"),
    Column("unit", "category", role="identifier"),
    Column("sold", "number", role="target", sentinels=(-999.0,)),
    Column("price", "number"),
    Column("offer", "boolean"),
    Column("weather", "category"),
    Column("note", "text"),
    Column("since", "date"),
)
START = {"s": -90.0, "min": -7200.0, "h": 0.0}  # periods before and after 1970


def make_history(frequency: Frequency, periods: int, first: int, shops: tuple[Any, ...] = ("north", 2)) -> list[Row]:
    """Return rows of several series with gaps, duplicates, a sentinel, late columns and no order."""
    random = np.random.default_rng(3)
    rows = []
    for position, shop in enumerate(shops):
        for number, when in enumerate(frequency.stamps(np.arange(first, first + periods)).tolist()):
            value = 10 * (position + 1) + 4 * np.sin(number / 3) + random.normal()
            rows.append({
                "day": stamp_text(when, frequency), "shop": shop, "unit": None if position else "kg",
                "sold": -999.0 if number % 41 == 5 else None if number % 23 == 7 else round(float(value), 3),
                "price": None if number % 9 == 0 else round(float(random.random()), 2),
                "offer": None if number % 8 == 1 else bool(random.random() < 0.3),
                "weather": ("sun", "rain", "NA", None)[number % 4],
                "note": None if number % 5 == 0 else "fair and Élan" if number % 2 else "rain",
                "since": f"20{number % 60 + 10}-03-01",
            })  # fmt: skip
    rows = [row for number, row in enumerate(rows) if number % 31 != 11] + [{**rows[3], "sold": 1.25, "price": 9.0}]
    return [rows[position] for position in random.permutation(len(rows))]


def make_forecaster(
    folder: Path, family: str = "mean_level", unit: str = "D", factor: int = 1, horizon: int = 4, keys: bool = True,
    holidays: tuple[int, ...] = (), renamed: Mapping[str, str] | None = None, local: bool = False,
    encoders: Mapping[str, EncoderCode] | None = None, **more: Any,
) -> Path:  # fmt: skip
    """Return the `model` folder of a bundle; the family "ensemble" is one of every kind of member.

    `renamed` gives columns other names, with `local` timestamps are local days, and `encoders` encode columns.
    """
    frequency = Frequency(unit, factor, **more)
    periods, first = (90, -40) if unit not in ("Q", "Y") else (60, -20)
    rows = make_history(frequency, periods, first, ("north", 2) if keys else ("north",))
    called = {column.name: column.name for column in COLUMNS} | dict(renamed or {})
    names = tuple(called[name] for name in KEYS) if keys else ()
    columns = [replace(each, name=called[each.name]) for each in COLUMNS if keys or each.name not in KEYS]
    if local:
        columns[0] = replace(columns[0], format=ColumnFormat(date=DateFormat(zone="local", offset="+02:00")))
    schema = Schema(tuple(columns), rows=len(rows))
    rows = [{called[name]: value for name, value in row.items() if keys or name not in KEYS} for row in rows]
    contract = ProblemContract(
        task=Task.FORECASTING, target="sold", time="day", series=names, horizon=horizon, frequency=str(frequency),
        ruler=frequency.ruler,
    )  # fmt: skip
    request = request_schema(schema, contract)
    arrays = to_arrays(rows, request)
    encoder = Windows.fit(arrays, request, time="day", target="sold", keys=names, frequency=frequency,
                          horizon=horizon, known_ahead=["price"], holidays=holidays, encoders=encoders)  # fmt: skip
    histories = encoder.histories(arrays)
    fan = encoder.transform(histories, choose_origins(histories, encoder.least, horizon))
    fan = fan.pick(np.isfinite(fan.y))
    every = ("lightgbm", "linear", "autoregression", "mean_level", "seasonal_naive", "baseline")
    members = [_fit(each, fan.X, fan.y) for each in (every if family == "ensemble" else (family,))]
    model = members[0]
    if len(members) > 1:
        shares = [0.3, 0.2, 0.2, 0.1, 0.1, 0.1]
        model = Model("ensemble", "forecasting", 0, fan.X.shape[1], {"members": members, "weights": shares})
    deviations = tuple(position for position, name in enumerate(encoder.names) if name.startswith("deviation of "))
    ends = StepInterval(low=(-1.5, -2.0, -2.5), high=(1.5, 2.25, 2.5), columns=deviations, typical=0.3)
    folder.mkdir(parents=True)
    write_decision(Decision(interval=ends), save_model(model, folder / "fitted"))
    (folder / "contract.json").write_bytes(encode(contract))
    for name, value in {"schema": schema.to_json(), "encoder": encoder.to_json()}.items():
        (folder / f"{name}.json").write_text(json.dumps(value), "utf-8")
    (folder / "version.txt").write_text("small:0123456789ab\n")
    golden = Golden(rows=rows, predictions=to_wire(ForecastHandler(ModelParts.load(folder)).respond(rows)))
    (folder / "golden.json").write_bytes(encode(golden))
    return folder


def _fit(family: str, X: np.ndarray, y: np.ndarray) -> Model:
    return fit_model(family, default_params(family) | QUICK.get(family, {}), X, y, "forecasting", threads=1)
