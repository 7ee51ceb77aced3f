"""The Jupyter kernel "mlnb (warm)" behaves like an ordinary kernel to an ordinary client."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from jupyter_client.manager import KernelManager
from waiting import wait_for

from mlnb.kernels.driver import jupyter_kernel, parent_client
from mlnb.kernels.protocol.parent_paths import ParentPaths


@pytest.fixture
def manager(project: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[KernelManager]:
    jupyter_kernel.install(project)
    monkeypatch.setenv("JUPYTER_PATH", str(project / "share" / "jupyter"))
    monkeypatch.delenv("PYTEST_CURRENT_TEST", raising=False)
    started = KernelManager(kernel_name=jupyter_kernel.NAME)
    started.start_kernel()
    yield started
    if started.is_alive():
        started.shutdown_kernel(now=True)
    started.cleanup_resources()
    os.environ["PYTEST_CURRENT_TEST"] = "done"


def published(manager: KernelManager, code: str, **options: object) -> list[tuple[str, object]]:
    """Return what a cell publishes."""
    client = manager.client()
    client.start_channels()
    client.wait_for_ready(timeout=60)
    messages = []
    client.execute_interactive(
        code, timeout=60, output_hook=lambda m: messages.append((m["msg_type"], m["content"])), **options
    )
    client.stop_channels()
    return messages


def test_it_replies_and_ends(manager: KernelManager) -> None:
    outputs = str(published(manager, "import os\nprint('hello', os.getpid())\n6 * 7"))
    assert "hello" in outputs and "'42'" in outputs
    pid = int(outputs.split("hello ")[1].split("\\n")[0])
    assert pid != manager.provisioner.pid and psutil.pid_exists(pid)
    manager.shutdown_kernel()
    wait_for(lambda: not psutil.pid_exists(pid), 30, "the end of the kernel")


def test_it_ends_with_the_process_that_jupyter_started(manager: KernelManager) -> None:
    pid = int(str(published(manager, "import os\nprint('pid', os.getpid())")).split("pid ")[1].split("\\n")[0])
    psutil.Process(manager.provisioner.pid).kill()
    wait_for(lambda: not psutil.pid_exists(pid), 30, "the end of the kernel")


def test_a_spec_names_this_interpreter(tmp_path: Path) -> None:
    assert sys.executable in (jupyter_kernel.install(tmp_path) / "kernel.json").read_text()


def test_the_environment_names_the_snapshot_its_parent_and_the_notebook(tmp_path: Path) -> None:
    environment = jupyter_kernel.restore_environment("id", ParentPaths(tmp_path, "key"), "a.ipynb", ("x = 1",))
    assert list(environment.values()) == ["id", str(tmp_path / "key.sock"), "a.ipynb", '["x = 1"]']


def test_where_no_kernel_can_be_forked_it_becomes_the_standard_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    commands = []

    def replace(*command: object) -> None:
        commands.append(command)
        raise SystemExit

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(parent_client, "unsupported_reason", lambda: "not today")
    monkeypatch.setattr(os, "execv", replace)
    with pytest.raises(SystemExit):
        jupyter_kernel.main(["-f", "connection.json"])
    assert commands == [(sys.executable, [sys.executable, "-m", "ipykernel_launcher", "-f", "connection.json"])]
    assert "standard kernel: not today" in capsys.readouterr().err
