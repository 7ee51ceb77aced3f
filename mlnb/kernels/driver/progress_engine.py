"""The warm engine of a worker: reports each cell, pauses before one, and redacts secrets before each save."""

from typing import Any

from mlnb.kernels.driver.execution import Execution
from mlnb.kernels.driver.output_log import source_cells
from mlnb.kernels.driver.warm_engine import WarmEngine
from mlnb.redaction import redact_notebook


class ProgressEngine(WarmEngine):
    """Executes notebooks with the options of its `execution` argument."""

    @classmethod
    def execute_managed_notebook(
        cls, nb_man: Any, kernel_name: str, *values: Any, execution: Execution | None = None, **options: Any
    ) -> Any:
        """Execute with the notebook's cells reported and its outputs redacted before each save.

        Args:
            nb_man: papermill's notebook manager.
            kernel_name: of the notebook.
            values: as for `WarmEngine`.
            execution: what to report, redact and pause before; without it, nothing.
            options: as for `WarmEngine`.
        """
        execution = execution or Execution()
        cells = nb_man.nb.cells
        headings, numbers = cell_headings(nb_man.nb), source_cells(cells)
        start_cell, save = nb_man.cell_start, nb_man.save

        def on_cell_start(cell: Any, cell_index: int | None = None, **more: Any) -> None:
            if cell_index is not None and cell.cell_type == "code":
                if execution.resume and numbers[cell_index] == execution.pause_before:
                    execution.snapshots = execution.resume()
                    execution.on_resume()
                if execution.on_cell:
                    execution.on_cell(cell_index, len(cells), headings[cell_index])
            start_cell(cell, cell_index, **more)

        def save_redacted(**more: Any) -> None:
            redact_notebook(nb_man.nb, execution.secrets)
            save(**more)

        nb_man.cell_start, nb_man.save = on_cell_start, save_redacted
        super().execute_managed_notebook(nb_man, kernel_name, *values, **{**options, "execution": execution})
        redact_notebook(nb_man.nb, execution.secrets)


def cell_headings(notebook: Any) -> list[str]:
    """Return for every cell the nearest markdown heading at or above it."""
    heading, headings = "", []
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            for line in cell.source.splitlines():
                if line.startswith("#"):
                    heading = line.lstrip("#").strip()
        headings.append(heading)
    return headings
