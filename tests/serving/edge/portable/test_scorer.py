"""The standalone scorer, run by a Python without packages, against the service."""

import ast
import json
import subprocess
import sys

import pytest
from exported_models import MODELS
from small_models import make_model, make_rows

from mlnb.codec import to_json
from mlnb.methods.contracts.table_formats import ColumnFormat, DateFormat
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


def test_the_offset_of_a_local_day_is_left_out_as_in_the_service(tmp_path):
    folder = make_model(tmp_path / "model", "linear", "regression")
    schema = json.loads((folder / "schema.json").read_text())
    (day,) = (column for column in schema["columns"] if column["name"] == "day")
    day["format"] = to_json(ColumnFormat(date=DateFormat(zone="local", offset="-07:00")))
    (folder / "schema.json").write_text(json.dumps(schema))
    export_text(folder, tmp_path / "out")
    rows = [{**row, "day": row["day"] and row["day"] + "-07:00"} for row in make_rows(30)]
    rows = [{name: value for name, value in row.items() if name != "note"} for row in rows]
    actual, expected = run_scorer(tmp_path / "out", rows), Predictor.load(folder).predict(rows)
    assert [each["prediction"] for each in actual] == pytest.approx([each["prediction"] for each in expected])


@pytest.mark.parametrize("file", sorted(path.name for path in PORTABLE.glob("[a-z]*.py")))
def test_files_import_the_standard_library_alone(file):
    tree = ast.parse((PORTABLE / file).read_text())
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
    names = [node.module if isinstance(node, ast.ImportFrom) else node.names[0].name for node in imports]
    assert {name.partition(".")[0] for name in names} <= sys.stdlib_module_names
