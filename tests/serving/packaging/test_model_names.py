"""Names of models are allowed by BentoML, and each segment has another one."""

import re

import pytest

from mlnb.methods.contracts.problems import ProblemContract
from mlnb.methods.tasks.task_traits import Task
from mlnb.serving.packaging.model_names import default_name, segment_model, tag_name


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Überlebt / 2", "uberlebt-2"),
        ("a" * 100, "a" * 40),
        ("--x.y_z--", "x.y-z"),
        ("生存", ""),
        ("median price ($)", "median-price"),
    ],
)
def test_names_are_what_bentoml_allows(text, name):
    assert tag_name(text) == name


def test_the_name_of_a_segment_is_its_own():
    names = ["Berlin", "Köln/Ost", "Koln/Ost", "東京", "京都", "New York", "New-York", "x" * 30, "x" * 31]
    models = [segment_model("churn-classifier", name) for name in names]
    assert models[0] == "churn-classifier.berlin" and segment_model("churn-classifier", "") == "churn-classifier"
    assert len(set(models)) == len(names) and all(map(re.compile("[a-z0-9][-.a-z0-9]*[a-z0-9]").fullmatch, models))
    assert max(len(segment_model("y" * 51, name)) for name in names) <= 63


def test_a_name_comes_from_what_is_predicted():
    assert (
        default_name(ProblemContract(task=Task.BINARY, target="Survived", classes=("no", "yes")))
        == "survived-classifier"
    )
    assert default_name(ProblemContract(task=Task.REGRESSION, target="生存")) == "regressor"
