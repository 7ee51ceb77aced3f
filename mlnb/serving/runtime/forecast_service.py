"""Histories in, horizons out: each series of a request is forecast from its own last value on."""

from collections.abc import Sequence
from typing import ClassVar

from mlnb.methods.contracts.problems import ProblemContract
from mlnb.methods.contracts.responses import Explanation, Response, RowProblem
from mlnb.methods.evaluation.forecast_responses import answer_request, find_problems
from mlnb.methods.series.forecast_windows import Windows, request_schema
from mlnb.methods.tables.columns import Schema
from mlnb.serving.runtime.request_bodies import BadRequest, BadRows
from mlnb.serving.runtime.service_parts import Parts, Row, Task


class Forecasts(Task):
    """Answers the rows of one or many histories with the steps that follow."""

    independent: ClassVar[bool] = False

    def __init__(self, parts: Parts) -> None:
        super().__init__(parts)
        self.encoder = Windows.from_json(parts.encoder)
        self.asked = request_schema(parts.schema, parts.contract)

    def respond(self, rows: list[Row]) -> Sequence[Response]:
        """Return the horizon of each series, by key and time; raises `BadRows` when a history cannot be used."""
        problems = find_problems(rows, self.asked, self.encoder)
        if problems:
            raise BadRows(problems)
        parts = self.parts
        try:
            return answer_request(rows, self.asked, self.encoder, parts.model, parts.decision)
        except ValueError as error:  # a stamp beyond the holidays that were learned
            column, expected = self.encoder.time, "stamps that the model knows the calendar of"
            problem = RowProblem(row=None, column=column, found=str(error), expected=expected)
            raise BadRows([problem]) from None

    def explain(self, rows: list[Row]) -> Sequence[Explanation]:
        """Refuse: answers are steps ahead and not rows."""
        raise BadRequest("forecasts are not explained", [])


def ask_history(schema: Schema, contract: ProblemContract) -> Schema:
    """Return the columns of a request: stamp, keys, value and the other features."""
    return request_schema(schema, contract)
