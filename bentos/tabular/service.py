"""BentoML service: POST /predict takes a JSON list of rows, objects by column name, and returns predictions."""

from pathlib import Path

import bentoml
from starlette.responses import Response

from mlnb.serving.runtime.bento_interface import PredictionService, describe_model, to_response
from mlnb.serving.runtime.endpoint import Endpoint

MODEL = Path(__file__).parent / "model"
Rows, Predictions = describe_model(MODEL)


@bentoml.service(service_class=PredictionService, logging={"access": {"enabled": False}})
class Tabular:
    """Predicts the target for rows of a table."""

    def __init__(self) -> None:
        self.endpoint = Endpoint(MODEL)

    @bentoml.api(input_spec=Rows, output_spec=Predictions)
    def predict(self, body: bytes, /) -> Response:
        """Returns one prediction per row; classification adds the probability of each class.

        Invalid rows return status 422 with row, column, found and expected. A body that is not a JSON list of objects
        returns 400, a body that is too large 413. Large batches can be Arrow streams or Parquet files; the response has
        the same format.
        """
        return to_response(self.endpoint.respond(body))

    @bentoml.on_shutdown
    def close(self) -> None:
        """Write the buffered prediction log."""
        self.endpoint.close()

    def __is_ready__(self) -> bool:
        """Ready while the predictions for the golden rows equal those of the notebook."""
        return self.endpoint.ready()
