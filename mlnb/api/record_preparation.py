"""Prepares what follows a run, report and registration, while its stages run: imports, and the syntax of their code."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from mlnb.engine.events import Event, StageFinished, StageReused


class RecordPreparation:
    """Reads the executed notebook of each stage that has ended, in a thread, as the report will."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="record")

    def __call__(self, event: Event) -> None:
        """Queue the notebook of a stage; returns at once."""
        if isinstance(event, StageFinished | StageReused):
            notebook = event.run.notebook_file(event.stage)
            if notebook is not None:
                self._pool.submit(_prepare, notebook, event.run.has("certificate"))

    def close(self) -> None:
        """Drop what is queued."""
        self._pool.shutdown(wait=False, cancel_futures=True)


def _prepare(notebook: Path, packaged: bool) -> None:
    """Import what writes the report and registers the model of a packaged run, and highlight the code of a notebook."""
    import mlnb.reports.run_report
    from mlnb.reports.notebook_pages import read_cells

    if packaged:
        import mlnb.registry.registry  # noqa: F401 -- as above

    read_cells(notebook)
