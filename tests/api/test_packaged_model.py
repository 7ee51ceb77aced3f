"""A packaged model gives data frames and rows the numbers of its service, for every task."""

import datetime

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from personal_models import KEY, make_personal_model, personal_rows
from small_forecasts import make_forecaster
from small_models import make_model, make_rows

from mlnb.api.packaged_model import PackagedModel
from mlnb.errors import SchemaError, ServingError, UsageError
from mlnb.serving.runtime.model_parts import read_json
from mlnb.serving.runtime.predictor import Predictor

BINARY = ("probability no", "probability yes")


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """The folder of a small model of each kind."""
    root = tmp_path_factory.mktemp("models")
    return {
        "binary": make_model(root / "binary"),
        "multiclass": make_model(root / "multiclass", "linear", "multiclass", "temperature"),
        "regression": make_model(root / "regression", "random_forest", "regression", "interval", text=True),
        "anomaly": make_model(root / "anomaly", "detector_ensemble", "anomaly"),
        "ranking": make_model(root / "ranking", "lambdarank", "ranking"),
        "forecasting": make_forecaster(root / "forecasting", "linear"),
    }


def flat(response):
    """Return a response of the service with a value a column."""
    probabilities = {f"probability {name}": value for name, value in response.get("probabilities", {}).items()}
    rest = {name: value for name, value in response.items() if name not in ("probabilities", "interval")}
    return rest | probabilities | response.get("interval", {})


class OtherLibrary:
    """A table of another library, such as polars."""

    def __init__(self, table):
        self.__arrow_c_stream__ = table.__arrow_c_stream__


def without(rows, *names):
    return [{name: value for name, value in row.items() if name not in names} for row in rows]


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression", "anomaly", "ranking", "forecasting"])
def test_rows_and_frames_get_the_responses_of_the_service(folders, task):
    predictor, model = Predictor.load(folders[task]), PackagedModel(folders[task])
    rows = predictor.golden.rows if task in ("ranking", "forecasting") else make_rows(150, seed=1)
    rows = rows if task == "regression" else without(rows, *([] if task == "forecasting" else ["note"]))
    expected = [flat(response) for response in predictor.predict(rows)]
    frame = pd.DataFrame(rows, index=[f"row {number}" for number in range(len(rows))])
    for data in (rows, frame, frame.convert_dtypes(), frame.astype(object)):
        table = model.predict_table(data)
        assert table.to_dict("records") == expected
    main = model.predict(frame)
    if task == "forecasting":
        assert main.equals(table) and len(main) == 2 * 4
    else:
        assert list(main.index) == list(frame.index)
        assert main.tolist() == [row["score" if task == "ranking" else "prediction"] for row in expected]


@pytest.mark.parametrize("task", ["binary", "ranking", "forecasting"])
def test_tables_of_other_libraries_are_data_frames(folders, task):
    model = PackagedModel(folders[task])
    frame = pd.DataFrame(model._predictor.golden.rows)
    texts = [name for name in frame if frame[name].dtype == object]  # a type a column, as Arrow has it
    frame[texts] = frame[texts].astype("str")
    frame.index = [f"row {number}" for number in range(len(frame))]
    arrow, expected = pa.Table.from_pandas(frame), model.predict_table(frame)
    text = (pa.string(), pa.large_string())
    fields = [field.with_type(pa.string_view()) if field.type in text else field for field in arrow.schema]
    views = arrow.cast(pa.schema(fields, arrow.schema.metadata))
    assert any(field.type == pa.string_view() for field in views.schema)
    for data in (
        arrow,
        arrow.to_batches()[0],
        frame.convert_dtypes(dtype_backend="pyarrow"),
        views,
        OtherLibrary(views),
    ):
        assert model.predict_table(data).equals(expected)


def test_integers_beyond_64_bits_are_numbers_as_in_the_service(folders):
    predictor, rows = Predictor.load(folders["binary"]), without(make_rows(3), "note")
    rows = [{**row, "age": 10**power} for row, power in zip(rows, (3, 19, 30), strict=True)]
    expected = [flat(response) for response in predictor.predict(rows)]
    assert PackagedModel(folders["binary"]).predict_table(pd.DataFrame(rows)).to_dict("records") == expected


def test_many_rows_are_scored_in_slices_and_errors_name_their_rows(folders):
    model, rows = PackagedModel(folders["binary"]), without(make_rows(9_000, seed=2), "note")
    frame = pd.DataFrame(rows)
    expected = [flat(response) for response in Predictor.load(folders["binary"]).predict(rows)]
    assert model.predict_table(frame).to_dict("records") == expected
    with pytest.raises(UsageError, match=r"row 8800, column 'age': found 'old', expected a finite number"):
        model.predict(frame.astype({"age": object}).assign(age=lambda t: t["age"].where(t.index != 8800, "old")))


def test_probabilities_are_in_the_order_of_the_classes(folders):
    model, rows = PackagedModel(folders["multiclass"]), without(make_rows(5), "note")
    probabilities = model.predict_proba(rows)
    assert tuple(probabilities) == model.classes == ("a", "b", "c")
    assert np.allclose(probabilities.sum(axis=1), 1.0)
    with pytest.raises(UsageError, match=r"A regression model has no probabilities; `predict_table` returns all"):
        PackagedModel(folders["regression"]).predict_proba(make_rows(5))


