"""The standard engine's kernels have sockets in a private folder, also after a restart."""

import asyncio
import os
from pathlib import Path

import pytest

from mlnb.kernels.driver.private_sockets import PrivateSocketManager


def test_a_kernel_listens_in_a_folder_that_ends_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PYTEST_CURRENT_TEST")

    async def use() -> None:
        manager = PrivateSocketManager(kernel_name="python3")
        folder = Path(manager.ip).parent
        assert manager.transport == "ipc" and folder.stat().st_mode & 0o077 == 0
        await manager.start_kernel()
        await manager.restart_kernel(now=True)
        assert folder.is_dir()
        client = manager.client()
        client.start_channels()
        await client.wait_for_ready(timeout=60)
        client.stop_channels()
        await manager.shutdown_kernel(now=True)
        assert not folder.exists()

    asyncio.run(use())
    os.environ["PYTEST_CURRENT_TEST"] = "done"


def test_where_the_path_is_too_long_it_listens_on_ports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    long = tmp_path / ("long" * 30)
    long.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(long))
    manager = PrivateSocketManager(kernel_name="python3")
    assert manager.transport == "tcp" and list(long.iterdir()) == []
