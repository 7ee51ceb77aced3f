"""Sources of a project: read once for a version, named in every error, and part of the key of the stage that reads."""

import json
from pathlib import Path

import pandas as pd
import pytest
from custom_families import write_family

from mlnb.errors import DataError, DataSourceError, UsageError
from mlnb.methods.tables.data_sources import read_table
from mlnb.methods.tables.project_sources import load_source, read_source
from mlnb.serving.batch.input_files import find_files
from mlnb.testing import check_data_source

FILE = "nbs/sources/orders.ipynb"
CODE = """#| export
import pandas as pd

from mlnb.methods.tables.source_interface import DataSource


class Orders(DataSource):
    name = "orders"

    def version(self, folder):
        return (folder / "version.txt").read_text()

    def read(self, folder):
        with (folder / "reads.txt").open("a") as file:
            file.write("read ")
        return pd.DataFrame({"n": [1, 2], "text": ["a", None]})
"""
FAULTS = {
    "version": ('(folder / "version.txt").read_text()', "3", "version returned int; return a text"),
    "type": ("pd.DataFrame({", "dict({", "read returned dict; return a pandas DataFrame"),
    "empty": ("[1, 2]", "[][:0]", "read raised ValueError"),
    "mixed": ('["a", None]', '["a", [1]]', "cannot be stored"),
    "exception": ("return pd.DataFrame", "return pd.DataFrames", "in `return pd.DataFrames"),
}


def reads(root: Path) -> int:
    """Return how often the rows were read."""
    return (root / "reads.txt").read_text().count("read")


def test_rows_are_read_once_for_a_version_and_again_after_a_change(tmp_path: Path) -> None:
    folder, stored = write_family(tmp_path, FILE, CODE).parent, tmp_path / "kept"
    (tmp_path / "version.txt").write_text("1")
    first, again = (read_source("source:orders", folder, tmp_path, stored) for _ in range(2))
    pd.testing.assert_frame_equal(first[0], again[0])
    assert reads(tmp_path) == 1 and first[1] == again[1] and first[1]["version"] == "1"
    next(stored.iterdir()).write_bytes(b"damaged")
    read_source("source:orders", folder, tmp_path, stored)
    assert reads(tmp_path) == 2
    (tmp_path / "version.txt").write_text("2")
    read_source("source:orders", folder, tmp_path, stored)
    write_family(tmp_path, FILE, CODE.replace("[1, 2]", "[1, 3]"))
    assert read_source("source:orders", folder, tmp_path, stored)[0]["n"].tolist() == [1, 3] and reads(tmp_path) == 4
    read_source("source:orders", folder, tmp_path)
    (tmp_path / "version.txt").write_text("")
    read_source("source:orders", folder, tmp_path, stored)
    assert reads(tmp_path) == 6


@pytest.mark.parametrize("fault", FAULTS)
def test_a_broken_source_is_named(fault: str, tmp_path: Path) -> None:
    old, new, expected = FAULTS[fault]
    path = write_family(tmp_path, FILE, CODE.replace(old, new))
    (tmp_path / "version.txt").write_text("1")
    with pytest.raises(DataSourceError) as caught:
        read_source("source:orders", path.parent, tmp_path, tmp_path / "kept")
    assert str(caught.value).startswith(f"{FILE}: source 'orders': ") and expected in str(caught.value), caught.value


def test_a_notebook_and_a_class_pass_and_other_rows_fail(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "version.txt").write_text("1")
    check_data_source(write_family(tmp_path, FILE, CODE))
    check_data_source(type(load_source(CODE, FILE).source), tmp_path)
    assert capsys.readouterr().out.count("orders: 3 checks passed; 2 rows in ") == 2
    path = write_family(tmp_path, FILE, CODE.replace("[1, 2]", "__import__('random').sample(range(10**9), 2)"))
    with pytest.raises(
        DataSourceError, match=r"(?s)nbs/sources/orders.ipynb: source 'orders' fails 1 checks:.*same rows"
    ):
        check_data_source(path)


def test_two_sources_of_a_name_and_other_readers_are_refused(tmp_path: Path) -> None:
    folder = write_family(tmp_path, FILE, CODE).parent
    write_family(tmp_path, "nbs/sources/second.ipynb", CODE)
    with pytest.raises(DataSourceError, match=r"second.ipynb: source 'orders': nbs/sources/orders.ipynb has that name"):
        read_source("source:orders", folder, tmp_path)
    with pytest.raises(UsageError, match="source:orders: a source of the project is read by its stage ingest"):
        find_files(["source:orders"])
    with pytest.raises(DataError, match="source:orders: a source of the project is read by its stage ingest"):
        read_table("source:orders")


def test_the_notebook_of_the_stage_calls_it() -> None:
    stage = json.loads(Path(__file__).parents[3].joinpath("nbs/stages/10_ingest.ipynb").read_text())
    assert any("read_source(" in "".join(cell["source"]) for cell in stage["cells"])
