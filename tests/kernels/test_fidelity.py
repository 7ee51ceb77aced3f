"""The executed notebook is what papermill's standard engine writes: every corner of the corpus, cell by cell."""

import shutil
from pathlib import Path

import pytest

from kernels.corpus import cells, compare


def under(engine: str, name: str, folder: Path) -> tuple[object, str, list[str]]:
    """Return the executed notebook as a reader sees it, the error that came out, and the files that it left."""
    shutil.rmtree(folder, ignore_errors=True)
    executed, said, files = compare.execute(engine, compare.notebook(cells.NOTEBOOKS[name]), folder)
    return compare.seen(executed), said, files


@pytest.mark.parametrize("name", cells.NOTEBOOKS)
def test_both_engines_write_the_same(project: Path, name: str) -> None:
    for _ in range(3):
        standard, warm = (under(engine, name, project / "here") for engine in ("standard", "warm"))
        if ("died" in standard[1]) == ("died" in warm[1]):
            break  # else the machine lost a kernel of one engine alone, which says nothing about what it writes
    assert warm == standard


def test_the_corpus_is_wide() -> None:
    assert len(cells.NOTEBOOKS) >= 60
