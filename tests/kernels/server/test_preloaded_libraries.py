"""The record of imports that a parent keeps between starts."""

import gc
from pathlib import Path

import pytest

from mlnb.kernels.protocol.messages import InheritedSnapshot, PreloadRecord, SnapshotInfo
from mlnb.kernels.protocol.os_helpers import process_identity
from mlnb.kernels.protocol.parent_paths import ParentPaths
from mlnb.kernels.server import preload
from mlnb.kernels.server.preloaded_libraries import PreloadedLibraries

INFO = SnapshotInfo(id="s", cell=1, group="g", output_log="", ttl_minutes=1.0, max_bytes=1.0)
SNAPSHOT = InheritedSnapshot(descriptor=9, info=INFO, used=0.0)


@pytest.fixture
def paths(tmp_path: Path) -> ParentPaths:
    return ParentPaths(tmp_path, "key")


def packages() -> list[preload.FileStamp]:
    return [preload.file_stamp(file) for file in (*preload.site_folders(), preload.__file__)]


def test_imports_and_rejections_are_remembered(paths: ParentPaths) -> None:
    paths.write_record(PreloadRecord(imports=["numpy"], rejected={"x": "prints"}, packages=packages()))
    libraries = PreloadedLibraries(paths, ["scipy"])
    assert libraries.imports == ["numpy"] and libraries.rejected == {"x": "prints"}
    assert libraries.not_preloaded(["numpy", "x", "scipy", "json", "torch"]) == ["numpy"]


def test_an_import_that_ended_the_process_is_rejected(paths: ParentPaths) -> None:
    paths.write_record(PreloadRecord(importing="fatal", packages=packages()))
    assert PreloadedLibraries(paths, []).rejected == {"fatal": "ended the process that imported it"}


def test_with_other_packages_rejected_imports_are_tried_again(paths: ParentPaths) -> None:
    paths.write_record(PreloadRecord(imports=["numpy"], rejected={"x": "prints"}, importing="y", packages=[(0, 0)]))
    libraries = PreloadedLibraries(paths, [])
    assert libraries.imports == ["numpy"] and libraries.rejected == {}


def test_snapshots_are_inherited_by_the_same_process_alone(paths: ParentPaths) -> None:
    paths.write_record(PreloadRecord(process=process_identity(), snapshots=[SNAPSHOT]))
    assert PreloadedLibraries(paths, []).inherited == [SNAPSHOT]
    paths.write_record(PreloadRecord(process="another", snapshots=[SNAPSHOT]))
    assert PreloadedLibraries(paths, []).inherited == []


def test_a_restart_without_snapshots_hands_none_on(paths: ParentPaths) -> None:
    libraries = PreloadedLibraries(paths, [])
    libraries.write_record(snapshots=[SNAPSHOT])
    assert paths.read_record().snapshots == [SNAPSHOT]
    libraries.write_record(importing="numpy")
    assert paths.read_record().snapshots == [] and paths.read_record().importing == "numpy"


def test_a_changed_file_gives_rejected_imports_another_chance(paths: ParentPaths, tmp_path: Path) -> None:
    libraries = PreloadedLibraries(paths, [])
    libraries.rejected = {"x": "prints"}
    file = tmp_path / "file"
    libraries.stamps = {str(file): preload.file_stamp(str(file))}
    assert libraries.changed_file() is None
    file.write_text("new")
    assert libraries.changed_file() is None  # looked at a moment ago
    libraries.checked = 0.0
    assert libraries.changed_file() == str(file) and libraries.rejected == {}


def test_imports_pause_garbage_collection_and_kernels_have_it(paths: ParentPaths, monkeypatch) -> None:
    states = []

    def imported(*arguments: object) -> bool:
        states.append(gc.isenabled())
        if len(states) > 1:
            raise KeyboardInterrupt
        return True

    monkeypatch.setattr(preload, "preload", imported)
    libraries = PreloadedLibraries(paths, [])
    assert libraries.preload(["numpy"])
    assert gc.isenabled()
    with pytest.raises(KeyboardInterrupt):
        libraries.preload(["numpy"])
    assert gc.isenabled() and states == [False, False]
