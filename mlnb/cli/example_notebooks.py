"""The examples that `mlnb new` writes: notebooks with a class of the project."""

import hashlib
import json
import re
from typing import NamedTuple

from mlnb.cli import example_encoder, example_family, example_metric, example_source


class ExampleNotebook(NamedTuple):
    """A notebook with an example.

    Attributes:
        title: what it is an example of, with what uses it.
        file: its path in the project.
        cells: "%% md" or "%% code", each followed by the source.
    """

    title: str
    file: str
    cells: str

    def notebook_bytes(self) -> bytes:
        """Return the notebook; the same bytes each time."""
        cells = list[dict[str, object]]()
        for kind, text in re.findall(r"^%% (md|code)\n(.*?)(?=^%% |\Z)", self.cells, re.MULTILINE | re.DOTALL):
            source = text.strip("\n").splitlines(keepends=True)
            number = hashlib.sha256(f"{len(cells)} {text}".encode()).hexdigest()[:8]
            cell: dict[str, object] = {"cell_type": "markdown", "id": number, "metadata": {}, "source": source}
            if kind == "code":
                cell |= {"cell_type": "code", "execution_count": None, "outputs": []}
            cells.append(cell)
        kernel = {"display_name": "python3", "language": "python", "name": "python3"}
        document = {"cells": cells, "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}
        return json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False).encode() + b"\n"


EXAMPLES = {
    "model": ExampleNotebook("a model family; the search tries it, too", example_family.FILE, example_family.CELLS),
    "encoder": ExampleNotebook(
        "an encoder; `-p features.encoders` assigns it to columns", example_encoder.FILE, example_encoder.CELLS
    ),
    "metric": ExampleNotebook(
        "a metric; each run reports it, and `-p problem.metric detection_profit` decides by it",
        example_metric.FILE,
        example_metric.CELLS,
    ),
    "source": ExampleNotebook(
        "a source; `--data source:visits --target bought` reads it", example_source.FILE, example_source.CELLS
    ),
}
