"""Snapshots are those of one project; warm parents that run nothing are ended, those that run a notebook stay."""

from pathlib import Path
from types import SimpleNamespace

import pytest
import toys

from mlnb.engine.project import Project
from mlnb.executors import live_snapshots
from mlnb.kernels.protocol.parent_paths import ParentPaths


def test_idle_parents_are_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    states = {
        "busy": SimpleNamespace(kernels={17: "tune.ipynb"}, queued=0),
        "gone": None,
        "idle": SimpleNamespace(kernels={}, queued=0),
        "waiting": SimpleNamespace(kernels={}, queued=1),
    }
    for name in states:
        (tmp_path / f"{name}.sock").touch()
    stopped: list[ParentPaths] = []
    monkeypatch.setattr(live_snapshots.parent_client, "get_status", lambda paths, timeout: states[paths.key])
    monkeypatch.setattr(live_snapshots.parent_client, "stop", stopped.append)
    live_snapshots.stop_idle_parents([tmp_path, tmp_path / "none"])
    assert [paths.key for paths in stopped] == ["idle"]


def test_a_snapshot_of_another_project_with_the_same_notebooks_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = Project.find(toys.chain(tmp_path / "mine"))
    snapshots = [
        SimpleNamespace(id=name, cell=3, labels={"stage": "note"}, output_log=str(folder / "r" / "stages" / "n.jsonl"))
        for name, folder in (("own", project.runs), ("other", tmp_path / "theirs" / "runs"))
    ]
    monkeypatch.setattr(live_snapshots.parent_paths, "find_parents", lambda folder: [ParentPaths(folder, "key")])
    monkeypatch.setattr(
        live_snapshots.parent_client, "get_status", lambda paths, timeout: SimpleNamespace(snapshots=snapshots)
    )
    assert list(live_snapshots.find_all(project)) == ["own"]
