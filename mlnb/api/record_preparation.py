"""Prepares what follows a run while its stages run: imports, the syntax of their code, and the archive of mlnb's."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from mlnb.engine.events import Event, StageFinished, StageReused
from mlnb.engine.runs import Run


class RecordPreparation:
    """Reads the executed notebook of each stage that has ended, in a thread, as the report will.

    When half of the stages have ended, it stores the source code, as the manifest will: at the start of a run the
    processors have more to do.
    """

    def __init__(self) -> None:
        self._ended = 0
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="record")

    def __call__(self, event: Event) -> None:
        """Queue the notebook of a stage; returns at once."""
        if isinstance(event, StageFinished | StageReused):
            notebook = event.run.notebook_file(event.stage)
            if notebook is not None:
                self._pool.submit(_prepare, notebook, event.run.has("certificate"))
            self._ended += 1
            if self._ended == len(event.run.stages) // 2:
                self._pool.submit(_prepare_manifest, event.run)

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


def _prepare_manifest(run: Run) -> None:
    """Store the archives of source code that the manifest of a run names; it reads later changes itself."""
    from mlnb.governance.run_manifest import manifest_cache
    from mlnb.governance.source_archive import store_sources

    cache = manifest_cache(run.project)
    store_sources(run, cache)
    cache.save()
