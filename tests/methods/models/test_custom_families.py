"""Custom model families: in the search, in ensembles, saved, and explained; faults are errors that name the file."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from custom_families import CODE, FILE, write_family
from hypothesis import given, settings
from hypothesis import strategies as st

from mlnb.errors import DataError, MissingExtra, ModelFamilyError, ParameterError
from mlnb.methods.evaluation.explanations import affordable_rows, built_in_importance, explains, permutation_importance
from mlnb.methods.extensions.extension_notebooks import read_code
from mlnb.methods.models.custom_families import (
    FAMILY,
    CustomModel,
    declare_family,
    fit_custom,
    load_custom,
    load_family,
    predict_custom,
    save_custom,
)
from mlnb.methods.models.family_interface import FitSpec, Range
from mlnb.methods.models.fitted_models import Model, load_model, predict, save_model
from mlnb.methods.models.model_families import fit_model
from mlnb.methods.models.project_families import describe_failures, register_families
from mlnb.methods.models.search_spaces import (
    check_families,
    default_params,
    first_trials,
    searched_families,
    set_families,
)
from mlnb.methods.training_data.cross_validation import Fold
from mlnb.methods.tuning.final_fit import fit_winner
from mlnb.methods.tuning.hyperparameter_search import tune
from mlnb.methods.tuning.study_storages import journal_url
from mlnb.methods.tuning.trial_proposals import SearchSettings, draw_params

HALVES = load_family(CODE, FILE)


@pytest.fixture(autouse=True)
def registered() -> Iterator[None]:
    """Register the family for one test."""
    set_families([HALVES])
    yield
    set_families([])


def table(rows: int = 120, classes: int = 3) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    X = random.normal(size=(rows, 4))
    return X, np.digitize(X[:, 0], np.linspace(-0.5, 0.5, classes - 1)) if classes else X[:, 0]


def folds(classes: int) -> list[Fold]:
    X, y = table(classes=classes)
    at = np.arange(len(y)) % 2
    return [Fold(X[at != f], y[at != f], X[at == f], y[at == f], rows=np.flatnonzero(at == f)) for f in (0, 1)]


def test_a_family_of_the_project_is_searched_first_and_an_optional_one_by_name() -> None:
    assert "halves" in searched_families("binary") and "halves" not in searched_families("anomaly")
    assert "xgboost" not in searched_families("binary")
    assert check_families(["xgboost", "halves"], "binary") == ["xgboost", "halves"]
    assert first_trials(searched_families("binary"), 100, 4)[0] == ("halves", {"quantile": 0.5})
    with pytest.raises(ParameterError, match="'xgboost' does not support forecasting"):
        check_families(["xgboost"], "forecasting")


def test_a_search_and_an_ensemble_with_a_custom_member(tmp_path: Path) -> None:
    tuned = tune(folds(3), "multiclass", "log_loss", 3, ["halves", "linear"], trials=8)
    own = tuned.trials[tuned.trials["family"] == "halves"]
    assert len(own) and (own["state"] == "complete").all()
    X, y = table()
    winner = fit_winner(tuned.best, "multiclass", 3, "log_loss", X, y)
    custom = fit_model("halves", {"quantile": 0.5}, X, y, "multiclass", 3)
    model = Model("ensemble", "multiclass", 3, 4, {"members": [winner, custom], "weights": [0.5, 0.5]})
    loaded = load_model(save_model(model, tmp_path / "model"))
    assert predict(loaded, X).tobytes() == predict(model, X).tobytes()
    save_model(fit_model("linear", default_params("linear"), X, y, "multiclass", 3), tmp_path / "model")
    assert not list((tmp_path / "model").rglob("family.*"))  # files of the model that was there before


def test_other_code_is_another_study(tmp_path: Path) -> None:
    storage: dict[str, Any] = {"storage": journal_url(tmp_path / "study.log"), "families": ["halves"], "trials": 2}
    before = tune(folds(0), "regression", "rmse", **storage).best.score
    changed = CODE.replace("X[:, 0] > cut", "X[:, 1] > cut")
    set_families([load_family(changed, FILE)])
    assert tune(folds(0), "regression", "rmse", **storage).best.score != before


def test_trials_that_fail_are_reported(tmp_path: Path) -> None:
    fails = 'if params["quantile"] != 0.5:\n            raise ValueError("too far")\n        cut = float('
    (source,) = register_families(write_family(tmp_path, code=CODE.replace("cut = float(", fails)).parent, tmp_path)
    tuned = tune(folds(0), "regression", "rmse", 0, ["halves"], trials=4)
    (line,) = describe_failures(tuned.trials, [source])
    assert line.startswith("halves: 3 of 4 trials failed") and 'raise ValueError("too far")' in line
    (source,) = register_families(
        write_family(tmp_path, code=CODE.replace("cut = float(", "cut = str(")).parent, tmp_path
    )
    with pytest.raises(DataError, match=FILE):
        tune(folds(0), "regression", "rmse", 0, ["halves"], trials=2)


@pytest.mark.parametrize("damage", ["family.py", "family.bin"])
def test_a_damaged_model_names_the_file(damage: str, tmp_path: Path) -> None:
    X, y = table()
    folder = save_model(fit_model("halves", {"quantile": 0.5}, X, y, "multiclass", 3), tmp_path / "model")
    (folder / damage).write_bytes(b"(")
    with pytest.raises(ModelFamilyError, match=FILE):
        load_model(folder)
    (folder / damage).unlink()
    with pytest.raises(ModelFamilyError, match=f"{damage} cannot be read"):
        load_model(folder)


def test_a_model_of_a_library_that_is_not_installed_names_the_command(tmp_path: Path, monkeypatch) -> None:
    X, y = table()
    folder = save_model(fit_model("halves", {"quantile": 0.5}, X, y, "multiclass", 3), tmp_path / "model")
    metadata = json.loads((folder / "model.json").read_text())
    metadata["family"], metadata["native"]["custom"]["file"] = "catboost", ""
    (folder / "model.json").write_text(json.dumps(metadata))
    monkeypatch.setitem(__import__("sys").modules, "catboost", None)
    with pytest.raises(MissingExtra, match=r'pip install "mlnb\[catboost\]"'):
        load_model(folder)
    shutil.rmtree(folder)


def test_importance_is_by_permutation() -> None:
    X, y = table(classes=0)
    model = fit_model("halves", {"quantile": 0.5}, X, y, "regression")
    assert not explains(model) and not len(built_in_importance(model, list("abcd")))
    table_of = permutation_importance(model, X, y, "rmse", list("abcd"))
    assert table_of["column"][0] == "a" and table_of["importance"][0] > 0.1 and (table_of["importance"][1:] == 0).all()
    slow = CustomModel(
        load_family(CODE.replace('    name = "halves"', '    name = "halves"\n    rowwise = True'), FILE), None
    )
    assert affordable_rows(Model("halves", "regression", 0, 4, slow), 50)[0] < affordable_rows(model, 50)[0]


@settings(max_examples=25)
@given(st.data())
def test_codes_are_consecutive_and_absent_classes_have_probability_zero(data: st.DataObject) -> None:
    classes = data.draw(st.integers(2, 6))
    y = np.array(data.draw(st.lists(st.integers(0, classes - 1), min_size=2, max_size=30)))
    X = np.random.default_rng(0).normal(size=(len(y), 2))
    X[data.draw(st.integers(0, len(y) - 1))] = data.draw(st.sampled_from([np.nan, np.inf, -np.inf, 1e300]))
    model = fit_custom(HALVES, {"quantile": 0.5}, X, y, None, FitSpec("multiclass", classes))
    p = predict_custom(model, X, classes)
    assert p.shape == (len(y), classes) and np.allclose(p.sum(axis=1), 1)
    assert not p[:, sorted({*range(classes)} - {*y.tolist()})].any()
    rowwise = load_family(CODE.replace('    name = "halves"', '    name = "halves"\n    rowwise = True'), FILE)
    alone = predict_custom(CustomModel(rowwise, model.fitted, model.seen), X, classes)
    assert alone.tobytes() == p.tobytes()


NUMBERS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-5, 2**70),
    st.floats(),
    st.sampled_from([10**400, "a", 1j, np.float32(0.5), np.int64(3), np.array([1.0, 2.0])]),
)
FLAGS = st.sampled_from([True, False, None, "yes", 1, np.array([1, 2])])
NAMES = st.one_of(st.text(max_size=4), st.sampled_from(["depth", "a b", "a" * 101, "\ud800", "", 1, None]))
JUNK = st.one_of(NUMBERS, st.text(max_size=5), st.lists(NUMBERS, max_size=2), st.just({}), st.just([["binary"]]))


@settings(max_examples=200)
@given(st.data())
def test_any_declaration_is_refused_or_can_be_searched(data: st.DataObject) -> None:
    space = data.draw(
        st.dictionaries(NAMES, st.builds(Range, NUMBERS, NUMBERS, NUMBERS, log=FLAGS, integer=FLAGS), max_size=2)
    )
    changed = data.draw(st.dictionaries(st.sampled_from(["name", "tasks", "pickled", "rowwise", "libraries"]), JUNK))
    kind = type("Changed", (type(HALVES.family),), {"space": space, **changed})
    try:
        source = declare_family(kind)
    except ModelFamilyError as error:
        assert str(error).startswith("Changed: class Changed ") and "; expected " in str(error)
    else:
        set_families([source])
        proposed = draw_params(source.name, [], SearchSettings((source.name,), 50, 3), seed=1)
        assert all(space[name].low <= value <= space[name].high for name, value in proposed.items())
        assert all(space[name].low <= value <= space[name].high for name, value in default_params(source.name).items())


EXCEPTIONS = [
    "SystemExit(3)",
    "ValueError",
    "ValueError('line\\n' * 999)",
    "type('Own', (Exception,), {})('x')",
    "MemoryError",
]


@pytest.mark.parametrize("raised", [*EXCEPTIONS, "type('Own', (Exception,), {'__str__': lambda self: 1 / 0})()"])
@pytest.mark.parametrize(
    "method", ["cut = float(", "p = np.array(", "return json.dumps(", "return Halves(*", "import json\n"]
)
def test_whatever_a_family_raises_is_an_error_with_its_file(raised: str, method: str, tmp_path: Path) -> None:
    X, y = table(classes=0)
    with pytest.raises(ModelFamilyError) as caught:
        source = load_family(CODE.replace(method, f"raise {raised}; {method}", 1), FILE)
        model = CustomModel(source, None)
        if "Halves(*" not in method:
            model = fit_custom(source, {"quantile": 0.5}, X, y, None, FitSpec("regression"))
            predict_custom(model, X, 0)
            save_custom(model, tmp_path)
        (tmp_path / "family.bin").write_bytes(b"[]")
        (tmp_path / "family.py").write_text(source.code)
        load_custom("halves", {"custom": {"file": FILE, "seen": []}}, tmp_path)
    assert FILE in str(caught.value) and len(str(caught.value)) < 700 and "\n" not in str(caught.value)


NO_FAMILY = [
    *("def f(:", "  x = 1", "x = '\0'", "%matplotlib inline", "await f()", "return 3", "from . import x", "x = 1"),
    *("x = " + "(" * 300, "x = " + "-" * 99999 + "1", "x = '\ud800'", "x = " + "1" * 9999, "import no_such_library"),
    *("1 / 0", "raise SystemExit", CODE + "\nclass Other(HalvesFamily):\n    name = 'other'"),
    CODE.replace("(ModelFamily)", ""),
]


@pytest.mark.parametrize("code", NO_FAMILY, ids=range(len(NO_FAMILY)))
def test_code_that_defines_no_family_is_an_error_with_its_file(code: str, tmp_path: Path) -> None:
    path = write_family(tmp_path, code="#| export\n" + code)
    with pytest.raises(ModelFamilyError, match=FILE) as caught:
        load_family(*read_code(FAMILY, path, tmp_path))
    assert len(str(caught.value)) < 700


def test_an_alias_and_a_base_class_are_no_other_families() -> None:
    base = "class Base(ModelFamily):\n    pickled = False\n\n\n"
    code = (
        CODE.replace("class HalvesFamily(ModelFamily)", base + "class HalvesFamily(Base)") + "\nAlias = HalvesFamily\n"
    )
    assert load_family(code, FILE).name == "halves"
