import subprocess
import sys

import pytest

from mlnb.serving.runtime.predictor import Predictor
from mlnb.serving.runtime.request_bodies import BadRows

GOOD = {"age": 31, "fare paid €": 7.25, "sex": "f", "note": "crew", "ok": True, "day": "2020-05-01"}
KINDS = [
    ("lightgbm", "binary"),
    ("lightgbm", "multiclass"),
    ("lightgbm", "regression"),
    ("linear", "binary"),
    ("linear", "regression"),
    ("hist_gradient_boosting", "multiclass"),
    ("random_forest", "regression"),
    ("baseline", "binary"),
]


@pytest.fixture(scope="module")
def predictor(bundle):
    return Predictor.load(bundle.folder / "model")


@pytest.mark.parametrize(("family", "task"), KINDS)
def test_every_model_predicts_one_row_as_in_a_batch(material, tmp_path, family, task):
    predictor = Predictor.load(material(family, task).bundle(tmp_path / "service").folder / "model")
    rows = predictor.golden.rows
    assert predictor.replay() is None
    assert [predictor.predict([row])[0] for row in rows] == predictor.golden.predictions
    response = predictor.predict(rows[:1])[0]
    if task == "regression":
        assert set(response) == {"prediction"}
        assert isinstance(response["prediction"], float)
    else:
        assert set(response["probabilities"]) == set(predictor.parts.contract.classes)
        assert response["prediction"] == max(response["probabilities"], key=response["probabilities"].get)
        assert sum(response["probabilities"].values()) == pytest.approx(1)


def test_no_rows_give_no_responses(predictor):
    assert predictor.predict([]) == []


@pytest.mark.parametrize(
    "change",
    [
        {"sex": "never seen"},
        {"sex": "ünïcödé 🚢"},
        {"sex": None, "age": None, "note": None, "ok": None, "day": None},
        {"age": 10**300},
        {"age": -1.5},
        {"note": "words " * 1000},
        {"day": "2031-02-03T04:05:06+02:00"},
    ],
)
def test_unseen_values_get_predictions(predictor, change):
    assert predictor.predict([{**GOOD, **change}])[0]["prediction"] in ("no", "yes")


def test_the_order_of_columns_and_extra_nullable_ones_do_not_matter(predictor):
    assert predictor.predict([dict(reversed(GOOD.items()))]) == predictor.predict([GOOD])
    least = {"fare paid €": 7.25, "sex": "f"}
    blank = {**dict.fromkeys(GOOD), **least}
    assert predictor.predict([least]) == predictor.predict([blank])


@pytest.mark.parametrize(
    ("change", "column", "value"),
    [
        ({"colour": "red"}, "colour", "unknown column"),
        ({"Age": 3}, "Age", "unknown column"),
        ({"age": "31"}, "age", "'31'"),
        ({"age": True}, "age", "True"),
        ({"age": float("inf")}, "age", "inf"),
        ({"age": float("nan")}, "age", "nan"),
        ({"age": 10**400}, "age", "1000000"),
        ({"age": {"years": 3}}, "age", "an object"),
        ({"sex": ["f"]}, "sex", "a list"),
        ({"note": 7}, "note", "7"),
        ({"ok": "perhaps"}, "ok", "'perhaps'"),
        ({"day": "yesterday"}, "day", "'yesterday'"),
        ({"day": 20200501}, "day", "20200501"),
    ],
)
def test_a_bad_value_is_refused_with_row_column_found_and_expected(predictor, change, column, value):
    with pytest.raises(BadRows) as caught:
        predictor.predict([GOOD, {**GOOD, **change}])
    assert (caught.value.row, caught.value.column) == (1, column)
    assert value in caught.value.found
    assert caught.value.expected


def test_a_missing_column_is_refused(predictor):
    with pytest.raises(BadRows) as caught:
        predictor.predict([{"sex": "f"}])
    assert (caught.value.column, caught.value.found) == ("fare paid €", "nothing")


def test_a_changed_golden_prediction_is_noticed(altered, tmp_path):
    predictor = Predictor.load(altered().bundle(tmp_path / "service").folder / "model")
    difference = predictor.replay()
    assert (difference.row, difference.field) == (3, "probabilities.yes")


def test_a_damaged_folder_is_refused(bundle, tmp_path):
    with pytest.raises(OSError, match="contract"):
        Predictor.load(tmp_path)


ALONE = """
import json, sys
from pathlib import Path
class Forbidden:
    def find_spec(self, name, path=None, target=None):
        workshop = "pandas papermill nbdev wandb optuna matplotlib IPython pyarrow sklearn".split()
        if name.split(".")[0] in workshop or name == "mlnb.engine":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Forbidden())
from mlnb.serving.runtime.predictor import Predictor
predictor = Predictor.load(Path(sys.argv[1]))
assert predictor.replay() is None
print(json.dumps(sorted(name for name in sys.modules if name in {"sklearn", "scipy", "lightgbm", "bentoml"})))
"""


@pytest.mark.parametrize(
    ("family", "loaded"),
    [("lightgbm", "lightgbm"), ("linear", "[]"), ("baseline", "[]"), ("extra_trees", "lightgbm")],
)
def test_the_request_path_imports_no_training_code(material, tmp_path, family, loaded):
    folder = material(family, "binary").bundle(tmp_path / "service").folder
    command = [sys.executable, "-P", "-c", ALONE, str(folder / "model")]
    done = subprocess.run(command, env={"PYTHONPATH": str(folder)}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert loaded in done.stdout
