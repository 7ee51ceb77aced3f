"""Classification and regression: each row is encoded, scored and decided independently of the others."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from mlnb.codec import replace
from mlnb.methods.contracts.problems import GROUP_THRESHOLDS, ProblemContract
from mlnb.methods.contracts.responses import Response, RowProblem, SumExplanation
from mlnb.methods.decisions.decision_rules import choose_classes, decide
from mlnb.methods.decisions.group_thresholds import look_up_thresholds
from mlnb.methods.encoding.row_encoder import compile_row
from mlnb.methods.encoding.table_encoder import Encoder
from mlnb.methods.models.fitted_models import predict
from mlnb.methods.tables.columns import Schema, to_array
from mlnb.methods.tables.values import EXPECTED, fits
from mlnb.methods.tasks.responders import compile_responder, respond
from mlnb.serving.runtime.model_parts import ModelParts, Row
from mlnb.serving.runtime.request_bodies import BadRows
from mlnb.serving.runtime.request_handler import RequestHandler
from mlnb.serving.runtime.row_checks import describe_value
from mlnb.serving.runtime.row_scorers import compile_scorer
from mlnb.serving.runtime.sum_explanations import explain_sums
from mlnb.serving.runtime.table_bodies import TableSlice, read_columns, table_values

FEW = 16  # rows up to which scoring one by one is as fast as one call with a matrix


def table_columns(schema: Schema, contract: ProblemContract) -> Schema:
    """Return the columns of a request: the features, and protected columns that decisions depend on."""
    if contract.fairness_mitigation != GROUP_THRESHOLDS:
        return schema
    used = {column.name for column in schema.columns if column.name in contract.protected}
    columns = [replace(each, role="feature") if each.name in used else each for each in schema.columns]
    return replace(schema, columns=tuple(columns))


class TabularHandler(RequestHandler):
    """Responds to rows with a class and its probabilities, or with a value and its interval."""

    independent: ClassVar[bool] = True

    def __init__(self, parts: ModelParts) -> None:
        super().__init__(parts)
        self.encoder = Encoder.from_json(parts.encoder)
        self._encode = compile_row(parts.schema, self.encoder)
        self._score = compile_scorer(parts.model)
        self._respond_one = compile_responder(parts.contract, parts.decision)
        self.groups = parts.decision.groups

    @property
    def request_columns(self) -> Schema:
        """The columns that a request may have."""
        return table_columns(self.parts.schema, self.parts.contract)

    def respond(self, rows: list[Row]) -> Sequence[Response]:
        """Return one response a row. Raises `BadRows` when one does not fit the schema."""
        one_by_one = len(rows) <= FEW and self.groups is None
        encoded: list[np.ndarray] = []
        responses: list[Response] = []
        for row in rows:
            if (numbers := self._encode(row)) is None:  # it does not fit, or only the table encoder reads its values
                return self._respond_to_matrix(self.encoder.transform(self.read(rows)), self._thresholds(rows))
            if one_by_one:
                responses.append(self._respond_one(self._score(numbers)))
            else:
                encoded.append(numbers)
        return self._respond_to_matrix(np.array(encoded), self._thresholds(rows)) if encoded else responses

    def respond_to_table(self, table: TableSlice) -> Sequence[Response]:
        """Return one response a row of a table. Raises `BadRows` when one does not fit the schema."""
        arrays = read_columns(table, self.parts.schema)
        if not table.rows:
            return []
        thresholds = None
        if self.groups is not None:
            thresholds = self._look_up(
                {name: table_values(table, name) for name in self.groups.columns},
                {name: 0 for name in self.groups.columns if name not in table.numbers and name not in table.coded},
            )
        return self._respond_to_matrix(self.encoder.transform(arrays), thresholds)

    def _respond_to_matrix(self, encoded: np.ndarray, thresholds: np.ndarray | None = None) -> list[Response]:
        prediction = predict(self.parts.model, encoded)
        return respond(prediction, self.parts.contract, self.parts.decision, thresholds)

    def _thresholds(self, rows: list[Row]) -> np.ndarray | None:
        """Return the threshold of each row's group; None where the decision does not depend on groups."""
        if self.groups is None:
            return None
        names = self.groups.columns
        lacking = {name: at for name in names for at, row in reversed([*enumerate(rows)]) if name not in row}
        return self._look_up({name: [row.get(name) for row in rows] for name in names}, lacking)

    def _look_up(self, protected: Mapping[str, list[Any]], lacking: Mapping[str, int]) -> np.ndarray:
        """Return the threshold of each row's group; of features, values were checked before.

        Args:
            protected: column -> values of the rows (n,).
            lacking: first row without the column, by column.

        Raises:
            BadRows: a value does not fit its column, or a column is left out in which training had no missing value.
        """
        columns = {}
        for name, values in protected.items():
            column = self.parts.schema.column(name)
            expected = EXPECTED[column.kind]
            if name in lacking and not column.nullable:
                raise BadRows([RowProblem(row=lacking[name], column=name, found="nothing", expected=expected)])
            bad = next((row for row, value in enumerate(values) if not fits(value, column.kind)), None)
            if bad is not None:
                raise BadRows([RowProblem(row=bad, column=name, found=describe_value(values[bad]), expected=expected)])
            columns[name] = to_array(values, column)
        return look_up_thresholds(columns, self.parts.decision)

    def explain(self, rows: list[Row]) -> Sequence[SumExplanation]:
        """Return what each column added to each row's raw score, and the words that count in its texts.

        Raises:
            BadRows: a row does not fit the schema.
            BadRequest: the model's score is not a sum over columns.
        """
        arrays = self.read(rows)
        if not rows:
            return []
        encoded = self.encoder.transform(arrays)
        contract, model = self.parts.contract, self.parts.model
        if not contract.classes:
            return explain_sums(model, self.encoder, arrays, encoded)
        final = decide(predict(model, encoded), self.parts.decision, contract)
        labels = choose_classes(final, self.parts.decision, self._thresholds(rows))
        names = [contract.classes[1 if len(contract.classes) == 2 else label] for label in labels.tolist()]
        return explain_sums(model, self.encoder, arrays, encoded, labels, names)
