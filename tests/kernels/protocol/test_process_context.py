"""A kernel's context is that of the process that requests it."""

import os
from pathlib import Path

import pytest

from mlnb.kernels.protocol.process_context import LIMITS, current_context


def test_it_is_this_process_s(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLOR", "red")
    before = os.umask(0o027)
    try:
        context = current_context()
        assert os.umask(0o027) == 0o027  # reading it leaves it as it is
    finally:
        os.umask(before)
    assert (context.cwd, context.environment["COLOR"], context.umask) == (str(tmp_path), "red", 0o027)
    assert context.driver_pid == os.getpid() and set(context.limits) == set(LIMITS)
    assert set(context.processors) == os.sched_getaffinity(0)
