"""The request path: rows in, predictions out, with nothing loaded but what the model needs."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlnb.methods.contracts.responses import Explanation, Golden, Response, to_wire
from mlnb.serving.runtime.parity import Difference, compare
from mlnb.serving.runtime.service_parts import Parts, Row, Task, read_record
from mlnb.serving.runtime.task_services import make_task


@dataclass(frozen=True)
class Predictor:
    """A model that answers, and the proof that it answers right.

    Attributes:
        golden: held-out rows and the notebook's predictions for them.
    """

    parts: Parts
    task: Task
    golden: Golden

    @classmethod
    def load(cls, folder: Path) -> "Predictor":
        """Return the predictor of a bundle's `model` folder.

        Raises:
            OSError: or ValueError when it is damaged.
        """
        parts = Parts.load(folder)
        return cls(parts, make_task(parts), read_record(Golden, folder / "golden.json"))

    def respond(self, rows: list[Row]) -> Sequence[Response]:
        """Return the responses to a request's rows; raises `BadRows` when one does not fit the schema."""
        return self.task.respond(rows)

    def predict(self, rows: list[Row]) -> list[dict[str, Any]]:
        """Return the same as the JSON objects that a client receives."""
        return to_wire(self.task.respond(rows))

    def respond_to_table(self, table: Any) -> Sequence[Response]:
        """Return the responses to a pyarrow table, the same as to its rows; raises `BadRows` likewise."""
        return self.task.respond_to_table(table)

    def explain(self, rows: list[Row]) -> Sequence[Explanation]:
        """Return why each row is answered as it is; raises `BadRequest` where this is not known."""
        return self.task.explain(rows)

    def replay(self) -> Difference | None:
        """Return where the golden rows' predictions first differ from the notebook's; None when identical."""
        return compare(self.predict(self.golden.rows), self.golden.predictions)
