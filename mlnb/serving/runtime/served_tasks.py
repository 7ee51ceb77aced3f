"""The kinds of problem that a service handles: its request handler, its columns, and its entry in OpenAPI.

A new problem type is a subclass of `RequestHandler`, a function for the properties of its response, and one line here.
"""

from collections.abc import Callable
from dataclasses import dataclass

from mlnb.codec import JsonObject
from mlnb.methods.contracts.problems import ProblemContract
from mlnb.methods.contracts.tasks import Task
from mlnb.methods.tables.columns import Schema
from mlnb.serving.runtime.forecast_handler import ForecastHandler, describe_forecast, history_columns
from mlnb.serving.runtime.model_parts import ModelParts
from mlnb.serving.runtime.request_handler import RequestHandler
from mlnb.serving.runtime.scored_handlers import (
    AnomalyHandler,
    RankingHandler,
    describe_anomaly,
    describe_rank,
    query_columns,
)
from mlnb.serving.runtime.tabular_handler import TabularHandler, describe_classes, describe_value


def feature_columns(schema: Schema, contract: ProblemContract) -> Schema:
    """Return the columns of a request: the features."""
    return schema


@dataclass(frozen=True)
class ServedTask:
    """How a service handles one kind of problem.

    Attributes:
        handler: the class that responds to requests.
        describe: contract -> JSON Schema properties of one response.
        columns: schema, contract -> columns of a request.
        whole: whether the example of a request is all golden rows instead of one.
    """

    handler: type[RequestHandler]
    describe: Callable[[ProblemContract], JsonObject]
    columns: Callable[[Schema, ProblemContract], Schema] = feature_columns
    whole: bool = False


SERVED: dict[Task, ServedTask] = {
    Task.BINARY: ServedTask(TabularHandler, describe_classes),
    Task.MULTICLASS: ServedTask(TabularHandler, describe_classes),
    Task.REGRESSION: ServedTask(TabularHandler, describe_value),
    Task.ANOMALY: ServedTask(AnomalyHandler, describe_anomaly),
    Task.RANKING: ServedTask(RankingHandler, describe_rank, query_columns),
    Task.FORECASTING: ServedTask(ForecastHandler, describe_forecast, history_columns, whole=True),
}


def find_served_task(contract: ProblemContract) -> ServedTask:
    """Return how a service handles a contract's task.

    Raises:
        ValueError: no service handles it.
    """
    if contract.task not in SERVED:
        raise ValueError(f"found task {str(contract.task)!r}, expected one that is served: {', '.join(SERVED)}")
    return SERVED[contract.task]


def make_handler(parts: ModelParts) -> RequestHandler:
    """Return the request handler for a model."""
    return find_served_task(parts.contract).handler(parts)
