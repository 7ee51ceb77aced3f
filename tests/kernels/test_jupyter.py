"""The Jupyter kernel "mlnb (warm)": an ordinary client finds an ordinary kernel, only sooner."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from jupyter_client.manager import KernelManager
from waiting import wait_for

from mlnb.kernels.driver import jupyter_kernel


@pytest.fixture
def manager(project: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[KernelManager]:
    jupyter_kernel.install(project)
    monkeypatch.setenv("JUPYTER_PATH", str(project / "share" / "jupyter"))
    monkeypatch.delenv("PYTEST_CURRENT_TEST", raising=False)
    found = KernelManager(kernel_name=jupyter_kernel.NAME)
    found.start_kernel()
    yield found
    if found.is_alive():
        found.shutdown_kernel(now=True)
    found.cleanup_resources()
    os.environ["PYTEST_CURRENT_TEST"] = "done"


def ask(manager: KernelManager, code: str, **options: object) -> list[tuple[str, object]]:
    """Return what a cell publishes."""
    client = manager.client()
    client.start_channels()
    client.wait_for_ready(timeout=60)
    found = []
    client.execute_interactive(
        code, timeout=60, output_hook=lambda m: found.append((m["msg_type"], m["content"])), **options
    )
    client.stop_channels()
    return found


def test_it_answers_and_ends(manager: KernelManager) -> None:
    shown = str(ask(manager, "import os\nprint('hello', os.getpid())\n6 * 7"))
    assert "hello" in shown and "'42'" in shown
    pid = int(shown.split("hello ")[1].split("\\n")[0])
    assert pid != manager.provisioner.pid and psutil.pid_exists(pid)
    manager.shutdown_kernel()
    wait_for(lambda: not psutil.pid_exists(pid), 5, "the end of the kernel")


def test_its_launcher_s_death_is_its_own(manager: KernelManager) -> None:
    pid = int(str(ask(manager, "import os\nprint('pid', os.getpid())")).split("pid ")[1].split("\\n")[0])
    psutil.Process(manager.provisioner.pid).kill()
    wait_for(lambda: not psutil.pid_exists(pid), 5, "the end of the kernel")


def test_a_spec_names_this_interpreter(tmp_path: Path) -> None:
    assert sys.executable in (jupyter_kernel.install(tmp_path) / "kernel.json").read_text()
