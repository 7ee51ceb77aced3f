import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from copied_storages import copying

from mlnb.methods.tuning import studies


def dump(path: Path) -> list[str]:
    with closing(sqlite3.connect(path)) as database:
        return list(database.iterdump())


def test_a_copied_storage_is_as_a_new_one(tmp_path):
    (tmp_path / "empty").mkdir()
    copied = copying(studies.open_storage, tmp_path / "empty")
    for name, function in (("new.db", studies.open_storage), ("old.db", copied)):
        for _ in range(2):
            with function(f"sqlite:///{tmp_path}/{name}"):
                pass
    assert dump(tmp_path / "old.db") == dump(tmp_path / "new.db") == dump(tmp_path / "empty" / "empty.db")
    assert [path.name for path in (tmp_path / "empty").iterdir()] == ["empty.db"]


def test_what_exists_is_opened(tmp_path):
    (tmp_path / "study.db").write_text("no copy")
    opened = copying(lambda url: url, tmp_path)(f"sqlite:///{tmp_path}/study.db")
    assert opened == f"sqlite:///{tmp_path}/study.db" and (tmp_path / "study.db").read_text() == "no copy"


@pytest.mark.parametrize("url", ["sqlite:///{}/none/study.db", "postgresql://host/name"])
def test_what_is_no_file_of_a_folder_is_opened(tmp_path, url):
    assert copying(lambda url: url, tmp_path)(url.format(tmp_path)) == url.format(tmp_path)
    assert [*tmp_path.iterdir()] == []
