"""Snapshots: state is restored exactly, snapshots expire, and taking them delays no cell."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import nbformat
import psutil
import pytest
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import KernelManager
from waiting import wait_for

from kernels.corpus import compare
from kernels.projects import find_parents, status
from mlnb.kernels.driver import jupyter_kernel, parent_client
from mlnb.kernels.driver.execution import Execution
from mlnb.kernels.protocol.jobs import SnapshotPlan
from mlnb.kernels.protocol.messages import SnapshotStatus

MINUTES, BYTES = 5.0, 1e9


@pytest.fixture(autouse=True)
def no_snapshots_left(project: Path) -> Iterator[None]:
    yield
    for paths in find_parents(project):
        parent_client.drop_snapshots(paths, None)


def snapshots(project: Path) -> list[SnapshotStatus]:
    """Return the snapshots that the project's parent keeps."""
    current = status(project)
    return current.snapshots if current else []


def plan(project: Path, restore: int | None = None, **changes: Any) -> SnapshotPlan:
    """Take snapshots before cells 1, 2 and 3; continue from the one before `restore`."""
    ids = {cell: f"state {cell}" for cell in (1, 2, 3)}
    values: dict[str, Any] = {
        "output_log": str(project / "first.jsonl"),
        "ttl_minutes": MINUTES,
        "max_bytes": BYTES,
        "group": "g",
        "code_cells": (0, 1, 2, 3),
    }
    if restore is not None:
        values |= {"restore": ids[restore], "restore_log": str(project / "first.jsonl")}
        values["output_log"] = str(project / "second.jsonl")
    return SnapshotPlan(snapshots=ids, **{**values, **changes})


def run(
    project: Path, cells: list[str], snapshots: SnapshotPlan | None, secrets: Mapping[str, str] = MappingProxyType({})
) -> tuple[list[dict[str, Any]], str, bool]:
    """Execute a notebook; return what a reader sees, the error, and whether it was restored from a snapshot."""
    execution = Execution(snapshots=snapshots, secrets=secrets)
    document, error, _ = compare.execute("warm", compare.notebook(cells), project / "here", execution=execution)
    return compare.visible(document), error, execution.restored


TRAIN = (
    "m = LGBMRegressor(n_estimators=5, n_jobs=2, verbose=-1).fit(X, y)\n"
    "h = HistGradientBoostingRegressor(max_iter=3).fit(X, y)\n"
)
RICH = [
    "import random, numpy as np, matplotlib.pyplot as plt\n"
    "from lightgbm import LGBMRegressor\nfrom sklearn.ensemble import HistGradientBoostingRegressor\n"
    "random.seed(3); np.random.seed(3)\nX = np.random.rand(2000, 6); y = X.sum(1)\nd = display('one', display_id='d')\n"
    "print('text'); plt.plot([1, 2]);",
    TRAIN + "import asyncio\nawait asyncio.sleep(0)\nd.update('two')\nrandom.random(), np.random.rand()",
    "%%time\nd.update('three')\nprint(random.random())",
]
LAST = TRAIN + "!echo shell\nprint(random.random(), np.random.rand(), m.predict(X[:1]), h.predict(X[:1]), len(In))"


def test_a_restored_run_is_the_same_as_a_whole_one(project: Path) -> None:
    _, error, _ = run(project, [*RICH, "d.update('four')\n1 / 0"], plan(project))
    assert "ZeroDivisionError" in error and [one.cell for one in snapshots(project)] == [1, 2, 3]
    continued, error, restored = run(project, [*RICH, LAST], plan(project, 3))
    assert error == "" and restored
    whole, error, _ = run(project, [*RICH, LAST], None)
    assert error == "" and continued == whole
    assert snapshots(project) == []  # it has succeeded: nobody needs them


