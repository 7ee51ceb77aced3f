"""A model as ONNX and as text: the notebook's answers, or a reason why not."""

import json
import subprocess
import sys

import pytest
from small_models import make_model

from mlnb.errors import ServingError, UsageError
from mlnb.methods.detectors import DETECTORS
from mlnb.serving.edge.onnx import TOLERANCE, export_onnx
from mlnb.serving.edge.text import export_text

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
]


GRAPHS = [("linear", "binary", "plain"), ("mixed", "binary", "plain"), ("linear", "ranking", "plain")]


@pytest.mark.parametrize(
    ("family", "task", "decision"), [*KINDS, *GRAPHS, *[(family, "anomaly", "plain") for family in DETECTORS]]
)
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


def test_what_a_form_cannot_say_is_refused_with_the_reason(tmp_path):
    with_text = make_model(tmp_path / "text", text=True)
    with pytest.raises(UsageError, match="Column 'note' holds text"):
        export_onnx(with_text, tmp_path / "no.onnx")
    linear = make_model(tmp_path / "linear", "linear")
    with pytest.raises(UsageError, match="LightGBM has no text for it"):
        export_text(linear, tmp_path / "no")
    strange = make_model(tmp_path / "strange", "tails", "anomaly")
    with pytest.raises(UsageError, match=r"no trees of LightGBM.*--to onnx"):
        export_text(strange, tmp_path / "no")
    contract = {"task": "forecasting", "target": "survived"}
    (linear / "contract.json").write_text(json.dumps(contract))
    for export in (export_onnx, export_text):
        with pytest.raises(UsageError, match=r"whole history.*mlnb deploy lambda"):
            export(linear, tmp_path / "no")
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
