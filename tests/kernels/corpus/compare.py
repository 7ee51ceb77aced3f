"""Executes a notebook with both engines, and removes from the result what differs between runs."""

import difflib
import json
import logging
import os
import re
import shutil
import time
from pathlib import Path
from typing import Any

import nbformat
import papermill
from papermill.engines import NBClientEngine, papermill_engines

from mlnb.kernels.driver.private_sockets import PrivateSocketManager
from mlnb.kernels.driver.warm_engine import WarmEngine


class StandardEngine(NBClientEngine):
    """Papermill's own engine, on sockets that no other kernel can take."""

    @classmethod
    def execute_managed_notebook(cls, *values: Any, **options: Any) -> Any:
        own = {"kernel_manager_class": PrivateSocketManager, "iopub_timeout": 60}  # on a busy machine 4 s are few
        return super().execute_managed_notebook(*values, **own, **options)


HANG = 30  # seconds after which a cell counts as one that ipykernel's own threads have lost a message of
REPEATS = 3  # of the standard engine: on a busy machine its kernel drops outputs that the client is late to read
LOST = ("CellTimeoutError", "RuntimeError: Kernel didn't respond")
ENGINES = {"standard": StandardEngine, "warm": WarmEngine}
for _name, _engine in ENGINES.items():
    papermill_engines.register(f"test-{_name}", _engine)
VARIES = (
    (r"/tmp/ipykernel_\d+/", "/tmp/ipykernel_N/"),
    (r"0x[0-9a-f]{6,}", "0xN"),
    (r"\d+(\.\d+)?(e[-+]?\d+)? ?(ns|μs|µs|ms|s|min)\b", "T"),
    (r"(Thread-)\d+", r"\1N"),
    (r'id="[0-9a-f]{6,}"|T_[0-9a-f]{5}', "ID"),
    (r"pid[ =:]+\d+", "pid N"),
    (r"(?<![0-9a-f])[0-9a-f]{32}(?![0-9a-f])", "ID"),
    (r"\d\d:\d\d(<|&lt;)[\d:?]+, ?[^\]]*\]", "T]"),
    (r"\bpid='\d+'|asyncio_\d+", "N"),
)


def notebook(cells: list[Any]) -> Any:
    """Return a notebook of cells that are sources, or (source, tag, ...)."""
    nodes = []
    for number, cell in enumerate(cells):
        source, *tags = (cell,) if isinstance(cell, str) else cell
        nodes.append(nbformat.v4.new_code_cell(source, id=f"cell{number}", metadata={"tags": tags} if tags else {}))
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    return nbformat.v4.new_notebook(cells=nodes, metadata={"kernelspec": kernel})


def execute(engine: str, document: Any, folder: Path, **options: Any) -> tuple[Any, str, list[str]]:
    """Return the notebook executed in `folder`, the error that it raised ("" for none), and the files that it left."""
    folder.mkdir(exist_ok=True)
    nbformat.write(document, folder / "in.ipynb")
    before = os.getcwd()
    os.chdir(folder)
    os.environ["PWD_EXPECTED"] = str(folder)
    testing = os.environ.pop("PYTEST_CURRENT_TEST", None)  # with it, ipykernel leaves descriptors 1 and 2 alone
    message = ""
    try:
        papermill.execute_notebook("in.ipynb", "out.ipynb", engine_name=f"test-{engine}", progress_bar=False, **options)
    except Exception as error:
        message = normalize(f"{type(error).__name__}: {error}")
    finally:
        os.chdir(before)
        if testing is not None:
            os.environ["PYTEST_CURRENT_TEST"] = testing
    files = sorted(path.name for path in folder.iterdir() if path.suffix != ".ipynb")
    return nbformat.read(folder / "out.ipynb", 4), message, files


def assert_same(document: Any, project: Path) -> None:
    """Execute a notebook under both engines; fail with all that differs, and with the logs."""
    times: list[str] = []
    warm = outcome("warm", document, project, times)
    for _ in range(REPEATS):
        standard = outcome("standard", document, project, times)
        if warm == standard:
            return
    difference = difflib.unified_diff(standard, warm, "standard", "warm", lineterm="", n=2)
    logs = [path.read_text()[-2000:] for path in (project / ".mlnb" / "kernels").glob("*.log")]
    raise AssertionError("\n".join([*times, *difference, *logs]))


def outcome(engine: str, document: Any, project: Path, times: list[str]) -> list[str]:
    """Return what is to be equal after an execution, as lines; add its duration to `times`."""
    started = time.monotonic()
    limits: tuple[dict[str, Any], ...] = ({"execution_timeout": HANG}, {}) if engine == "standard" else ({},)
    for limit in limits:  # on a busy machine the standard engine sometimes hangs, its kernel idle, and is run again
        shutil.rmtree(project / "here", ignore_errors=True)
        executed, error, files = execute(engine, document, project / "here", **limit)
        if not error.startswith(LOST):
            break
    times.append(f"{engine}: {time.monotonic() - started:.1f} s, load {os.getloadavg()[0]:.1f}")
    error = re.sub(r": (killed by SIG[A-Z]+|exit code \d+)$", "", error)  # unknown to the standard engine
    return json.dumps([visible(executed), error, files], indent=1, default=str).splitlines()


def visible(document: Any) -> list[dict[str, Any]]:
    """Return what a reader of an executed notebook sees, without what differs from run to run."""
    cells = []
    for cell in document.cells:
        content: dict[str, Any] = {"source": cell.source, "tags": cell.metadata.get("tags", [])}
        metadata = cell.metadata.get("papermill", {})
        content["papermill"] = [metadata.get("status"), metadata.get("exception"), sorted(metadata)]
        if cell.cell_type == "code":
            content["count"] = cell.execution_count
            content["timing"] = sorted(cell.metadata.get("execution", {}))
            content["outputs"] = join_streams([normalize(dict(output)) for output in cell.outputs])
        cells.append(content)
    about = {name: document.metadata.get(name) for name in ("language_info", "kernelspec", "widgets")}
    about["widgets"] = [sorted(json.dumps(normalize(state)) for state in _widget_states(document))]
    about["exception"] = document.metadata.papermill["exception"]
    return [*cells, about]


def _widget_states(document: Any) -> list[Any]:
    """Return the states of a notebook's widgets, whose names are random."""
    return [state for widgets in document.metadata.get("widgets", {}).values() for state in widgets["state"].values()]


def join_streams(outputs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return outputs with consecutive pieces of one stream joined: where it is cut depends on timing."""
    joined: list[dict[str, Any]] = []
    for output in outputs:
        if joined and output["output_type"] == "stream" and joined[-1].get("name") == output["name"]:
            joined[-1]["text"] += output["text"]
        else:
            joined.append(output)
    return joined


def normalize(value: Any) -> Any:
    """Return text, or anything made of text, without process ids, addresses and times."""
    if isinstance(value, str):
        for pattern, replacement in VARIES:
            value = re.sub(pattern, replacement, value)
        return value
    if isinstance(value, dict):
        return {name: normalize(item) for name, item in value.items()}
    return [normalize(item) for item in value] if isinstance(value, list | tuple) else value


logging.getLogger("papermill").setLevel(logging.ERROR)
