"""Every kind of problem has a handler, and its golden rows get the notebook's predictions."""

from dataclasses import replace

import pytest
from small_forecasts import make_forecaster
from small_models import make_model

from mlnb.methods.contracts.problems import ProblemContract
from mlnb.methods.evaluation.fitted_pipeline import read_pipeline
from mlnb.methods.evaluation.golden_rows import hide_persons, make_example
from mlnb.methods.tasks.task_traits import Task
from mlnb.serving.runtime.forecast_handler import ForecastHandler
from mlnb.serving.runtime.model_parts import ModelParts
from mlnb.serving.runtime.predictor import Predictor
from mlnb.serving.runtime.request_bodies import BadRequest
from mlnb.serving.runtime.request_handler import RequestHandler
from mlnb.serving.runtime.scored_handlers import AnomalyHandler, RankingHandler
from mlnb.serving.runtime.served_tasks import find_served_task, make_handler
from mlnb.serving.runtime.tabular_handler import TabularHandler

FAMILIES = {Task.ANOMALY: "detector_ensemble", Task.RANKING: "lambdarank", Task.REGRESSION: "linear"}
HANDLERS = {
    Task.BINARY: TabularHandler,
    Task.MULTICLASS: TabularHandler,
    Task.REGRESSION: TabularHandler,
    Task.ANOMALY: AnomalyHandler,
    Task.RANKING: RankingHandler,
    Task.FORECASTING: ForecastHandler,
}


def mark_keys(pipeline):
    """Mark the categories, the query and the keys of series as personal columns."""
    keys = {pipeline.contract.query, *pipeline.contract.series}
    columns = [
        replace(column, personal="names") if column.kind == "category" or column.name in keys else column
        for column in pipeline.schema.columns
    ]
    return replace(pipeline, schema=replace(pipeline.schema, columns=tuple(columns)))


@pytest.mark.parametrize("task", list(Task))
def test_every_task_is_served(task, tmp_path):
    forecasts = task == Task.FORECASTING
    make = make_forecaster if forecasts else lambda path: make_model(path, FAMILIES.get(task, "lightgbm"), task)
    predictor = Predictor.load(make(tmp_path / "model"))
    served = find_served_task(predictor.parts.contract)
    assert type(predictor.handler) is HANDLERS[task] is served.handler
    assert predictor.replay() is None
    assert served.handler.independent == (task not in (Task.FORECASTING, Task.RANKING))
    example = make_example(read_pipeline(tmp_path / "model"), predictor.golden)
    assert predictor.predict(example.rows) == example.predictions and example.predictions
    hidden = hide_persons(mark_keys(read_pipeline(tmp_path / "model")), predictor.golden)
    assert predictor.predict(hidden.rows) == hidden.predictions and len(hidden.rows) == len(predictor.golden.rows)
    assert hidden.rows != predictor.golden.rows
    names = served.columns(predictor.parts.schema, predictor.parts.contract).names
    assert set(predictor.golden.rows[0]) <= set(names)


def test_a_handler_without_explain_gives_no_explanations(tmp_path):
    class Silent(RequestHandler):
        independent = True

        def respond(self, rows):
            return []

    parts = ModelParts.load(make_model(tmp_path / "model", "linear"))
    with pytest.raises(BadRequest, match="predictions of task 'binary' are not explained"):
        Silent(parts).explain([{}])
    assert isinstance(make_handler(parts), TabularHandler)
    assert find_served_task(ProblemContract(task=Task.RANKING)).handler is RankingHandler
