"""A restored version has the bytes of its source, or is read as the same table; what cannot be restored is refused."""

import hashlib

import pandas as pd
import pytest
from data_runs import data_project, ingest

from mlnb.codec import encode
from mlnb.engine.tombstones import Erasure, erasure_path
from mlnb.errors import DataError, UsageError
from mlnb.governance.data_restoration import Equality, restore_version
from mlnb.governance.data_versions import find_version
from mlnb.methods.contracts.declarations import ColumnDeclaration, Declarations
from mlnb.methods.tables.data_sources import digest_table, read_table

PLAIN = "name;age\nann;31\nbob;\n"
QUOTED = 'name,note\n"ann","called ""hello"", twice"\nbob,\n'


@pytest.fixture
def project(tmp_path):
    return data_project(tmp_path)


def restored(project, text, to, **options):
    """Restore a version whose source has changed since."""
    source = project.root / "people.csv"
    source.write_text(text)
    run = ingest(project, "people.csv", 1)
    source.write_text("other\n1\n")
    return run, restore_version(project, find_version(project, run.id), project.root / to, **options)


def test_the_source_is_copied_while_it_has_the_bytes(project):
    (project.root / "people.csv").write_text(QUOTED)
    run = ingest(project, "people.csv", 1)
    version = find_version(project, run.id)
    result = restore_version(project, version, project.root / "copy.csv")
    assert result.equality == Equality.BYTES and result.origin == str(project.root / "people.csv")
    assert (project.root / "copy.csv").read_text() == QUOTED


def test_the_table_of_the_store_may_have_the_bytes_of_the_source(project):
    _, result = restored(project, PLAIN, "copy.csv")
    assert (result.equality, result.origin, result.rows) == (Equality.BYTES, "store", 2)
    assert hashlib.sha256((project.root / "copy.csv").read_bytes()).hexdigest() == result.version


@pytest.mark.parametrize("to", ["copy.csv", "copy.tsv", "copy.parquet"])
def test_another_form_is_read_as_the_same_table(project, to):
    run, result = restored(project, QUOTED, to)
    assert result.equality == Equality.TABLE and result.bytes == (project.root / to).stat().st_size
    again, _ = read_table(str(project.root / to))
    assert digest_table(again) == digest_table(run.load("raw"))


def test_a_format_that_loses_types_is_refused(project):
    table = pd.DataFrame({"age": [31.5, None], "when": pd.to_datetime(["2026-01-01", "2026-01-02"])})
    table.to_parquet(project.root / "people.parquet")
    version = find_version(project, ingest(project, "people.parquet", 1).id)
    with pytest.raises(UsageError, match=r"Write Parquet: --to .*copy\.parquet"):
        restore_version(project, version, project.root / "copy.csv")
    assert [path.name for path in project.root.glob("*copy*")] == []


def test_files_are_replaced_only_with_force(project):
    (project.root / "copy.csv").write_text("mine\n")
    with pytest.raises(UsageError, match="replace it with --force"):
        restored(project, PLAIN, "copy.csv")
    restored(project, PLAIN, "copy.csv", force=True)
    assert (project.root / "copy.csv").read_text() == PLAIN
    for to, message in (("copy.xlsx", "one of .csv"), ("no/copy.csv", "no folder")):
        with pytest.raises(UsageError, match=message):
            restored(project, PLAIN, to)


def test_erased_and_missing_versions_are_reported(project):
    (project.root / "people.csv").write_text(PLAIN)
    run = ingest(project, "people.csv", 1)
    raw = run.require_output("raw").digest
    project.store.path(raw).unlink()
    (project.root / "people.csv").write_text("other\n1\n")
    with pytest.raises(DataError, match="not in the store"):
        restore_version(project, find_version(project, run.id), project.root / "copy.csv")
    (project.root / "people.csv").write_text(PLAIN)  # where the rows still are
    path = erasure_path(project.store.root, "e1")
    path.parent.mkdir(parents=True)
    path.write_bytes(encode(Erasure(id="e1", when="2026-05-03", who="ann", reason="request", objects=(raw,))))
    with pytest.raises(DataError, match="was erased on 2026-05-03 by ann: request"):
        restore_version(project, find_version(project, run.id), project.root / "copy.csv")
    assert not (project.root / "copy.csv").exists()


def test_protected_columns_are_named(project):
    (project.root / "people.csv").write_text(PLAIN)
    run = ingest(project, "people.csv", 1, Declarations(columns={"name": ColumnDeclaration(personal="mask")}))
    (project.root / "people.csv").unlink()
    result = restore_version(project, find_version(project, run.id), project.root / "copy.parquet")
    assert result.protected == ("name",)
