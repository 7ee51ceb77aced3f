"""What a service does with the rows of a request, by what one request scores together: rows, queries or histories.

A new problem type needs no line here: its traits name its unit, and `responders.form_of` the form of its responses.
"""

from collections.abc import Callable
from dataclasses import dataclass

from mlnb.methods.contracts.problems import ProblemContract
from mlnb.methods.tables.columns import Schema
from mlnb.methods.tasks.task_traits import traits_of
from mlnb.serving.runtime.forecast_service import Forecasts, ask_history
from mlnb.serving.runtime.scored_service import Ranked, Scored, ask_query
from mlnb.serving.runtime.service_parts import Parts, Task
from mlnb.serving.runtime.tabular_service import Tabular


def ask_features(schema: Schema, contract: ProblemContract) -> Schema:
    """Return the columns of a request: the features as they are."""
    return schema


@dataclass(frozen=True)
class Kind:
    """What a service does with one unit of a request.

    Attributes:
        ask: schema, contract -> columns of a request.
        whole: whether an example of a request is all golden rows, or one of them.
    """

    answering: type[Task]
    ask: Callable[[Schema, ProblemContract], Schema] = ask_features
    whole: bool = False


TABLE_ROWS = Kind(Tabular)  # rows that are scored alone by a model that learned from labels
KINDS = {  # the others, by the trait `unit` of the task
    "row": Kind(Scored),
    "query": Kind(Ranked, ask_query),
    "history": Kind(Forecasts, ask_history, whole=True),
}


def find_kind(contract: ProblemContract) -> Kind:
    """Return the kind of a contract's task.

    Raises:
        ValueError: when there is no such task.
    """
    traits = traits_of(contract.task)
    return TABLE_ROWS if traits.independent_rows else KINDS[traits.unit]


def make_task(parts: Parts) -> Task:
    """Return what answers requests for a model."""
    return find_kind(parts.contract).answering(parts)
