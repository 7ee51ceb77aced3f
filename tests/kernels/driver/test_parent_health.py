"""A warm parent that is stopped or hangs is noticed within 10 s, and the standard engine takes over."""

import os
import signal
import time
from pathlib import Path

import pytest
import toys
from in_process import mlnb_with_kernels

from mlnb.kernels.driver import parent_client
from mlnb.kernels.protocol import parent_paths


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with a parent that has served a run."""
    monkeypatch.setenv("MLNB_KERNELS_IDLE", "300")
    toys.chain(tmp_path)
    mlnb_with_kernels(tmp_path, "run", "--no-report")
    return tmp_path


def parent(root: Path) -> int:
    """Return the process id of the project's parent."""
    (paths,) = parent_paths.find_parents(parent_paths.settings(root).folder)
    status = parent_client.get_status(paths)
    assert status is not None
    return status.pid


def test_a_stopped_parent_is_replaced_by_the_standard_engine(root: Path) -> None:
    pid = parent(root)
    os.kill(pid, signal.SIGSTOP)
    try:
        started = time.monotonic()
        text = mlnb_with_kernels(root, "run", "--no-report", "--upto", "number", "-p", "number", "4")
        seconds = time.monotonic() - started
    finally:
        os.kill(pid, signal.SIGKILL)
    assert f"the warm parent, process {pid}, is stopped; continue it: kill -CONT {pid}" in text
    assert seconds < 40, "10 s to notice it, and the time of a standard kernel on a busy machine"
    assert toys.states(root)["number"] == "finished"


@pytest.mark.parametrize("left", [b"", b"{}", b"[1]", b"\xff"])
def test_a_damaged_record_of_a_parent_is_ignored(root: Path, left: bytes) -> None:
    os.kill(parent(root), signal.SIGKILL)
    (record,) = (root / ".mlnb" / "kernels").glob("*.json")
    record.write_bytes(left)
    text = mlnb_with_kernels(root, "run", "--no-report", "--upto", "number", "-p", "number", "5")
    assert "standard engine" not in text
    mlnb_with_kernels(root, "kernels", "stop")
