"""The request path without HTTP: rows in, responses out, with nothing loaded but what the model needs."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mlnb.codec import Json
from mlnb.errors import EmbeddingError
from mlnb.methods.contracts.responses import Explanation, Golden, Response, to_wire
from mlnb.methods.encoding.encoder_interface import UnusableValue
from mlnb.serving.runtime.model_parts import ModelParts, Row, read_record
from mlnb.serving.runtime.parity import Difference, find_difference
from mlnb.serving.runtime.recommendation_handler import RecommendationHandler
from mlnb.serving.runtime.request_handler import RequestHandler
from mlnb.serving.runtime.row_protection import RowProtection
from mlnb.serving.runtime.served_tasks import make_handler
from mlnb.serving.runtime.structured_logs import log_event


@dataclass(frozen=True)
class Predictor:
    """A served model and the golden rows that it is verified with.

    Attributes:
        parts: what was read from the bundle.
        handler: what responds to rows.
        golden: held-out rows and the notebook's predictions for them.
        protection: what becomes of personal data in requests.
        recommendations: recommends items to users; None where the model is of no interaction log.
    """

    parts: ModelParts
    handler: RequestHandler
    golden: Golden
    protection: RowProtection
    recommendations: RecommendationHandler | None = None

    @classmethod
    def load(cls, folder: Path) -> "Predictor":
        """Return the predictor of a bundle's folder `model`.

        Raises:
            OSError: a file is missing.
            ValueError: a file is damaged.
        """
        parts = ModelParts.load(folder)
        golden = read_record(Golden, folder / "golden.json")
        handler = make_handler(parts)
        recommendations = RecommendationHandler.load(folder, handler)
        return cls(parts, handler, golden, RowProtection(parts.schema), recommendations)

    def respond(self, rows: list[Row]) -> Sequence[Response]:
        """Return the responses to a request's rows. Raises `BadRows` when one does not fit the schema."""
        return self.handler.respond(self.protection.rows(rows))

    def predict(self, rows: list[Row]) -> list[dict[str, Json]]:
        """Return the responses as the JSON objects that a client receives. Raises `BadRows` as `respond`."""
        return to_wire(self.respond(rows))

    def explain(self, rows: list[Row]) -> Sequence[Explanation]:
        """Return one explanation a response. Raises `BadRequest` for models that have none."""
        return self.handler.explain(self.protection.rows(rows))

    def replay(self) -> Difference | None:
        """Return the first difference to the notebook's predictions for the golden rows; None when identical."""
        try:
            difference = find_difference(self.predict([*self.golden.rows]), self.golden.predictions)
            if difference is None and self.recommendations is not None:
                difference = self.recommendations.replay()
            return difference
        except EmbeddingError as error:
            log_event("golden rows cannot be embedded", logging.ERROR, error)
            return Difference(0, "", str(error), "an embedding of each text")
        except UnusableValue as error:  # files that the golden rows name are not here
            log_event("golden rows cannot be read", logging.ERROR, column=str(error.column), found=error.actual)
            return Difference(0, str(error.column), error.actual, error.expected)
