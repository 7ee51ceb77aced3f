"""A parent knows how its kernels ended, and kills the processes that they leave."""

import json
import subprocess
import sys

CODE = """
import json, os, signal, time
from mlnb.kernels.server import kernel_processes
from mlnb.kernels.server.kernel_processes import KernelProcesses

kernel_processes.MAX_EXIT_STATUSES = 2
processes = KernelProcesses()

def fork(run):
    pid = os.fork()
    if not pid:
        os.setsid()
        run()
        os._exit(3)
    processes.add(pid, f"{run.__name__}.ipynb")
    return pid

def leaves_a_child():
    if not os.fork():
        time.sleep(60)

def sleeps():
    time.sleep(60)

def reap(pid):
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    assert pid in processes.reap()

assert processes.reap() == set()
first = fork(leaves_a_child)
notebook = processes.running[first]
reap(first)
exit_code = os.waitstatus_to_exitcode(processes.exit_statuses[first])
late = dict(processes.running)
processes.add(first, "late.ipynb")
second = fork(sleeps)
while os.getpgid(second) != second:  # until it has its own process group
    os.sched_yield()
processes.kill()
reap(second)
signalled = os.WTERMSIG(processes.exit_statuses[second])
for _ in range(2):
    reap(fork(lambda: None))
count = len(processes.exit_statuses)
print(json.dumps([notebook, exit_code, late, processes.running, signalled, count, processes.max_memory]))
"""


def test_kernels_are_reaped_with_what_they_left() -> None:
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    notebook, exit_code, late, running, signalled, count, memory = json.loads(done.stdout)
    assert notebook == "leaves_a_child.ipynb" and exit_code == 3 and late == running == {}
    assert signalled == 9 and count == 2 and memory > 1 << 20
