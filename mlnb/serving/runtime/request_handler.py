"""What every kind of problem does with the rows of a request; `served_tasks` lists the kinds."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from mlnb.methods.contracts.responses import Explanation, Response
from mlnb.methods.encoding.embedding_sources import has_embeddings
from mlnb.methods.tables.columns import Schema, to_arrays
from mlnb.serving.runtime.model_parts import ModelParts, Row
from mlnb.serving.runtime.request_bodies import BadRequest, BadRows
from mlnb.serving.runtime.row_checks import find_row_problems
from mlnb.serving.runtime.table_bodies import TableSlice, to_rows


class RequestHandler(ABC):
    """Turns the rows of one request into responses, for one kind of problem.

    Attributes:
        independent: whether a row's response is the same whatever other rows are in the request.
        waits: whether even one row takes milliseconds or waits for another server: the event loop does not do it.
    """

    independent: ClassVar[bool]
    waits: bool

    def __init__(self, parts: ModelParts) -> None:
        self.parts = parts
        self.waits = has_embeddings(parts.encoder)

    @property
    def request_columns(self) -> Schema:
        """The columns that a request may have."""
        return self.parts.schema

    def read(self, rows: list[Row]) -> dict[str, np.ndarray]:
        """Return the features of rows as columns. Raises `BadRows` when a row does not fit the schema."""
        problems = find_row_problems(rows, self.parts.schema)
        if problems:
            raise BadRows(problems)
        return to_arrays(rows, self.parts.schema)

    @abstractmethod
    def respond(self, rows: list[Row]) -> Sequence[Response]:
        """Return the responses to a request's rows. Raises `BadRows` when they do not fit the schema."""

    def respond_to_table(self, table: TableSlice) -> Sequence[Response]:
        """Return the responses to a table. Raises `BadRows` when its rows do not fit the schema."""
        return self.respond(to_rows(table))

    def explain(self, rows: list[Row]) -> Sequence[Explanation]:
        """Return one explanation a response. Raises `BadRequest` for a kind of problem that has none."""
        raise BadRequest(f"predictions of task {str(self.parts.contract.task)!r} are not explained", [])
