"""The store keeps bytes by digest, notices damage, and never shows half."""

import errno
import os
import threading
from pathlib import Path

import numpy
import pandas
import pytest

from mlnb.engine.files import write_whole
from mlnb.engine.formats import as_json, load_object, save_object
from mlnb.engine.store import Store
from mlnb.errors import ContractBroken, StoreCorrupted, StoreFull


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path)


@pytest.mark.parametrize(
    "value",
    [
        {"é ü": [1, 2.5, None, True], "b": {"nested": "x"}},
        "text with ünïcode",
        pandas.DataFrame({"a b": [1.0, None], "ü": ["x", None]}),
        numpy.arange(6).reshape(2, 3),
        [],
        10**30,
    ],
)
def test_what_was_saved_comes_back_and_equal_objects_have_equal_bytes(store: Store, value: object) -> None:
    kind, digest, _ = save_object(store, value)
    assert save_object(store, value)[1] == digest
    loaded = load_object(store, kind, digest)
    if isinstance(value, pandas.DataFrame):
        pandas.testing.assert_frame_equal(loaded, value)
    elif isinstance(value, numpy.ndarray):
        numpy.testing.assert_array_equal(loaded, value)
    else:
        assert loaded == value


def test_numbers_that_json_lacks_become_null() -> None:
    assert as_json({1: float("nan"), "i": float("inf"), "n": numpy.float64(2)}) == {"1": None, "i": None, "n": 2.0}
    with pytest.raises(ContractBroken, match="cannot be saved as JSON"):
        as_json({"x": object()})


def test_a_folder_comes_back_as_a_folder(store: Store, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    (folder / "inner").mkdir(parents=True)
    (folder / "inner" / "ü.txt").write_text("x")
    kind, digest, size = save_object(store, folder)
    unpacked = load_object(store, kind, digest)
    assert (kind, size) == ("tree", 1) and (unpacked / "inner" / "ü.txt").read_text() == "x"
    os.chmod(unpacked / "inner" / "ü.txt", 0o644)
    (unpacked / "inner" / "ü.txt").write_text("changed by hand")
    assert (load_object(store, kind, digest) / "inner" / "ü.txt").read_text() == "x"


def test_a_class_of_the_notebook_is_refused(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    class Local:
        pass

    Local.__module__, Local.__qualname__ = "__main__", "Local"
    monkeypatch.setattr(sys.modules["__main__"], "Local", Local, raising=False)
    with pytest.raises(ContractBroken, match="defined in the notebook"):
        save_object(store, Local())


def test_damage_is_noticed_and_dropped(store: Store) -> None:
    digest = store.put_bytes(b"precious")
    path = store.path(digest)
    os.chmod(path, 0o644)
    path.write_bytes(b"precioux")
    with pytest.raises(StoreCorrupted, match="damaged"):
        store.read(digest)
    assert not path.exists() and not store.intact(digest)
    with pytest.raises(StoreCorrupted, match="lost"):
        store.read(digest)
    assert store.put_bytes(b"precious") == digest and store.intact(digest)


def test_a_damaged_result_is_as_good_as_none(store: Store) -> None:
    store.put_result("k", {"outputs": {}, "notebook": "x"})
    assert store.result("k") is not None
    path = store.root / "keys" / "k.json"
    path.write_text(path.read_text().replace('"x"', '"y"'))
    assert store.result("k") is None


def test_a_full_disk_is_explained_and_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "run.json"
    write_whole(path, b"old")

    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StoreFull, match=r"No space left while writing .*run.json"):
        write_whole(path, b"new")
    assert path.read_bytes() == b"old" and os.listdir(tmp_path) == ["run.json"]


def test_readers_never_see_half(tmp_path: Path) -> None:
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


def test_one_holds_a_key_at_a_time(store: Store) -> None:
    with store.lock("k") as first, store.lock("k") as second:
        assert first and not second
    with store.lock("k") as again:
        assert again
