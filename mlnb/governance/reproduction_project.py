"""The project of a reproduction: stage notebooks, sources, data and settings of a run, in a temporary folder."""

import json
import os
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mlnb.codec import Record, encode, replace
from mlnb.engine.confined_names import is_confined
from mlnb.engine.files import delete_folder, full_disk_explained, make_folder, try_lock
from mlnb.engine.project import Project
from mlnb.engine.run_records import OutputRecord, RunState, StageResult
from mlnb.engine.runs import Run
from mlnb.engine.test_set_access import rows_path
from mlnb.errors import NotReproducible, StoreCorrupted
from mlnb.governance.source_archive import SourceArchives, named_files, unpack_sources

FOLDER = "reproductions"  # in the store of the project
KEPT = "kept"  # file of a folder that is not deleted
INJECTED = "injected-parameters"  # tag of the cell that papermill adds
NOTEBOOK = ("cells", "metadata", "nbformat", "nbformat_minor")


class ReproductionFolder(Record, frozen=True, kw_only=True):
    """The folder of one reproduction."""

    root: Path

    @property
    def project(self) -> Path:
        """The project that is run."""
        return self.root / "project"

    @property
    def library(self) -> Path:
        """The modules of mlnb, of an installation in editable mode."""
        return self.root / "library"

    @property
    def environment(self) -> Path:
        """The virtual environment."""
        return self.root / "environment"


@contextmanager
def reproduction_folder(project: Project, run: str, keep: bool) -> Iterator[ReproductionFolder]:
    """Yield a new folder, deleted at the end unless `keep`; those that killed processes have left are deleted first."""
    folder = project.store_root / FOLDER
    make_folder(folder)
    for path in folder.iterdir():
        _delete_abandoned(path)
    while True:
        root = folder / f"{run}-{os.urandom(2).hex()}"
        with try_lock(root / "lock") as held:
            if not held:  # another process has taken it for abandoned
                continue
            try:
                with full_disk_explained(root):
                    yield ReproductionFolder(root=root)
            finally:
                if keep:
                    (root / KEPT).touch()
                else:
                    delete_folder(root)
            return


def write_project(run: Run, sources: SourceArchives, folder: ReproductionFolder, stages: Collection[str]) -> Project:
    """Write the project that repeats stages of a run; return it.

    It is as many folders deeper as parameters name files above the project, so that `../rows.csv` is found again.

    Args:
        run: The run.
        sources: The archives of its source code.
        folder: Where it is written.
        stages: The stages that have outputs.

    Raises:
        NotReproducible: An archive is missing, or an executed notebook.
    """
    settings, parameters = run.project.settings, _parameter_files(run, stages)
    root = folder.project.joinpath(*_folders_above(run.project, parameters))
    notebooks = settings.notebooks if is_confined(settings.notebooks) else "nbs/stages"
    make_folder(root / notebooks)
    missing = []
    for digest, where in ((sources.project, root), (sources.library, folder.library)):
        if digest is None:
            continue
        make_folder(where)
        try:
            unpack_sources(run.project, digest, where)
        except StoreCorrupted as error:
            missing.append(f"the source code of {'the project' if where == root else 'mlnb'}: {error}")
    for stage in stages:
        path = run.notebook_file(stage)
        try:
            source = json.dumps(source_notebook(json.loads(path.read_bytes() if path else b"")))
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            missing.append(
                f"the executed notebook of stage {stage}: {path or 'not in the folder of the run'} ({error})"
            )
        else:
            (root / notebooks / str(path and path.name)).write_text(source)
    if missing:
        raise NotReproducible("; ".join(missing))
    values = {
        "notebooks": notebooks,
        "tracker": "local",
        "workers": settings.workers,
        "kernels": settings.kernels,
        "cell_timeout": 0,  # as on a machine that is busy
        "stage_timeout": 0,
        "snapshots": "off",
    }
    lines = ["[mlnb]", *(f"{name} = {value}" for name, value in values.items())]
    lines += ["", f"[pipeline {run.record.pipeline}]", f"stages = {' '.join(stages)}", ""]
    (root / "settings.ini").write_text("\n".join(lines))
    _link_files(run.project, root, folder, parameters)
    return Project.find(root)


