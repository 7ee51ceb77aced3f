"""Names for the states that a stage passes through, so that one that was kept is known again.

The same name, the same state: it is what all code cells before it make of parameters and inputs. Prose, layout and
later cells are not in it.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mlnb.engine.code_sources import Sources
from mlnb.engine.digests import digest_code, digest_value, parse_cell
from mlnb.engine.notebook import StageNotebook, imported_names
from mlnb.engine.project import Project
from mlnb.engine.runs import Run
from mlnb.errors import ProjectError

Living = Mapping[str, dict[str, Any]]  # state -> what is told of the process that keeps it
KEPT = ("off", "failed", "all")


@dataclass(frozen=True)
class States:
    """The states of one stage that may be kept."""

    family: str  # the stage with these parameters and inputs, whatever its code
    before: dict[int, str]  # index of a cell among all cells -> name of the state before it
    code: tuple[int, ...]  # indices of the code cells that do something


def states(stage: StageNotebook, basis: Mapping[str, Any], sources: Sources) -> States:
    """Return the states of a stage before each `#| stage` cell from the one that opens it, by all that makes them."""
    code = tuple(cell.index for cell in stage.cells if (tree := parse_cell(cell.source)) is None or tree.body)
    family = digest_value([stage.name, basis["parameters"], basis["inputs"], basis["python"]])
    if any("injected-parameters" in cell.tags for cell in stage.cells):  # papermill's own, of an executed notebook
        return States(family, {}, code)
    before: dict[int, str] = {}
    imports: set[str] = set()
    passed: list[str] = []
    for cell in stage.cells:
        if cell.has("stage") and cell.index >= stage.opens:  # before it there is nothing to lose
            before[cell.index] = digest_value([family, digest_code(passed), *sources.behind(imports)])
        if "parameters" not in cell.tags:
            passed.append(cell.source)
        imports |= imported_names(parse_cell(cell.source))
    return States(family, before, code)


def newest(found: States, living: Living) -> int | None:
    """Return the last cell whose state before it is kept by a living process, or None."""
    return max((cell for cell, state in found.before.items() if state in living), default=None)


def kept(project: Project) -> str:
    """Return the setting that says which states are kept. Raises `ProjectError` for any other."""
    value = project.settings["snapshots"]
    if value not in KEPT:
        raise ProjectError(f"[mlnb] snapshots is {value!r}; expected one of {', '.join(KEPT)}.")
    return value


def keeping(run: Run, stage: str, found: States, scratch: str, woken: dict[str, Any] | None) -> dict[str, Any]:
    """Return what is asked of a kernel: which states of a stage to keep, and the one to go on from."""
    project = run.project
    asked = {
        "states": found.before,
        "code": found.code,
        "log": str(run.folder / "stages" / f"{stage}.shown.jsonl"),
        "family": found.family,
        "minutes": float(os.environ.get("MLNB_SNAPSHOT_MINUTES") or project.number("snapshot_minutes")),
        "bytes": project.number("snapshot_bytes"),
        "about": {"stage": stage, "run": run.id, "scratch": scratch},
        "after": kept(project) == "all",
    }
    if woken:
        asked |= {"wake": woken["state"], "wake_log": woken["log"], "variables": {"run": run.id}}
    return asked
