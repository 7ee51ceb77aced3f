"""A replayed run: files of the tracker, and its network traffic."""

import subprocess
import sys
from pathlib import Path

import pytest

import mlnb

REPLAY = Path(__file__).with_name("replay.py")
CODE = Path(mlnb.__file__).parent.parent


@pytest.fixture(scope="session")
def replay():
    """Run replay.py in a separate process, without a network where the system allows that."""

    def run(root, run_id="latest", how="", **environment):
        isolated = ["unshare", "-rn"] if cannot_reach_anything() else []
        command = [*isolated, sys.executable, str(REPLAY), str(root), run_id, how]
        clean = {"PATH": "/usr/bin:/bin", "HOME": str(root), "PYTHONPATH": str(CODE), **environment}
        return subprocess.run(command, env=clean, capture_output=True, text=True, timeout=120)

    return run


def cannot_reach_anything() -> bool:
    """Whether a process without a network can be made here."""
    try:
        return subprocess.run(["unshare", "-rn", "true"], capture_output=True).returncode == 0
    except OSError:
        return False
