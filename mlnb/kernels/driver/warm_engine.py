"""`papermill --engine mlnb`: papermill's own engine on kernels forked from a warm parent.

Papermill's notebook manager, nbclient's handling of outputs and ipykernel's kernel are all the standard ones; where a
notebook needs another kernel, or no warm parent can be had, the standard engine runs it, and the log says why.
"""

import functools
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from nbclient.exceptions import DeadKernelError
from nbclient.util import run_sync
from papermill.clientwrap import PapermillNotebookClient
from papermill.engines import NBClientEngine
from papermill.log import logger
from papermill.utils import merge_kwargs, remove_args

from mlnb.kernels.driver import jupyter_kernel, notebook_imports, parent_client
from mlnb.kernels.driver.kernel_manager import Manager
from mlnb.kernels.driver.private_sockets import PrivateManager
from mlnb.kernels.driver.snapshot_policy import Keeping, Shown
from mlnb.kernels.protocol import parent_paths

SILENCE = 600.0  # seconds that outputs may take after the reply: with nbclient's 4 a busy machine loses some of many
MOST = int(os.environ.get("MLNB_KERNELS_OUTPUT", 256 << 20))  # characters of output that one cell may keep
PYTHONS = ("python", "python3", f"python{sys.version_info[0]}.{sys.version_info[1]}")


class WarmClient(PapermillNotebookClient):  # type: ignore[misc]
    """Papermill's client, which hears of a kernel's end at once and bounds what a cell may print."""

    def create_kernel_manager(self) -> Any:
        """Return the manager of a kernel that will be forked."""
        self.km = self.warm_manager
        return self.km

    warm_manager: Manager

    async def _async_poll_kernel_alive(self) -> None:
        await self.kc.ended()
        self.log.error("Kernel died while waiting for execute reply.")
        if self.task_poll_for_reply is not None:
            self.task_poll_for_reply.cancel()

    shown: Shown | None = None  # what is kept of this notebook, and gone on from
    asked: Callable[[], Shown | None]  # returns it; later than the notebook's start when it has waited to go on

    async def async_execute_cell(self, cell: Any, cell_index: int, **options: Any) -> Any:
        """Execute one cell; a kernel's death is told with its signal or exit code."""
        self._size, self._cut = 0, False
        self.shown = self.shown or self.asked()
        if self.shown is not None and await self._kept(self.shown, cell_index):
            return cell
        try:
            return await super().async_execute_cell(cell, cell_index, **options)
        except DeadKernelError as error:
            end = self.warm_manager.end_told()
            raise DeadKernelError(f"{error}: {end}" if end else str(error)) from None

    execute_cell = run_sync(async_execute_cell)

    async def _kept(self, shown: Shown, place: int) -> bool:
        """Return whether the kernel goes on after a cell, so that it need not run; if not, keep its state."""
        if self.warm_manager.state is not None:
            if place == 0:
                shown.restore(self)
            if place < shown.first:
                return True
        shown.touched.add(place)
        if shown.state(place) is None or self.comm_objects:
            return False
        shown.write(place, self)
        if place > shown.first or self.warm_manager.state is None:
            why = await self.kc.keep(shown.asked.told(shown.numbers[place]))
            if why is not None:
                self.log.info(f"The state before cell {place} is not kept: {why}.")
        return False

    def _update_display_id(self, display_id: str, msg: dict[str, Any]) -> None:
        if self.shown is not None:
            self.shown.touched |= set(self._display_id_map.get(display_id, ()))
        super()._update_display_id(display_id, msg)

    def output(self, outs: list[Any], msg: dict[str, Any], display_id: str | None, cell_index: int) -> Any:
        """Handle one output, unless the cell has had too much already."""
        self._size += size(msg["content"])
        if self._size <= MOST:
            return super().output(outs, msg, display_id, cell_index)
        if not self._cut:
            self._cut = True
            note = f"\n[mlnb: this cell's output is cut here, after {MOST:,} characters]\n"
            msg = msg | {"msg_type": "stream", "content": {"name": "stderr", "text": note}}
            msg["header"] = msg["header"] | {"msg_type": "stream"}
            return super().output(outs, msg, None, cell_index)
        return None


def size(content: Any) -> int:
    """Return how many characters a message's content has."""
    if isinstance(content, str):
        return len(content)
    if isinstance(content, dict):
        return sum(map(size, content.values()))
    return sum(map(size, content)) if isinstance(content, list) else 0


