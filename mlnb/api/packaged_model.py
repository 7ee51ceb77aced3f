"""A packaged model in Python: it predicts data frames with the numbers of its service, to the last bit."""

import html
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import pandas as pd
import pyarrow as pa

from mlnb.api.table_slices import expand_vectors, slice_frame, to_frame, to_json_value
from mlnb.errors import ServingError, UsageError
from mlnb.methods.contracts.responses import AnomalyExplanation, Explanation, SumExplanation, to_wire
from mlnb.methods.tasks.task_traits import traits_of
from mlnb.serving.runtime.model_parts import Row
from mlnb.serving.runtime.predictor import Predictor
from mlnb.serving.runtime.request_bodies import BadRows
from mlnb.serving.runtime.row_checks import shift_rows
from mlnb.serving.runtime.served_tasks import find_served_task
from mlnb.serving.runtime.table_bodies import TableSlice, to_rows

Data: TypeAlias = "pd.DataFrame | pa.Table | Sequence[Mapping[str, Any]]"  # rows, as a frame or as JSON objects
Rows: TypeAlias = "pd.DataFrame | Sequence[Mapping[str, Any]]"
BOUNDS = ("low", "high")  # columns of an interval
PROBABILITY = "probability "  # and the name of the class: a column of `predict_table`, as in files of `mlnb score`


@dataclass(frozen=True)
class ModelExplanation:
    """Why a model predicts what it predicts: a row of each attribute per row of the data.

    Attributes:
        contributions: SHAP values by column (n, d), in the unit of the raw score; of an anomaly detector
            -log10 of the share of training rows that are as extreme in a column.
        base: expected raw score (n,), to which the contributions add up to `score`; None for an anomaly detector.
        score: raw score (n,), such as log-odds; None for an anomaly detector.
        classes: name of the explained class (n,); None where there are none.
    """

    contributions: pd.DataFrame
    base: "pd.Series[float] | None" = None
    score: "pd.Series[float] | None" = None
    classes: "pd.Series[str] | None" = None


