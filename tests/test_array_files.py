"""Arrays in memory-mapped files have the same values, and leave no file behind."""

from pathlib import Path

import numpy
import pytest

from mlnb import array_files
from mlnb.array_files import ArrayFiles


@pytest.mark.parametrize("array", [numpy.arange(50.0)[::7], numpy.arange(50, dtype=numpy.int8), numpy.array([True])])
def test_an_array_is_written_in_blocks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, array: numpy.ndarray[tuple[int], numpy.dtype[numpy.generic]]
) -> None:
    monkeypatch.setattr(array_files, "BLOCK", 16)
    files = ArrayFiles(tmp_path / "arrays", 0)
    stored = files.keep_array(array)
    assert stored.dtype == array.dtype and stored.tolist() == array.tolist() and not stored.flags.writeable
    assert files.written == array.nbytes and not list((tmp_path / "arrays").iterdir())


def test_an_empty_array_needs_no_file(tmp_path: Path) -> None:
    files, empty = ArrayFiles(tmp_path / "arrays", 0), numpy.array([])
    assert files.keep_array(empty) is empty and files.written == 0 and not (tmp_path / "arrays").exists()


def test_a_file_that_cannot_be_written_is_not_left(tmp_path: Path) -> None:
    def write(file: object) -> None:
        raise OSError(28, "No space left on device")

    files = ArrayFiles(tmp_path, 0)
    with pytest.raises(OSError, match="No space left"):
        files.map_file(write)
    assert files.written == 0 and not list(tmp_path.iterdir())


def test_only_what_is_above_the_limit_is_in_files(tmp_path: Path) -> None:
    files = ArrayFiles(tmp_path, 100)
    assert not files.holds(100) and files.holds(101)
