"""Rows that get a score: ranked within their query, or compared with what is normal."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np

from mlnb.methods.contracts.problems import ProblemContract
from mlnb.methods.contracts.responses import AnomalyExplanation, Explanation, Response, RowProblem, SumExplanation
from mlnb.methods.encoding.table_encoder import Encoder
from mlnb.methods.models.anomaly_detectors import drivers
from mlnb.methods.models.fitted_models import predict
from mlnb.methods.models.shap_values import share_out
from mlnb.methods.tables.columns import Schema, check_rows, to_arrays
from mlnb.methods.tasks.responders import respond
from mlnb.serving.runtime.request_bodies import BadRequest, BadRows
from mlnb.serving.runtime.service_parts import Parts, Row, Task


class Scored(Task):
    """Answers each row with a score; anomalies stand alone."""

    independent: ClassVar[bool] = True

    def __init__(self, parts: Parts) -> None:
        self.parts = parts
        self.encoder = Encoder.from_json(parts.encoder)

    def respond(self, rows: list[Row]) -> Sequence[Response]:
        """Return one response a row, in order; raises `BadRows` when one does not fit the schema."""
        encoded, groups = self.encode(rows), self.groups(rows)
        if not rows:
            return []
        return respond(predict(self.parts.model, encoded), self.parts.contract, self.parts.decision, groups)

    def encode(self, rows: list[Row]) -> np.ndarray:
        """Return the rows as a matrix; raises `BadRows` when one does not fit the schema."""
        problems = check_rows(rows, self.parts.schema)
        if problems:
            raise BadRows(problems)
        return self.encoder.transform(to_arrays(rows, self.parts.schema))

    def groups(self, rows: list[Row]) -> np.ndarray | None:
        """Return which rows compete with each other; None: a row's answer does not depend on the others."""
        return None

    def explain(self, rows: list[Row]) -> Sequence[Explanation]:
        """Return which columns of each row are strange by themselves, and how rare: 2 is one row in a hundred."""
        encoded = self.encode(rows)
        try:
            columns = drivers(self.parts.model.native, encoded, self.encoder.sources)
        except (KeyError, TypeError, ValueError) as error:
            raise BadRequest(f"this model's predictions cannot be explained: {error}", []) from None
        return [AnomalyExplanation(columns=each) for each in columns]


class Ranked(Scored):
    """Ranks the rows of each query; rows that name no query are one."""

    independent: ClassVar[bool] = False

    def groups(self, rows: list[Row]) -> np.ndarray | None:
        """Return the number of each row's query; raises `BadRows` when only some rows name theirs."""
        query = str(self.parts.contract.query)
        named = [row.get(query) for row in rows]
        if all(name is None for name in named):
            return np.zeros(len(rows), dtype=np.int64)
        expected = "the row's query: a text or number"
        problems = [
            RowProblem(row=number, column=query, found="nothing" if name is None else "an object", expected=expected)
            for number, name in enumerate(named)
            if name is None or isinstance(name, dict | list)
        ]
        if problems:
            raise BadRows(problems)
        return find_queries(named)

    def explain(self, rows: list[Row]) -> Sequence[Explanation]:
        """Return what each column added to each row's score."""
        encoded = self.encode(rows)
        try:
            parts, base, columns = share_out(self.parts.model, encoded, self.encoder.sources, None)
        except ValueError as error:
            raise BadRequest(f"this model's predictions cannot be explained: {error}", []) from None
        scores = (parts.sum(axis=1) + base).tolist()
        return [
            SumExplanation(score=score, base=start, columns=dict(zip(columns, shares, strict=True)))
            for score, start, shares in zip(scores, base.tolist(), parts.tolist(), strict=True)
        ]


def find_queries(names: Sequence[Any]) -> np.ndarray:
    """Return the number of the query that each row names (n,)."""
    codes = {name: code for code, name in enumerate(dict.fromkeys(map(str, names)))}
    return np.array([codes[str(name)] for name in names], dtype=np.int64)


def ask_query(schema: Schema, contract: ProblemContract) -> Schema:
    """Return the columns of a request: the features, and the query that a row belongs to, which may be left out."""
    query = schema.column(str(contract.query))
    asked = replace(query, role="feature", nullable=True, categories=None, minimum=None, maximum=None)
    return Schema((asked, *schema.features), schema.rows)
