"""The text export: the files that a model needs, and only verified ones. `exports.py` holds a record alone."""

import json

import numpy as np
import pyarrow as pa
import pytest
from custom_encoders import moments
from sklearn.linear_model import Ridge
from small_models import TEXT, make_model
from small_sentence_models import write_sentence_model

from mlnb.errors import ServingError, UsageError
from mlnb.methods.encoding.embedding_sources import read_source
from mlnb.methods.models.fitted_models import Model, save_model
from mlnb.methods.tables.columns import Schema
from mlnb.serving.batch.batch_scorer import Scorer
from mlnb.serving.edge import portable_export
from mlnb.serving.edge.onnx.onnx_export import export_onnx
from mlnb.serving.edge.portable_export import TOLERANCE, export_text
from mlnb.serving.runtime.predictor import Predictor


@pytest.mark.parametrize(
    ("family", "task", "files"),
    [
        ("lightgbm", "binary", {"model.txt"}),
        ("ensemble", "binary", {"model-0.txt", "model-1.txt"}),
        ("mixed", "binary", {"model-0.txt", "families.py"}),
        ("linear", "regression", {"families.py"}),
        ("skewed", "regression", {"model-0.txt", "model-2.txt", "families.py"}),
        ("detector_ensemble", "anomaly", {"detectors.py"}),
    ],
)
def test_a_model_has_the_files_that_it_needs(family, task, files, tmp_path):
    result = export_text(make_model(tmp_path / "model", family, task), tmp_path / "out")
    written = {path.name: path.stat().st_size for path in (tmp_path / "out").iterdir()}
    assert written.keys() == {"scorer.py", "model.json"} | files
    assert (result.rows, result.tolerance, result.bytes) == (40, TOLERANCE, sum(written.values()))


def test_the_same_model_is_the_same_bytes(tmp_path):
    folder = make_model(tmp_path / "model", "mixed")
    for name in ("one", "other"):
        export_text(folder, tmp_path / name)
    for path in (tmp_path / "one").iterdir():
        assert path.read_bytes() == (tmp_path / "other" / path.name).read_bytes()


def test_a_model_without_a_text_form_is_refused_with_the_reason(tmp_path):
    folder = make_model(tmp_path / "own", "linear", "regression")
    features = json.loads((folder / "fitted" / "model.json").read_text())["features"]
    estimator = Ridge().fit(np.eye(features), np.arange(features))
    save_model(Model("ridge", "regression", 0, features, estimator), folder / "fitted")
    with pytest.raises(UsageError, match=r"family 'ridge' is a pickle of Ridge.*Use mlnb serve"):
        export_text(folder, tmp_path / "no")
    assert not (tmp_path / "no").exists()


def test_a_sentence_model_is_refused_and_scores_batches(tmp_path, monkeypatch):
    monkeypatch.setenv("MLNB_FILES", str(tmp_path))
    write_sentence_model(tmp_path / "tiny")
    source = read_source("tiny", tmp_path, Schema((TEXT,)), components=2)
    folder = make_model(tmp_path / "model", "linear", "regression", text=True, embeddings=source)
    for export, form in ((export_text, "Python alone"), (export_onnx, "an exported graph")):
        with pytest.raises(UsageError, match=f"'note' is embedded by the model 'tiny', which {form} cannot run. Use"):
            export(folder, tmp_path / "no")
    assert not (tmp_path / "no").exists()
    rows = [{"note": text} for text in ("a good film", None, "good", "bad " * 250_000, "漢字")]
    scored, predictor = Scorer(folder).score(pa.Table.from_pylist(rows), 0).good, Predictor.load(folder)
    assert scored["prediction"].to_pylist() == [predictor.predict([row])[0]["prediction"] for row in rows]


def test_an_encoder_of_the_project_is_refused_by_name(tmp_path):
    folder = make_model(tmp_path / "model", "linear", "regression", text=True, encoders={"note": moments()})
    for export, form in ((export_text, "Python alone"), (export_onnx, "ONNX")):
        with pytest.raises(
            UsageError, match=rf"'note' is encoded by 'moments' of nbs/encoders.* that {form} cannot run"
        ):
            export(folder, tmp_path / "no")
    assert not (tmp_path / "no").exists()


@pytest.mark.parametrize(
    ("family", "task", "change"),
    [
        ("lightgbm", "binary", lambda answer: answer["probabilities"].update(yes=0.123)),
        ("lightgbm", "binary", lambda answer: answer.update(prediction="maybe")),
        ("lightgbm", "binary", lambda answer: answer.update(more=1)),
        ("lambdarank", "ranking", lambda answer: answer.update(rank=99)),
    ],
)
def test_other_predictions_are_an_error(family, task, change, tmp_path):
    folder = make_model(tmp_path / "model", family, task)
    golden = json.loads((folder / "golden.json").read_text())
    change(golden["predictions"][5])
    (folder / "golden.json").write_text(json.dumps(golden))
    with pytest.raises(ServingError, match=r"Row 5: found .* from the exported scorer, expected"):
        export_text(folder, tmp_path / "out")


def test_a_scorer_that_fails_is_an_error(tmp_path, monkeypatch):
    (tmp_path / "portable").mkdir()
    (tmp_path / "portable" / "scorer.py").write_text("raise SystemExit('no memory')")
    monkeypatch.setattr(portable_export, "PORTABLE", tmp_path / "portable")
    with pytest.raises(ServingError, match="The exported scorer failed:\nno memory"):
        export_text(make_model(tmp_path / "model"), tmp_path / "out")


def test_missing_numbers_differ():
    assert portable_export._difference({"x": float("nan")}, {"x": 1.0}) == float("inf")
    assert portable_export._difference({"x": None}, {"x": 1.0}) == float("inf")
    assert portable_export._difference({"x": 1.0}, {"x": 1.0, "y": 1.0}) == float("inf")
    assert portable_export._difference({"x": 100.5, "y": "a"}, {"x": 100.0, "y": "a"}) == 0.005
