"""The standard engine's kernels on Unix sockets in a private folder, where no other process can take them.

Jupyter chooses ports by binding and releasing them: two kernels that start at the same moment may choose the same one,
and one of them dies before it is ready.
"""

import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from jupyter_client.manager import AsyncKernelManager

MAX_PATH_LENGTH = 90  # characters of a socket's path that every system takes


class PrivateSocketManager(AsyncKernelManager):
    """Starts kernels as usual, on Unix sockets; on ports where the system has none."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._folder: Path | None = None
        self._restarting = False
        if sys.platform != "win32":
            folder = Path(tempfile.mkdtemp(prefix="mlnb-"))
            if len(str(folder)) < MAX_PATH_LENGTH:
                self._folder, self.transport, self.ip = folder, "ipc", str(folder / "kernel")
            else:
                folder.rmdir()

    async def restart_kernel(self, *values: Any, **options: Any) -> None:  # type: ignore[override]
        """Restart the kernel on the same sockets."""
        self._restarting = True
        try:
            await super().restart_kernel(*values, **options)
        finally:
            self._restarting = False

    def cleanup_ipc_files(self) -> None:
        """Remove the sockets, and their folder when the kernel is not restarted."""
        super().cleanup_ipc_files()
        if self._folder is not None and not self._restarting:
            shutil.rmtree(self._folder, ignore_errors=True)