def test_a_restored_run_has_the_passwords_of_now(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    uses_it = "if connect(os.environ['WORD']) != 'swordfish':\n    raise PermissionError"
    before = ["import os, sys, subprocess", "def connect(word):\n    return word", f"{uses_it}"]
    monkeypatch.setenv("WORD", "sesame")
    _, error, _ = run(project, before, plan(project), {"WORD": "sesame"})
    assert "PermissionError" in error
    monkeypatch.setenv("WORD", "swordfish")
    children = "assert subprocess.check_output(['printenv', 'WORD'], text=True) == 'swordfish\\n'"
    _, error, restored = run(project, [*before[:2], f"{uses_it}\n{children}"], plan(project, 2), {"WORD": "swordfish"})
    assert error == "" and restored


def test_a_snapshot_is_restored_again_and_by_two_at_once(project: Path) -> None:
    start = ["x = [1]", "x.append(2)", "1 / 0"]
    run(project, start, plan(project))
    for number in range(2):
        continued, _, restored = run(project, [*start[:2], f"x.append(3)\nx, {number}\n1 / 0"], plan(project, 2))
        assert restored and 3 in [cell.get("count") for cell in continued]
    script = (
        "import sys, os; sys.modules['rfc3987_syntax'] = None\nsys.path.insert(0, sys.argv[1])\n"
        "from pathlib import Path\nfrom kernels.kernel import test_state_snapshot as t\nproject = Path(sys.argv[2])\n"
        "plan = t.plan(project, 2, keep_on_success=True, output_log=str(project / (sys.argv[3] + '.jsonl')))\n"
        "execution = t.Execution(snapshots=plan)\n"
        "cells = ['x = [1]', 'x.append(2)', 'import time; time.sleep(1); x']\n"
        "document = t.compare.notebook(cells)\n"
        "d, error, _ = t.compare.execute('warm', document, project / sys.argv[3], execution=execution)\n"
        "assert execution.restored and error == '', error\nprint(d.cells[2].outputs[0]['data'])"
    )
    tests = str(Path(__file__).parents[2])
    command = [sys.executable, "-c", script, tests, str(project)]
    both = [subprocess.Popen([*command, who], stdout=subprocess.PIPE, text=True) for who in ("one", "two")]
    assert ["[1, 2]" in one.communicate(timeout=60)[0] for one in both] == [True, True]


@pytest.mark.parametrize(
    ("cell", "reason"),
    [
        ("import threading, time; threading.Thread(target=time.sleep, args=(9,), daemon=True).start()", "thread"),
        ("f = open('written', 'w')", "open for writing"),
        ("import subprocess; p = subprocess.Popen(['sleep', '9'])", "a process"),
        ("import socket; s = socket.socketpair()", "a connection"),
        ("import tempfile; t = tempfile.TemporaryDirectory()", "temporary folder"),
    ],
)
def test_no_snapshot_is_taken_of_state_that_a_fork_cannot_copy(
    project: Path, cell: str, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", logger="papermill")
    run(project, ["1", cell, "2", "1 / 0"], plan(project))
    assert [one.cell for one in snapshots(project)] == [1] and reason in caplog.text


def test_snapshots_expire_and_the_notebook_then_runs_from_its_start(project: Path) -> None:
    run(project, ["x = 1", "x", "x", "1 / 0"], plan(project, ttl_minutes=0.02))
    pids = [one.pid for one in snapshots(project)]
    assert pids
    wait_for(lambda: not snapshots(project) and not any(map(psutil.pid_exists, pids)), 30, "the end of all snapshots")
    whole, error, restored = run(project, ["x = 1", "x", "x", "x"], plan(project, 3))
    assert error == "" and not restored and whole[3]["count"] == 4


def test_the_oldest_snapshots_end_above_the_memory_limit(project: Path) -> None:
    grow = "import numpy as np\nx = np.ones(5_000_000)"
    run(project, [grow, grow + "\ny = x.copy()", "z = x.copy()", "1 / 0"], plan(project, max_bytes=60e6))
    wait_for(lambda: len(snapshots(project)) < 3, 30, "the end of a snapshot")
    wait_for(lambda: status(project).snapshot_memory < 60e6, 30, "less memory")


def test_a_killed_snapshot_falls_back_to_a_whole_run(project: Path) -> None:
    run(project, ["x = 1", "x", "x", "1 / 0"], plan(project))
    psutil.Process(snapshots(project)[-1].pid).kill()
    whole, error, restored = run(project, ["x = 1", "x", "x", "x + 1"], plan(project, 3))
    assert error == "" and not restored and "'2'" in str(whole[3]["outputs"])


def test_snapshots_end_with_their_parent(project: Path) -> None:
    run(project, ["x = 1", "x", "x", "1 / 0"], plan(project))
    current = status(project)
    pids = [one.pid for one in current.snapshots]
    psutil.Process(current.pid).kill()
    assert len(pids) == 3
    wait_for(lambda: not any(map(psutil.pid_exists, pids)), 30, "the end of all snapshots")
    _, error, restored = run(project, ["x = 1", "x", "x", "x"], plan(project, 3))
    assert error == "" and not restored


def test_a_parent_that_restarts_for_an_import_keeps_snapshots(project: Path) -> None:
    run(project, ["x = 7", "x", "x", "1 / 0"], plan(project))
    before = [one.pid for one in snapshots(project)]
    fails = "try:\n    import tqdm.keras\nexcept ImportError:\n    pass"  # there is no Keras here
    run(project, [fails], None)
    assert "tqdm.keras" in status(project).rejected
    assert [one.pid for one in snapshots(project)] == before
    continued, _, restored = run(project, ["x = 7", "x", "x", "x + 1"], plan(project, 3))
    assert restored and "'8'" in str(continued[3])


def test_taking_a_snapshot_delays_no_cell(project: Path) -> None:
    nbformat.write(compare.notebook(["x = 1", "x", "x", "1 / 0"]), project / "piped.ipynb")
    script = (
        "import sys; sys.modules['rfc3987_syntax'] = None\nsys.path.insert(0, sys.argv[1])\n"
        "from pathlib import Path\nfrom kernels.kernel import test_state_snapshot as t\nproject = Path(sys.argv[2])\n"
        "t.run(project, ['x = 1', 'x', 'x', '1 / 0'], t.plan(project))"
    )
    started = time.monotonic()
    command = [sys.executable, "-c", script, str(Path(__file__).parents[2]), str(project)]
    subprocess.run(command, capture_output=True, check=True, timeout=60)  # ends when all have closed its output
    assert time.monotonic() - started < 30 and len(snapshots(project)) == 3
    for one in snapshots(project):
        process = psutil.Process(one.pid)
        assert process.num_threads() == 1 and process.cpu_percent(0.05) == 0
        names = {os.readlink(f"/proc/{one.pid}/fd/{n}") for n in os.listdir(f"/proc/{one.pid}/fd")}
        assert sum(name.startswith("socket:") for name in names) == 1
        assert not any(name.startswith(("pipe:", "anon_inode:")) for name in names)


def test_stopping_the_parent_ends_snapshots(project: Path) -> None:
    run(project, ["x = 1", "x", "x", "1 / 0"], plan(project))
    pids = [one.pid for one in snapshots(project)]
    for paths in find_parents(project):
        parent_client.stop(paths)
    assert len(pids) == 3
    wait_for(lambda: not any(map(psutil.pid_exists, pids)), 30, "the end of all snapshots")


def test_a_restored_run_takes_snapshots_that_are_restored_again(project: Path) -> None:
    run(project, [RICH[0], RICH[1], "1 / 0", "x"], plan(project))
    _, error, restored = run(project, [*RICH, "1 / 0"], plan(project, 2))
    assert "ZeroDivisionError" in error and restored
    logs = {"restore_log": str(project / "second.jsonl"), "output_log": str(project / "third.jsonl")}
    continued, error, restored = run(project, [*RICH, LAST], plan(project, 3, **logs))
    assert error == "" and restored
    assert continued == run(project, [*RICH, LAST], None)[0]


def test_jupyter_restores_a_snapshot_for_one_notebook_alone(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(project, ["x = 40", "x += 2", "x", "1 / 0"], plan(project))
    (paths,) = [paths for paths in find_parents(project) if parent_client.get_status(paths)]
    environment = jupyter_kernel.restore_environment("state 3", paths, "stages/work.ipynb")
    specs = KernelSpecManager(
        kernel_dirs=[str(jupyter_kernel.install(project, "python3", "Python 3", **environment).parent)]
    )
    replies = {}
    for notebook in ("stages/work.ipynb", "stages/other.ipynb"):
        monkeypatch.setenv("JPY_SESSION_NAME", str(project / notebook))
        manager = KernelManager(kernel_name="python3", kernel_spec_manager=specs)
        manager.start_kernel()
        client = manager.client()
        client.start_channels()
        client.wait_for_ready(timeout=60)
        replies[notebook] = client.execute_interactive("assert x == 42", timeout=60, output_hook=lambda _: None)
        client.stop_channels()
        manager.shutdown_kernel(now=True)
        manager.cleanup_resources()
    assert [reply["content"]["status"] for reply in replies.values()] == ["ok", "error"] and len(
        snapshots(project)
    ) == 3
