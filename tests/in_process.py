"""Commands in this process, for tests that need runs: importing mlnb for each command takes longer than most runs.

`mlnb_in_process` executes stage notebooks cell by cell without a kernel. The command, the plan, the record, the store,
the session and papermill are the real ones; only the kernel is replaced. Executed are exported cells and those of the
stage, and the imports of the others; plots are drawn and written as one pixel.

`mlnb_with_kernels` replaces nothing but the end of the worker processes: they serve the next command.
"""

import ast
import base64
import contextlib
import io
import logging
import os
import sys
import threading
import traceback
import types
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar, TypeVar

import nbformat
import pytest

from mlnb.cli.main import main
from mlnb.engine.digests import parse_python
from mlnb.engine.stage_jobs import Executor, Job, OnCell, Outcome, OutcomeState
from mlnb.errors import MlnbError
from mlnb.executors import local
from mlnb.kernels.driver.worker_process import Worker

T = TypeVar("T")
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="  # a PNG
EXECUTED = ("#| export", "#| stage")


def mlnb_in_process(
    root: Path,
    *arguments: str,
    code: int | None = 0,
    fail: Mapping[str, str] | None = None,
    pictures: bool = False,
) -> str:
    """Run a command in a folder; return its output.

    Args:
        root: The project, or a folder for the built-in one. Its tracker is best `local`: another one would stay.
        arguments: The command and its options.
        code: The exit code that it must end with; None: any.
        fail: Stages whose first cell after the one that opens them raises `ValueError`, with its message.
        pictures: Whether plots are written as they are.
    """
    os.environ.setdefault("MPLBACKEND", "Agg")
    return _run(root, arguments, code, lambda workers: InProcess(fail or {}, pictures), {})


def mlnb_with_kernels(root: Path, *arguments: str, code: int | None = 0, env: Mapping[str, str] | None = None) -> str:
    """Run a command in a folder, with kernels; return its output, as `toys.mlnb` does.

    Args:
        root: The project.
        arguments: The command and its options.
        code: The exit code that it must end with; None: any.
        env: Environment variables in addition to those of this process.
    """
    return _run(root, arguments, code, ReusedWorkers, {"MPLBACKEND": None, **(env or {})})  # kernels show plots inline


def _run(
    root: Path,
    arguments: Sequence[str],
    code: int | None,
    executor: Callable[[int], Executor],
    env: Mapping[str, str | None],
) -> str:
    """Run a command in a folder with an executor; return its output after checking its exit code."""
    with _project_folder(root, executor, env) as patch:
        patch.setattr(sys, "argv", ["mlnb", *arguments])
        output = io.StringIO()
        with contextlib.redirect_stdout(output), contextlib.redirect_stderr(output), _warnings_logged_to(output):
            try:
                ended: object = main(list(arguments))
            except SystemExit as error:  # of wrong arguments
                ended = error.code
    text = output.getvalue()
    assert code is None or ended == code, f"mlnb {' '.join(arguments)}: exit code {ended}, expected {code}:\n{text}"
    return text


def call_in_process(root: Path, function: Callable[[], T]) -> T:
    """Return what a function of `mlnb` returns in a folder, with the executor of `mlnb_in_process`."""
    os.environ.setdefault("MPLBACKEND", "Agg")
    with _project_folder(root, lambda workers: InProcess({}, pictures=False), {}):
        return function()


@contextlib.contextmanager
def _project_folder(
    root: Path, executor: Callable[[int], Executor], env: Mapping[str, str | None]
) -> Iterator[pytest.MonkeyPatch]:
    """Make a folder the working directory, with an executor and environment variables."""
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        patch.chdir(root)
        patch.delenv("MLNB_ROOT", raising=False)
        for name, value in env.items():
            patch.delenv(name, raising=False) if value is None else patch.setenv(name, value)
        patch.setattr(os, "nice", lambda increment: increment)  # this process goes on
        patch.setattr(local, "LocalExecutor", executor)
        yield patch


