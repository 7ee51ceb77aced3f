"""Faults of a notebook affect only that notebook: the parent survives, the driver reports, no process is left."""

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

from kernels.projects import parent_process, run
from mlnb.kernels.driver import parent_client
from mlnb.kernels.server.standby_kernel import MAX_STANDBY

NOTEBOOKS = int(os.environ.get("MLNB_TEST_NOTEBOOKS", "200"))


def becomes_quiet(process: psutil.Process) -> None:
    """Wait until the parent has no child process but the standby kernels."""
    wait_for(
        lambda: len(process.children(recursive=True)) <= MAX_STANDBY, 30, "the end of all kernels but standby ones"
    )


@pytest.mark.parametrize(
    ("cell", "reason"),
    [
        ("import ctypes; ctypes.string_at(0)", "killed by SIGSEGV"),
        ("import os; os.abort()", "killed by SIGABRT"),
        ("import os; os._exit(3)", "exit code 3"),
        ("import os; os.kill(os.getpid(), 9)", "killed by SIGKILL"),
        ("import os; os.closerange(3, 1000); import time; time.sleep(1)", "DeadKernelError"),
    ],
)
def test_a_kernel_that_dies_is_reported_at_once_and_alone(project: Path, cell: str, reason: str) -> None:
    run(project, "1")
    before, start = parent_process(project), time.monotonic()
    outputs, error = run(project, "print('before')", cell)
    assert reason in error and "DeadKernelError" in error and "before" in outputs
    assert time.monotonic() - start < 5 and before.is_running()
    becomes_quiet(before)
    assert "again" in run(project, "print('again')")[0]


def test_a_cell_that_takes_too_long_is_ended(project: Path) -> None:
    _, error = run(project, "import time; time.sleep(60)", execution_timeout=1)
    assert CellTimeoutError.__name__ in error
    becomes_quiet(parent_process(project))


def test_a_cell_that_ignores_interrupts_is_ended_too(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mlnb.kernels.driver.kernel_manager.SHUTDOWN_SECONDS", 0.5)
    stubborn = "while True:\n    try:\n        import time; time.sleep(60)\n    except KeyboardInterrupt: pass"
    _, error = run(project, stubborn, execution_timeout=1)
    assert CellTimeoutError.__name__ in error
    becomes_quiet(parent_process(project))


def test_an_interrupt_reaches_the_cell_and_then_the_driver(project: Path) -> None:
    timer = threading.Timer(1.5, lambda: os.kill(os.getpid(), signal.SIGINT))
    timer.start()
    cell = (
        "import time\ntry:\n    time.sleep(60)\nexcept KeyboardInterrupt:\n    open('interrupted', 'w').close(); raise"
    )
    with pytest.raises(KeyboardInterrupt):
        run(project, cell)
    assert (project / "interrupted").exists()
    becomes_quiet(parent_process(project))


def test_processes_that_a_notebook_leaves_are_ended(project: Path) -> None:
    run(
        project,
        "import subprocess; p = subprocess.Popen(['sleep', '300'])",
        "import os\nif not os.fork():\n    import time; time.sleep(300)",
    )
    becomes_quiet(parent_process(project))
    assert not [p for p in psutil.process_iter(["cmdline"]) if p.info["cmdline"] == ["sleep", "300"]]


def test_output_is_truncated_with_a_notice(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mlnb.kernels.driver.warm_client.MAX_OUTPUT", 100_000)
    outputs, error = run(project, "for n in range(30): print('x' * 10_000, flush=True)", "print('next')")
    assert error == "" and "output is truncated here" in outputs and "next" in outputs
    assert 90_000 < len(outputs) < 120_000


def test_outputs_may_take_long_on_a_busy_machine(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    original = PapermillNotebookClient.output

    def slowly(self: PapermillNotebookClient, *values: object) -> object:
        time.sleep(0.02)  # a slow driver
        return original(self, *values)

    monkeypatch.setattr(PapermillNotebookClient, "output", slowly)
    monkeypatch.setenv("MLNB_KERNELS", "standard")  # where outputs come one by one, long after the reply
    outputs, error = run(project, "for n in range(250): display(n)")  # 5 s, and nbclient waits for 4
    assert error == "" and "'249'" in outputs


def test_two_notebooks_share_no_random_state_no_environment_and_no_folder(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cell = "import numpy, random, os\nprint(random.random(), numpy.random.rand(), os.environ.get('COLOR'), os.getcwd())"
    printed = []
    for color in ("red", "blue"):
        monkeypatch.setenv("COLOR", color)
        printed.append(run(project / color, cell)[0].split("text': '")[1].split())
        assert color in printed[-1][2] and printed[-1][3].startswith(str(project / color))
    assert printed[0][0] != printed[1][0] and printed[0][1] != printed[1][1]


def test_an_environment_that_is_not_utf_8_arrives(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAW", os.fsdecode(b"\xff\xe9"))
    assert "b'\\\\xff\\\\xe9'" in run(project, "import os\nos.environb[b'RAW']")[0]


def test_many_notebooks_leave_nothing_behind(project: Path) -> None:
    run(project, "1")
    process = parent_process(project)
    becomes_quiet(process)
    before, mine = process.num_fds(), psutil.Process().num_fds()
    for _ in range(NOTEBOOKS):
        run(project, "x = 1\nx")
    becomes_quiet(process)
    assert process.num_fds() <= before + 1 and psutil.Process().num_fds() <= mine + 2
    assert process.num_threads() == 1


def test_a_parent_that_is_killed_is_replaced(project: Path) -> None:
    run(project, "1")
    first = parent_process(project)
    first.kill()
    first.wait()
    assert "'2'" in run(project, "1 + 1")[0] and parent_process(project).pid != first.pid


def test_a_kernel_outlives_its_parent(project: Path) -> None:
    run(project, "1")
    threading.Timer(1.0, parent_process(project).kill).start()
    assert "done" in run(project, "import time; time.sleep(2); print('done')")[0]


def test_without_a_parent_the_standard_engine_runs(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def none(*_: object) -> None:
        raise parent_client.ParentUnavailable("none today")

    monkeypatch.setattr(parent_client, "start_kernel", none)
    assert "'ipykernel'" in run(project, "type(get_ipython().kernel).__module__.split('.')[0]")[0]
