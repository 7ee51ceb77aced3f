"""A table in, a table of predictions out: the service's own encoder, model and decision, whole columns at a time."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from mlnb.errors import ServingError, UsageError
from mlnb.methods.contracts.problems import ProblemContract
from mlnb.methods.decisions.decisions import STATES, bound_values, choose_classes, decide, find_limit
from mlnb.methods.encoding.table_encoder import Encoder
from mlnb.methods.models.fitted_models import predict
from mlnb.methods.tables.columns import check_rows
from mlnb.serving.batch.arrow_columns import Values, read_column, to_list
from mlnb.serving.batch.compiled.compiled_models import Shorter, find_shorter
from mlnb.serving.batch.compiled.compiled_trees import Encoded
from mlnb.serving.runtime.parity import compare
from mlnb.serving.runtime.service_parts import Parts, read_json
from mlnb.serving.runtime.task_services import find_kind

WORTH = 20_000  # rows after which a process looks for a shorter way than the model's own


@dataclass(frozen=True)
class Scored:
    """What became of some rows."""

    rows: int
    good: pa.Table  # predictions, with the number of the row
    bad: list[dict[str, Any]]  # problems: row, column, found, expected; and the row itself


class Scorer:
    """Scores tables with the model of a bundle."""

    def __init__(self, folder: Path, keep: tuple[str, ...] = (), worth: int = WORTH) -> None:
        """Load the model; ServingError unless the golden rows get the notebook's predictions on this path too."""
        self.parts, self.folder = Parts.load(folder), folder
        if not find_kind(self.parts.contract).answering.independent:
            raise UsageError(
                f"A {self.parts.contract.task} model answers rows together, not one by one: "
                "ask the service, with all the rows of a series or a query in one request."
            )
        self.schema = self.parts.schema
        self.keep: tuple[str, ...] = ()
        encoder = Encoder.from_json(self.parts.encoder)
        self.width = len(encoder.names)
        self.seen, self.worth = 0, worth
        self.shorter: Shorter | None = None
        self.encoders = [(Encoder((codec,), encoder.options), at) for codec, at, _ in encoder.places]
        golden = read_json(folder / "golden.json")
        difference = compare(self._answers(golden["rows"]), golden["predictions"])
        if difference is not None:
            raise ServingError(f"Scoring files and the notebook disagree: {difference}. Report it; nothing was scored.")
        self.keep, self.seen = keep, 0

    def score(self, table: pa.Table, first: int, text: bool) -> Scored:
        """Return predictions and problems of a table whose first row has the number `first`."""
        columns = self._read(table, text)
        flags = [values.bad for values in columns.values() if values.bad is not None]
        bad = np.logical_or.reduce(flags) if flags else np.zeros(len(table), dtype=bool)
        good = np.flatnonzero(~bad)
        prediction = self._predict(self._encode(columns, good), len(good))
        said: dict[str, Any] = {"row": pa.array(good + first)}
        said |= {name: table.column(name).take(pa.array(good)) for name in self.keep}
        said |= self._columns(prediction)
        return Scored(len(table), pa.table(said), self._problems(table, np.flatnonzero(bad), first, text))

    def check_names(self, names: list[str]) -> None:
        """Raise `UsageError` when columns are missing that the model needs, or that are to be kept."""
        needed = [column.name for column in self.schema.features if not column.nullable]
        for name in (*needed, *self.keep):
            if name not in names:
                what = "the model needs it" if name in needed else "it is to be kept"
                shown = ", ".join(names[:20])
                raise UsageError(f"There is no column {name!r}, and {what}; the file has {shown}.")

    def _predict(self, encoded: list[Encoded], rows: int) -> np.ndarray:
        """Return the model's predictions: by a shorter way once many rows have shown that it is worth it."""
        before, self.seen = self.seen, self.seen + rows
        if before < self.worth <= self.seen:
            self.shorter = self._find_shorter(encoded, rows)
        if self.shorter is not None and rows:
            return self.shorter.predict(encoded, rows, self.parts.model.task)
        return self._predict_whole(encoded, rows)

    def _find_shorter(self, encoded: list[Encoded], rows: int) -> Shorter | None:
        """Return a shorter way to the same predictions; None when there is none, or if one bit differs."""
        model, widths = self.parts.model, [matrix.shape[1] for matrix, _ in encoded]
        found = find_shorter(model, self.folder / "fitted", widths)
        if found is None:
            return None
        some = min(rows, found.proof)
        head = [_first(each, some) for each in encoded]
        same = np.array_equal(found.predict(head, some, model.task), self._predict_whole(head, some))
        return found if same else None

    def _predict_whole(self, encoded: list[Encoded], rows: int) -> np.ndarray:
        """Return the predictions that the model itself gives, for a matrix."""
        X = np.empty((rows, self.width))
        for (_, at), (matrix, places) in zip(self.encoders, encoded, strict=True):
            X[:, at : at + matrix.shape[1]] = matrix if places is None else matrix.take(places, axis=0)
        return predict(self.parts.model, X)

    def _read(self, table: pa.Table, text: bool) -> dict[str, Values]:
        names = set(table.column_names)
        found = {}
        for column in self.schema.features:
            array = table.column(column.name).combine_chunks() if column.name in names else None
            found[column.name] = read_column(array, column, len(table), text)
        return found

    def _encode(self, columns: dict[str, Values], good: np.ndarray) -> list[Encoded]:
        """Return the chosen rows: each different value of a column is encoded once, by its own encoder."""
        encoded = []
        for (encoder, _), (name, values) in zip(self.encoders, columns.items(), strict=True):
            codes, numbers = values.codes, values.values
            if len(good) < len(values):
                codes, numbers = (None, numbers[good]) if codes is None else (codes[good], numbers)
            places = None if codes is None else np.ascontiguousarray(codes, dtype=np.int32)
            encoded.append((encoder.transform({name: numbers}), places))
        return encoded

    def _columns(self, prediction: np.ndarray) -> dict[str, Any]:
        """Return the columns of the answers that `mlnb.methods.decisions.decisions.answers` gives row by row."""
        contract, decision = self.parts.contract, self.parts.decision
        final = decide(prediction, decision, contract)
        if contract.task == "anomaly":
            strange = final >= find_limit(contract, decision)
            return {"prediction": _named(strange.astype(np.int32), list(STATES)), "score": pa.array(final)}
        if not contract.classes:
            said = {"prediction": pa.array(final)}
            if decision.interval is not None:
                ends = bound_values(final, decision.interval)
                said |= {"low": pa.array(ends[:, 0].copy()), "high": pa.array(ends[:, 1].copy())}
            return said
        classes = list(contract.classes)
        said = {"prediction": _named(choose_classes(final, decision).astype(np.int32), classes)}
        return said | {f"probability {name}": pa.array(final[:, j].copy()) for j, name in enumerate(classes)}

    def _problems(self, table: pa.Table, bad: np.ndarray, first: int, text: bool) -> list[dict[str, Any]]:
        """Return what is wrong with rows, in the service's words, with the rows themselves."""
        if not len(bad):
            return []
        found = []
        features = [column.name for column in self.schema.features if column.name in set(table.column_names)]
        for number, row in zip(bad.tolist(), to_list(table.take(pa.array(bad))), strict=True):
            values = self._read(table.slice(number, 1), text)
            wrong = [name for name in features if values[name].bad is not None]
            said = {
                p["column"]: p
                for p in check_rows([{name: row[name] for name in wrong}], self.schema)
                if p["column"] in wrong
            }
            for name in wrong:
                problem = said.get(name, {"found": repr(row[name]), "expected": "a value that fits"})
                found.append(
                    {
                        "row": first + number,
                        "column": name,
                        "found": problem["found"],
                        "expected": problem["expected"],
                        "values": row,
                    }
                )
        return found

    def _answers(self, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Return rows' answers by way of columns, in the form in which the service gives them."""
        names = [column.name for column in self.schema.features]
        arrays = {name: _typed([row.get(name) for row in rows]) for name in names}
        said = self.score(pa.table(arrays), 0, text=False).good.drop_columns("row").to_pylist()
        return [_answer(row, self.parts.contract) for row in said]


def _first(encoded: Encoded, rows: int) -> Encoded:
    """Return a column's first rows."""
    matrix, places = encoded
    return (matrix[:rows], None) if places is None else (matrix, places[:rows])


def _named(codes: np.ndarray, names: list[str]) -> pa.Array:
    return pa.DictionaryArray.from_arrays(pa.array(codes), pa.array(names))


def _typed(values: list[Any]) -> pa.Array:
    """Return JSON values as an array; of mixed kinds, as text, which is what they are in a category."""
    try:
        return pa.array(values)
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        return pa.array([None if value is None else str(value) for value in values])


def _answer(row: dict[str, Any], contract: ProblemContract) -> dict[str, Any]:
    if contract.classes and contract.task != "anomaly":
        mark = "probability "
        each = {name.removeprefix(mark): value for name, value in row.items() if name.startswith(mark)}
        return {"prediction": row["prediction"], "probabilities": each}
    if "low" in row:
        return {"prediction": row["prediction"], "interval": {"low": row["low"], "high": row["high"]}}
    return row
