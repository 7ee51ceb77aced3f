"""Predictions for the rows of a table: POST /predict takes a JSON list of objects by column name."""

from pathlib import Path

import bentoml
from starlette.responses import Response

from mlnb.serving.bodies import BadRequest, read_rows
from mlnb.serving.interface import describe, refuse, reply
from mlnb.serving.predictor import Predictor

MODEL = Path(__file__).parent / "model"
VERSION = (MODEL / "version.txt").read_text().strip()
Rows, Predictions = describe(MODEL)


@bentoml.service(threads=4, traffic={"timeout": 60})
class Tabular:
    """Predicts from the rows of a table."""

    def __init__(self) -> None:
        self.predictor = Predictor.load(MODEL)

    @bentoml.api(input_spec=Rows, output_spec=Predictions)
    def predict(self, body: bytes, /) -> Response:
        """Answers one prediction a row, with the probability of every class where there are classes.

        Rows that do not fit the model's columns are refused with status 422 and the row, the column, what was
        found and what was expected; a body that is no JSON list of objects with 400, one too large with 413.
        """
        try:
            return reply(self.predictor.predict(read_rows(body)), VERSION)
        except BadRequest as error:
            return refuse(error, VERSION)

    def __is_ready__(self) -> bool:
        """Ready as long as the golden rows get the very predictions that the notebook made."""
        return self.predictor.replay() is None
