"""The request path: rows in, predictions out, with nothing loaded but what the model needs."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlnb.methods.columns import Schema, check_rows, to_arrays
from mlnb.methods.encoders import Encoder
from mlnb.methods.models import Model, answers, load_model, predict
from mlnb.serving.bodies import BadRows
from mlnb.serving.parity import Difference, compare

Row = dict[str, Any]  # one row of a table, by column name


@dataclass(frozen=True)
class Predictor:
    """A model with all that stands between a row and its prediction."""

    contract: dict[str, Any]  # task, classes and the rest of the problem's contract
    schema: Schema  # the columns that rows are checked against
    encoder: Encoder  # learned on the training rows alone
    model: Model
    golden: dict[str, Any]  # held-out rows and the notebook's predictions for them

    @classmethod
    def load(cls, folder: Path) -> "Predictor":
        """Return the predictor of a bundle's `model` folder; OSError or ValueError when it is damaged."""
        names = ("contract", "schema", "encoder", "golden")
        contract, schema, encoder, golden = (json.loads((folder / f"{name}.json").read_text("utf-8")) for name in names)
        model = load_model(folder / "fitted")
        return cls(contract, Schema.from_json(schema), Encoder.from_json(encoder), model, golden)

    def predict(self, rows: list[Row]) -> list[dict[str, Any]]:
        """Return one answer a row, shaped by `answers`; raises `BadRows` when one does not fit the schema."""
        problems = check_rows(rows, self.schema)
        if problems:
            raise BadRows(problems)
        if not rows:
            return []
        encoded = self.encoder.transform(to_arrays(rows, self.schema))
        return answers(predict(self.model, encoded), self.contract)

    def replay(self) -> Difference | None:
        """Return where the golden rows' predictions first differ from the notebook's; None when identical."""
        return compare(self.predict(self.golden["rows"]), self.golden["predictions"])
