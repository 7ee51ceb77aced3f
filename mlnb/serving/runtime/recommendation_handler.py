"""Recommendations for users of a log: candidates from the recommender of the bundle, ranked by its model."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mlnb.codec import Json, JsonObject
from mlnb.errors import SettingsError
from mlnb.methods.contracts.responses import Golden, RowProblem
from mlnb.methods.decisions.decision_rules import decide
from mlnb.methods.models.fitted_models import predict
from mlnb.methods.recommendation.recommenders import (
    RecommendationRequest,
    Recommendations,
    Recommender,
    RequestError,
    read_request,
    to_response,
)
from mlnb.methods.tables.pseudonyms import Protection
from mlnb.serving.runtime.json_rows import bad_body, read_rows
from mlnb.serving.runtime.model_parts import Row, read_record
from mlnb.serving.runtime.parity import Difference, find_difference
from mlnb.serving.runtime.request_bodies import SHOWN, BadRequest, BadRows, Body, too_large
from mlnb.serving.runtime.row_protection import NO_KEY
from mlnb.serving.runtime.scored_handlers import AnomalyHandler
from mlnb.settings import ProcessSettings

FOLDER = "recommender"  # of a bundle's folder `model`
GOLDEN = "recommended.json"  # users and the notebook's recommendations for them
MOST_REQUESTS = 100  # users in one request
EXPECTED_USERS = 'a JSON list of users, such as [{"user": "u7", "k": 10}]'


def read_users(body: Body) -> list[JsonObject]:
    """Return the users of a body. Raises `BadRequest` as `read_rows`, with the form of these requests."""
    try:
        return read_rows(body)
    except BadRequest as error:
        if error.status != 400:
            raise
        (problem,) = error.problems
        raise bad_body(problem.found, problem.row, EXPECTED_USERS) from None


class RecommendationHandler:
    """Recommends items to users.

    Args:
        recommender: of the log.
        ranker: handler of the model's rows.
        golden: users and the notebook's recommendations for them.
    """

    def __init__(self, recommender: Recommender, ranker: AnomalyHandler, golden: Golden) -> None:
        self.recommender, self.ranker, self.golden = recommender, ranker, golden
        self._features = [column.name for column in ranker.parts.schema.features]
        metadata = recommender.metadata
        declared = {} if metadata.personal is None else {metadata.user_column: metadata.personal}
        self._protection = Protection(declared, ProcessSettings().personal_key)

    @classmethod
    def load(cls, folder: Path, ranker: object) -> "RecommendationHandler | None":
        """Return the handler of a bundle's folder `model`; None where the model is of no log.

        Raises:
            OSError: a file is missing.
            ValueError: a file is damaged.
        """
        if not (folder / FOLDER).is_dir() or not isinstance(ranker, AnomalyHandler):
            return None
        return cls(Recommender.load(folder / FOLDER), ranker, read_record(Golden, folder / GOLDEN))

    def respond(self, rows: Sequence[Row]) -> list[Recommendations]:
        """Return the recommendations for the users of a request.

        Raises:
            BadRequest: too many users, or fields that are wrong.
        """
        if len(rows) > MOST_REQUESTS:
            raise too_large(f"{len(rows)} users", f"at most {MOST_REQUESTS} in one request")
        requests: list[RecommendationRequest] = []
        problems: list[RowProblem] = []
        for number, fields in enumerate(rows):
            try:
                requests.append(read_request(self._protected(fields)))
            except RequestError as error:
                problem = RowProblem(row=number, column=error.field, found=error.actual, expected=error.expected)
                problems.append(problem)
        if problems:
            raise BadRows(problems[:SHOWN])
        return [self.recommender.recommend(request, self._score, self._features) for request in requests]

    def replay(self) -> Difference | None:
        """Return the first difference to the notebook's recommendations; None when they are identical."""
        try:
            recommended: list[Json] = [*to_response(self.respond(self.golden.rows))]
        except BadRequest as error:
            return Difference(0, "", str(error), "recommendations")
        return find_difference(recommended, self.golden.predictions)

    def _protected(self, fields: JsonObject) -> JsonObject:
        """Return a request with the pseudonym of the user, where the log has pseudonyms. Raises `RequestError`."""
        name = self.recommender.metadata.user_column
        if name not in self._protection.columns or "user" not in fields:
            return fields
        try:
            return {**fields, "user": self._protection.value(name, fields["user"])}
        except SettingsError:
            raise RequestError("user", "personal data", NO_KEY) from None

    def _score(self, rows: list[JsonObject]) -> np.ndarray:
        """Return the scores of candidates."""
        parts = self.ranker.parts
        return decide(predict(parts.model, self.ranker.encode(rows)), parts.decision, parts.contract)
