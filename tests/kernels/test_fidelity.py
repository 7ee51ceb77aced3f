"""The executed notebook is what papermill's standard engine writes: every corner of the corpus, cell by cell."""

import shutil
from pathlib import Path

import pytest

from kernels.corpus import cells, compare


@pytest.mark.parametrize("name", cells.NOTEBOOKS)
def test_both_engines_write_the_same(project: Path, name: str) -> None:
    document = compare.notebook(cells.NOTEBOOKS[name])
    found = {}
    for engine in ("standard", "warm"):
        shutil.rmtree(project / "here", ignore_errors=True)
        executed, said, files = compare.execute(engine, document, project / "here")
        found[engine] = compare.seen(executed), said, files
    assert found["warm"] == found["standard"]


def test_the_corpus_is_wide() -> None:
    assert len(cells.NOTEBOOKS) >= 60
