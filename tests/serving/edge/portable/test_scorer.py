"""The standalone scorer, run by a Python without packages, against the service."""

import ast
import json
import subprocess
import sys

import pytest
from exported_models import MODELS
from small_models import make_model, make_rows

from mlnb.serving.edge.portable_export import PORTABLE, export_text
from mlnb.serving.runtime.predictor import Predictor


def run_scorer(out, rows):
    command = [sys.executable, "-I", "-S", "-B", str(out / "scorer.py")]
    done = subprocess.run(command, input=json.dumps(rows), capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


@pytest.mark.parametrize(("family", "task", "decision"), MODELS)
def test_predictions_are_the_service_s(family, task, decision, tmp_path):
    folder = make_model(tmp_path / "model", family, task, decision, text=True)
    assert export_text(folder, tmp_path / "out").largest_difference <= 1e-13
    rows = make_rows(30, seed=11)
    if task == "ranking":
        rows = [{**row, "visit": f"visit {number // 6}"} for number, row in enumerate(rows)]
    actual, expected = run_scorer(tmp_path / "out", rows), Predictor.load(folder).predict(rows)
    name = "score" if task in ("ranking", "anomaly") else "prediction"
    one, other = ([answer[name] for answer in answers] for answers in (actual, expected))
    assert one == (other if isinstance(other[0], str) else pytest.approx(other, abs=1e-12))
    for key in ("rank", "prediction") if task in ("ranking", "anomaly") else ():
        assert [answer.get(key) for answer in actual] == [answer.get(key) for answer in expected]


@pytest.mark.parametrize("file", sorted(path.name for path in PORTABLE.glob("[a-z]*.py")))
def test_files_import_the_standard_library_alone(file):
    tree = ast.parse((PORTABLE / file).read_text())
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
    names = [node.module if isinstance(node, ast.ImportFrom) else node.names[0].name for node in imports]
    assert {name.partition(".")[0] for name in names} <= sys.stdlib_module_names
