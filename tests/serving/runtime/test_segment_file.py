"""A segment has whole records, whatever the disk takes of each write."""

import json
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlnb.serving.runtime.segment_file import SegmentFile

FULL = OSError(28, "No space left on device")
write = os.write


@settings(max_examples=60)
@given(st.lists(st.integers(1, 200), min_size=1, max_size=12), st.data())
def test_no_record_is_torn_or_merged(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int], data: st.DataObject
) -> None:
    segment = SegmentFile(tmp_path_factory.mktemp("log"), 0.0)

    def take(handle: int, content: bytes) -> int:
        count = data.draw(st.integers(0, len(content)))
        if not count:
            raise FULL
        return write(handle, content[:count])

    written = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "write", take)
        for number, size in enumerate(sizes):
            try:
                segment.write([b'{"id":%d,' % number, b'"text":"' + b"x" * size + b'"}\n'], 1)
                written.append(number)
            except OSError:
                continue
    segment.close()
    assert [json.loads(line)["id"] for line in segment.path.read_bytes().splitlines()] == written
    assert segment.rows == len(written) and not segment.is_broken


def test_a_file_that_cannot_be_repaired_takes_no_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    segment = SegmentFile(tmp_path, 0.0)
    segment.write([b"{}\n"], 1)

    def refuse(*_: object) -> None:
        raise FULL

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(OSError, match="No space left"):
        segment.write([b"[]\n"], 1)
    assert not segment.is_broken and segment.path.read_bytes() == b"{}\n"
    monkeypatch.setattr(os, "ftruncate", refuse)
    with pytest.raises(OSError, match="No space left"):
        segment.write([b"[]\n"], 1)
    assert segment.is_broken
    segment.close()


def test_a_file_that_is_gone_is_noticed(tmp_path: Path) -> None:
    segment = SegmentFile(tmp_path / "a", 0.0)
    assert not segment.is_gone() and segment.path.stat().st_mode & 0o077 == 0
    moved = segment.path.rename(tmp_path / "moved")
    assert segment.is_gone()
    segment.path.touch()  # another file
    assert segment.is_gone()
    moved.replace(segment.path)
    assert not segment.is_gone()
    segment.close()
