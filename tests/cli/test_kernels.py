"""`mlnb kernels` shows and stops warm parents; a setting or the environment chooses the standard engine."""

import sys
from pathlib import Path

import pytest
import toys
from in_process import mlnb_with_kernels

from mlnb.cli import kernels
from mlnb.cli.main import main

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="kernels are forked on Linux alone")


def test_status_and_stop(tmp_path: Path) -> None:
    root = toys.chain(tmp_path)
    keep = {"MLNB_KERNELS_IDLE": "60"}
    assert "No warm parent is running" in mlnb_with_kernels(root, "kernels")
    toys.mlnb(root, "run", "--no-report", env=keep)
    status = toys.mlnb(root, "kernels", "status")
    assert "4 notebooks served" in status and "ends after 1 min idle" in status
    assert "stopped" in toys.mlnb(root, "kernels", "stop")
    assert "No warm parent is running" in mlnb_with_kernels(root, "kernels")


def test_the_parents_of_built_in_notebooks_are_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "1fba9e.sock").touch()  # in the folder of a checkout, which the working directory is outside of
    monkeypatch.setattr(kernels.live_snapshots, "parent_folder", lambda project: tmp_path)
    monkeypatch.setattr(kernels.parent_client, "stop", lambda paths, now: 17 if paths.folder == tmp_path else None)
    monkeypatch.setenv("MLNB_ROOT", str(tmp_path))
    assert main(["kernels", "stop"]) == 0 and capsys.readouterr().out == "stopped 17\n"


@pytest.mark.parametrize(("settings", "env"), [("kernels = standard", {}), ("", {"MLNB_KERNELS": "standard"})])
def test_the_standard_engine_can_be_chosen(tmp_path: Path, settings: str, env: dict[str, str]) -> None:
    root = toys.chain(tmp_path, settings)
    mlnb_with_kernels(root, "run", "--no-report", "--upto", "number", env=env)
    assert toys.states(root)["number"] == "finished"
    assert not (root / ".mlnb" / "kernels").exists() and "No warm parent" in mlnb_with_kernels(root, "kernels")


def test_both_engines_give_a_stage_the_same_key_and_bytes(tmp_path: Path) -> None:
    root = toys.chain(tmp_path)
    mlnb_with_kernels(root, "run", "--no-report")
    mlnb_with_kernels(root, "run", "--no-report", "--clean", env={"MLNB_KERNELS": "standard"})
    first, second = (toys.record(root, which)["stages"] for which in (-2, -1))
    assert [(s["key"], s["outputs"]) for s in first.values()] == [(s["key"], s["outputs"]) for s in second.values()]
