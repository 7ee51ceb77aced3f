import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from copied_storages import copying

from mlnb.methods.tuning import studies
from mlnb.methods.tuning.trial_leases import leased_storage


def dump(path: Path) -> list[str]:
    with closing(sqlite3.connect(path)) as database:
        return list(database.iterdump())


def test_a_copied_storage_is_as_a_new_one(tmp_path):
    (tmp_path / "empty").mkdir()
    open_storage = copying(leased_storage, tmp_path / "empty")
    leased_storage(f"sqlite:///{tmp_path}/new.db").engine.dispose()
    for name in ("one.db", "two.db", "one.db"):
        open_storage(f"sqlite:///{tmp_path}/{name}").engine.dispose()
    assert dump(tmp_path / "one.db") == dump(tmp_path / "two.db") == dump(tmp_path / "new.db")
    assert [path.name for path in (tmp_path / "empty").iterdir()] == ["empty.db"]


def test_what_exists_is_opened(tmp_path):
    (tmp_path / "wrong.db").write_text("no database")
    for url in (f"sqlite:///{tmp_path}/wrong.db", f"sqlite:///{tmp_path}/none/study.db"):
        with pytest.raises(ValueError, match="cannot be opened"), studies.open_storage(url):
            pass
    assert (tmp_path / "wrong.db").read_text() == "no database"
