"""The engine of a worker reports cells by the heading above, pauses, and redacts what it saves."""

from pathlib import Path

import nbformat
import papermill
import pytest
from papermill.engines import papermill_engines

from kernels.corpus import compare
from mlnb.kernels.driver.execution import Execution
from mlnb.kernels.driver.progress_engine import ProgressEngine, cell_headings
from mlnb.kernels.protocol.jobs import SnapshotPlan

papermill_engines.register("test-progress", ProgressEngine)


def execute(project: Path, sources: list[object], execution: Execution | None) -> str:
    nbformat.write(compare.notebook(sources), project / "in.ipynb")
    options = {} if execution is None else {"execution": execution}
    papermill.execute_notebook("in.ipynb", "out.ipynb", engine_name="test-progress", progress_bar=False, **options)
    return (project / "out.ipynb").read_text()


def test_every_cell_has_the_nearest_heading_above() -> None:
    cells = [nbformat.v4.new_markdown_cell("# A\ntext\n## B"), nbformat.v4.new_code_cell("1")]
    first = nbformat.v4.new_code_cell("0")
    assert cell_headings(nbformat.v4.new_notebook(cells=[first, *cells])) == ["", "B", "B"]


def test_it_reports_pauses_and_resumes(project: Path) -> None:
    events: list[object] = []

    def resume() -> SnapshotPlan | None:
        events.append("resumed")
        return None

    execution = Execution(on_cell=lambda *cell: events.append(cell), pause_before=1, resume=resume)
    execute(project, ["1", "2"], execution)
    assert events == [(0, 2, ""), "resumed", (1, 2, "")]


def test_a_secret_is_not_written_even_when_a_cell_fails(project: Path) -> None:
    execution = Execution(secrets={"WORD": "sesame"})
    assert "open ${WORD}" in execute(project, ["print('open ses' + 'ame')"], execution)
    with pytest.raises(papermill.PapermillExecutionError):
        execute(project, ["print('open ses' + 'ame')", "raise ValueError('ses' + 'ame')"], execution)
    text = (project / "out.ipynb").read_text()
    assert "open ${WORD}" in text and '"evalue": "${WORD}"' in text and "sesame" not in text


def test_without_options_it_is_the_warm_engine(project: Path) -> None:
    assert "'42'" not in execute(project, ["6 * 7"], None) and "42" in (project / "out.ipynb").read_text()
