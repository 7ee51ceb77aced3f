"""Tests of `mlnb.kernels`, in folders and files named after its packages and modules.

Modules without a test file, and where they are tested:
    driver/execution.py         only a dataclass: test_warm_engine.py, test_worker.py
    driver/console.py           needs a terminal and a snapshot: tests/cli/test_debug.py
    kernel/jupyter_sockets.py   needs a snapshot: kernel/test_state_snapshot.py
    server/forked_process.py    `become_kernel` needs a fork: server/test_forked_process.py and test_fidelity.py

Tests of the whole: test_fidelity.py and test_papermill.py compare with papermill's standard engine, test_faults.py
breaks kernels and parents.
"""
