"""`mlnb.testing`: the families of mlnb pass the checks; of a family that breaks its contract, the cause is named."""

import importlib.util
from pathlib import Path

import custom_encoders
import custom_metrics
import numpy as np
import pytest
from custom_families import CODE, FAULTS, write_family

from mlnb.errors import ColumnEncoderError, MetricError, MissingExtra, ModelFamilyError
from mlnb.methods.encoding.custom_encoders import load_column_encoder
from mlnb.methods.metrics.custom_metrics import load_metric
from mlnb.methods.models.custom_families import custom_names, load_family
from mlnb.methods.models.family_checks import check_family
from mlnb.methods.models.optional_families import OPTIONAL_FAMILIES
from mlnb.methods.models.search_spaces import SEARCHED
from mlnb.testing import check_column_encoder, check_metric, check_model_family

FAST = {
    "lightgbm": {"rounds": 5},
    "hist_gradient_boosting": {"max_iter": 15},
    "mlp": {"width": 4, "bags": 1},
    "random_forest": {"n_estimators": 5},
    "extra_trees": {"n_estimators": 5},
}


@pytest.mark.parametrize(
    ("family", "task"),
    [*((family, "multiclass") for family in SEARCHED), *((family, "regression") for family in ("lightgbm", "linear"))],
)
def test_the_families_of_mlnb_pass(family: str, task: str) -> None:
    assert {check.check: check.problem for check in check_family(family, task, FAST.get(family)) if check.problem} == {}


@pytest.mark.parametrize("family", OPTIONAL_FAMILIES)
def test_the_optional_families_pass_where_they_are_installed(family: str) -> None:
    if importlib.util.find_spec(family):
        return check_model_family(family, params={"rounds": 50})
    with pytest.raises(MissingExtra, match=rf'pip install "mlnb\[{family}\]"'):
        OPTIONAL_FAMILIES[family].load(b"")
    return None


def test_a_notebook_and_a_class_pass(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    check_model_family(write_family(tmp_path))
    assert "halves, multiclass: 8 checks passed; one row in " in capsys.readouterr().out
    check_model_family(type(load_family(CODE, "nbs/models/halves.ipynb").family), tasks=["regression"])
    assert "halves, regression: 8 checks passed" in capsys.readouterr().out


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("fault", FAULTS)
def test_a_broken_contract_is_named(fault: str, tmp_path: Path) -> None:
    old, new, expected = FAULTS[fault]
    path = write_family(tmp_path, code=CODE.replace(old, new))
    with pytest.raises(ModelFamilyError) as caught:
        check_model_family(path, tasks=["binary"])
    assert custom_names(optional=False) == ()  # it is registered during the checks alone
    message = str(caught.value)
    assert message.startswith("nbs/models/halves.ipynb: model family 'halves' fails") and expected in message, message


def test_the_name_of_an_optional_family_is_taken(tmp_path: Path) -> None:
    with pytest.raises(ModelFamilyError, match="'xgboost': mlnb has a family of that name"):
        check_model_family(write_family(tmp_path, code=CODE.replace('"halves"', '"xgboost"')))


def test_an_unknown_name_is_a_path_that_does_not_exist() -> None:
    with pytest.raises(ValueError, match="no_such_family is not a notebook that can be read"):
        check_model_family("no_such_family")


def test_a_metric_passes_as_notebook_and_as_class(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    check_metric(custom_metrics.write_metric(tmp_path))
    check_metric(type(load_metric(custom_metrics.CODE, custom_metrics.FILE).metric))
    assert capsys.readouterr().out.count("profit, binary: 5 checks passed; a score in ") == 2


@pytest.mark.parametrize("fault", custom_metrics.FAULTS)
def test_a_broken_metric_is_named(fault: str, tmp_path: Path) -> None:
    old, new, expected = custom_metrics.FAULTS[fault]
    assert old in custom_metrics.CODE
    path = custom_metrics.write_metric(tmp_path, code=custom_metrics.CODE.replace(old, new))
    with pytest.raises(MetricError) as caught, np.errstate(all="ignore"):
        check_metric(path)
    message = str(caught.value)
    assert message.startswith("nbs/metrics/profit.ipynb: metric 'profit' fails") and expected in message, message


def test_an_encoder_passes_as_notebook_and_as_class(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    check_column_encoder(custom_encoders.write_encoder(tmp_path))
    check_column_encoder(type(load_column_encoder(custom_encoders.CODE, custom_encoders.FILE).encoder))
    assert capsys.readouterr().out.count("moments, date: 5 checks passed; one value in ") == 2


@pytest.mark.parametrize("fault", custom_encoders.FAULTS)
def test_a_broken_encoder_is_named(fault: str, tmp_path: Path) -> None:
    old, new, expected = custom_encoders.FAULTS[fault]
    assert old in custom_encoders.CODE
    path = custom_encoders.write_encoder(tmp_path, code=custom_encoders.CODE.replace(old, new))
    with pytest.raises(ColumnEncoderError) as caught:
        check_column_encoder(path)
    message = str(caught.value)
    assert message.startswith("nbs/encoders/moments.ipynb: encoder 'moments'") and expected in message, message
