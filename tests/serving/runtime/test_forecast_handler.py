"""Forecasts from histories, and refusals that name rows and columns."""

import pandas as pd
import pytest
from custom_encoders import moments
from small_forecasts import make_forecaster

from mlnb.errors import ParameterError, UsageError
from mlnb.methods.contracts.responses import Golden
from mlnb.methods.encoding.encoder_interface import UnusableValue
from mlnb.methods.encoding.table_encoder import stored_encoders
from mlnb.methods.tables.columns import to_arrays
from mlnb.methods.training_data.forecast_examples import fit_windows
from mlnb.serving.edge.onnx.onnx_export import make_graph
from mlnb.serving.edge.portable_export import export_text
from mlnb.serving.runtime.forecast_handler import ForecastHandler, history_columns
from mlnb.serving.runtime.model_parts import ModelParts, read_record
from mlnb.serving.runtime.request_bodies import BadRequest, BadRows

HORIZON = 4
UNKNOWN = {"sold": None, "offer": None, "weather": None, "note": None, "since": None}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return make_forecaster(
        tmp_path_factory.mktemp("forecast") / "model", "linear", horizon=HORIZON, holidays=(0, 30, 90)
    )


@pytest.fixture(scope="module")
def handler(folder):
    return ForecastHandler(ModelParts.load(folder))


@pytest.fixture(scope="module")
def rows(folder):
    return read_record(Golden, folder / "golden.json").rows


def test_each_series_gets_its_horizon(handler, rows):
    responses = handler.respond(rows)
    assert len(responses) == 2 * HORIZON and handler.respond([]) == []
    first, other = responses[0], responses[HORIZON]
    assert first.series != other.series and {*first.series} == {"shop", "unit"}
    assert first.interval.low < first.prediction < first.interval.high
    alone = [row for row in rows if str(row["shop"]) == first.series["shop"]]
    assert handler.respond(alone) == responses[:HORIZON]


def test_a_history_that_cannot_be_used_is_refused(handler, rows):
    with pytest.raises(BadRows, match="column 'day': found 'soon'") as caught:
        handler.respond([*rows, {**rows[0], "day": "soon"}])
    assert caught.value.row == len(rows)
    with pytest.raises(BadRows, match=r"column 'sold': found \d known values of the series north"):
        handler.respond([row for row in rows if row["shop"] == "north"][:2])


def test_a_history_after_the_known_holidays_is_refused(handler, rows):
    later = [{**row, "day": str(row["day"]).replace("1970-", "2030-").replace("1969-", "2029-")} for row in rows]
    with pytest.raises(BadRows, match=r"column 'day'.*expected timestamps within the calendar"):
        handler.respond(later)


def test_a_forecast_is_not_explained(handler, rows):
    with pytest.raises(BadRequest, match="not explained"):
        handler.explain(rows)


def test_a_request_has_the_columns_of_a_history(handler):
    names = set(history_columns(handler.parts.schema, handler.parts.contract).names)
    assert {"day", "shop", "unit", "sold", "price"} <= names


@pytest.fixture(scope="module")
def encoded(tmp_path_factory):
    """Return the folder of a model whose key, known column and other column are encoded by code of a project."""
    folder = tmp_path_factory.mktemp("encoded") / "model"
    return make_forecaster(folder, "linear", encoders=dict.fromkeys(("shop", "price", "note"), moments()))


def test_encoders_of_a_project_encode_keys_known_and_other_columns(encoded):
    handler = ForecastHandler(ModelParts.load(encoded))
    names = [name for part in handler.encoder.columns for name in part.names]
    assert {"shop: measure", "price: measure", "note: measure"} <= {*names}
    rows = read_record(Golden, encoded / "golden.json").rows
    responses = handler.respond(rows)
    for shop, expected in (("2", responses[:HORIZON]), ("north", responses[HORIZON:])):
        assert handler.respond([row for row in rows if str(row["shop"]) == shop]) == expected
    last = max(row["day"] for row in rows)
    ahead = [{"day": f"{last[:-2]}{int(last[-2:]) + 1:02}", "shop": "north", "unit": "kg"} | UNKNOWN]
    low, high = (handler.respond([*rows, ahead[0] | {"price": price}])[HORIZON] for price in (0.1, 9e9))
    assert low.prediction != high.prediction  # a value that is known ahead is encoded at its own period


def test_a_value_that_an_encoder_cannot_read_is_refused_with_its_column(encoded):
    handler = ForecastHandler(ModelParts.load(encoded))
    rows = read_record(Golden, encoded / "golden.json").rows
    with pytest.raises(UnusableValue, match="column 'note': found an unusable text, expected another one"):
        handler.respond([row | {"note": "unusable"} for row in rows])


def test_the_code_is_stored_and_learned_again_in_a_fold(encoded):
    encoder = ForecastHandler(ModelParts.load(encoded)).encoder
    assert {code.name for code in stored_encoders(encoder.to_json())} == {"moments"}
    assert {*encoder.project_encoders} == {"shop", "price", "note"}
    rows, schema = read_record(Golden, encoded / "golden.json").rows, ForecastHandler(ModelParts.load(encoded)).schema
    again = encoder.refit(to_arrays(rows[: len(rows) // 2], schema), schema)
    assert {*again.names} == {*encoder.names} and again.to_json() != encoder.to_json()


@pytest.mark.parametrize(
    ("column", "code", "message"),
    [
        ("day", moments(), "'day' is the timestamp of the forecast"),
        ("sold", moments(), "'sold' is the target of the forecast"),
        ("shops", moments(), "no feature of the forecast; did you mean 'shop'"),
        ("note", moments(**{'name = "moments"': 'supervised = True; name = "moments"'}), "learns from the target"),
        ("note", moments(**{'"text", ': ""}), "'note' holds text values"),
    ],
)
def test_encoders_that_do_not_suit_a_forecast_are_refused(encoded, column, code, message):
    parts = ModelParts.load(encoded)
    training = pd.DataFrame(read_record(Golden, encoded / "golden.json").rows)
    with pytest.raises(ParameterError, match=message):
        fit_windows(parts.contract, parts.schema, training, encoders={column: code})


def test_forms_without_the_service_refuse_the_code_of_a_project(encoded, tmp_path):
    with pytest.raises(UsageError, match=r"encoded by 'moments' of nbs/encoders.* that Python alone cannot run"):
        export_text(encoded, tmp_path / "portable")
    with pytest.raises(UsageError, match=r"encoded by 'moments' of nbs/encoders.* that ONNX cannot run"):
        make_graph(ModelParts.load(encoded))
