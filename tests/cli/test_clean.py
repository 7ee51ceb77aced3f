"""`mlnb clean` deletes artifacts that no run and no draft needs, and no others."""

import os
import subprocess
from pathlib import Path

import pytest
import toys
from in_process import mlnb_with_kernels

from mlnb.engine import runs
from mlnb.engine.project import Project
from mlnb.engine.run_processes import process_start
from mlnb.engine.run_records import RunState


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    project_root = toys.chain(tmp_path_factory.mktemp("clean"))
    mlnb_with_kernels(project_root, "run", "--no-report", "-p", "factor", "9")
    mlnb_with_kernels(project_root, "run", "--no-report")
    notebook = project_root / "nbs/stages/20_double.ipynb"
    command = [*toys.PAPERMILL, str(notebook), str(project_root / "out.ipynb"), "-p", "factor", "11"]
    subprocess.run(command, cwd=project_root, check=True, capture_output=True)
    return project_root


def objects(root: Path) -> int:
    return len(list((root / ".mlnb" / "objects").glob("*/*")))


def test_artifacts_of_runs_and_drafts_are_kept(root: Path) -> None:
    before = objects(root)
    assert "deleted 0 entries" in mlnb_with_kernels(root, "clean")
    assert "would delete" in mlnb_with_kernels(root, "clean", "--runs", "1", "--dry-run") and objects(root) == before
    toys.mlnb(root, "clean", "--runs", "1")
    assert objects(root) < before and len(runs.list_runs(Project.find(root))) == 1
    assert "Nothing to do" in mlnb_with_kernels(root, "run")
    total = root / "nbs/stages/30_total.ipynb"
    command = [*toys.PAPERMILL, str(total), str(root / "out.ipynb")]
    subprocess.run(command, cwd=root, check=True, capture_output=True)
    assert runs.open_run(Project.find(root)).load("total") == {"total": 7.0, "note": "number 3"}


def test_scratch_of_a_failed_stage_is_kept_and_orphaned_scratch_is_deleted(tmp_path: Path) -> None:
    project_root = toys.chain(tmp_path)
    body = 'stage.save("double", factor * stage.load("number"))'
    toys.edit(project_root, "20_double", body, '(stage.scratch / "half").touch()\n1 / 0')
    mlnb_with_kernels(project_root, "run", "--no-report", code=3)
    project = Project.find(project_root)
    orphaned = project.store.scratch("0" * 32)
    scratch = project.store.scratch(toys.record(project_root)["stages"]["double"]["key"])
    mlnb_with_kernels(project_root, "clean")
    assert (scratch / "half").exists() and not orphaned.exists()
    mlnb_with_kernels(project_root, "clean", "--runs", "0")
    assert not scratch.exists()


def test_nothing_is_deleted_during_a_run(root: Path) -> None:
    run = runs.list_runs(Project.find(root))[0]
    before, pid = run.record, os.getpid()
    run.update(state=RunState.RUNNING, pid=pid, pid_started=process_start(pid))
    run.save()
    try:
        assert "is running; nothing was deleted" in mlnb_with_kernels(root, "clean", "--runs", "0", code=2)
    finally:
        run.record = before
        run.save()