@contextlib.contextmanager
def _warnings_logged_to(output: io.StringIO) -> Iterator[None]:
    """Write what the command logs as it does without pytest, which has the handlers of all loggers."""
    handler = logging.StreamHandler(output)
    handler.setLevel(logging.WARNING)
    logging.getLogger("mlnb").addHandler(handler)
    try:
        yield
    finally:
        logging.getLogger("mlnb").removeHandler(handler)


class ReusedWorkers(local.LocalExecutor):
    """Local executors one after the other, whose idle workers serve the next one in the same folder and environment."""

    idle: ClassVar[list[Worker]] = []
    origin: ClassVar[tuple[str, dict[str, str]]] = ("", {})

    def _start(self, folder: Path | None = None, environment: Mapping[str, str] = MappingProxyType({})) -> Worker:
        """Return a worker of the executor before this one, or a new one."""
        inherited = local.worker_environment()
        inherited.pop("PYTEST_CURRENT_TEST", None)
        if (os.getcwd(), inherited) != self.origin:
            self.end_idle()
            ReusedWorkers.origin = os.getcwd(), inherited
        while self.idle:
            worker = self.idle.pop()
            if worker.alive:
                worker.on_warning = self._warn
                self._all.append(worker)
                return worker
            worker.end()
        return super()._start(folder, environment)

    def close(self) -> None:
        """End the workers that still have a job; called again, do nothing."""
        self._closed = True
        workers, self._all = self._all, []
        for worker in workers:
            if worker.alive and worker in self._idle:
                self.idle.append(worker)
            else:
                worker.end()

    @classmethod
    def end_idle(cls) -> None:
        """End the workers that wait for the next executor."""
        while cls.idle:
            cls.idle.pop().end()


class InProcess:
    """An executor without processes; one stage runs at a time, as they share the working directory and the output."""

    turn = threading.Lock()

    def __init__(self, fail: Mapping[str, str], pictures: bool) -> None:
        self.fail = fail
        self.pictures = pictures

    def warm(self, folder: Path, environment: Mapping[str, str]) -> None:
        """Start nothing."""

    def prepare(self, job: Job) -> bool:
        """Accept a job, and begin nothing ahead of need; refused ones are planned and offered again and again."""
        return True

    def discard(self, target: Path) -> None:
        """Nothing was begun."""

    def trim(self) -> None:
        """Nothing is held."""

    def interrupt(self) -> None:
        """A test waits for the end."""

    def close(self) -> None:
        """Nothing is held."""

    def execute(self, job: Job, on_cell: OnCell) -> Outcome:
        """Execute a notebook as papermill does, in this process."""
        with self.turn:
            return self._execute(job)

    def _execute(self, job: Job) -> Outcome:
        import papermill
        from papermill.engines import papermill_engines

        engine = type("Engine", (CellByCell,), {"message": self.fail.get(job.stage), "pictures": self.pictures})
        papermill_engines.register("in-process", engine)
        with pytest.MonkeyPatch.context() as patch:
            for name, value in job.environment.items():
                patch.setenv(name, value)
            try:
                papermill.execute_notebook(
                    job.source,
                    job.target,
                    parameters=job.parameters,
                    engine_name="in-process",
                    cwd=job.folder,
                    progress_bar=False,
                    autosave_cell_every=0,
                )
            except papermill.PapermillExecutionError as error:
                heading = _heading(nbformat.read(job.target, 4), error.cell_index)
                message = f"{error.ename}: {error.evalue}"
                return Outcome(
                    state=OutcomeState.FAILED,
                    cell=error.cell_index,
                    heading=heading,
                    message=message,
                    error=engine.raised,  # type: ignore[attr-defined]
                )
        return Outcome(state=OutcomeState.FINISHED)


def _heading(notebook: Any, index: int) -> str:
    """Return the heading above a cell."""
    above = [cell.source for cell in notebook.cells[: index + 1] if cell.cell_type == "markdown"]
    lines = "\n".join(above).splitlines()
    return next((line.lstrip("# ") for line in reversed(lines) if line.startswith("#")), "")


