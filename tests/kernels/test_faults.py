"""What a notebook does to itself stays with it: the parent survives, the driver knows, nothing is left behind."""

import os
import signal
import threading
import time
from pathlib import Path

import psutil
import pytest
from nbclient.exceptions import CellTimeoutError
from papermill.clientwrap import PapermillNotebookClient
from waiting import wait_for

from kernels.corpus import compare
from mlnb.kernels.driver import parent_client
from mlnb.kernels.protocol import parent_paths


def run(folder: Path, *cells: object, **options: object) -> tuple[str, str]:
    """Return all text that a notebook shows, and the error that came out."""
    document, said, _ = compare.execute("warm", compare.notebook(list(cells)), folder, **options)
    return str([cell.get("outputs") for cell in document.cells]), said


def parent(folder: Path) -> psutil.Process:
    start = parent_paths.settings(folder)
    (alive,) = [a for place in parent_paths.here(start.folder) if (a := parent_client.ask(place, {"verb": "status"}))]
    return psutil.Process(alive["pid"])


def becomes_quiet(process: psutil.Process) -> None:
    """Wait until the parent has no process left but the one it holds ready."""
    wait_for(lambda: len(process.children(recursive=True)) <= 1, 5, "the end of all kernels but the spare one")


@pytest.mark.parametrize(
    ("cell", "told"),
    [
        ("import ctypes; ctypes.string_at(0)", "killed by SIGSEGV"),
        ("import os; os.abort()", "killed by SIGABRT"),
        ("import os; os._exit(3)", "exit code 3"),
        ("import os; os.kill(os.getpid(), 9)", "killed by SIGKILL"),
        ("import os; os.closerange(3, 1000); import time; time.sleep(1)", "DeadKernelError"),
    ],
)
def test_a_kernel_that_dies_is_told_at_once_and_alone(project: Path, cell: str, told: str) -> None:
    run(project, "1")
    before, start = parent(project), time.monotonic()
    shown, said = run(project, "print('before')", cell)
    assert told in said and "DeadKernelError" in said and "before" in shown
    assert time.monotonic() - start < 5 and before.is_running()
    becomes_quiet(before)
    assert "again" in run(project, "print('again')")[0]


def test_a_cell_that_takes_too_long_is_ended(project: Path) -> None:
    _, said = run(project, "import time; time.sleep(60)", execution_timeout=1)
    assert CellTimeoutError.__name__ in said
    becomes_quiet(parent(project))


def test_a_cell_that_ignores_interrupts_is_ended_too(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mlnb.kernels.driver.kernel_manager.LEAVING", 0.5)
    stubborn = "while True:\n    try:\n        import time; time.sleep(60)\n    except KeyboardInterrupt: pass"
    _, said = run(project, stubborn, execution_timeout=1)
    assert CellTimeoutError.__name__ in said
    becomes_quiet(parent(project))


def test_an_interrupt_reaches_the_cell_and_then_the_driver(project: Path) -> None:
    timer = threading.Timer(1.5, lambda: os.kill(os.getpid(), signal.SIGINT))
    timer.start()
    cell = (
        "import time\ntry:\n    time.sleep(60)\nexcept KeyboardInterrupt:\n    open('interrupted', 'w').close(); raise"
    )
    with pytest.raises(KeyboardInterrupt):
        run(project, cell)
    assert (project / "interrupted").exists()
    becomes_quiet(parent(project))


def test_processes_that_a_notebook_leaves_are_ended(project: Path) -> None:
    run(
        project,
        "import subprocess; p = subprocess.Popen(['sleep', '300'])",
        "import os\nif not os.fork():\n    import time; time.sleep(300)",
    )
    becomes_quiet(parent(project))
    assert not [p for p in psutil.process_iter(["cmdline"]) if p.info["cmdline"] == ["sleep", "300"]]


def test_output_is_bounded_and_says_so(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mlnb.kernels.driver.warm_engine.MOST", 100_000)
    shown, said = run(project, "for n in range(30): print('x' * 10_000, flush=True)", "print('next')")
    assert said == "" and "output is cut here" in shown and 90_000 < len(shown) < 120_000 and "next" in shown


def test_outputs_may_take_long_on_a_busy_machine(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told = PapermillNotebookClient.output

    def slowly(self: PapermillNotebookClient, *values: object) -> object:
        time.sleep(0.02)
        return told(self, *values)

    monkeypatch.setattr(PapermillNotebookClient, "output", slowly)
    monkeypatch.setenv("MLNB_KERNELS", "standard")  # where outputs come one by one, long after the reply
    shown, said = run(project, "for n in range(250): display(n)")  # 5 s, and nbclient waits for 4
    assert said == "" and "'249'" in shown


def test_two_notebooks_share_no_chance_no_environment_and_no_folder(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cell = (
        "import numpy, random, os\nprint(random.random(), numpy.random.rand(), os.environ.get('COLOUR'), os.getcwd())"
    )
    shown = []
    for colour in ("red", "blue"):
        monkeypatch.setenv("COLOUR", colour)
        shown.append(run(project / colour, cell)[0].split("text': '")[1].split())
        assert colour in shown[-1][2] and shown[-1][3].startswith(str(project / colour))
    assert shown[0][0] != shown[1][0] and shown[0][1] != shown[1][1]


def test_many_notebooks_leave_nothing_behind(project: Path) -> None:
    run(project, "1")
    process = parent(project)
    becomes_quiet(process)
    before, mine = process.num_fds(), psutil.Process().num_fds()
    for _ in range(NOTEBOOKS):
        run(project, "x = 1\nx")
    becomes_quiet(process)
    assert process.num_fds() <= before + 1 and psutil.Process().num_fds() <= mine + 2
    assert process.num_threads() == 1


NOTEBOOKS = int(os.environ.get("MLNB_TEST_NOTEBOOKS", "200"))


def test_a_parent_that_is_killed_is_replaced(project: Path) -> None:
    run(project, "1")
    first = parent(project)
    first.kill()
    first.wait()
    assert "'2'" in run(project, "1 + 1")[0] and parent(project).pid != first.pid


def test_a_kernel_outlives_its_parent(project: Path) -> None:
    run(project, "1")
    first = parent(project)
    threading.Timer(1.0, first.kill).start()
    assert "done" in run(project, "import time; time.sleep(2); print('done')")[0]


def test_when_no_parent_can_be_had_the_standard_engine_runs(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def none(*_: object) -> None:
        raise parent_client.NoParent("none today")

    monkeypatch.setattr(parent_client, "kernel", none)
    assert "standard" in run(project, "type(get_ipython().kernel).__module__.split('.')[0], 'standard'")[0]