class WarmEngine(NBClientEngine):  # type: ignore[misc]
    """Executes notebooks in kernels forked from this project's warm parent."""

    keeping: Keeping | None = None  # set before a notebook is executed whose states are to be kept
    went_on = False  # whether the last one went on from a state that was kept

    @classmethod
    def clean(cls, outputs: Any) -> Any:
        """Return outputs as they may be written."""
        return outputs

    @classmethod
    def execute_managed_notebook(
        cls,
        nb_man: Any,
        kernel_name: str,
        log_output: bool = False,
        stdout_file: Any = None,
        stderr_file: Any = None,
        start_timeout: float = 60,
        execution_timeout: float | None = None,
        **kwargs: Any,
    ) -> Any:
        """Execute in a forked kernel, or as the standard engine does where that cannot be."""
        standard = functools.partial(
            super().execute_managed_notebook,
            nb_man,
            kernel_name,
            log_output=log_output,
            stdout_file=stdout_file,
            stderr_file=stderr_file,
            start_timeout=start_timeout,
            execution_timeout=execution_timeout,
            **{"kernel_manager_class": PrivateManager, "iopub_timeout": SILENCE, **kwargs},
        )
        folder = Path.cwd()
        start = parent_paths.settings(folder)
        why = (
            "the settings say so"
            if start.kernels == "standard"
            else parent_client.possible() or unlike(kernel_name, kwargs)
        )
        if why is not None:
            logger.info(f"The standard engine executes this notebook: {why}.")
            return standard()
        own = wanted(nb_man.nb, folder)
        asked: dict[str, Any] = {
            "own": own,
            "notebook": str(kwargs.get("input_path") or nb_man.nb.metadata.papermill.get("input_path") or ""),
            "imports": [*start.preload, *own],
            "file": str(start.folder / "connection.json"),
        }
        final = merge_kwargs(
            remove_args(["timeout", "startup_timeout"], **remove_args(["input_path"], **kwargs)),
            timeout=execution_timeout if execution_timeout else kwargs.get("timeout"),
            startup_timeout=start_timeout,
            kernel_name=kernel_name,
            iopub_timeout=kwargs.get("iopub_timeout", SILENCE),
            log=logger,
            log_output=log_output,
            stdout_file=stdout_file,
            stderr_file=stderr_file,
        )
        client = WarmClient(nb_man, **final)
        client.asked = lambda: Shown(cls.keeping, nb_man.nb.cells, cls.clean) if cls.keeping is not None else None
        client.shown = client.asked()
        if client.shown is not None and client.shown.first:
            asked |= {"wake": client.shown.asked.wake, "variables": dict(client.shown.asked.variables)}
        client.warm_manager = Manager(start, asked, start_timeout)
        try:
            return client.execute()
        except parent_client.NoParent as error:
            logger.warning(f"The standard engine executes this notebook: {error}.")
            return standard()
        finally:
            if client.shown is not None:
                cls._end_keeping(nb_man.nb.cells, client.shown, client.warm_manager)

    @classmethod
    def _end_keeping(cls, cells: list[Any], shown: Shown, manager: Manager) -> None:
        """Date what was not run again; let go of the states of a notebook that has ended well."""
        shown.close()
        cls.went_on = manager.state is not None
        if cls.went_on:
            shown.date(cells)
        well = sys.exception() is None and not any(
            cell.metadata.get("papermill", {}).get("exception") for cell in cells
        )
        if well and not shown.asked.after and manager.place is not None:
            parent_client.ask(manager.place, {"verb": "drop", "family": shown.asked.family})


def wanted(notebook: Any, folder: Path) -> list[str]:
    """Return the libraries that a notebook imports."""
    return notebook_imports.needed((cell.source for cell in notebook.cells if cell.cell_type == "code"), folder)


def unlike(kernel_name: str, options: dict[str, Any]) -> str | None:
    """Return why a notebook needs the standard engine, or None when a forked kernel is the same."""
    if options.get("kernel_manager_class") is not None:
        return "another kernel manager is asked for"
    argv = command(kernel_name)
    if argv is None:
        return f"there is no kernel {kernel_name!r}"  # the standard engine's own error says it best
    if argv[1:] not in (["-m", "ipykernel_launcher", "-f", "{connection_file}"], jupyter_kernel.ARGV):
        return f"kernel {kernel_name!r} is not IPython's"
    if argv[0] not in PYTHONS and not same_interpreter(argv[0]):
        return f"kernel {kernel_name!r} has another interpreter, {argv[0]}"
    return None


@functools.lru_cache(maxsize=64)
def command(kernel_name: str) -> list[str] | None:
    """Return the command of a Jupyter kernel; None when there is none. One that sets an environment is marked."""
    from jupyter_client.kernelspec import KernelSpecManager, NoSuchKernel

    try:
        spec = KernelSpecManager().get_kernel_spec(kernel_name)
    except NoSuchKernel:
        return None
    return [*spec.argv, *(["environment"] if spec.env else [])]


def same_interpreter(path: str) -> bool:
    """Return whether a path is this process's interpreter, in the same environment."""
    found = shutil.which(path)
    return found is not None and os.path.abspath(found) == os.path.abspath(sys.executable)
