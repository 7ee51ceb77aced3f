"""Run the cells of the notebooks as `nbdev_test` does, with each figure drawn once: what `make test` calls first.

python scripts/notebook_tests.py                                       all notebooks
python scripts/notebook_tests.py nbs/methods/metrics/goals.ipynb       one notebook, or those that a pattern matches

`nbdev_test` draws a figure up to four times at twice the resolution and encodes it, which was half of its processor
time, and passes a notebook whose figure cannot be drawn. Here the cell that shows that figure fails.
"""

import os
import sys
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # before anything loads OpenMP: the workers share the cores

import nbdev.test
from execnb.shell import CaptureShell
from IPython.core import pylabtools
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

WORKERS = 2
faults: list[Exception] = []  # of the figures of a cell


def draw(figure: Figure, *_: object, **__: object) -> None:
    """Draw a figure that has changed since it was drawn, instead of encoding it; an error is added to `faults`."""
    if not figure.stale:
        return
    canvas: Any = figure.canvas if isinstance(figure.canvas, FigureCanvasAgg) else FigureCanvasAgg(figure)
    try:
        canvas.draw()
    except Exception as error:  # noqa: BLE001 - whatever a plot raises: IPython would print it and go on
        faults.append(error)


class DrawingShell(CaptureShell):  # type: ignore[misc]  # execnb has no types
    """Runs the cells of a notebook; an error of a figure is one of the cell that shows it."""

    def cell(self, cell: Any, **options: Any) -> None:
        """Run a cell.

        Args:
            cell: The cell, as nbdev reads it.
            options: Those of `CaptureShell`.
        """
        faults.clear()
        super().cell(cell, **options)
        self.exc: BaseException | None = self.exc or next(iter(faults), None)


def main(path: str | None) -> None:
    """Run the notebooks; exit with 1 and the names of those that failed.

    Args:
        path: A notebook or a pattern; None: all of the project.
    """
    for name in ("print_figure", "retina_figure"):
        setattr(pylabtools, name, draw)  # IPython takes them from there for each shell
    nbdev.test.CaptureShell = DrawingShell  # worker processes are forks
    nbdev.test.nbdev_test(path=path, n_workers=WORKERS, do_print=True)


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else None)
