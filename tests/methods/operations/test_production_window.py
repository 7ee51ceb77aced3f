"""Inputs, predictions and refusals of a log as columns and text."""

import numpy as np
import pandas as pd
import pytest
from small_sentence_models import make_reviews, write_sentence_model

from mlnb.methods.contracts.problems import ProblemContract
from mlnb.methods.encoding.embedding_sources import read_source
from mlnb.methods.encoding.table_encoder import Encoder
from mlnb.methods.operations.drift_report import describe_drift, report_drift, sample_rows
from mlnb.methods.operations.logged_data import match_columns
from mlnb.methods.operations.production_window import (
    MonitoredModel,
    ProductionData,
    describe_masked,
    describe_refusals,
    input_rows,
    own_words,
    prediction_columns,
    select_window,
    unmask,
)
from mlnb.methods.tables.columns import Column, Schema, to_arrays


def test_a_column_that_was_not_sent_is_missing():
    schema = Schema((Column("age", "number"), Column("city", "category")))
    rows = input_rows(pd.DataFrame({"in.age": [1.0, np.nan]}), schema)
    assert rows == [{"age": 1.0, "city": None}, {"age": None, "city": None}]


@pytest.mark.parametrize(
    ("task", "classes", "shape", "names"),
    [
        ("binary", ("no", "yes"), (2, 2), ["prediction: yes"]),
        ("multiclass", ("a", "b", "c"), (4, 3), ["prediction: a", "prediction: b", "prediction: c"]),
        ("regression", None, (4,), ["prediction"]),
    ],
)
def test_predictions_are_columns(task, classes, shape, names):
    columns = prediction_columns(np.ones(shape), ProblemContract(task=task, classes=classes))
    assert list(columns) == names and {values.shape for values in columns.values()} == {shape[:1]}


def test_refusals_are_described_with_the_columns_that_caused_most():
    refused = pd.DataFrame({"refused": ["b, a", "b", None]})
    assert describe_refusals(refused) == " 3 requests were refused, because of 'b', 'a'."
    assert describe_refusals(pd.DataFrame({"refused": []})) == ""


def test_values_that_the_log_omits_are_missing_and_named():
    log = pd.DataFrame(
        {"in.age": ["masked", None, "masked"], "in.city": ["masked", "Bern", None], "in.plan": ["masked"] * 3, "row": 0}
    )
    production = unmask(ProductionData(log), ["plan"])
    assert production.masked == ("age", "city")
    assert production.log["in.age"].isna().all() and production.log["in.city"].isna().tolist() == [True, False, True]
    assert production.log["in.plan"].tolist() == ["masked"] * 3
    logged = production.log.rename(columns=lambda name: name.removeprefix("in."))
    assert match_columns(logged, pd.DataFrame({"age": [40.0]}))["age"].dtype == np.float64, "a number stays a number"
    assert describe_masked(production) == ["not monitored, as the prediction log omits their values: 'age', 'city'"]
    plain = ProductionData(pd.DataFrame({"in.age": [1.0, 2.0]}))
    assert unmask(plain).log is plain.log and describe_masked(unmask(plain)) == []
    assert own_words(Schema((Column("plan", "category", categories=("basic", "masked")), Column("age", "number")))) == [
        "plan"
    ]


def test_a_masked_column_neither_drifts_nor_is_broken():
    random = np.random.default_rng(0)
    training = pd.DataFrame({"age": random.normal(40, 9, 300), "city": random.choice(["Bern", "Genf"], 300)})
    schema = Schema((Column("age", "number"), Column("city", "category", categories=("Bern", "Genf"))))
    encoder = Encoder.fit(to_arrays(training, schema), schema).to_json()
    contract = ProblemContract(task="regression", target="y", metric="rmse")
    predictions = pd.DataFrame({"prediction": random.normal(size=300)})
    model = MonitoredModel(contract, schema, encoder, training, predictions, metrics=None)
    log = pd.DataFrame(
        {
            "in.age": ["masked"] * 200,
            "in.city": training["city"].head(200),
            "out.prediction": random.normal(size=200),
            "time": np.arange(200.0),
            "model": "m:1",
        }
    )
    window = select_window(unmask(ProductionData(log), own_words(schema)))
    report = report_drift(model, window, sample_rows(model, window))
    assert [one.column for one in report.inputs] == ["city"] and not report.broken
    omitted = ProductionData(log.drop(columns="in.age"))
    report = report_drift(model, select_window(omitted), sample_rows(model, select_window(omitted)))
    assert [one.column for one in report.broken] == ["age"], "a column that clients no longer send is broken"


def test_other_meanings_in_familiar_words_drift_in_the_embeddings(tmp_path, monkeypatch):
    monkeypatch.setenv("MLNB_FILES", str(tmp_path))
    write_sentence_model(tmp_path / "tiny")
    schema = Schema((Column("note", "text", nullable=True),))
    training = pd.DataFrame({"note": make_reviews(300)[0]})
    source = read_source("tiny", tmp_path, schema, components=2)
    encoder = Encoder.fit(to_arrays(training, schema), schema, embeddings=source).to_json()
    contract, predictions = (
        ProblemContract(task="regression", target="y", metric="rmse"),
        pd.DataFrame({"prediction": [0]}),
    )
    model = MonitoredModel(contract, schema, encoder, training, predictions, metrics=None)
    texts, good = make_reviews(600, seed=1)
    for chosen, drifted in ((texts[:200], False), ([t for t, one in zip(texts, good, strict=True) if one][:200], True)):
        log = pd.DataFrame({"in.note": chosen, "out.prediction": 0.0, "time": np.arange(200.0), "model": "m:1"})
        window = select_window(ProductionData(log))
        report = report_drift(model, window, sample_rows(model, window))
        (result,) = report.embeddings
        assert result.column == "note" and result.drifted == drifted and (result.area > 0.7) == drifted
        assert f"embeddings of note: area of a classifier {result.area:.3f}" in describe_drift(report)
