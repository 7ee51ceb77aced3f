"""Small projects for tests: notebooks from a few lines of code, and the command that runs them."""

import json
import os
import shutil
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

from waiting import wait_for

from mlnb.kernels.driver import parent_client
from mlnb.kernels.protocol import parent_paths

SETTINGS = """[mlnb]
tracker = local
{settings}

[pipeline train]
stages = {stages}

[profile quick]
{profile}
"""

# Logs in how many processes a client of a remote store is loaded: kernel, warm parent, worker process and command.
COUNT_CLIENTS = """import os, psutil
parent, driver = psutil.Process().parent(), psutil.Process(int(os.environ["JPY_PARENT_PID"]))
assert "warm_parent" in " ".join(parent.cmdline())
processes = [os.getpid(), parent.pid, driver.pid, driver.ppid()]
stage.log(clients=sum("obstore" in open(f"/proc/{pid}/maps").read() for pid in processes))"""

# `python -m papermill`, without the module that `fast_imports` hides.
HIDE = "import sys; sys.modules['rfc3987_syntax'] = None"
PAPERMILL = (sys.executable, "-c", f"{HIDE}\nfrom papermill.cli import papermill\npapermill()")


def notebook(cells: list[tuple[str, str] | tuple[str, str, list[str]]]) -> dict[str, Any]:
    """Return a notebook of (cell type, source[, tags])."""
    written = []
    for number, (kind, source, *tags) in enumerate(cells):
        cell: dict[str, Any] = {"cell_type": kind, "id": f"c{number:02}", "metadata": {}, "source": source}
        if tags:
            cell["metadata"] = {"tags": tags[0]}
        if kind == "code":
            cell |= {"outputs": [], "execution_count": None}
        written.append(cell)
    spec = {"display_name": "python3", "language": "python", "name": "python3"}
    return {"cells": written, "metadata": {"kernelspec": spec}, "nbformat": 4, "nbformat_minor": 5}


def stage(
    name: str,
    body: str,
    reads: list[str] | None = None,
    writes: dict[str, str] | None = None,
    parameters: str = "",
    functions: str = "",
) -> dict[str, Any]:
    """Return a stage notebook whose run cell is `body`, between `open_stage` and `close`."""
    cells: list[Any] = [
        ("markdown", f"# {name.title()}\n> It does {name}."),
        ("code", f"#| default_exp stages.{name}"),
        ("code", '# What a run may set.\nrun: str = "draft"\n' + parameters, ["parameters"]),
        ("code", "#| export\n" + (functions or "import math")),
        ("markdown", "## Run the stage"),
        (
            "code",
            "#| stage\nfrom mlnb import open_stage\n"
            f'stage = open_stage("{name}", run, reads={reads or []!r}, writes={writes or {}!r})',
        ),
        ("markdown", "### Work"),
        ("code", "#| stage\n" + body),
        ("code", "#| stage\nstage.close()"),
    ]
    return notebook(cells)


def project(root: Path, stages: dict[str, dict[str, Any]], settings: str = "", profile: str = "") -> Path:
    """Write a project whose stage notebooks are {"10_a": notebook}; return its folder."""
    folder = root / "nbs" / "stages"
    folder.mkdir(parents=True, exist_ok=True)
    names = " ".join(stem.partition("_")[2] for stem in stages)
    (root / "settings.ini").write_text(SETTINGS.format(stages=names, settings=settings, profile=profile))
    for stem, document in stages.items():
        (folder / f"{stem}.ipynb").write_text(json.dumps(document))
    return root


def empty(root: Path) -> None:
    """Delete all files of a project but those of its warm parent."""
    for path in [*root.glob("*"), *(root / ".mlnb").glob("*")]:
        if path.name not in (".mlnb", "kernels"):
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()


def chain(root: Path, settings: str = "") -> Path:
    """Write the project most tests use: number -> double -> total, with a side branch `note`."""
    return project(
        root,
        {
            "10_number": stage(
                "number",
                'stage.save("number", number)\nstage.log(number=number)',
                writes={"number": "one number"},
                parameters="number: int = 3  # a number [0..100]",
            ),
            "20_double": stage(
                "double",
                'stage.save("double", factor * stage.load("number"))',
                reads=["number"],
                writes={"double": "the number times the factor"},
                parameters="factor: float = 2.0  # times what [0..]",
            ),
            "25_note": stage(
                "note",
                'stage.save("note", f"{word} {stage.load(\'number\')}")',
                reads=["number"],
                writes={"note": "a sentence"},
                parameters='word: str = "number"  # the first word [number|nombre]\nsource: str = ""  # a file [file]',
            ),
            "30_total": stage(
                "total",
                'stage.save("total", {"total": stage.load("double") + 1, "note": stage.load("note")})',
                reads=["double", "note"],
                writes={"total": "the sum and the sentence"},
            ),
        },
        settings,
        "double.factor = 5",
    )


def edit(root: Path, stem: str, old: str, new: str) -> None:
    """Replace a piece of source in a stage notebook."""
    path = root / "nbs" / "stages" / f"{stem}.ipynb"
    document = json.loads(path.read_text())
    assert any(old in cell["source"] for cell in document["cells"]), f"{old!r} is not in {stem}"
    for cell in document["cells"]:
        cell["source"] = cell["source"].replace(old, new)
    path.write_text(json.dumps(document))


def mlnb(
    root: Path, *arguments: str, code: int | None = 0, env: dict[str, str] | None = None, timeout: float = 120
) -> str:
    """Run the command in `root`; return what it printed on both outputs. `code` is the exit code it must have."""
    done = subprocess.run(
        [sys.executable, "-m", "mlnb.cli.main", *arguments],
        cwd=root,
        env={**os.environ, **(env or {})},
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    text = done.stdout + done.stderr
    assert code is None or done.returncode == code, f"exit code {done.returncode}, expected {code}:\n{text}"
    return text


def new_project(folder: Path) -> Path:
    """Return a new project below a folder, as `mlnb new` creates it, with the local tracker."""
    mlnb(folder, "new", "project")
    settings = folder / "project" / "settings.ini"
    settings.write_text(settings.read_text().replace("tracker = wandb", "tracker = local"))
    assert "tracker = local" in settings.read_text()
    return folder / "project"


def record(root: Path, which: int = -1) -> dict[str, Any]:
    """Return the record of a run, the newest by default."""
    every = sorted((json.loads(p.read_text()) for p in (root / "runs").glob("*/run.json")), key=lambda r: r["started"])
    return every[which]


def states(root: Path, which: int = -1) -> dict[str, str]:
    """Return {stage: state} of a run."""
    return {name: stage["state"] for name, stage in record(root, which)["stages"].items()}


def kernels(root: Path) -> list[str]:
    """Return the notebooks that warm kernels of a project still run, after some patience."""

    def running() -> list[str]:
        parents = parent_paths.find_parents(parent_paths.settings(root).folder)
        statuses = [parent_client.get_status(paths) for paths in parents]
        return [notebook for status in statuses if status for notebook in status.kernels.values()]

    with suppress(AssertionError):  # the caller shows which are left
        wait_for(lambda: not running(), 5, "the end of all notebooks")
    return running()
