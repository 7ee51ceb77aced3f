"""Scores tables: the service's own encoder, model and decision, whole columns at a time."""

import logging
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from mlnb.codec import replace
from mlnb.errors import ServingError, UsageError
from mlnb.methods.contracts.responses import Golden
from mlnb.methods.decisions.group_thresholds import look_up_thresholds
from mlnb.methods.encoding.table_encoder import Encoder
from mlnb.methods.models.fitted_models import predict
from mlnb.methods.tables.columns import check_rows, nearest
from mlnb.methods.tables.pseudonyms import Protection
from mlnb.methods.tasks.responders import respond_by_column
from mlnb.serving.batch.arrow_columns import ColumnValues, describe_cell, read_column, to_list
from mlnb.serving.batch.compiled.compiled_models import CompiledModel, compile_model
from mlnb.serving.batch.compiled.verification import Verification, verify
from mlnb.serving.batch.encoded_columns import EncodedColumn
from mlnb.serving.batch.job_checkpoints import BadRow
from mlnb.serving.batch.output_columns import make_output
from mlnb.serving.batch.protected_tables import protect_rows
from mlnb.serving.runtime.model_parts import ModelParts, Row, read_record
from mlnb.serving.runtime.parity import find_difference
from mlnb.serving.runtime.served_tasks import find_served_task
from mlnb.settings import ProcessSettings

LOG = logging.getLogger("mlnb.serving.batch")
COMPILE_AFTER = 20_000  # rows after which compiling the model pays


@dataclass(frozen=True)
class ScoredTable:
    """The result of scoring a table.

    Args:
        rows: rows of the table.
        good: predictions of the rows that fit, with the number of each row.
        bad: values that do not fit.
    """

    rows: int
    good: pa.Table
    bad: list[BadRow]


