"""When a fork of a process is a complete copy of it: each case in a new process."""

import subprocess
import sys

import pytest

CHECK = """
import os, sys
{setup}
from mlnb.kernels.kernel.fork_safety import NotForkSafe, check_fork_safety
try:
    check_fork_safety({threads}, {descriptors})
    print("safe")
except NotForkSafe as error:
    print(error)
"""


def check(setup: str, threads: str = "[]", descriptors: str = "[0, 1, 2]") -> str:
    code = CHECK.format(setup=setup, threads=threads, descriptors=descriptors)
    done = subprocess.run(
        [sys.executable, "-c", code], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


THREAD = "import threading; t = threading.Thread(target=threading.Event().wait, name='T', daemon=True); t.start()"


TRAIN = "from lightgbm import LGBMRegressor as L; L(n_estimators=2, verbose=-1).fit([[1], [2]] * 30, [1, 2] * 30)"


@pytest.mark.parametrize(
    ("setup", "threads", "descriptors"),
    [
        ("", "[]", "[0, 1, 2]"),
        (THREAD, "[t]", "[0, 1, 2]"),
        ("f = open(os.devnull, 'w'); g = open(sys.executable)", "[]", "[0, 1, 2]"),
        ("import socket; s = socket.socket()", "[]", "[0, 1, 2, s.fileno()]"),
        (TRAIN, "[]", "[0, 1, 2]"),
    ],
)
def test_memory_known_threads_and_files_open_for_reading_are_safe(setup: str, threads: str, descriptors: str) -> None:
    assert check(setup, threads, descriptors) == "safe"


@pytest.mark.parametrize(
    ("setup", "reason"),
    [
        (THREAD, "the thread T is running"),
        ("import subprocess; p = subprocess.Popen(['sleep', '1'])", "a process that the notebook started is running"),
        ("import tempfile; t = tempfile.TemporaryDirectory()", "temporary folder"),
        ("import socket; s = socket.socket()", "it holds a connection"),
        ("import tempfile; f = tempfile.NamedTemporaryFile()", "is open for writing"),
        ("import types; sys.modules['numba.np.ufunc.omppool'] = types.ModuleType('x')", "numba's parallel loops"),
    ],
)
def test_what_a_fork_does_not_copy_is_named(setup: str, reason: str) -> None:
    assert reason in check(setup)
