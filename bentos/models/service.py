"""BentoML service of several models: POST /models/NAME/predict, or POST /predict with the segment in each row."""

from pathlib import Path

import bentoml
from starlette.responses import Response

from mlnb.serving.runtime.bento_interface import PredictionService, describe_models, to_response
from mlnb.serving.runtime.multi_model_endpoint import MultiModelEndpoint

MODELS = Path(__file__).parent / "models"
Rows, Predictions = describe_models(MODELS)


@bentoml.service(service_class=PredictionService, logging={"access": {"enabled": False}})
class Models:
    """Predicts with the model of each row's segment; `GET /models` lists them."""

    def __init__(self) -> None:
        self.endpoint = MultiModelEndpoint(MODELS)

    @bentoml.api(input_spec=Rows, output_spec=Predictions)
    def predict(self, body: bytes, /) -> Response:
        """Returns one prediction per row, with the name and version of the model that made it.

        The rows of a request may belong to several segments. A segment without a model returns status 404, a model that
        cannot be loaded 503, and invalid rows 422 with row, column, found and expected.
        """
        return to_response(self.endpoint.respond(body))

    @bentoml.on_shutdown
    def close(self) -> None:
        """Write the buffered prediction logs."""
        self.endpoint.close()

    def __is_ready__(self) -> bool:
        """Ready while a model gives its golden rows the predictions of its notebook."""
        return self.endpoint.ready()