def _imports(source: str) -> str:
    """Return the imports of a cell that shows an example, as the cells of the stage may use them."""
    tree = parse_python(source)
    return "\n".join(ast.unparse(node) for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom))


def _engine() -> type:
    from papermill.engines import Engine

    return Engine


class CellByCell(_engine()):  # type: ignore[misc]
    """A papermill engine that executes the cells of a stage in a separate module of this process."""

    message: str | None = None
    pictures = False
    raised: type[MlnbError] | None = None

    @classmethod
    def execute_managed_notebook(cls, nb_man: Any, kernel_name: str, **options: Any) -> None:
        """Execute the cells; the first that raises ends it, with its traceback as its output."""
        module = types.ModuleType("stage_notebook")
        sys.modules[module.__name__] = module  # where a dataclass looks for its module
        opened = False
        for number, cell in enumerate(nb_man.nb.cells):
            if cell.cell_type != "code":
                continue
            source = (
                cell.source if cell.source.startswith(EXECUTED) or cell.metadata.get("tags") else _imports(cell.source)
            )
            if opened and cls.message:
                source = f"raise ValueError({cls.message!r})"
            cell.execution_count = number + 1
            opened |= "open_stage(" in cell.source
            output = Outputs(module, cls.pictures)
            try:
                output.execute(source)
            except Exception as error:
                nb_man.cell_exception(cell, number)
                cls.raised = type(error) if isinstance(error, MlnbError) else None
                lines = traceback.format_exception(error)
                output.add("error", ename=type(error).__name__, evalue=str(error), traceback=lines)
                cell.outputs = output.outputs
                return
            cell.outputs = output.outputs
            cell.metadata.papermill["status"] = nb_man.COMPLETED


class Outputs:
    """Executes one cell and collects what a kernel would have sent: prints, values, plots."""

    def __init__(self, module: types.ModuleType, pictures: bool) -> None:
        self.module = module
        self.pictures = pictures
        self.outputs: list[Any] = []

    def add(self, kind: str, **content: Any) -> None:
        """Add an output."""
        self.outputs.append(nbformat.v4.new_output(kind, **content))

    def execute(self, source: str) -> None:
        """Execute a cell's source; its last expression is its value."""
        tree = parse_python(source)
        last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
        scope = vars(self.module)
        scope["display"] = self.display
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed), self.plots():
            exec(compile(tree, "<cell>", "exec"), scope)
            value = None if last is None else eval(compile(ast.Expression(last.value), "<cell>", "eval"), scope)
            if printed.getvalue():
                self.add("stream", name="stdout", text=printed.getvalue())
        if value is not None:
            self.add("execute_result", data=_shown(value))

    def display(self, *values: Any, display_id: bool = False, **_: Any) -> Any:
        """Show values, as IPython's `display` does."""
        for value in values:
            self.add("display_data", data=_shown(value))
        return types.SimpleNamespace(update=lambda value: None) if display_id else None

    @contextlib.contextmanager
    def plots(self) -> Iterator[None]:
        """Take plots in when they are shown, and at the end those that were not."""
        import matplotlib.pyplot as plt

        def show(*_: Any, **__: Any) -> None:
            for number in plt.get_fignums():
                figure = plt.figure(number)
                png = PIXEL
                if self.pictures:
                    buffer = io.BytesIO()
                    figure.savefig(buffer, format="png", bbox_inches="tight")
                    png = base64.b64encode(buffer.getvalue()).decode()
                self.add("display_data", data={"image/png": png, "text/plain": repr(figure)})
                plt.close(figure)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(plt, "show", show)
            yield
            show()


def _shown(value: Any) -> dict[str, str]:
    """Return a value as a notebook holds it."""
    shown = {"text/plain": repr(value)}
    if hasattr(value, "_repr_html_"):
        shown["text/html"] = value._repr_html_()
    return shown
