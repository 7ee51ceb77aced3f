"""A kernel ends as an interpreter does: threads joined, hooks run, variables dropped, files flushed."""

import time
from pathlib import Path

import psutil
from waiting import wait_for

from kernels.projects import run


def test_a_kernel_exits_as_an_interpreter_does(project: Path) -> None:
    cells = [
        "import atexit, threading, time, concurrent.futures as cf, subprocess",
        "f = open('unflushed', 'w'); n = f.write('text')",
        "hook = atexit.register(lambda: open('hook', 'w').close())",
        "class Holds:\n    def __del__(self): open('deleted', 'w').close()\nheld = Holds()",
        "def slow():\n    time.sleep(0.3); open('thread', 'w').close()\nthreading.Thread(target=slow).start()",
        "pool = cf.ThreadPoolExecutor(1); job = pool.submit(slow)",
    ]
    assert run(project, *cells)[1] == ""
    for name in ("hook", "deleted", "thread"):
        wait_for((project / name).exists, 5, f"the file {name}")
    assert (project / "unflushed").read_text() == "text"


def test_an_exit_hook_that_fails_does_not_stop_it(project: Path) -> None:
    _, error = run(project, "import atexit\natexit.register(lambda: 1 / 0)\nNone")
    assert error == "" and "2" in run(project, "1 + 1")[0]


def test_child_processes_are_terminated_without_delay(project: Path) -> None:
    started = time.monotonic()
    outputs, error = run(project, "import subprocess\np = subprocess.Popen(['sleep', '300'])\nprint('pid', p.pid)")
    pid = int(outputs.split("pid ")[1].split("\\n")[0])
    assert error == "" and time.monotonic() - started < 15
    wait_for(lambda: not psutil.pid_exists(pid), 30, "the end of the child process")