def source_notebook(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return the notebook that an executed one was made from: without injected parameters, outputs and timings."""
    cells = []
    for cell in document["cells"]:
        tags = cell["metadata"].get("tags", [])
        if INJECTED in tags:
            continue
        plain = {name: cell[name] for name in ("id", "cell_type", "source") if name in cell}
        plain["metadata"] = {"tags": tags} if tags else {}
        if cell["cell_type"] == "code":
            plain |= {"outputs": [], "execution_count": None}
        cells.append(plain)
    return {name: document[name] for name in NOTEBOOK if name in document} | {"cells": cells}


def write_history(run: Run, project: Project, stored: Iterable[str], inputs: Iterable[Run]) -> None:
    """Write what the project has from before: the outputs of stages that are not repeated, and test-set accesses.

    Args:
        run: The run.
        project: The project of the reproduction.
        stored: Stages that are not repeated.
        inputs: Runs of other pipelines that supply artifacts.
    """
    stages = {name: replace(stage, held_out={}) for name, stage in run.stages.items()}
    record = replace(run.record, stages=stages, state=RunState.FINISHED)
    for one in (record, *(other.record for other in inputs)):
        make_folder(project.runs / one.id)
        (project.runs / one.id / "run.json").write_bytes(encode(one))
    outputs = [output for other in inputs for stage in other.stages.values() for output in stage.outputs.values()]
    for name in stored:
        stage, notebook = run.stages[name], run.notebook_file(name)
        assert stage.key is not None and notebook is not None
        outputs += stage.outputs.values()
        result = StageResult(
            outputs=stage.outputs,
            metrics=stage.metrics,
            notebook=project.store.put_file(notebook),
            run=run.id,
            started=stage.started or "",
            finished=stage.finished or "",
            seconds=stage.seconds or 0.0,
        )
        project.store.put_result(stage.key, result)
    _link_objects(run.project, project, outputs)
    _copy_accesses(run, project)


def _parameter_files(run: Run, stages: Iterable[str]) -> list[str]:
    """Return the paths of the files that parameters of stages have named, relative to the project, or absolute."""
    return [
        path
        for record in map(run.stages.__getitem__, stages)
        for name, fingerprint in (record.key_inputs.parameters.items() if record.key_inputs else ())
        for path in named_files(str(record.parameters[name].value), fingerprint)
    ]


def _folders_above(project: Project, paths: Iterable[str]) -> tuple[str, ...]:
    """Return the names of the last folders of a project's path, as many as the files above it need."""
    depth = max((Path(os.path.normpath(path)).parts.count("..") for path in paths), default=0)
    return project.root.parts[1:][-depth:] if depth else ()


def _link_files(project: Project, root: Path, folder: ReproductionFolder, paths: Iterable[str]) -> None:
    """Link files at the same relative paths; those of the built-in project are with the library.

    Args:
        project: The project of the run.
        root: The project of the reproduction.
        folder: The folder that links stay inside of.
        paths: The files; absolute ones are read where they are.
    """
    tops = (project.root, folder.library, project.home)
    for path in paths:
        source = next((one for top in tops if (one := top / path).exists()), None)
        target = Path(os.path.normpath(root / path))
        if source is not None and target.is_relative_to(folder.project) and not os.path.lexists(target):
            make_folder(target.parent)
            target.symlink_to(source.resolve())


def _link_objects(source: Project, target: Project, outputs: Iterable[OutputRecord]) -> None:
    """Link artifacts from one store into another; those that are missing are found by the run that needs them."""
    digests = set()
    for output in outputs:
        source.store.fetch_outputs({"": output})
        digests.add(output.digest)
        if output.format == "tree" and source.store.path(output.digest).exists():
            digests |= set(source.store.read_listing(output.digest).values())
    for digest in digests:
        path = target.store.path(digest)
        if source.store.path(digest).exists() and not os.path.lexists(path):
            make_folder(path.parent)
            path.symlink_to(source.store.path(digest).resolve())


def _copy_accesses(run: Run, project: Project) -> None:
    """Copy the test-set accesses from before the run's own, as the evaluation reports how many rows were opened."""
    evaluations = [stage for stage in run.stages.values() if stage.held_out]
    before = min((stage.started or "" for stage in evaluations), default="")
    own = {run.id, *(stage.from_run for stage in evaluations)}
    for path in sorted((run.project.store_root / "test_set_accesses").glob("*/*")):
        if path.name in own or _started(path.name) >= before:
            continue
        target = project.store_root / "test_set_accesses" / path.parent.name / path.name
        make_folder(target.parent)
        target.write_bytes(path.read_bytes())
        rows = rows_path(run.project.store_root, path.parent.name)
        if rows.exists():
            rows_path(project.store_root, path.parent.name).write_bytes(rows.read_bytes())


def _started(reader: str) -> str:
    """Return when a run or an interactive session has started, from its name, as ISO 8601 in UTC."""
    kind, _, rest = reader.partition("-")
    try:
        if kind == "interactive":
            moment = datetime.fromtimestamp(int(rest.partition("-")[0], 16) / 1e9, UTC)
        else:
            moment = datetime.strptime(reader[:15], "%Y%m%d-%H%M%S")
    except ValueError:
        return "9999"
    return moment.strftime("%Y-%m-%dT%H:%M:%S")


def _delete_abandoned(path: Path) -> None:
    """Delete the folder of a process that was killed; that of one that still runs is locked."""
    if not path.is_dir() or (path / KEPT).exists():
        return
    with try_lock(path / "lock") as held:
        if held:
            delete_folder(path)
