"""SQLAlchemy URLs of SQLite files: the file is made where its path states, whatever the name of its folder."""

from pathlib import Path

import pytest
import sqlalchemy as sa

from mlnb.methods.tables.sqlite_urls import sqlite_url
from mlnb.registry.database import open_database


@pytest.mark.parametrize("name", ["plain", "a?b", "?", "a b", "50%", "a%3Fb?", "é#ü?x=1", "file:", "a&b?uri=true"])
def test_a_folder_may_have_any_name(tmp_path: Path, name: str) -> None:
    folder = tmp_path / name
    folder.mkdir()
    url = sqlite_url(folder / "x.db")
    engine = open_database(url)
    with engine.connect() as connection:
        assert sa.inspect(connection).get_table_names()
    assert [path.name for path in folder.iterdir()] == ["x.db"] and list(tmp_path.iterdir()) == [folder]
    assert sa.make_url(url).database == str(folder / "x.db")
