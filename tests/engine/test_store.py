"""The store holds bytes by digest and results by stage key, and detects damage."""

import os
from pathlib import Path

import pytest

from mlnb.engine.files import delete_folder
from mlnb.engine.run_records import StageResult
from mlnb.engine.store import Store
from mlnb.errors import DamagedFileWarning, StoreCorrupted


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path)


def test_damaged_objects_are_detected_and_dropped(store: Store) -> None:
    digest = store.put_bytes(b"precious")
    path = store.path(digest)
    os.chmod(path, 0o644)
    path.write_bytes(b"precioux")
    with pytest.raises(StoreCorrupted, match="damaged"):
        store.read(digest)
    assert not path.exists() and not store.intact(digest)
    (damaged,) = (store.root / "quarantine").iterdir()
    assert damaged.read_bytes() == b"precioux"
    with pytest.raises(StoreCorrupted, match="missing"):
        store.read(digest)
    assert store.put_bytes(b"precious") == digest and store.intact(digest)


def test_a_damaged_result_counts_as_missing(store: Store) -> None:
    result = StageResult(
        outputs={}, metrics={"auc": 0.5}, notebook="x", run="r", started="a", finished="b", seconds=1.0
    )
    store.put_result("k", result)
    assert store.result("k") == result
    path = store.root / "keys" / "k.json"
    text = path.read_text()
    path.write_text(text.replace('"x"', '"y"'))
    with pytest.warns(DamagedFileWarning, match="k.json is damaged"):
        assert store.result("k") is None
    path.write_text(text.replace("stage-result/1", "stage-result/0"))  # another version of the schema
    with pytest.warns(DamagedFileWarning, match="found stage-result version 0"):
        assert store.result("k") is None
    assert store.result("other") is None and len(list((store.root / "quarantine").iterdir())) == 2
    store.put_result("k", result)
    assert store.result("k") == result and not store.is_complete(result)  # the notebook is not in the store


def test_a_key_has_one_holder_at_a_time(store: Store) -> None:
    with store.lock("k") as first, store.lock("k") as second:
        assert first and not second
    with store.lock("k") as again:
        assert again


def test_a_folder_of_many_files_is_stored_and_unpacked(tmp_path: Path) -> None:
    contents = {f"{n % 5}/inner/{n}.txt": f"text {n % 7}".encode() for n in range(40)}  # some equal, in new folders
    for name, data in contents.items():
        (tmp_path / "folder" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "folder" / name).write_bytes(data)
    store = Store(tmp_path / "store")
    digest = store.put_tree(tmp_path / "folder")
    assert store.intact(digest, tree=True) and list(store.read_listing(digest)) == sorted(contents)
    unpacked = store.unpack(digest)
    assert {name: (unpacked / name).read_bytes() for name in contents} == contents
    store.path(store.read_listing(digest)["0/inner/0.txt"]).unlink()
    delete_folder(unpacked)
    with pytest.raises(StoreCorrupted, match="missing in the store"):
        store.unpack(digest)
    assert not unpacked.exists()
