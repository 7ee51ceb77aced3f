"""Forecasting: each series of a request is forecast from its last known value."""

from collections.abc import Sequence
from typing import ClassVar

from mlnb.methods.contracts.problems import ProblemContract
from mlnb.methods.contracts.responses import Explanation, Response, RowProblem
from mlnb.methods.encoding.encoder_interface import UnusableValue
from mlnb.methods.evaluation.forecast_responses import find_history_problems, respond_to_request
from mlnb.methods.series.forecast_windows import Windows, request_schema
from mlnb.methods.series.time_series import series_codes
from mlnb.methods.tables.columns import Schema, to_arrays
from mlnb.serving.runtime.model_parts import ModelParts, Row
from mlnb.serving.runtime.request_bodies import BadRequest, BadRows
from mlnb.serving.runtime.request_handler import RequestHandler
from mlnb.serving.runtime.row_checks import find_row_problems


class ForecastHandler(RequestHandler):
    """Responds to the history of one or several series with the steps that follow."""

    independent: ClassVar[bool] = False

    def __init__(self, parts: ModelParts) -> None:
        super().__init__(parts)
        self.encoder = Windows.from_json(parts.encoder)
        self.schema = request_schema(parts.schema, parts.contract)

    @property
    def request_columns(self) -> Schema:
        """Timestamp, key, value and the other features."""
        return self.schema

    def respond(self, rows: list[Row]) -> Sequence[Response]:
        """Return the horizon of each series, by key and time. Raises `BadRows` when a history cannot be used."""
        if problems := find_row_problems(rows, self.schema):
            raise BadRows(problems)
        if not rows:
            return []
        arrays = to_arrays(rows, self.schema)
        series = series_codes(arrays, self.encoder.keys)
        if problems := find_history_problems(rows, arrays, self.encoder, series):
            raise BadRows(problems)
        model, decision = self.parts.model, self.parts.decision
        try:
            return respond_to_request(rows, self.schema, self.encoder, model, decision, arrays, series)
        except UnusableValue:
            raise
        except ValueError as error:  # a timestamp after the last holiday that training knew
            expected = "timestamps within the calendar that the model was trained with"
            problem = RowProblem(row=None, column=self.encoder.time, found=str(error), expected=expected)
            raise BadRows([problem]) from None

    def explain(self, rows: list[Row]) -> Sequence[Explanation]:
        """Raise `BadRequest`: a forecast belongs to a step ahead, not to a row of the request."""
        raise BadRequest("forecasts are not explained", [])


def history_columns(schema: Schema, contract: ProblemContract) -> Schema:
    """Return the columns of a request: timestamp, key, value and the other features."""
    return request_schema(schema, contract)
