"""The scorer: the service's rules for values, and a compiled model only where its bits are verified."""

import json
import logging
import shutil
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from custom_encoders import moments
from small_models import make_model, make_rows

from mlnb.codec import to_json
from mlnb.errors import ColumnEncoderError, ServingError, UsageError
from mlnb.methods.contracts.table_formats import ColumnFormat, DateFormat, NumberFormat
from mlnb.serving.batch.batch_scorer import Scorer
from mlnb.serving.batch.compiled import compiled_linear, compiled_trees, large_tree_layout
from mlnb.serving.batch.compiled.compiled_trees import CompiledTrees


def test_typed_files_follow_the_service_s_rules(model, score, tmp_path):
    table = pa.table({"age": ["3", "4"], "town": ["a", "b"]})
    pq.write_table(table, tmp_path / "in.parquet")
    with pytest.raises(UsageError, match="column 'age': found '3', expected a finite number"):
        score([tmp_path / "in.parquet"], tmp_path / "out.parquet")
    scorer = Scorer(model)
    table = pa.table({"age": [1.0, np.inf, np.nan], "ok": pa.array([True, None, False]), "town": ["x", None, " "]})
    scored = scorer.score(table, 10)
    assert (scored.good["row"].to_pylist(), [bad.row for bad in scored.bad]) == ([10, 12], [11])


def test_a_cell_in_another_format_is_described_with_that_of_training(model):
    scorer = Scorer(model)
    written = ColumnFormat(number=NumberFormat(decimal=",", thousands="."))
    columns = [replace(one, format=written) if one.name == "age" else one for one in scorer.schema.columns]
    scorer.schema = replace(scorer.schema, columns=tuple(columns))
    rows = pa.table({"age": ["12,5", "1.009,5", "12.5"], "town": ["a", "b", "c"]})
    (bad,) = scorer.score(rows, 0, texts={"age", "town"}).bad
    assert (bad.row, bad.expected) == (2, "a finite number as in training: decimal ',', thousands '.'")


def test_golden_rows_have_iso_dates_whatever_the_format_of_training(model, tmp_path):
    folder = shutil.copytree(model, tmp_path / "model")
    schema = json.loads((folder / "schema.json").read_text())
    written = to_json(ColumnFormat(date=DateFormat(spellings=("%d.%m.%Y",), dayfirst=True)))
    for column in schema["columns"]:
        column["format"] = written if column["kind"] == "date" else None
    (folder / "schema.json").write_text(json.dumps(schema))
    scorer = Scorer(folder)  # gives the golden predictions
    rows = pa.table({"day": ["28.02.2020", "2020-02-28"]})
    assert [bad.row for bad in scorer.score(rows, 0).bad] == [1], "files have the format of training"


def test_encoders_of_the_project_score_batches(tmp_path):
    encoders = {"note": moments(), "age": moments(), "day": moments()}
    scorer = Scorer(make_model(tmp_path / "model", text=True, encoders=encoders))  # gives the golden predictions
    rows = pa.table({"age": [1.0, np.nan], "note": ["a", None]})
    assert len(scorer.score(rows, 0).good) == 2
    with pytest.raises(ColumnEncoderError, match="column 'note': found an unusable text"):
        scorer.score(pa.table({"note": ["unusable"]}), 0)


def test_golden_rows_with_other_predictions_are_an_error(tmp_path):
    folder = make_model(tmp_path / "model")
    golden = json.loads((folder / "golden.json").read_text())
    golden["predictions"][5]["probabilities"]["yes"] += 1e-9
    (folder / "golden.json").write_text(json.dumps(golden))
    with pytest.raises(ServingError, match=r"notebook disagree: row 5, probabilities\.yes.*Nothing was scored"):
        Scorer(folder)


def test_rows_that_depend_on_each_other_are_refused(tmp_path):
    with pytest.raises(UsageError, match="ranking model scores rows together"):
        Scorer(make_model(tmp_path / "model", "lambdarank", "ranking"))


def test_missing_columns_are_an_error(model):
    scorer = Scorer(model, keep=("number",), fill_missing=True)
    with pytest.raises(UsageError, match="Column 'number' is missing, and --keep names it; there are 'age', 'sex'"):
        scorer.check_names(["age", "sex"])


def test_misnamed_columns_are_an_error_with_a_suggestion(model):
    names = [column.name for column in Scorer(model).schema.features]
    Scorer(model).check_names(names)
    for wrong in ("Age", "AGE", "agee"):
        with pytest.raises(
            UsageError, match=f"Column 'age' is missing, and the model needs it; did you mean '{wrong}'"
        ):
            Scorer(model).check_names([wrong, *names[1:]])
    with pytest.raises(UsageError, match=r"Column 'comment' is unknown.*--keep, or add --ignore-unknown"):
        Scorer(model).check_names([*names, "comment"])
    Scorer(model, ignore_unknown=True).check_names([*names, "comment"])


