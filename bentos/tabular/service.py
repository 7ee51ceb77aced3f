"""Predictions for the rows of a table: POST /predict takes a JSON list of objects by column name."""

from pathlib import Path

import bentoml
from starlette.responses import Response

from mlnb.serving.runtime.bento_interface import Front, describe, to_response
from mlnb.serving.runtime.endpoint import Endpoint

MODEL = Path(__file__).parent / "model"
Rows, Predictions = describe(MODEL)


@bentoml.service(service_class=Front, logging={"access": {"enabled": False}})
class Tabular:
    """Predicts from the rows of a table."""

    def __init__(self) -> None:
        self.endpoint = Endpoint(MODEL)

    @bentoml.api(input_spec=Rows, output_spec=Predictions)
    def predict(self, body: bytes, /) -> Response:
        """Answers one prediction a row, with the probability of every class where there are classes.

        Rows that do not fit the model's columns are refused with status 422 and the row, the column, what was
        found and what was expected; a body that is no JSON list of objects with 400, one too large with 413.
        Large batches may come as Arrow streams or Parquet files, and are answered likewise.
        """
        return to_response(self.endpoint.respond(body))

    @bentoml.on_shutdown
    def close(self) -> None:
        """Write down what is still to be noted."""
        self.endpoint.close()

    def __is_ready__(self) -> bool:
        """Ready as long as the golden rows get the very predictions that the notebook made."""
        return self.endpoint.ready()
