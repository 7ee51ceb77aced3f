"""The standard engine's kernels on sockets in a folder of their own, where no other process can take their place.

Ports are chosen by binding and letting go again: two kernels that start at the same moment may choose the same one, and
one of them then dies before it has said a word.
"""

import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from jupyter_client.manager import AsyncKernelManager

LONGEST = 90  # characters of a socket's path that every system takes


class PrivateManager(AsyncKernelManager):
    """Starts kernels as ever, on Unix sockets; on ports where there are none."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._folder = Path(tempfile.mkdtemp(prefix="mlnb-"))
        if sys.platform != "win32" and len(str(self._folder)) < LONGEST:
            self.transport, self.ip = "ipc", str(self._folder / "kernel")

    async def _async_cleanup_resources(self, restart: bool = False) -> None:
        await super()._async_cleanup_resources(restart=restart)
        if not restart:
            shutil.rmtree(self._folder, ignore_errors=True)

    cleanup_resources = _async_cleanup_resources