class Scorer:
    """Scores tables with the model of a bundle.

    Args:
        folder: the bundle's folder `model`.
        keep: columns of the input that the output repeats.
        compile_after: rows after which the model is compiled; None: never.
        ignore_unknown: whether columns that the model does not know are left out instead of refused.
        fill_missing: whether a column that may have missing values may be missing altogether.

    Raises:
        ServingError: the golden rows do not get the notebook's predictions on this path.
        UsageError: the model does not score rows independently of each other.
    """

    def __init__(
        self,
        folder: Path,
        keep: tuple[str, ...] = (),
        compile_after: int | None = COMPILE_AFTER,
        ignore_unknown: bool = False,
        fill_missing: bool = False,
    ) -> None:
        self.parts, self.folder = ModelParts.load(folder), folder
        if not find_served_task(self.parts.contract).handler.independent:
            raise UsageError(
                f"A {self.parts.contract.task} model scores rows together, not one by one: "
                "send the service all the rows of a series or a query in one request."
            )
        self.schema = self.parts.schema
        self.protection = Protection.of(self.schema, ProcessSettings().personal_key)
        self.ignore_unknown, self.fill_missing = ignore_unknown, fill_missing
        groups = self.parts.decision.groups
        features = [column.name for column in self.schema.features]
        self.read = list(dict.fromkeys([*features, *(groups.columns if groups is not None else ())]))
        self.keep: tuple[str, ...] = ()
        encoder = Encoder.from_json(self.parts.encoder)
        self.width = len(encoder.names)
        self.encoders = [(Encoder((codec,), encoder.options), start) for codec, start, _ in encoder.positions]
        self.seen = 0
        self.compile_after: int | None = None
        self.compiled: CompiledModel | None = None
        self.to_verify = 0
        golden = read_record(Golden, folder / "golden.json")
        difference = find_difference(self._respond(golden.rows), golden.predictions)
        if difference is not None:
            raise ServingError(
                f"Batch scoring and the notebook disagree: {difference}. Nothing was scored; report this as a bug."
            )
        self.keep, self.seen, self.compile_after = keep, 0, compile_after

    def score(self, table: pa.Table, first: int, texts: Collection[str] = (), formatted: bool = True) -> ScoredTable:
        """Return the predictions and the bad rows of a table.

        Args:
            table: rows of one file, with at least the columns that the model needs.
            first: number of the table's first row.
            texts: columns whose values are all text, as in CSV.
            formatted: whether text has the formats of the training file; otherwise those of a request.
        """
        table = protect_rows(table, self.protection)
        columns = self._read(table, texts, formatted)
        flags = [values.bad for values in columns.values() if values.bad is not None]
        bad = np.logical_or.reduce(flags) if flags else np.zeros(len(table), dtype=bool)
        good = np.flatnonzero(~bad)
        prediction = self._predict(self._encode(columns, good), len(good))
        thresholds = self._thresholds(columns, good)
        responses = respond_by_column(prediction, self.parts.contract, self.parts.decision, thresholds)
        retained = {name: table.column(name).take(pa.array(good)) for name in self.keep}
        output = make_output(good + first, responses, retained)
        return ScoredTable(len(table), output, self._describe_bad(table, np.flatnonzero(bad), first, texts))

    def check_names(self, names: list[str]) -> None:
        """Raise `UsageError` when a column is missing that the model or --keep names, or when one is unknown."""
        features = self.read
        unknown = [name for name in names if name not in self.schema.names and name not in self.keep]
        absent = {name for name in features if self.schema.column(name).nullable and self.fill_missing}
        for name in (*features, *self.keep):
            if name not in names and (name in self.keep or name not in absent):
                why = "the model needs it" if name in features else "--keep names it"
                raise UsageError(f"Column {name!r} is missing, and {why}{nearest(name, unknown or names)}")
        if unknown and not self.ignore_unknown:
            raise UsageError(
                f"Column {unknown[0]!r} is unknown to the model{nearest(unknown[0], features)}. Remove it, name it "
                "with --keep, or add --ignore-unknown."
            )

    def verify(self, encoded: Sequence[EncodedColumn], rows: int) -> Verification:
        """Return how the compiled model's predictions for these rows compare with the original's, bit by bit."""
        assert self.compiled is not None
        return verify(
            self.compiled.predict(encoded, rows, self.parts.model.task), self._predict_original(encoded, rows)
        )

    def _predict(self, encoded: Sequence[EncodedColumn], rows: int) -> np.ndarray:
        """Return predictions: the compiled model's once enough rows make it pay and its bits are verified."""
        before, self.seen = self.seen, self.seen + rows
        if self.compile_after is not None and before < self.compile_after <= self.seen:
            self._compile(encoded)
        if self.compiled is None or not rows or not self._is_verified(encoded, rows):
            return self._predict_original(encoded, rows)
        return self.compiled.predict(encoded, rows, self.parts.model.task)

    def _compile(self, encoded: Sequence[EncodedColumn]) -> None:
        self.compiled = compile_model(self.parts.model, self.folder / "fitted", [column.width for column in encoded])
        self.to_verify = 0 if self.compiled is None else self.compiled.verify_rows

    def _is_verified(self, encoded: Sequence[EncodedColumn], rows: int) -> bool:
        """Return whether the compiled model can score these rows, of which the first ones are verified if need be.

        A table that is not verified to its last row comes after enough rows were: no prediction is returned on trust
        before. After a difference of one bit the original scores all rows.
        """
        some = min(rows, self.to_verify)
        if not some:
            return True
        verification = self.verify([column.head(some) for column in encoded], some)
        self.to_verify -= some
        if not verification.equal:
            self.compiled = None
            LOG.warning(
                "The compiled model is not used, the original scores all rows, several times slower: %s", verification
            )
        return verification.equal

    def _predict_original(self, encoded: Sequence[EncodedColumn], rows: int) -> np.ndarray:
        """Return the predictions of the model itself, for a matrix."""
        X = np.empty((rows, self.width))
        for (_, start), column in zip(self.encoders, encoded, strict=True):
            X[:, start : start + column.width] = column.expand()
        return predict(self.parts.model, X)

    def _read(self, table: pa.Table, texts: Collection[str], formatted: bool = True) -> dict[str, ColumnValues]:
        names = set(table.column_names)
        values = {}
        columns = {c.name: c if formatted else replace(c, format=None) for c in self.schema.columns}
        for column in map(columns.__getitem__, self.read):
            array = _join(table.column(column.name)) if column.name in names else None
            values[column.name] = read_column(array, column, len(table), column.name in texts)
        return values

    def _encode(self, columns: dict[str, ColumnValues], good: np.ndarray) -> list[EncodedColumn]:
        """Return the rows `good`, encoded: each distinct value of a column once, by its own encoder."""
        encoded = []
        for (encoder, _), (name, values) in zip(self.encoders, columns.items(), strict=False):  # features come first
            codes, numbers = values.codes, values.values
            if len(good) < len(values):
                codes, numbers = (None, numbers[good]) if codes is None else (codes[good], numbers)
            codes = None if codes is None else np.ascontiguousarray(codes, dtype=np.int32)
            matrix = numbers[:, None] if encoder.is_identity else encoder.transform({name: numbers})
            encoded.append(EncodedColumn(matrix, codes))
        return encoded

    def _thresholds(self, columns: dict[str, ColumnValues], good: np.ndarray) -> np.ndarray | None:
        """Return the threshold of the group of each row `good`; None where the decision does not depend on groups."""
        if self.parts.decision.groups is None:
            return None
        protected = {name: columns[name].expand()[good] for name in self.parts.decision.groups.columns}
        return look_up_thresholds(protected, self.parts.decision)

    def _describe_bad(self, table: pa.Table, bad: np.ndarray, first: int, texts: Collection[str]) -> list[BadRow]:
        """Return the values that do not fit, described as the service describes them, with their rows."""
        if not len(bad):
            return []
        described = list[BadRow]()
        features = [name for name in self.read if name in set(table.column_names)]
        for number, row in zip(bad.tolist(), to_list(table.take(pa.array(bad))), strict=True):
            values = self._read(table.slice(number, 1), texts)
            wrong = [name for name in features if values[name].bad is not None]
            problems = {p.column: p for p in check_rows([{name: row[name] for name in wrong}], self.schema)}
            for name in wrong:
                problem = problems.get(name)
                value = repr(row[name]) if problem is None else problem.found
                expected = "a value that fits" if problem is None else problem.expected
                if name in texts:
                    expected = describe_cell(self.schema.column(name), expected, row[name])
                described.append(BadRow(first + number, name, value, expected, row))
        return described

    def _respond(self, rows: Sequence[Row]) -> list[Row]:
        """Return the responses to rows by way of columns, in the service's form."""
        arrays = {name: _to_array([row.get(name) for row in rows]) for name in self.read}
        output = self.score(pa.table(arrays), 0, formatted=False).good.drop_columns("row").to_pylist()
        return [self._to_wire(row) for row in output]

    def _to_wire(self, row: Row) -> Row:
        """Return one row of the output as the service returns it."""
        contract, prefix = self.parts.contract, "probability "
        if contract.classes:
            probabilities = {name.removeprefix(prefix): row[name] for name in row if name.startswith(prefix)}
            return {"prediction": row["prediction"], "probabilities": probabilities}
        if "low" in row:
            return {"prediction": row["prediction"], "interval": {"low": row["low"], "high": row["high"]}}
        return row


def _join(column: pa.ChunkedArray) -> pa.Array:
    """Return a column as one array, without a copy where it is one."""
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


def _to_array(values: list[Any]) -> pa.Array:
    """Return JSON values as an array; values of several types as text, which is what they are in a category."""
    try:
        return pa.array(values)
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        return pa.array([None if value is None else str(value) for value in values])
