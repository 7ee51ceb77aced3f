"""States that are kept: gone back to they are what they were, they end when they should, and nobody waits for them."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import psutil
import pytest
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import KernelManager
from waiting import wait_for

from kernels.corpus import compare
from mlnb.kernels.driver import jupyter_kernel, parent_client
from mlnb.kernels.driver.snapshot_policy import Keeping
from mlnb.kernels.driver.warm_engine import WarmEngine
from mlnb.kernels.protocol import parent_paths

MINUTES, BYTES = 5.0, 1e9


@pytest.fixture(autouse=True)
def engine(project: Path) -> Iterator[None]:
    yield
    WarmEngine.keeping = None
    ask(project, {"verb": "drop", "family": None})


def ask(project: Path, asked: dict[str, Any]) -> dict[str, Any]:
    found = parent_paths.here(parent_paths.settings(project).folder)
    answers = [answer for place in found if (answer := parent_client.ask(place, asked)) is not None]
    return answers[0] if answers else {}


def kept(project: Path) -> list[dict[str, Any]]:
    return ask(project, {"verb": "status"}).get("kept", [])


def keeping(project: Path, wake: int | None = None, **more: Any) -> Keeping:
    """Keep the state before cells 1, 2 and 3; go on from that before `wake`."""
    states = {cell: f"state {cell}" for cell in (1, 2, 3)}
    usual: dict[str, Any] = {"minutes": MINUTES, "bytes": BYTES, "family": "f", "code": (0, 1, 2, 3)}
    if wake is not None:
        usual |= {"wake": states[wake], "wake_log": str(project / "first.jsonl"), "log": str(project / "second.jsonl")}
    return Keeping(states=states, **{"log": str(project / "first.jsonl"), **usual, **more})


def run(project: Path, cells: list[str], asked: Keeping | None) -> tuple[list[dict[str, Any]], str]:
    WarmEngine.keeping = asked
    document, said, _ = compare.execute("warm", compare.notebook(cells), project / "here")
    return compare.seen(document), said


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


def test_going_on_is_the_same_as_from_the_top(project: Path) -> None:
    _, said = run(project, [*RICH, "d.update('four')\n1 / 0"], keeping(project))
    assert "ZeroDivisionError" in said and [one["cell"] for one in kept(project)] == [1, 2, 3]
    went_on, said = run(project, [*RICH, LAST], keeping(project, 3))
    assert said == "" and WarmEngine.went_on
    from_top, said = run(project, [*RICH, LAST], None)
    assert said == "" and went_on == from_top
    assert kept(project) == []  # it has ended well: nobody needs them


def test_a_state_can_be_gone_back_to_again_and_by_two_at_once(project: Path) -> None:
    start = ["x = [1]", "x.append(2)", "1 / 0"]
    run(project, start, keeping(project))
    for number in range(2):
        went_on, _ = run(project, [*start[:2], f"x.append(3)\nx, {number}\n1 / 0"], keeping(project, 2))
        assert WarmEngine.went_on and 3 in [cell.get("count") for cell in went_on]
    script = (
        "import sys, os; sys.modules['rfc3987_syntax'] = None\nsys.path.insert(0, sys.argv[1])\n"
        "from pathlib import Path\nfrom kernels import test_keeping as t\nproject = Path(sys.argv[2])\n"
        "t.WarmEngine.keeping = t.keeping(project, 2, after=True, log=str(project / (sys.argv[3] + '.jsonl')))\n"
        "cells = ['x = [1]', 'x.append(2)', 'import time; time.sleep(1); x']\n"
        "d, said, _ = t.compare.execute('warm', t.compare.notebook(cells), project / sys.argv[3])\n"
        "assert t.WarmEngine.went_on and said == '', said\nprint(d.cells[2].outputs[0]['data'])"
    )
    tests = str(Path(__file__).parent.parent)
    command = [sys.executable, "-c", script, tests, str(project)]
    both = [subprocess.Popen([*command, who], stdout=subprocess.PIPE, text=True) for who in ("one", "two")]
    assert ["[1, 2]" in one.communicate(timeout=60)[0] for one in both] == [True, True]


@pytest.mark.parametrize(
    ("cell", "why"),
    [
        ("import threading, time; threading.Thread(target=time.sleep, args=(9,), daemon=True).start()", "thread"),
        ("f = open('written', 'w')", "open for writing"),
        ("import subprocess; p = subprocess.Popen(['sleep', '9'])", "a process"),
        ("import socket; s = socket.socketpair()", "a connection"),
        ("import tempfile; t = tempfile.TemporaryDirectory()", "temporary folder"),
    ],
)
def test_what_a_fork_cannot_copy_is_not_kept(
    project: Path, cell: str, why: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", logger="papermill")
    run(project, ["1", cell, "2", "1 / 0"], keeping(project))
    assert [one["cell"] for one in kept(project)] == [1] and why in caplog.text


def test_they_end_when_their_time_is_over_and_then_it_is_from_the_top(project: Path) -> None:
    run(project, ["x = 1", "x", "x", "1 / 0"], keeping(project, minutes=0.02))
    pids = [one["pid"] for one in kept(project)]
    assert pids
    wait_for(lambda: not kept(project) and not any(map(psutil.pid_exists, pids)), 5, "the end of all states")
    went_on, said = run(project, ["x = 1", "x", "x", "x"], keeping(project, 3))
    assert said == "" and not WarmEngine.went_on and went_on[3]["count"] == 4


def test_the_oldest_end_when_all_take_too_much(project: Path) -> None:
    grow = "import numpy as np\nx = np.ones(5_000_000)"
    run(project, [grow, grow + "\ny = x.copy()", "z = x.copy()", "1 / 0"], keeping(project, bytes=60e6))
    wait_for(lambda: len(kept(project)) < 3, 5, "the end of a state")
    assert ask(project, {"verb": "status"})["kept_memory"] < 60e6


def test_a_state_whose_process_was_killed_is_not_missed(project: Path) -> None:
    run(project, ["x = 1", "x", "x", "1 / 0"], keeping(project))
    psutil.Process(kept(project)[-1]["pid"]).kill()
    went_on, said = run(project, ["x = 1", "x", "x", "x + 1"], keeping(project, 3))
    assert said == "" and not WarmEngine.went_on and "'2'" in str(went_on[3]["outputs"])


def test_they_end_with_their_parent(project: Path) -> None:
    run(project, ["x = 1", "x", "x", "1 / 0"], keeping(project))
    answer = ask(project, {"verb": "status"})
    pids = [one["pid"] for one in answer["kept"]]
    psutil.Process(answer["pid"]).kill()
    assert len(pids) == 3
    wait_for(lambda: not any(map(psutil.pid_exists, pids)), 5, "the end of all states")
    assert run(project, ["x = 1", "x", "x", "x"], keeping(project, 3))[1] == "" and not WarmEngine.went_on


def test_a_parent_that_starts_anew_for_an_import_keeps_them(project: Path) -> None:
    run(project, ["x = 7", "x", "x", "1 / 0"], keeping(project))
    before = [one["pid"] for one in kept(project)]
    fails = "try:\n    import tqdm.keras\nexcept ImportError:\n    pass"  # there is no Keras here
    run(project, [fails], None)
    assert "tqdm.keras" in ask(project, {"verb": "status"})["never"]
    assert [one["pid"] for one in kept(project)] == before
    assert "'8'" in str(run(project, ["x = 7", "x", "x", "x + 1"], keeping(project, 3))[0][3]) and WarmEngine.went_on


def test_nobody_waits_for_what_is_kept(project: Path) -> None:
    nbformat.write(compare.notebook(["x = 1", "x", "x", "1 / 0"]), project / "piped.ipynb")
    script = (
        "import sys; sys.modules['rfc3987_syntax'] = None\nsys.path.insert(0, sys.argv[1])\n"
        "from pathlib import Path\nfrom kernels import test_keeping as t\nproject = Path(sys.argv[2])\n"
        "t.run(project, ['x = 1', 'x', 'x', '1 / 0'], t.keeping(project))"
    )
    started = time.monotonic()
    command = [sys.executable, "-c", script, str(Path(__file__).parent.parent), str(project)]
    subprocess.run(command, capture_output=True, check=True, timeout=60)  # ends when all have closed its output
    assert time.monotonic() - started < 30 and len(kept(project)) == 3
    for one in kept(project):
        process = psutil.Process(one["pid"])
        assert process.num_threads() == 1 and process.cpu_percent(0.05) == 0
        names = {os.readlink(f"/proc/{one['pid']}/fd/{n}") for n in os.listdir(f"/proc/{one['pid']}/fd")}
        assert sum(name.startswith("socket:") for name in names) == 1
        assert not any(name.startswith(("pipe:", "anon_inode:")) for name in names)


def test_stop_ends_them(project: Path) -> None:
    run(project, ["x = 1", "x", "x", "1 / 0"], keeping(project))
    pids = [one["pid"] for one in kept(project)]
    ask(project, {"verb": "stop"})
    assert len(pids) == 3
    wait_for(lambda: not any(map(psutil.pid_exists, pids)), 5, "the end of all states")


def test_what_goes_on_is_kept_and_gone_on_from_again(project: Path) -> None:
    run(project, [RICH[0], RICH[1], "1 / 0", "x"], keeping(project))
    _, said = run(project, [*RICH, "1 / 0"], keeping(project, 2))
    assert "ZeroDivisionError" in said and WarmEngine.went_on
    again = keeping(project, 3, wake_log=str(project / "second.jsonl"), log=str(project / "third.jsonl"))
    went_on, said = run(project, [*RICH, LAST], again)
    assert said == "" and WarmEngine.went_on
    assert went_on == run(project, [*RICH, LAST], None)[0]


def test_jupyter_goes_on_from_a_state_for_one_notebook_alone(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(project, ["x = 40", "x += 2", "x", "1 / 0"], keeping(project))
    (place,) = [
        place
        for place in parent_paths.here(parent_paths.settings(project).folder)
        if parent_client.ask(place, {"verb": "status"})
    ]
    waking = jupyter_kernel.waking("state 3", place, "stages/work.ipynb")
    specs = KernelSpecManager(
        kernel_dirs=[str(jupyter_kernel.install(project, "python3", "Python 3", **waking).parent)]
    )
    found = {}
    for notebook in ("stages/work.ipynb", "stages/other.ipynb"):
        monkeypatch.setenv("JPY_SESSION_NAME", str(project / notebook))
        manager = KernelManager(kernel_name="python3", kernel_spec_manager=specs)
        manager.start_kernel()
        client = manager.client()
        client.start_channels()
        client.wait_for_ready(timeout=60)
        found[notebook] = client.execute_interactive("assert x == 42", timeout=60, output_hook=lambda _: None)
        client.stop_channels()
        manager.shutdown_kernel(now=True)
        manager.cleanup_resources()
    assert [reply["content"]["status"] for reply in found.values()] == ["ok", "error"] and len(kept(project)) == 3
