"""The executed notebook is what papermill's standard engine writes: every corner of the corpus, cell by cell."""

from pathlib import Path

import pytest

from kernels.corpus import cells, compare


@pytest.mark.parametrize("name", cells.NOTEBOOKS)
def test_both_engines_write_the_same(project: Path, name: str) -> None:
    compare.assert_same(compare.notebook(cells.NOTEBOOKS[name]), project)


def test_the_corpus_is_wide() -> None:
    assert len(cells.NOTEBOOKS) >= 60
