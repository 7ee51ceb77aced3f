"""A model as one ONNX graph: the notebook's predictions, or the reason of a refusal."""

import json

import numpy as np
import pytest
import small_models
from exported_models import MODELS
from sklearn.linear_model import Ridge
from small_models import make_model

from mlnb.errors import ServingError, UsageError
from mlnb.methods.models.fitted_models import Model, save_model
from mlnb.serving.edge.onnx.onnx_export import TOLERANCE, export_onnx, to_inputs
from mlnb.serving.runtime.model_parts import ModelParts


@pytest.mark.parametrize(("family", "task", "decision"), MODELS)
def test_one_graph_gives_the_notebook_s_predictions(family, task, decision, tmp_path):
    folder = make_model(tmp_path / "model", family, task, decision)
    result = export_onnx(folder, tmp_path / "model.onnx")
    assert result.rows == 40
    assert result.largest_difference <= result.tolerance == TOLERANCE
    first = (tmp_path / "model.onnx").read_bytes()
    assert result.bytes == len(first)
    export_onnx(folder, tmp_path / "again.onnx")
    assert (tmp_path / "again.onnx").read_bytes() == first


@pytest.mark.parametrize("task", ["binary", "multiclass"])
def test_probabilities_are_compared_by_the_name_of_their_class(task, tmp_path, monkeypatch):
    monkeypatch.setitem(small_models.CLASSES, task, ("yes", "no", "maybe")[: len(small_models.CLASSES[task])])
    folder = make_model(tmp_path / "model", "linear", task)
    golden = json.loads((folder / "golden.json").read_text())
    (folder / "golden.json").write_text(json.dumps(golden, sort_keys=True))  # as the artifact of a run is stored
    assert export_onnx(folder, tmp_path / "model.onnx").largest_difference <= TOLERANCE
    first = golden["predictions"][0]["probabilities"]
    first["yes"], first["no"] = first["no"], first["yes"]
    (folder / "golden.json").write_text(json.dumps(golden))
    with pytest.raises(ServingError, match="Row 0: ONNX differs from the notebook"):
        export_onnx(folder, tmp_path / "model.onnx")


def test_a_model_without_an_onnx_form_is_refused_with_the_reason(tmp_path):
    folder = make_model(tmp_path / "own", "linear", "regression")
    features = json.loads((folder / "fitted" / "model.json").read_text())["features"]
    estimator = Ridge().fit(np.eye(features), np.arange(features))
    save_model(Model("ridge", "regression", 0, features, estimator), folder / "fitted")
    with pytest.raises(UsageError, match=r"family 'ridge' is a pickle of Ridge.*Use mlnb serve"):
        export_onnx(folder, tmp_path / "no.onnx")
    assert not (tmp_path / "no.onnx").exists()


def test_a_column_with_the_name_of_an_output_is_refused(tmp_path):
    folder = make_model(tmp_path / "model")
    for name in ("schema.json", "encoder.json"):
        path = folder / name
        path.write_text(path.read_text().replace('"town"', '"prediction"'))
    with pytest.raises(UsageError, match="Column 'prediction' has the name of an output; rename it"):
        export_onnx(folder, tmp_path / "no.onnx")


@pytest.mark.parametrize(
    ("family", "task", "change", "message"),
    [
        ("lightgbm", "binary", lambda answer: answer["probabilities"].update(yes=0.123), "Row 5: ONNX differs"),
        ("lightgbm", "binary", lambda answer: answer.update(prediction="maybe"), "Row 5: found '(no|yes)' from ONNX"),
        ("lambdarank", "ranking", lambda answer: answer.update(rank=99), "Row 5: found rank . from ONNX, expected 99"),
    ],
)
def test_a_graph_with_other_predictions_is_not_written(family, task, change, message, tmp_path):
    folder = make_model(tmp_path / "model", family, task)
    golden = json.loads((folder / "golden.json").read_text())
    change(golden["predictions"][5])
    (folder / "golden.json").write_text(json.dumps(golden))
    with pytest.raises(ServingError, match=message):
        export_onnx(folder, tmp_path / "model.onnx")
    assert not (tmp_path / "model.onnx").exists()


def test_inputs_are_columns_with_missing_values(tmp_path):
    schema = ModelParts.load(make_model(tmp_path / "model")).schema
    inputs = to_inputs([{"age": None, "sex": None, "day": "1970-01-02"}, {"age": -999.0, "sex": "f"}], schema)
    np.testing.assert_array_equal(inputs["age"], [[np.nan], [np.nan]])
    assert inputs["sex"].tolist() == [[""], ["f"]]
    np.testing.assert_array_equal(inputs["day"], [[86400.0], [np.nan]])
