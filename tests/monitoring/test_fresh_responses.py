"""Responses of champion and challenger: the columns that are sent, models of other tasks, and refused rows."""

from types import SimpleNamespace

import pandas as pd
import pytest

from mlnb.methods.contracts.problems import ProblemContract
from mlnb.methods.contracts.responses import RowProblem
from mlnb.monitoring import fresh_responses
from mlnb.serving.runtime.request_bodies import BadRows

CHURN = ProblemContract(task="binary", target="y", classes=("no", "yes"), metric="roc_auc")
FRESH = pd.DataFrame({"age": [31, 52], "city": ["Bern", None], "y": ["no", "yes"]})


class Model:
    """A model that knows some columns and responds with the rows that it received."""

    def __init__(self, *columns, contract=CHURN, refuses=False):
        self.parts = SimpleNamespace(contract=contract, schema=columns, encoder={"width": 3})
        self.handler, self.refuses = object(), refuses

    def predict(self, rows):
        if self.refuses:
            raise BadRows([RowProblem(row=0, column="age", found="nothing", expected="a number")])
        return [dict(row) for row in rows]


@pytest.fixture
def respond(monkeypatch, tmp_path):
    """Respond with two models."""

    def run(champion, challenger, contract=CHURN, history=None):
        models = {tmp_path / "champion" / "model": champion, tmp_path / "challenger" / "model": challenger}
        task = SimpleNamespace(columns=lambda schema, contract: SimpleNamespace(names=schema))
        monkeypatch.setattr(fresh_responses.Predictor, "load", models.__getitem__)
        monkeypatch.setattr(fresh_responses, "find_served_task", lambda contract: task)
        folders = (tmp_path / "champion", tmp_path / "challenger")
        return fresh_responses.respond_to_fresh(*folders, contract, FRESH, history)

    return run


def test_each_model_receives_the_columns_that_it_knows_and_no_target(respond):
    responses = respond(Model("age"), Model("age", "city", "y"))
    assert responses.champion == [[{"age": 31}, {"age": 52}]]
    assert responses.challenger == [[{"age": 31, "city": "Bern"}, {"age": 52, "city": None}]]
    assert responses.champion_seconds > 0 and responses.encoded is None and next(iter(responses)) is responses.champion


def test_models_of_different_tasks_are_refused(respond):
    price = ProblemContract(task="regression", target="y", metric="rmse")
    with pytest.raises(ValueError, match="task binary of the champion and regression of the challenger"):
        respond(Model("age"), Model("age", contract=price))


def test_a_model_that_refuses_fresh_rows_is_named(respond):
    with pytest.raises(ValueError, match="the challenger refuses fresh rows: row 0, column 'age'"):
        respond(Model("age"), Model("age", refuses=True))
