"""The kinds of problem that a service answers: what it does with rows, and what OpenAPI says of its answers.

A new problem type is a class like `tabular_service.Tabular`, a function for the properties of its
answer, and one line here.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from mlnb.methods.contracts.problems import ProblemContract
from mlnb.methods.tables.columns import Schema
from mlnb.serving.runtime.forecast_service import Forecasts, ask_history, describe_forecast
from mlnb.serving.runtime.scored_service import Ranked, Scored, ask_query, describe_alert, describe_rank
from mlnb.serving.runtime.service_parts import Parts, Task
from mlnb.serving.runtime.tabular_service import Tabular, describe_classes, describe_value


def ask_features(schema: Schema, contract: ProblemContract) -> Schema:
    """Return the columns of a request: the features as they are."""
    return schema


@dataclass(frozen=True)
class Kind:
    """One kind of problem.

    Attributes:
        describe: contract -> JSON Schema properties of one answer.
        ask: schema, contract -> columns of a request.
        whole: whether an example of a request is all golden rows, or one of them.
    """

    answering: type[Task]
    describe: Callable[[ProblemContract], dict[str, Any]]
    ask: Callable[[Schema, ProblemContract], Schema] = ask_features
    whole: bool = False


KINDS: dict[str, Kind] = {
    "binary": Kind(Tabular, describe_classes),
    "multiclass": Kind(Tabular, describe_classes),
    "regression": Kind(Tabular, describe_value),
    "anomaly": Kind(Scored, describe_alert),
    "ranking": Kind(Ranked, describe_rank, ask_query),
    "forecasting": Kind(Forecasts, describe_forecast, ask_history, whole=True),
}


def find_kind(contract: ProblemContract) -> Kind:
    """Return the kind of a contract's task.

    Raises:
        ValueError: when a service cannot answer it.
    """
    try:
        return KINDS[contract.task]
    except KeyError:
        found = contract.task
        raise ValueError(f"found task {found!r}, expected one that a service answers: {', '.join(KINDS)}") from None


def make_task(parts: Parts) -> Task:
    """Return what answers requests for a model."""
    return find_kind(parts.contract).answering(parts)