@pytest.mark.parametrize("task", ["binary", "regression", "ranking"])
def test_contributions_add_up_to_the_raw_score(folders, task):
    model = PackagedModel(folders[task])
    rows = model._predictor.golden.rows[:8]
    why = model.explain(pd.DataFrame(rows, index=range(10, 18)))
    assert np.allclose(why.contributions.sum(axis=1) + why.base, why.score)
    assert list(why.score.index) == list(range(10, 18))
    assert why.contributions.to_dict("records") == [one.columns for one in model._predictor.explain(rows)]
    assert (why.classes is None) == (task != "binary") and (why.classes is None or set(why.classes) == {"yes"})


def test_an_anomaly_is_explained_by_its_columns(folders):
    why = PackagedModel(folders["anomaly"]).explain(without(make_rows(6), "note"))
    assert why.base is None and why.score is None and len(why.contributions) == 6


def test_a_forecast_is_not_explained(folders):
    model = PackagedModel(folders["forecasting"])
    with pytest.raises(UsageError, match="forecasts are not explained"):
        model.explain(model._predictor.golden.rows)


def test_keys_of_series_may_be_called_like_columns_of_an_interval(tmp_path):
    model = PackagedModel(make_forecaster(tmp_path / "model", "linear", renamed={"shop": "low", "unit": "prediction"}))
    table = model.predict(pd.DataFrame(model._predictor.golden.rows))
    assert {"series.low", "series.prediction", "low", "high", "prediction"} < set(table)
    assert set(table["series.low"]) == {"north", "2"} and (table["low"] < table["prediction"]).all()


def test_values_of_other_libraries_are_read_as_json_has_them(folders):
    model = PackagedModel(folders["binary"])
    row = {"age": 31, "fare paid €": None, "sex": "f", "town": "town 1", "ok": True, "day": "2020-05-01"}
    numpy = {"age": np.int64(31), "fare paid €": np.float32("nan"), "ok": np.bool_(True), "town": pd.NA}
    days = ({"day": datetime.date(2020, 5, 1)}, {"day": pd.Timestamp("2020-05-01")}, {"day": pd.NaT})
    expected = model.predict_table([row, {**row, "town": None}, {**row, "day": None}])
    table = model.predict_table([row | days[0], row | numpy | days[1], row | days[2]])
    assert table.equals(expected)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda frame: frame.rename(columns={"age": "Age"}), r"found an unknown column, expected .*'age'"),
        (lambda frame: pd.concat([frame, frame[["age"]]], axis=1), r"column 'age': found a column of that name twice"),
        (lambda frame: frame.assign(sex=[[1, 2]] * len(frame)), r"column 'sex': found values of type list"),
        (lambda frame: frame.assign(age=np.inf), r"row 0, column 'age': found inf"),
        (lambda frame: frame.to_numpy(), "Found ndarray; expected a data frame or a list of rows"),
        (lambda frame: frame.to_dict(), "Found dict; expected a data frame or a list of rows"),
        (lambda frame: pa.array([1, 2]), "Found Int64Array; expected a data frame or a list of rows"),
        (lambda frame: frame["age"], "Found Series; expected a data frame or a list of rows"),
        (lambda frame: frame.assign(age=10**400), r"row 0, column 'age': found 1000"),
        (lambda frame: [1, 2], "Found list; expected a data frame or a list of rows"),
    ],
)
def test_data_that_do_not_fit_are_an_error_that_says_so(folders, change, message):
    frame = pd.DataFrame(without(make_rows(3), "note"))
    with pytest.raises(UsageError, match=message):
        PackagedModel(folders["binary"]).predict(change(frame))


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression", "anomaly"])
def test_no_rows_give_no_predictions(folders, task):
    model = PackagedModel(folders[task])
    frame = pd.DataFrame(make_rows(2))[list(model.features)]
    assert len(model.predict(frame.iloc[:0])) == 0 == len(model.predict([]))


def test_personal_data_are_protected_as_in_the_service(tmp_path, monkeypatch):
    monkeypatch.setenv("MLNB_PERSONAL_KEY", KEY)
    folder, rows = make_personal_model(tmp_path / "model"), personal_rows(4)
    model, plain = PackagedModel(folder), without(rows, "mail", "born", "nick")
    assert model.predict_table(pd.DataFrame(rows)).equals(model.predict_table(plain))
    assert model.predict_table(rows).equals(model.predict_table(plain))


def test_a_model_that_differs_from_its_notebook_is_not_loaded(folders, tmp_path):
    folder = make_model(tmp_path / "model")
    golden = (folder / "golden.json").read_text()
    probability = read_json(folder / "golden.json")["predictions"][0]["probabilities"]["yes"]
    (folder / "golden.json").write_text(golden.replace(repr(probability), repr(np.nextafter(probability, 1).item())))
    with pytest.raises(ServingError, match=r"row 0, probabilities.yes: found .* libraries of this environment"):
        PackagedModel(folder)
    (folder / "golden.json").write_text("[1]")
    with pytest.raises(SchemaError, match=r"golden\.json"):
        PackagedModel(folder)


def test_a_model_describes_itself(folders):
    model = PackagedModel(folders["binary"])
    assert (model.task, model.target, model.classes) == ("binary", "survived", ("no", "yes"))
    assert model.features["town"] == "category" and model.version == "small:0123456789ab"
    assert PackagedModel(folders["ranking"]).features["visit"] == "category"
    assert repr(model) == "<PackagedModel small:0123456789ab: binary of 'survived', 6 features>"
    assert "<td style='text-align:left'>survived</td>" in model._repr_html_()
