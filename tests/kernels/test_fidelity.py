"""The executed notebook equals that of papermill's standard engine, for each case of the corpus."""

from pathlib import Path

import pytest

from kernels.corpus import cells, compare


@pytest.mark.parametrize("name", cells.EXECUTED)
def test_both_engines_write_the_same(project: Path, name: str) -> None:
    compare.assert_same(compare.notebook(cells.EXECUTED[name]), project)


def test_the_corpus_has_all_cases() -> None:
    assert len(cells.NOTEBOOKS) >= 60
