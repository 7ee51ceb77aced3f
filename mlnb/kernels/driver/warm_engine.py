"""`papermill --engine mlnb`: papermill's own engine on kernels forked from a warm parent.

Papermill's notebook manager, nbclient's handling of outputs and ipykernel's kernel are the standard ones. Where a
notebook needs another kernel, or no kernel can be forked, the standard engine runs it and logs the reason.
"""

import functools
import os
import shutil
import sys
from pathlib import Path
from typing import Any

from papermill.engines import NBClientEngine
from papermill.log import logger

from mlnb.kernels.driver import jupyter_kernel, parent_client
from mlnb.kernels.driver.execution import Execution
from mlnb.kernels.driver.kernel_manager import ForkedKernelManager
from mlnb.kernels.driver.notebook_imports import third_party_imports
from mlnb.kernels.driver.private_sockets import PrivateSocketManager
from mlnb.kernels.protocol import parent_paths, self_test

IOPUB_SECONDS = 600.0  # that outputs may take after the reply: with nbclient's 4 s a busy machine loses some
PYTHONS = ("python", "python3", f"python{sys.version_info[0]}.{sys.version_info[1]}")


class WarmEngine(NBClientEngine):  # type: ignore[misc]
    """Executes notebooks in kernels forked from this project's warm parent."""

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
        execution: Execution | None = None,
        **options: Any,
    ) -> Any:
        """Execute in a forked kernel, or as the standard engine does where that is impossible.

        Args:
            nb_man: papermill's notebook manager.
            kernel_name: of the notebook.
            log_output: whether outputs are logged.
            stdout_file: file that gets what cells print.
            stderr_file: file that gets what cells print to standard error.
            start_timeout: seconds in which the kernel must be ready.
            execution_timeout: seconds that a cell may take.
            execution: further options; gets the result.
            options: of nbclient's client.
        """
        execution = execution or Execution()
        run_standard = functools.partial(
            super().execute_managed_notebook,
            nb_man,
            kernel_name,
            log_output=log_output,
            stdout_file=stdout_file,
            stderr_file=stderr_file,
            start_timeout=start_timeout,
            execution_timeout=execution_timeout,
            **{"kernel_manager_class": PrivateSocketManager, "iopub_timeout": IOPUB_SECONDS, **options},
        )
        settings = parent_paths.settings(Path.cwd())
        reason = standard_reason(settings, kernel_name, options)
        if reason is not None:
            logger.info(f"The standard engine executes this notebook: {reason}.")
            return run_standard()
        problem = self_test.driver_problem()
        if problem is not None:
            _warn(execution, problem)
            return run_standard()
        client_options = {name: value for name, value in options.items() if name not in ("input_path", "timeout")}
        client_options |= {
            "timeout": execution_timeout or options.get("timeout"),
            "startup_timeout": start_timeout,
            "kernel_name": kernel_name,
            "iopub_timeout": options.get("iopub_timeout", IOPUB_SECONDS),
            "log": logger,
            "log_output": log_output,
            "stdout_file": stdout_file,
            "stderr_file": stderr_file,
        }
        path = str(options.get("input_path") or nb_man.nb.metadata.papermill.get("input_path") or "")
        sources = (cell.source for cell in nb_man.nb.cells if cell.cell_type == "code")
        manager = ForkedKernelManager(settings, path, third_party_imports(sources, Path.cwd()), start_timeout)
        manager.pausing, execution.on_resume = execution.pause_before is not None, manager.report_resumed
        try:
            return _execute(nb_man, manager, execution, client_options)
        except parent_client.ParentUnavailable as error:
            _warn(execution, str(error))
            return run_standard()


def _warn(execution: Execution, reason: str) -> None:
    """Report that the standard engine takes over."""
    text = f"The standard engine executes notebooks, which is slower: {reason}."
    logger.warning(text)
    if execution.on_fallback is not None:
        execution.on_fallback(text)


def _execute(nb_man: Any, manager: ForkedKernelManager, execution: Execution, options: dict[str, Any]) -> Any:
    """Execute a notebook in a forked kernel; end the snapshots of one that succeeds.

    Args:
        nb_man: papermill's notebook manager.
        manager: of the kernel.
        execution: further options; gets the result.
        options: of papermill's client.

    Raises:
        ParentUnavailable: no kernel can be forked.
    """
    # Imported here, after the self-test, which reports what papermill or nbclient lack
    from mlnb.kernels.driver.output_log import OutputLog
    from mlnb.kernels.driver.warm_client import WarmClient

    cells = nb_man.nb.cells

    def open_log() -> OutputLog | None:
        plan = execution.snapshots
        return OutputLog(plan, cells, execution.secrets) if plan is not None else None

    client = WarmClient(nb_man, manager, open_log, **options)
    succeeded = False
    try:
        notebook = client.execute()
        succeeded = not any(cell.metadata.get("papermill", {}).get("exception") for cell in cells)
        return notebook
    finally:
        execution.restored = manager.restored
        if (log := client.output_log) is not None:
            log.close()
            if manager.restored:
                log.restore_timing(cells)
            if succeeded and not log.plan.keep_on_success and manager.paths is not None:
                parent_client.drop_snapshots(manager.paths, log.plan.group)


def standard_reason(settings: parent_paths.KernelSettings, kernel_name: str, options: dict[str, Any]) -> str | None:
    """Return why a notebook needs the standard engine, or None when a forked kernel gives the same results."""
    if settings.engine == "standard":
        return "the settings choose it"
    if (reason := parent_client.unsupported_reason()) is not None:
        return reason
    if options.get("kernel_manager_class") is not None:
        return "another kernel manager is requested"
    argv = kernel_command(kernel_name)
    if argv is None:
        return f"there is no kernel {kernel_name!r}"  # the standard engine raises the error
    if argv[1:] not in (["-m", "ipykernel_launcher", "-f", "{connection_file}"], jupyter_kernel.ARGV):
        return f"kernel {kernel_name!r} is not IPython's"
    if argv[0] not in PYTHONS and not is_same_interpreter(argv[0]):
        return f"kernel {kernel_name!r} has another interpreter, {argv[0]}"
    return None


@functools.lru_cache(maxsize=64)
def kernel_command(kernel_name: str) -> list[str] | None:
    """Return the command of a Jupyter kernel, with a mark if it sets an environment or has another way to be started.

    Jupyter's own folders are searched first: the path of IPython's folder takes the import of IPython, and a search by
    name reads the metadata of all installed packages.

    Returns:
        None when there is no kernel of that name.
    """
    from jupyter_client.kernelspec import KernelSpec, KernelSpecManager, NoSuchKernel
    from jupyter_core.paths import jupyter_path

    installed = KernelSpecManager(kernel_dirs=jupyter_path("kernels"), ensure_native_kernel=False).find_kernel_specs()
    folder = installed.get(kernel_name.lower())
    try:
        spec = KernelSpec.from_resource_dir(folder) if folder else KernelSpecManager().get_kernel_spec(kernel_name)
    except NoSuchKernel:
        return None
    marks = {"environment": spec.env, "provisioner": spec.metadata.get("kernel_provisioner")}
    return [*spec.argv, *(mark for mark, value in marks.items() if value)]


def is_same_interpreter(path: str) -> bool:
    """Return whether a path is this process's interpreter, in the same environment."""
    interpreter = shutil.which(path)
    return interpreter is not None and os.path.abspath(interpreter) == os.path.abspath(sys.executable)
