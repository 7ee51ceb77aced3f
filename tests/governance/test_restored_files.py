"""Every restored file has a record; a damaged record is an error, and a restoration without one is refused."""

import pytest
from data_runs import data_project, ingest

from mlnb.errors import ProjectError, StoreCorrupted, UsageError
from mlnb.governance.data_restoration import restore_version
from mlnb.governance.data_versions import find_version
from mlnb.governance.restored_files import FOLDER, list_restored


@pytest.fixture
def project(tmp_path):
    project = data_project(tmp_path)
    (tmp_path / "people.csv").write_text("name,age\nann,31.50\n")
    ingest(project, "people.csv", 1)
    return project


def test_a_file_and_version_have_one_record(project, tmp_path):
    version = find_version(project, "latest")
    for _ in range(2):
        restore_version(project, version, tmp_path / "copy.csv", force=True, dvc=True)
    (record,) = list_restored(project)
    assert (record.path, record.version, record.tables) == ("copy.csv", version.digest, version.raw)
    assert record.digest == version.digest and record.md5 and record.cached


def test_a_refused_restoration_leaves_no_record(project, tmp_path):
    (tmp_path / "people.csv").write_text("changed\n1\n")
    project.store.path(find_version(project, "latest").raw[0]).write_bytes(b"damaged")
    with pytest.raises(StoreCorrupted):
        restore_version(project, find_version(project, "latest"), tmp_path / "copy.csv")
    assert [*list_restored(project)] == []


def test_records_are_needed(project, tmp_path):
    version = find_version(project, "latest")
    folder = project.store_root / FOLDER
    folder.write_text("no folder")
    with pytest.raises(ProjectError, match="would not know it"):
        restore_version(project, version, tmp_path / "copy.csv")
    assert not (tmp_path / "copy.csv").exists()
    folder.unlink()
    with pytest.raises(UsageError, match="suffix"):
        restore_version(project, version, tmp_path / "copy.xlsx")
    restore_version(project, version, tmp_path / "copy.csv")
    (path,) = folder.glob("*.json")
    path.write_text("{")
    with pytest.raises(ProjectError, match="the record of a restored file, is damaged"):
        [*list_restored(project)]