def test_kept_columns_with_names_of_the_output_are_renamed(model):
    scorer = Scorer(model, keep=("row", "prediction"), fill_missing=True)
    table = pa.table({"age": [1.0], "ok": [True], "town": ["x"], "row": ["r7"], "prediction": ["mine"]})
    scored = scorer.score(table, 0).good.to_pylist()[0]
    assert scored["row"] == 0 and scored["input row"] == "r7" and scored["input prediction"] == "mine"
    assert scored["prediction"] in ("no", "yes")


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_the_output_has_the_service_s_responses(task, tmp_path):
    decision = {"binary": "sigmoid", "multiclass": "temperature", "regression": "interval"}[task]
    scorer = Scorer(make_model(tmp_path / "model", task=task, decision=decision), compile_after=1)
    columns = {
        "binary": ["row", "prediction", "probability no", "probability yes"],
        "multiclass": ["row", "prediction", "probability a", "probability b", "probability c"],
        "regression": ["row", "prediction", "low", "high"],
    }
    table = pa.Table.from_pylist(make_rows(30))
    assert scorer.score(table, 0).good.column_names == columns[task]


def test_a_model_is_compiled_for_enough_rows(model, rows):
    pytest.importorskip("llvmlite")
    table = pa.Table.from_pylist(rows[:400])
    scorer = Scorer(model, compile_after=1000)
    compiled = []
    for _ in range(3):
        scorer.score(table, 0)
        compiled.append(scorer.compiled)
    assert compiled[:2] == [None, None]
    assert isinstance(compiled[2], CompiledTrees)
    never = Scorer(model, compile_after=None)
    never.score(table, 0)
    assert never.compiled is None


def test_small_tables_are_verified_until_enough_rows_are(model, rows, caplog):
    """A chunk is scored by the compiled model before all rows are verified only where the chunk itself was."""
    pytest.importorskip("llvmlite")
    scorer = Scorer(model, compile_after=1)
    for first in range(0, 1000, 100):
        scorer.score(pa.Table.from_pylist(rows[first : first + 100]), first)
    assert scorer.to_verify == compiled_trees.VERIFY_ROWS - 1000
    trees = scorer.compiled
    assert isinstance(trees, CompiledTrees)
    trees.layout.leaves[:] += 1e-9
    table = pa.Table.from_pylist(rows[:100])
    original = Scorer(model, compile_after=None).score(table, 0)
    with caplog.at_level(logging.WARNING, "mlnb.serving.batch"):
        assert scorer.score(table, 0).good.equals(original.good)
    assert scorer.compiled is None
    assert "found other bits in 100 of 100 rows, expected none (first: row 0, largest difference" in caplog.text


@pytest.mark.parametrize("family", ["lightgbm", "random_forest", "linear"])
def test_a_compiled_model_with_other_bits_is_logged_and_not_used(family, rows, tmp_path, monkeypatch, caplog):
    pytest.importorskip("llvmlite")
    read, apply = compiled_trees.read_booster, compiled_linear.scale_columns
    monkeypatch.setattr(compiled_trees, "SMALL_LEAVES", 16)
    monkeypatch.setattr(compiled_trees, "read_booster", lambda text: change_one_tree(read(text)))
    monkeypatch.setattr(compiled_linear, "scale_columns", lambda learned, X: apply(learned, X) * 1.0000000000000002)
    folder = make_model(tmp_path / "model", family)
    scorer, original = Scorer(folder, compile_after=1), Scorer(folder, compile_after=None)
    table = pa.Table.from_pylist(rows)
    with caplog.at_level(logging.WARNING, "mlnb.serving.batch"):
        scored = scorer.score(table, 0)
    assert scorer.compiled is None
    assert scored.good.equals(original.score(table, 0).good)
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "The compiled model is not used" in caplog.text


def change_one_tree(boosted):
    """Return a booster of which one tree gives slightly more."""
    tree = boosted.trees[-1]
    return replace(boosted, trees=[*boosted.trees[:-1], replace(tree, value=tree.value * 1.0001)])


def test_trees_over_too_many_columns_are_left_to_lightgbm(rows, tmp_path, monkeypatch):
    pytest.importorskip("llvmlite")
    monkeypatch.setattr(compiled_trees, "SMALL_LEAVES", 16)
    monkeypatch.setattr(large_tree_layout, "MAX_COLUMNS", 3)
    scorer = Scorer(make_model(tmp_path / "model", "random_forest"), compile_after=1)
    assert len(scorer.score(pa.Table.from_pylist(rows), 0).good) == len(rows)
    assert scorer.compiled is None
