"""Archives of source code: equal files make one object, and unpacking stays inside the folder."""

import io
import zipfile
from pathlib import Path

import pytest
from example_run import Example

from mlnb.engine.digests import StatCache
from mlnb.errors import StoreCorrupted
from mlnb.governance.source_archive import library_files, project_files, store_sources, unpack_sources


def test_the_library_and_the_project_are_stored_once_and_unpacked_as_they_were(
    tmp_path: Path, example: Example
) -> None:
    run = example.make_run(example.make_project(tmp_path / "project"))
    project, root = run.project, run.project.root
    (root / "bentos" / "own" / "__pycache__").mkdir(parents=True)
    (root / "bentos" / "own" / "__pycache__" / "service.pyc").write_bytes(b"compiled")
    (root / "bentos" / "own" / "service.py").write_text("# a service\n")
    (root / "columns.toml").write_text("")
    assert project_files(run).keys() == {"bentos/own/service.py", "columns.toml"}
    assert {"mlnb/errors.py", "settings.ini", "nbs/stages/10_ingest.ipynb"} < library_files().keys()
    cache = StatCache(tmp_path / "cache.json")
    archives = store_sources(run, cache)
    assert archives.library is not None  # tests run in editable mode
    objects = {path: path.stat().st_mtime_ns for path in (project.store_root / "objects").rglob("*")}
    assert store_sources(run, cache) == archives
    assert {path: path.stat().st_mtime_ns for path in (project.store_root / "objects").rglob("*")} == objects
    unpack_sources(project, archives.project, tmp_path / "unpacked")
    assert (tmp_path / "unpacked" / "bentos" / "own" / "service.py").read_text() == "# a service\n"
    (root / "bentos" / "own" / "service.py").write_text("# another service\n")
    assert store_sources(run, cache).project != archives.project


def test_an_archive_with_a_name_that_leaves_the_folder_is_refused(tmp_path: Path, example: Example) -> None:
    project = example.make_project(tmp_path / "project")
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("../outside.py", "x = 1")
    with pytest.raises(StoreCorrupted, match="leaves its folder"):
        unpack_sources(project, project.store.put_bytes(buffer.getvalue()), tmp_path / "unpacked")
    assert not (tmp_path / "outside.py").exists()
