"""Files are written completely or not at all."""

import errno
import os
import threading
from pathlib import Path

import pytest

from mlnb.engine.files import copy_whole, read_json, relative_name, write_json, write_whole
from mlnb.errors import DamagedFileWarning, StoreFull


def test_a_full_disk_raises_and_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "run.json"
    write_whole(path, b"old")

    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StoreFull, match=r"No space left while writing .*run.json"):
        write_whole(path, b"new")
    assert path.read_bytes() == b"old" and os.listdir(tmp_path) == ["run.json"]


def test_a_file_system_that_takes_no_files_is_named() -> None:
    for path in (Path("/proc/x"), Path("/proc/folder/x")):
        with pytest.raises(PermissionError, match="creates no files: '/proc/"):
            write_whole(path, b"")


def test_readers_never_see_a_partial_file(tmp_path: Path) -> None:
    path = tmp_path / "f"
    write_whole(path, b"a" * 100_000)
    stop = threading.Event()

    def write() -> None:
        while not stop.is_set():
            for letter in (b"b", b"a"):
                write_whole(path, letter * 100_000)

    thread = threading.Thread(target=write)
    thread.start()
    try:
        for _ in range(200):
            data = path.read_bytes()
            assert len(data) == 100_000 and len(set(data)) == 1
    finally:
        stop.set()
        thread.join()


def test_json_is_read_back_and_a_damaged_file_is_none(tmp_path: Path) -> None:
    path = tmp_path / "sub" / "value.json"
    write_json(path, {"ü": [1, None]})
    assert read_json(path) == {"ü": [1, None]}
    path.write_text('{"ü": [1')
    with pytest.warns(DamagedFileWarning, match=r"value\.json is damaged"):
        assert read_json(path) is None
    assert read_json(tmp_path / "none.json") is None and read_json(path / "below") is None


def test_a_copy_has_the_same_bytes_and_its_mode(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"x" * 3_000_000)
    copy_whole(tmp_path / "a", tmp_path / "b", 0o444)
    assert (tmp_path / "b").read_bytes() == (tmp_path / "a").read_bytes()
    assert (tmp_path / "b").stat().st_mode & 0o777 == 0o444


def test_names_are_relative_inside_of_a_folder_only(tmp_path: Path) -> None:
    assert relative_name(tmp_path / "runs" / "run.json", tmp_path) == "runs/run.json"
    assert relative_name(tmp_path.parent / "other", tmp_path) == str(tmp_path.parent / "other")
