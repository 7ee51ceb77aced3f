"""Objects that are written piece by piece: the digest of their bytes, and nothing left after an error."""

import os
from pathlib import Path
from typing import BinaryIO

import pytest

from mlnb.engine.digests import digest_bytes
from mlnb.engine.store import Store
from mlnb.engine.written_objects import put_written


def test_an_object_is_stored_under_the_digest_of_its_bytes(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for _ in range(2):
        digest, size = put_written(store, lambda file: [file.write(b"ab"), file.write(b"c")])  # type: ignore[arg-type]
        assert (digest, size) == (digest_bytes(b"abc"), 3) and store.read(digest) == b"abc"
        assert os.stat(store.path(digest)).st_mode & 0o777 == 0o400
        assert list((tmp_path / "objects").glob("*/*")) == [store.path(digest)]


def test_nothing_is_left_of_an_object_that_could_not_be_written(tmp_path: Path) -> None:
    def write(file: BinaryIO) -> None:
        file.write(b"a")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        put_written(Store(tmp_path), write)
    assert not list((tmp_path / "objects").glob("*/*"))
