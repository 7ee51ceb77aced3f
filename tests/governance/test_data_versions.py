"""The versions of data that runs have read: how they are listed and referred to, and where their rows are."""

import pytest
from data_runs import data_project, ingest

from mlnb.codec import encode
from mlnb.engine.tombstones import Erasure, erasure_path
from mlnb.errors import UnknownRun
from mlnb.governance.data_versions import VersionState, find_version, list_versions

ROWS = "name,age\nann,31\nbob,45\n"


@pytest.fixture
def project(tmp_path):
    project = data_project(tmp_path)
    (tmp_path / "people.csv").write_text(ROWS)
    return project


def test_runs_that_read_the_same_bytes_share_a_version(project):
    first = ingest(project, "people.csv", 1)
    (project.root / "copy.csv").write_text(ROWS)
    last = ingest(project, "copy.csv", 2)
    (project.root / "people.csv").write_text(ROWS + "eve,29\n")
    ingest(project, "people.csv", 3)
    newest, oldest = list_versions(project)
    assert (newest.rows, newest.runs, newest.source) == (3, 1, "people.csv")
    assert (oldest.rows, oldest.columns, oldest.bytes) == (2, 2, len(ROWS))
    assert (oldest.runs, oldest.first, oldest.last, oldest.source) == (2, first.id, last.id, "copy.csv")
    assert oldest.state == VersionState.STORED and len(oldest.raw) == 1


def test_a_version_has_every_table_that_was_read_from_it(project):
    ingest(project, "people.csv", 1)
    ingest(project, "people.csv", 2, header="no")
    (version,) = list_versions(project)
    assert version.rows == 3 and len(version.raw) == 2


def test_rows_that_left_the_store_are_missing_or_erased(project):
    run = ingest(project, "people.csv", 1)
    raw = run.require_output("raw").digest
    project.store.path(raw).unlink()
    assert list_versions(project)[0].state == VersionState.MISSING
    erasure = Erasure(id="e1", when="2026-05-03T10:00:00Z", who="ann", reason="request of 3 May", objects=(raw,))
    path = erasure_path(project.store.root, "e1")
    path.parent.mkdir(parents=True)
    path.write_bytes(encode(erasure))
    (version,) = list_versions(project)
    assert version.state == VersionState.ERASED and version.erased == "2026-05-03 by ann: request of 3 May"


def test_a_version_is_called_by_its_digest_or_a_run(project):
    with pytest.raises(UnknownRun, match="has read data"):
        find_version(project, "latest")
    run = ingest(project, "people.csv", 1)
    (version,) = list_versions(project)
    for reference in (version.digest, version.digest[:4], run.id, "latest"):
        assert find_version(project, reference) == version
    with pytest.raises(UnknownRun, match=f"the newest version is {version.digest[:12]}"):
        find_version(project, "ffffffff")


def test_a_run_without_data_has_no_version(project):
    ingest(project, "people.csv", 1)
    other = ingest(project, "people.csv", 2)
    other.update_stage("ingest", outputs={})
    other.save()
    assert list_versions(project)[0].runs == 1
    with pytest.raises(UnknownRun, match="has read no data"):
        find_version(project, other.id)
