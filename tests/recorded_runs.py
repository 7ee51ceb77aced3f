"""A project with a run that has a manifest and a registered model, for tests of verification."""

import os
from collections.abc import Iterator
from pathlib import Path

from example_run import Example

from mlnb.engine.project import Project
from mlnb.engine.run_records import StageResult
from mlnb.engine.runs import Run
from mlnb.engine.test_set_access import record_access, record_rows, recorded_accesses
from mlnb.governance.run_manifest import write_manifest
from mlnb.registry.registry import Registry
from mlnb.reports.run_documents import write_documents
from mlnb.reports.run_report import write_report


def recorded_run(example: Example, root: Path) -> Run:
    """Return a run as `mlnb run` leaves it: with report, manifest, test-set access, stage results and a version."""
    project = example.make_project(root).with_settings(audit_anchor="audit_heads")
    run = example.make_run(project, reused=())
    for access in recorded_accesses([run.record]):
        record_access(project.store.root, access)
        record_rows(project.store.root, access.digest, run.load("test"))
    for stage in run.stages.values():
        assert stage.key and stage.finished and stage.started and stage.seconds is not None and stage.from_run
        result = StageResult(
            outputs=stage.outputs,
            metrics=stage.metrics,
            notebook=project.store.put_file(run.folder / str(stage.notebook)),
            run=stage.from_run,
            started=stage.started,
            finished=stage.finished,
            seconds=stage.seconds,
        )
        project.store.put_result(stage.key, result)
    project.store.unpack(run.require_output("service").digest)
    write_report(run)
    write_documents(run)
    write_manifest(run)
    registry = Registry(project, "ann")
    registry.register(run)
    registry.promote("1", why="first", force=True)
    registry.engine.dispose()
    return run


def flip(path: Path, position: int | None = None) -> None:
    """Change one bit of one byte of a file, in the middle unless a position is given."""
    data = bytearray(path.read_bytes())
    data[len(data) // 2 if position is None else position] ^= 1
    mode = path.stat().st_mode
    path.chmod(0o600)
    path.write_bytes(data)
    path.chmod(mode)


def snapshot(project: Project) -> dict[str, tuple[bytes, int]]:
    """Return bytes and time of change of every file of a project."""
    return {str(path): (path.read_bytes(), path.stat().st_mtime_ns) for path in _files(project.root)}


def _files(root: Path) -> Iterator[Path]:
    for folder, _, names in os.walk(root):
        yield from (Path(folder, name) for name in names)