class PackagedModel:
    """A packaged model.

    Args:
        folder: the folder `model` of a service bundle.

    Raises:
        OSError: a file is missing.
        SchemaError: a file is damaged, or of another schema version.
        ServingError: the golden rows do not get the notebook's predictions in this process.
    """

    def __init__(self, folder: Path) -> None:
        self._predictor = Predictor.load(folder)
        self.version = (folder / "version.txt").read_text("utf-8").strip()
        difference = self._predictor.replay()
        if difference is not None:
            raise ServingError(
                f"Model {self.version} and its notebook disagree: {difference}. The libraries of this environment may "
                f"differ from those of {folder.parent / 'requirements.txt'}."
            )

    @property
    def task(self) -> str:
        """The task, such as "binary" or "forecasting"."""
        return str(self._predictor.parts.contract.task)

    @property
    def target(self) -> str | None:
        """The predicted column; None for an anomaly detector that learned without labels."""
        return self._predictor.parts.contract.target

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the classes, in the order of `predict_proba`; empty where there are none."""
        return tuple(self._predictor.parts.contract.classes or ())

    @property
    def features(self) -> dict[str, str]:
        """The kind of each column that the model reads, by name."""
        parts = self._predictor.parts
        columns = find_served_task(parts.contract).columns(parts.schema, parts.contract)
        return {column.name: column.kind for column in columns.features}

    @property
    def responds_to_rows(self) -> bool:
        """Whether each row gets a response by itself, unlike queries of a ranking and histories of a forecaster."""
        return self._predictor.handler.independent

    @property
    def golden_rows(self) -> list[Row]:
        """The held-out rows, or requests, whose predictions this model was verified with when it was loaded."""
        return list(self._predictor.golden.rows)

    def predict(self, data: Data) -> "pd.Series[Any] | pd.DataFrame":
        """Return the predictions.

        Args:
            data: rows, as a data frame of pandas or polars, an Arrow table, or a list of dicts; of a ranking all rows
                of each query, of a forecaster the history of each series.

        Returns:
            A series (n,) with the index of the data: class names, numbers, "normal" or "anomaly", or the scores of a
            ranking. A forecaster returns the frame of `predict_table`.

        Raises:
            UsageError: the data do not fit the model; the message names row and column.
        """
        table = self.predict_table(data)
        if self._unit == "history":
            return table
        return table["prediction" if "prediction" in table else "score"]

    def predict_proba(self, data: Data) -> pd.DataFrame:
        """Return the calibrated probability of each class (n, k), columns in the order of `classes`.

        Raises:
            UsageError: the model has no classes, or the data do not fit.
        """
        if not self.classes:
            raise UsageError(f"A {self.task} model has no probabilities; `predict_table` returns all that it has.")
        table = self.predict_table(data)[[PROBABILITY + name for name in self.classes]]
        return table.set_axis(list(self.classes), axis=1)

    def predict_table(self, data: Data) -> pd.DataFrame:
        """Return everything that the service returns, a row per response.

        Args:
            data: as for `predict`.

        Returns:
            A frame with the index of the data, and the columns that `mlnb score` writes: `prediction`,
            `probability <class>`, `low` and `high` of the interval, `score`, `rank`. Of a forecaster a row per series
            and step, with `time` and the columns of the series' key.

        Raises:
            UsageError: as `predict`.
        """
        data = _as_rows(data)
        responses = []
        handler, protection = self._predictor.handler, self._predictor.protection
        for first, part in self._parts(data):
            with _RowNumbers(first):
                if isinstance(part, TableSlice):
                    responses += to_wire(handler.respond_to_table(protection.table(part)))
                else:
                    responses += to_wire(self._predictor.respond(part))
        index = data.index if isinstance(data, pd.DataFrame) and self._unit != "history" else None
        return pd.DataFrame([_flatten(response) for response in responses], index, self._columns(responses))

    def explain(self, data: Data) -> ModelExplanation:
        """Return what each column contributes to each prediction.

        Raises:
            UsageError: the data do not fit, or the model's predictions cannot be explained.
        """
        data = _as_rows(data)
        explanations = list[Explanation]()
        for first, part in self._parts(data):
            with _RowNumbers(first):
                explanations += self._predictor.explain(to_rows(part) if isinstance(part, TableSlice) else part)
        index = data.index if isinstance(data, pd.DataFrame) else pd.RangeIndex(len(explanations))
        contributions = pd.DataFrame([one.columns for one in explanations], index)
        if any(isinstance(one, AnomalyExplanation) for one in explanations):
            return ModelExplanation(contributions)
        sums = [one for one in explanations if isinstance(one, SumExplanation)]
        names = pd.Series([one.class_name for one in sums], index) if self.classes else None
        base, score = pd.Series([one.base for one in sums], index), pd.Series([one.score for one in sums], index)
        return ModelExplanation(contributions, base, score, names)

    def __repr__(self) -> str:
        """Return version, task and target."""
        about = f"{self.task} of {self.target!r}" if self.target else self.task
        return f"<PackagedModel {self.version}: {about}, {len(self.features)} features>"

    def _repr_html_(self) -> str:
        """Return a table for notebooks."""
        described = {
            "model": self.version,
            "task": self.task,
            "target": self.target,
            "classes": ", ".join(self.classes),
        }
        described["features"] = ", ".join(f"{name} ({kind})" for name, kind in self.features.items())
        rows = "".join(
            f"<tr><th scope='row' style='text-align:left'>{name}</th>"
            f"<td style='text-align:left'>{html.escape(str(value))}</td></tr>"
            for name, value in described.items()
            if value
        )
        return f"<table>{rows}</table>"

    @property
    def _unit(self) -> str:
        return str(traits_of(self._predictor.parts.contract.task).unit)

    def _parts(self, data: Rows) -> Iterator[tuple[int, TableSlice | list[Row]]]:
        """Yield the data in parts that are scored at a time, with the number of the first row of each."""
        handler, first = self._predictor.handler, 0
        if isinstance(data, pd.DataFrame):
            data = expand_vectors(data, self._predictor.protection.vectors)
            for table in slice_frame(data, handler.request_columns, not handler.independent):
                yield first, table
                first += table.rows
        else:
            yield 0, [{str(name): to_json_value(value) for name, value in row.items()} for row in data]

    def _columns(self, responses: Sequence[object]) -> list[str] | None:
        """Return the columns of `predict_table` where there is no response to take them from."""
        if responses:
            return None
        return ["prediction", *(PROBABILITY + name for name in self.classes)] if self.classes else ["prediction"]


def _as_rows(data: Data) -> Rows:
    """Return the data as a data frame or as rows. Raises `UsageError` for anything else."""
    frame = to_frame(data)
    if frame is not None:
        return frame
    if isinstance(data, Sequence) and all(isinstance(row, Mapping) for row in data):
        return data
    raise UsageError(
        f"Found {type(data).__name__}; expected a data frame or a list of rows, each a dict by column name."
    )


class _RowNumbers:
    """Counts the rows of an error from the first row of the data instead of that of a part."""

    def __init__(self, first: int) -> None:
        self._first = first

    def __enter__(self) -> None: ...

    def __exit__(self, kind: object, error: object, traceback: object) -> None:
        if isinstance(error, BadRows) and self._first:
            raise BadRows(shift_rows(error.problems, self._first)) from None


def _flatten(response: Mapping[str, Any]) -> dict[str, Any]:
    """Return a response with a field a column; keys of series called `low` or `high` get the prefix `series.`."""
    flat: dict[str, Any] = {}
    for name, value in response.items():
        if name == "probabilities":
            flat |= {PROBABILITY + each: probability for each, probability in value.items()}
        elif name == "interval":
            flat |= value
        else:
            flat[f"series.{name}" if name in BOUNDS else name] = value
    return flat
