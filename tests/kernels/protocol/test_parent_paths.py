"""Settings come from the project around a folder, and each environment has another parent."""

import stat
from pathlib import Path

import pytest

from mlnb.kernels.protocol import parent_paths
from mlnb.kernels.protocol.messages import PreloadRecord
from mlnb.kernels.protocol.parent_paths import ParentPaths


def test_settings_come_from_the_project_and_the_environment_wins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "settings.ini").write_text(
        "[mlnb]\nstore = st\nkernels = standard\npreload = a b\npreload_never = c\nkernels_at_once = 3\n"
    )
    inner = tmp_path / "nbs" / "stages"
    inner.mkdir(parents=True)
    monkeypatch.delenv("MLNB_KERNELS", raising=False)
    monkeypatch.setenv("MLNB_KERNELS_IDLE", "7")
    settings = parent_paths.settings(inner)
    assert settings.folder == tmp_path / "st" / "kernels" and settings.engine == "standard"
    assert (settings.preload, settings.never_preload) == (("a", "b"), ("c",))
    assert (settings.max_kernels, settings.idle_seconds) == (3, 7.0)
    monkeypatch.setenv("MLNB_KERNELS", "warm")
    assert parent_paths.settings(inner).engine == "warm"


def test_without_a_project_kernels_live_in_the_runtime_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    assert parent_paths.settings(tmp_path / "nowhere").folder == tmp_path / "mlnb-kernels"
    monkeypatch.delenv("XDG_RUNTIME_DIR")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert parent_paths.settings(tmp_path / "nowhere").folder == tmp_path / ".cache" / "mlnb" / "kernels"


def test_only_what_is_read_at_load_makes_another_parent() -> None:
    key = parent_paths.parent_key({"OMP_NUM_THREADS": "1", "COLOR": "red"})
    assert key == parent_paths.parent_key({"OMP_NUM_THREADS": "1", "COLOR": "blue"})
    assert key != parent_paths.parent_key({"OMP_NUM_THREADS": "2", "COLOR": "red"})


def test_the_folder_is_made_for_its_owner_alone(tmp_path: Path) -> None:
    paths = ParentPaths(tmp_path / "kernels", "key")
    paths.folder.mkdir(mode=0o755)
    paths.prepare()
    assert stat.S_IMODE(paths.folder.stat().st_mode) == 0o700
    assert parent_paths.find_parents(paths.folder) == []
    paths.socket_path.touch()
    assert parent_paths.find_parents(paths.folder) == [paths]
    with pytest.raises(OSError):
        paths.connect()


def test_missing_parents_are_made_for_their_owner_alone(tmp_path: Path) -> None:
    ParentPaths(tmp_path / ".mlnb" / "kernels", "key").prepare()
    assert [stat.S_IMODE(path.stat().st_mode) for path in tmp_path.rglob("*")] == [0o700, 0o700]


def test_a_record_that_cannot_be_read_counts_as_empty(tmp_path: Path) -> None:
    paths = ParentPaths(tmp_path, "key")
    assert paths.read_record() == PreloadRecord()
    record = PreloadRecord(imports=["numpy"], rejected={"x": "prints"}, packages=[(1, 2)])
    paths.write_record(record)
    assert paths.read_record() == record and parent_paths.recorded_imports(tmp_path) == ["numpy"]
    assert not list(tmp_path.glob("*.partial"))
    paths.record_path.write_text('{"imports": 3}')
    assert paths.read_record() == PreloadRecord()
