"""What a service is made of, and what each problem type does with it; `task_services` lists the types."""

import json
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from mlnb.codec import Record, decode
from mlnb.methods.contracts.decisions import Decision
from mlnb.methods.contracts.problems import ProblemContract
from mlnb.methods.contracts.responses import Explanation, Response
from mlnb.methods.decisions.decisions import read_decision
from mlnb.methods.models.fitted_models import Model, load_model
from mlnb.methods.tables.columns import Schema
from mlnb.serving.runtime.request_bodies import BadRequest
from mlnb.serving.runtime.table_bodies import to_rows

R = TypeVar("R", bound=Record)
Row = dict[str, Any]  # one row of a table, by column name


@dataclass(frozen=True)
class Parts:
    """A model with all that stands between a request and its answer.

    Attributes:
        contract: task, classes and the rest of the problem's contract.
        schema: the columns that rows are checked against.
        encoder: learned on the training rows alone, as JSON.
        decision: calibration, threshold and interval, as learned in training; empty: none.
    """

    contract: ProblemContract
    schema: Schema
    encoder: dict[str, Any]
    model: Model
    decision: Decision

    @classmethod
    def load(cls, folder: Path) -> "Parts":
        """Return the parts in a bundle's `model` folder.

        Raises:
            OSError: or ValueError when it is damaged.
        """
        contract = read_record(ProblemContract, folder / "contract.json")
        schema, encoder = (read_json(folder / f"{name}.json") for name in ("schema", "encoder"))
        fitted = folder / "fitted"
        return cls(contract, Schema.from_json(schema), encoder, load_model(fitted), read_decision(fitted))


class Task(ABC):
    """How the rows of one request become answers, for one kind of problem.

    Attributes:
        independent: whether a row's answer is the same whatever rows come with it.
    """

    independent: ClassVar[bool]

    def __init__(self, parts: Parts) -> None:
        self.parts = parts

    @abstractmethod
    def respond(self, rows: list[Row]) -> Sequence[Response]:
        """Return the responses to a request's rows; raises `BadRows` when they do not fit."""

    def respond_to_table(self, table: Any) -> Sequence[Response]:
        """Return the responses to a pyarrow table; raises `BadRows` when its rows do not fit."""
        return self.respond(to_rows(table))

    def explain(self, rows: list[Row]) -> Sequence[Explanation]:
        """Return what each column contributed, one explanation a response; raises `BadRequest` where none is known."""
        raise BadRequest(f"predictions of task {str(self.parts.contract.task)!r} are not explained", [])


def read_record(cls: type[R], path: Path) -> R:
    """Return the typed record in a file; raises OSError, or `SchemaError` naming the file and what is wrong."""
    return decode(cls, path.read_bytes(), str(path))


def read_json(path: Path) -> Any:
    """Return the value in a JSON file."""
    return json.loads(path.read_text("utf-8"))
