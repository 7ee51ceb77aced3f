"""A model as ONNX and as text: the notebook's answers, or a reason why not."""

import json
import subprocess
import sys

import numpy as np
import onnxruntime
import pytest
from onnx import TensorProto
from sklearn.linear_model import Ridge
from small_models import make_model

from mlnb.errors import ServingError, UsageError
from mlnb.methods.models.anomaly_detectors import DETECTORS
from mlnb.methods.models.fitted_models import SMOOTH, Model, predict, save_model
from mlnb.methods.models.model_families import fit_model
from mlnb.methods.models.search_spaces import default_params
from mlnb.serving.edge.model_numbers import write_member
from mlnb.serving.edge.onnx.onnx_export import TOLERANCE, export_onnx
from mlnb.serving.edge.onnx.onnx_graph import Graph
from mlnb.serving.edge.onnx.onnx_models import write_model
from mlnb.serving.edge.portable import families
from mlnb.serving.edge.portable_export import export_text

KINDS = [
    ("lambdarank", "ranking", "plain"),
    ("random_forest", "ranking", "plain"),
    ("lightgbm", "binary", "plain"),
    ("lightgbm", "binary", "sigmoid"),
    ("lightgbm", "binary", "beta"),
    ("lightgbm", "binary", "isotonic"),
    ("lightgbm", "multiclass", "temperature"),
    ("lightgbm", "regression", "interval"),
    ("random_forest", "multiclass", "plain"),
    ("hist_boosting", "binary", "plain"),
    ("ensemble", "binary", "sigmoid"),
    ("linear", "ranking", "plain"),
    ("mixed", "binary", "plain"),
    ("neighbours", "regression", "interval"),
    *[(family, "anomaly", "plain") for family in DETECTORS],
]


@pytest.mark.parametrize(("family", "task", "decision"), KINDS)
def test_one_graph_gives_the_notebook_s_answers(family, task, decision, tmp_path):
    folder = make_model(tmp_path / "model", family, task, decision)
    facts = export_onnx(folder, tmp_path / "model.onnx")
    assert facts["rows"] == 40
    assert facts["largest_difference"] <= TOLERANCE
    first = (tmp_path / "model.onnx").read_bytes()
    export_onnx(folder, tmp_path / "again.onnx")
    assert (tmp_path / "again.onnx").read_bytes() == first


@pytest.mark.parametrize(("family", "task", "decision"), KINDS)
def test_python_alone_gives_the_notebook_s_answers(family, task, decision, tmp_path):
    folder = make_model(tmp_path / "model", family, task, decision, text=True)
    facts = export_text(folder, tmp_path / "out")
    assert facts["largest_difference"] <= 1e-13
    files = {path.name for path in (tmp_path / "out").iterdir()}
    trees = family not in ("linear", "mixed", "neighbours") and task != "anomaly"
    assert ({"scorer.py"} == {name for name in files if name.endswith(".py")}) == trees
    golden = json.loads((folder / "golden.json").read_text())
    done = subprocess.run(
        [sys.executable, "-I", "-S", str(tmp_path / "out" / "scorer.py")],
        input=json.dumps(golden["rows"][:2]),
        capture_output=True,
        text=True,
    )
    said = "score" if task == "ranking" else "prediction"
    found, expected = (
        [answer[said] for answer in each] for each in (json.loads(done.stdout), golden["predictions"][:2])
    )
    assert found == (expected if isinstance(expected[0], str) else pytest.approx(expected, abs=1e-12))


@pytest.mark.parametrize("quantiles", [0, 1])
@pytest.mark.parametrize(("task", "classes"), [("binary", 2), ("multiclass", 4), ("regression", 0)])
@pytest.mark.parametrize("family", SMOOTH)
def test_families_that_are_numbers_are_the_same_in_both_forms(family, task, classes, quantiles):
    random = np.random.default_rng(0)
    X, far = random.normal(size=(60, 4)), 3 * random.normal(size=(30, 4))
    X[:, 1], X[:, 3] = random.integers(0, 3, 60), 5.0  # knots that are equal, and a column that is constant
    X[random.random(X.shape) < 0.1], far[:4, 0], far[:, 3] = np.nan, np.nan, [4, 5, 6] * 10
    value = np.nan_to_num(X[:, 2])  # of four classes training has three
    y = {"binary": value > 0, "multiclass": random.choice([0, 1, 3], 60), "regression": 3 * value + 1}[task]
    more = {"quantiles": quantiles, **({"bags": 2, "width": 16} if family == "network" else {})}
    model = fit_model(family, default_params(family) | more, X, y.astype(int if classes else float), task, classes)
    expected = predict(model, far).reshape(30, -1)
    graph = Graph()
    said = write_model(graph, model, graph.matrix("rows", 4))
    graph.give("said", said, TensorProto.DOUBLE, ["n", max(1, classes)])
    session = onnxruntime.InferenceSession(graph.model({}).SerializeToString(), providers=["CPUExecutionProvider"])
    np.testing.assert_allclose(session.run(None, {"rows": far})[0], expected, rtol=0, atol=1e-13)
    member = json.loads(json.dumps(write_member(model)))
    alone = [families.predict(member, row) for row in far.tolist()]
    np.testing.assert_allclose(alone, expected, rtol=0, atol=1e-14)


def test_what_a_form_cannot_say_is_refused_with_the_reason(tmp_path):
    with_text = make_model(tmp_path / "text", text=True)
    with pytest.raises(UsageError, match="Column 'note' holds text"):
        export_onnx(with_text, tmp_path / "no.onnx")
    own = make_model(tmp_path / "own", "linear", "regression")
    features = json.loads((own / "fitted" / "model.json").read_text())["features"]
    estimator = Ridge().fit(np.eye(features), np.arange(features))
    save_model(Model("ridge", "regression", 0, features, estimator), own / "fitted")
    for export in (export_onnx, export_text):
        with pytest.raises(UsageError, match=r"family 'ridge' is a pickle of Ridge.*ships as mlnb serve"):
            export(own, tmp_path / "no")
    assert not (tmp_path / "no").exists()
    assert not (tmp_path / "no.onnx").exists()


def test_an_order_that_differs_is_not_left_behind(tmp_path):
    folder = make_model(tmp_path / "model", "lambdarank", "ranking")
    golden = json.loads((folder / "golden.json").read_text())
    golden["predictions"][9]["rank"] += 1
    (folder / "golden.json").write_text(json.dumps(golden))
    with pytest.raises(ServingError, match="Row 9: ONNX's scores rank it"):
        export_onnx(folder, tmp_path / "model.onnx")
    with pytest.raises(ServingError, match="Row 9"):
        export_text(folder, tmp_path / "out")


def test_a_graph_that_differs_is_not_left_behind(tmp_path):
    folder = make_model(tmp_path / "model")
    golden = json.loads((folder / "golden.json").read_text())
    golden["predictions"][5]["probabilities"]["yes"] += 1e-6
    (folder / "golden.json").write_text(json.dumps(golden))
    with pytest.raises(ServingError, match="Row 5: ONNX differs"):
        export_onnx(folder, tmp_path / "model.onnx")
    assert not (tmp_path / "model.onnx").exists()
    with pytest.raises(ServingError, match="Row 5"):
        export_text(folder, tmp_path / "out")
