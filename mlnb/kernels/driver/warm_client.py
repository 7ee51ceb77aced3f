"""Papermill's notebook client on a forked kernel: takes and restores snapshots, notices a dead kernel at once."""

import math
import time
from collections.abc import Callable
from typing import Any

from nbclient.exceptions import DeadKernelError
from nbclient.util import run_sync
from papermill.clientwrap import PapermillNotebookClient

from mlnb.kernels.driver.kernel_manager import ForkedKernelManager
from mlnb.kernels.driver.output_log import OutputLog
from mlnb.kernels.protocol import compat
from mlnb.kernels.protocol.messages import JupyterMessage, RestoreSnapshot
from mlnb.settings import ProcessSettings

MAX_OUTPUT = ProcessSettings().kernels_output  # characters of output that one cell may keep


@compat.nbclient_hooks
class WarmClient(PapermillNotebookClient):  # type: ignore[misc]
    """Papermill's client on one forked kernel.

    Args:
        nb_man: papermill's notebook manager.
        manager: of the kernel.
        open_log: returns the log of the notebook's outputs, or None as long as no snapshots are to be taken.
        options: of papermill's client.
    """

    def __init__(
        self, nb_man: Any, manager: ForkedKernelManager, open_log: Callable[[], OutputLog | None], **options: Any
    ) -> None:
        super().__init__(nb_man, **options)
        self.manager = manager
        self.open_log = open_log
        self.output_log = open_log()
        self.unsaved_seconds = math.inf  # that cells have taken since the last snapshot
        if self.output_log is not None and self.output_log.first:
            plan = self.output_log.plan
            assert plan.restore is not None
            manager.restore = RestoreSnapshot(
                id=plan.restore, environment=dict(self.output_log.secrets), variables=plan.variables
            )  # a password may have been corrected since

    def create_kernel_manager(self) -> ForkedKernelManager:
        """Return the manager of a kernel that will be forked."""
        self.km = self.manager
        return self.manager

    async def wait_for_kernel_exit(self) -> None:
        """Return when the kernel is dead and its messages are read."""
        await self.kc.wait_for_exit()

    def before_display_update(self, display_id: str) -> None:
        """Note that the outputs with this display id change."""
        if self.output_log is not None:
            self.output_log.changed |= set(compat.displays(self).get(display_id, ()))

    async def async_execute_cell(self, cell: Any, cell_index: int, **options: Any) -> Any:
        """Execute one cell. Raises `DeadKernelError` with the kernel's signal or exit code."""
        self._output_size, self._truncated = 0, False
        self.output_log = self.output_log or self.open_log()
        if self.output_log is not None and await self._is_restored(self.output_log, cell_index):
            return cell
        start = time.monotonic()
        try:
            return await super().async_execute_cell(cell, cell_index, **options)
        except DeadKernelError as error:
            reason = self.manager.exit_reason()
            raise DeadKernelError(f"{error}: {reason}" if reason else str(error)) from None
        finally:
            self.unsaved_seconds += time.monotonic() - start

    execute_cell = run_sync(async_execute_cell)

    async def _is_restored(self, log: OutputLog, index: int) -> bool:
        """Return whether the kernel was restored after a cell, so that it need not run; if not, take its snapshot."""
        if self.manager.restored:
            if index == 0:
                log.restore(self)
            if index < log.first:
                return True
        log.changed.add(index)
        if log.snapshot_id(index) is None or self.comm_objects or self.unsaved_seconds < log.plan.min_seconds:
            return False
        log.write(index, self)
        problem = None
        if index > log.first or not self.manager.restored:
            problem = await self.kc.take_snapshot(log.snapshot_info(index))
        if problem is None:
            self.unsaved_seconds = 0.0
        else:
            self.log.info(f"No snapshot is taken before cell {index}: {problem}.")
        return False

    def output(self, outs: list[Any], msg: JupyterMessage, display_id: str | None, cell_index: int) -> Any:
        """Handle one output, unless the cell already has too many."""
        self._output_size += text_size(msg["content"])
        if self._output_size <= MAX_OUTPUT:
            return super().output(outs, msg, display_id, cell_index)
        if not self._truncated:
            self._truncated = True
            note = f"\n[mlnb: this cell's output is truncated here, after {MAX_OUTPUT:,} characters]\n"
            msg = msg | {"msg_type": "stream", "content": {"name": "stderr", "text": note}}
            msg["header"] = msg["header"] | {"msg_type": "stream"}
            return super().output(outs, msg, None, cell_index)
        return None


def text_size(content: Any) -> int:
    """Return how many characters a message's content has."""
    if isinstance(content, str):
        return len(content)
    if isinstance(content, dict):
        return sum(map(text_size, content.values()))
    return sum(map(text_size, content)) if isinstance(content, list) else 0
