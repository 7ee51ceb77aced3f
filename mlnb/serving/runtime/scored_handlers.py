"""Anomaly detection and ranking: each row gets a score, which is compared with a limit or within its query."""

from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar

import numpy as np

from mlnb.codec import Json
from mlnb.methods.contracts.problems import ProblemContract
from mlnb.methods.contracts.responses import AnomalyExplanation, Explanation, Response, RowProblem
from mlnb.methods.encoding.table_encoder import Encoder
from mlnb.methods.models.anomaly_detectors import drivers
from mlnb.methods.models.fitted_models import predict
from mlnb.methods.tables.columns import Schema
from mlnb.methods.tasks.responders import respond
from mlnb.serving.runtime.model_parts import ModelParts, Row
from mlnb.serving.runtime.request_bodies import SHOWN, BadRequest, BadRows
from mlnb.serving.runtime.request_handler import RequestHandler
from mlnb.serving.runtime.sum_explanations import explain_sums


class AnomalyHandler(RequestHandler):
    """Responds to each row with a state and a score."""

    independent: ClassVar[bool] = True

    def __init__(self, parts: ModelParts) -> None:
        super().__init__(parts)
        self.encoder = Encoder.from_json(parts.encoder)

    def respond(self, rows: list[Row]) -> Sequence[Response]:
        """Return one response a row, in order. Raises `BadRows` when one does not fit the schema."""
        encoded, groups = self.encode(rows), self.groups(rows)
        if not rows:
            return []
        return respond(predict(self.parts.model, encoded), self.parts.contract, self.parts.decision, groups)

    def encode(self, rows: list[Row]) -> np.ndarray:
        """Return the rows as a matrix (n, d). Raises `BadRows` when one does not fit the schema."""
        return self.encoder.transform(self.read(rows))

    def groups(self, rows: list[Row]) -> np.ndarray | None:
        """Return the number of each row's query (n,); None where rows do not compete."""
        return None

    def explain(self, rows: list[Row]) -> Sequence[Explanation]:
        """Return which columns of each row are rare by themselves. Raises `BadRequest` for a model without that."""
        encoded = self.encode(rows)
        try:
            columns = drivers(self.parts.model.native, encoded, self.encoder.sources)
        except (KeyError, TypeError, ValueError) as error:
            raise BadRequest(f"this model's predictions cannot be explained: {error}", []) from None
        return [AnomalyExplanation(columns=each) for each in columns]


class RankingHandler(AnomalyHandler):
    """Responds to the rows of each query with their ranks; rows that name no query belong to one."""

    independent: ClassVar[bool] = False

    def groups(self, rows: list[Row]) -> np.ndarray | None:
        """Return the number of each row's query (n,). Raises `BadRows` when only some rows name theirs."""
        query = str(self.parts.contract.query)
        names = [row.get(query) for row in rows]
        if all(name is None for name in names):
            return np.zeros(len(rows), dtype=np.int64)
        expected = "the row's query: a text or number"
        problems = [
            RowProblem(row=number, column=query, found="nothing" if name is None else "an object", expected=expected)
            for number, name in enumerate(names)
            if name is None or isinstance(name, dict | list)
        ]
        if problems:
            raise BadRows(problems[:SHOWN])
        return number_queries(names)

    def explain(self, rows: list[Row]) -> Sequence[Explanation]:
        """Return what each column added to each row's score. Raises `BadRequest` where the score is not a sum."""
        arrays = self.read(rows)
        return explain_sums(self.parts.model, self.encoder, arrays, self.encoder.transform(arrays))


def number_queries(names: Sequence[Json]) -> np.ndarray:
    """Return the number of the query that each row names (n,)."""
    codes = {name: code for code, name in enumerate(dict.fromkeys(map(str, names)))}
    return np.array([codes[str(name)] for name in names], dtype=np.int64)


def query_columns(schema: Schema, contract: ProblemContract) -> Schema:
    """Return the columns of a request: the features, and the query of each row, which may be left out."""
    query = schema.column(str(contract.query))
    column = replace(query, role="feature", nullable=True, categories=None, minimum=None, maximum=None)
    return Schema((column, *schema.features), schema.rows)
