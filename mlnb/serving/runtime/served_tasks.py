"""What a service does with a request, by what one request scores together: rows, queries or histories.

A new problem type needs no line here: its traits name its kind, and `form_of` the form of its responses.
"""

from collections.abc import Callable
from dataclasses import dataclass

from mlnb.methods.contracts.problems import ProblemContract
from mlnb.methods.tables.columns import Schema
from mlnb.methods.tasks.task_traits import choose
from mlnb.serving.runtime.forecast_handler import ForecastHandler, history_columns
from mlnb.serving.runtime.model_parts import ModelParts
from mlnb.serving.runtime.request_handler import RequestHandler
from mlnb.serving.runtime.scored_handlers import AnomalyHandler, RankingHandler, query_columns
from mlnb.serving.runtime.tabular_handler import TabularHandler, table_columns


def feature_columns(schema: Schema, contract: ProblemContract) -> Schema:
    """Return the columns of a request: the features."""
    return schema


@dataclass(frozen=True)
class ServedTask:
    """How a service handles one unit of a request.

    Attributes:
        handler: the class that responds to requests.
        columns: schema, contract -> columns of a request.
    """

    handler: type[RequestHandler]
    columns: Callable[[Schema, ProblemContract], Schema] = feature_columns


SERVED = {  # by the trait `kind` of the task
    "table": ServedTask(TabularHandler, table_columns),
    "alerts": ServedTask(AnomalyHandler),
    "query": ServedTask(RankingHandler, query_columns),
    "history": ServedTask(ForecastHandler, history_columns),
}


def find_served_task(contract: ProblemContract) -> ServedTask:
    """Return how a service handles a contract's task.

    Raises:
        ValueError: there is no such task.
    """
    return choose(SERVED, contract.task)


def make_handler(parts: ModelParts) -> RequestHandler:
    """Return the request handler for a model."""
    return find_served_task(parts.contract).handler(parts)
