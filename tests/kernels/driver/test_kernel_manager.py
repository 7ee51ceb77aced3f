"""The manager starts, interrupts and ends one forked kernel, and knows how it ended."""

import asyncio
import os
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from waiting import wait_for

from mlnb.kernels.driver.kernel_manager import ForkedKernelManager
from mlnb.kernels.protocol import parent_paths


@pytest.fixture
def manager(project: Path) -> Iterator[ForkedKernelManager]:
    manager = ForkedKernelManager(parent_paths.settings(project), "a.ipynb", [], 60)
    manager.start_kernel(env={"COLOR": "red"}, cwd=str(project))
    yield manager
    manager.shutdown_kernel(now=True)
    manager.client().stop_channels()


def execute(manager: ForkedKernelManager, code: str) -> str:
    """Return the status of the reply."""
    manager.client().execute(code)
    reply = asyncio.run(manager.client().shell_channel.get_msg(timeout=30))
    return str(reply["content"]["status"])


def test_a_kernel_runs_code_in_its_environment_and_ends(manager: ForkedKernelManager, project: Path) -> None:
    assert manager.has_kernel and manager.is_alive() and not manager.restored
    assert execute(manager, "import os\nassert os.environ['COLOR'] == 'red'\nopen('made', 'w').close()") == "ok"
    assert (project / "made").exists()
    started = time.monotonic()
    manager.shutdown_kernel()
    assert time.monotonic() - started < 4.5  # it is killed after 5
    wait_for(lambda: not psutil.pid_exists(manager.pid), 30, "the end of the kernel")
    assert manager.exit_reason() == "exit code 0"


def test_an_interrupt_reaches_the_cell(manager: ForkedKernelManager) -> None:
    manager.client().execute("import time\nopen('runs', 'w').close()\ntime.sleep(60)")
    wait_for(Path("runs").exists, 30, "the running cell")
    manager.interrupt_kernel()
    reply = asyncio.run(manager.client().shell_channel.get_msg(timeout=30))
    assert reply["content"]["ename"] == "KeyboardInterrupt"


def test_a_busy_kernel_is_interrupted_before_it_ends(manager: ForkedKernelManager) -> None:
    manager.client().execute("import time\nopen('busy', 'w').close()\ntime.sleep(60)")
    wait_for(Path("busy").exists, 30, "the running cell")
    manager.shutdown_kernel()
    wait_for(lambda: not psutil.pid_exists(manager.pid), 30, "the end of the kernel")
    assert manager.exit_reason() == "exit code 0"


def test_the_cause_of_a_kernel_s_death_is_reported(manager: ForkedKernelManager) -> None:
    os.kill(manager.pid, 9)
    asyncio.run(manager.client().wait_for_exit())
    assert not manager.is_alive() and manager.exit_reason() == "killed by SIGKILL"
    manager.cleanup_resources()


def test_without_a_kernel_nothing_is_ended(project: Path) -> None:
    manager = ForkedKernelManager(parent_paths.settings(project), "a.ipynb", [], 60)
    manager.shutdown_kernel()
    manager.cleanup_resources()
    assert not manager.has_kernel and not manager.is_alive()
