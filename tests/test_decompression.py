"""Compressed files are unpacked up to a limit, and what cannot be unpacked is a separate error."""

import bz2
import gzip
import io
import lzma
import tracemalloc
import zipfile
from pathlib import Path

import pytest

from mlnb import decompression
from mlnb.decompression import decompress, extract
from mlnb.methods.tables.data_sources import read_table

PACK = {".gz": gzip.compress, ".bz2": bz2.compress, ".xz": lzma.compress}


def zipped(data: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.csv", data)
    return buffer.getvalue()


@pytest.mark.parametrize("suffix", PACK)
def test_contents_come_back(suffix: str) -> None:
    data = b"a,b\n1,2\n" * 1000
    assert decompress(PACK[suffix](data), suffix, "x") == data
    packed = zipped(data)
    with zipfile.ZipFile(io.BytesIO(packed)) as archive:
        assert extract(archive, "a.csv", len(packed), "x") == data


@pytest.mark.parametrize("suffix", [*PACK, ".zip"])
def test_a_file_that_fills_memory_is_refused_before_it_does(
    suffix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decompression, "SMALL", 4 << 20)
    data = bytes(40 << 20)
    packed = zipped(data) if suffix == ".zip" else PACK[suffix](data)
    del data
    path = tmp_path / f"bomb.csv{suffix}"
    path.write_bytes(packed)
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match="unpacks to more than"):
            read_table(str(path))
        assert tracemalloc.get_traced_memory()[1] < 30 << 20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("suffix", PACK)
@pytest.mark.parametrize(
    "damage", [lambda data: data[:-9], lambda data: b"x" + data, lambda data: data[:20] + bytes(30)]
)
def test_a_damaged_file_is_an_error_that_names_it(suffix: str, damage: object, tmp_path: Path) -> None:
    path = tmp_path / f"table.csv{suffix}"
    path.write_bytes(damage(PACK[suffix](bytes(range(256)) * 50)))  # type: ignore[operator]
    with pytest.raises(ValueError, match=r"table\.csv.* cannot be unpacked"):
        read_table(str(path))
