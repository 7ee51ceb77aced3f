"""Forecasts from histories, and refusals that name rows and columns."""

import pytest
from small_forecasts import make_forecaster

from mlnb.serving.runtime.forecast_handler import ForecastHandler, history_columns
from mlnb.serving.runtime.model_parts import ModelParts, read_record
from mlnb.serving.runtime.request_bodies import BadRequest, BadRows

HORIZON = 4


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
    from mlnb.methods.contracts.responses import Golden

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
