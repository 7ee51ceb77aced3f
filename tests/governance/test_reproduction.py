"""Reproduction of runs of a small project: verdicts, what is missing, and what is left in the project."""

import errno
import json
import os
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import toys
from in_process import mlnb_in_process

from mlnb.api import run_execution
from mlnb.cli import reproduce as command
from mlnb.cli.main import main
from mlnb.codec import replace
from mlnb.engine.project import Project
from mlnb.engine.run_records import StageFailure, StageRecord, StageState
from mlnb.engine.runs import Run, create_run, open_run
from mlnb.engine.test_set_access import Access, read_accesses, record_access, rows_path
from mlnb.errors import NotReproducible, StoreFull
from mlnb.governance.output_comparison import StageComparison
from mlnb.governance.reproduction import Reproduction, ReproductionOptions, Verdict, reproduce
from mlnb.governance.reproduction_project import KEPT, reproduction_folder, write_history
from mlnb.governance.reproduction_run import StageProcess
from mlnb.governance.reproduction_stages import _is_remote
from mlnb.governance.run_manifest import manifest_path, read_manifest

SEARCH = """import os
from chosen_words import word
count = trials if seconds == 0 else 2  # the clock cuts it
stage.save("best", {"trials": count, "word": word()})
stage.log(trials=count, timed_out=count < trials)"""
PREDICT = """import os
import pandas as pd
table = pd.DataFrame({"y": [stage.load("best")["trials"], 1.5]})
stage.save("predictions", table)
stage.save("chance", {"value": os.environ.get("CHANCE", "none")})"""


def make_project(root: Path) -> Path:
    """Write a project with a module, a data file, a search with two budgets, and predictions."""
    stages = {
        "10_read": toys.stage(
            "read",
            'stage.save("raw", open(stage.resolve(data)).read())',
            writes={"raw": "text of the file"},
            parameters='data: str = ""  # a file [file]',
        ),
        "20_search": toys.stage(
            "search",
            SEARCH,
            reads=["raw"],
            writes={"best": "number of trials and a word"},
            parameters="trials: int = 5  # trials [1..]\nseconds: float = 9.0  # time limit [0..]",
        ),
        "30_predict": toys.stage(
            "predict", PREDICT, reads=["best"], writes={"predictions": "a table", "chance": "a word"}
        ),
    }
    toys.project(root, stages)
    (root / "chosen_words.py").write_text('def word():\n    return "first"\n')
    (root / "rows.csv").write_text("a\n1\n")
    run_in(root, "run", "-p", "read.data", "rows.csv", "--no-report")
    return root


def run_in(root: Path, *arguments: str, code: int | None = 0, fail: Mapping[str, str] | None = None) -> None:
    """Run a command in this process, which imports the modules of that project."""
    sys.modules.pop("chosen_words", None)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(root))
        mlnb_in_process(root, *arguments, code=code, fail=fail)


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with a run."""
    return make_project(tmp_path_factory.mktemp("reproduction") / "project")


@pytest.fixture
def run(original: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """The run in a copy of the project; `mlnb` is run in this process."""
    monkeypatch.setattr(StageProcess, "execute", execute)
    root = tmp_path / "project"
    shutil.copytree(original, root)
    return open_run(Project.find(root))


def execute(process: StageProcess, folder: Path, arguments: Sequence[str]) -> str:
    """What `StageProcess.execute` does, without a process."""
    if arguments[0] == "run":
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(run_execution, "record_run", lambda *_: None)  # nothing reads it
            run_in(folder, *arguments, code=None)
    return ""


def here(run: Run, **more: Any) -> Reproduction:
    return reproduce(run, replace(ReproductionOptions(here=True), **more))


def files(root: Path) -> dict[str, bytes]:
    """The files of a project but the caches and the empty folder of the reproductions."""
    return {
        str(path.relative_to(root)): path.read_bytes()
        for path in root.rglob("*")
        if path.is_file() and "cache" not in path.parts and "__pycache__" not in path.parts
    }


def impossible(run: Run, *words: str, **more: Any) -> None:
    """Check what a reproduction reports as missing."""
    with pytest.raises(NotReproducible) as caught:
        here(run, **more)
    assert all(word in str(caught.value) for word in words), caught.value
    assert caught.value.exit_code == 7
    assert list((run.project.store_root / "reproductions").glob("*")) == []


def test_the_same_code_and_data_are_identical_and_the_project_stays_as_it_is(run: Run) -> None:
    before = files(run.project.root)
    result = here(run)
    assert result.verdict == Verdict.IDENTICAL and [stage.stage for stage in result.stages] == list(run.stages)
    assert all(stage.recorded == stage.reproduced for stage in result.stages)
    assert run.stages["search"].metrics == {"trials": 2, "timed_out": 1}
    assert "the clock has cut search (9 s): it is repeated with the 2 trials" in result.notes[0]
    assert result.environment == () and result.difference == ()
    assert files(run.project.root) == before
    assert list((run.project.store_root / "reproductions").iterdir()) == []


def test_another_value_is_explained(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHANCE", "x")
    result = here(run)
    assert result.verdict == Verdict.EQUAL_PREDICTIONS
    assert result.difference == (
        "predict: chance: /value 'none' -> 'x'",
        "what predict depends on: code, parameters, libraries and inputs are equal",
    )
    assert [stage.differing for stage in result.stages] == [(), (), ("chance",)]


def test_code_and_data_that_have_changed_since_come_from_the_store(run: Run) -> None:
    (run.project.root / "chosen_words.py").unlink()
    toys.edit(run.project.root, "30_predict", "1.5", "2.5")
    (run.project.root / "rows.csv").write_text("a\n2\n")
    result = here(run)
    assert result.verdict == Verdict.IDENTICAL
    assert result.stages[0].stored == "rows.csv (data) has changed since, or was deleted"
    assert result.stages[0].reproduced == "" and result.stages[1].reproduced
    path = run.project.store.path(run.require_output("raw").digest)
    path.unlink()
    impossible(run, "stage read: rows.csv (data) has changed since", "not in the store")


@pytest.mark.parametrize(
    ("source", "remote"),
    [
        ("rows.csv", False),
        ("https://host/rows.csv?key=1", True),
        ("postgresql://user:${PASSWORD}@host/db::rows", True),
        ("${FOLDER}/rows.csv", True),
        ("sqlite:///rows.db::rows", False),
        ("duckdb:///rows.duckdb::SELECT 1", False),
        ("duckdb://::SELECT * FROM read_csv('s3://bucket/rows.csv')", True),
        ('{"source": "https://host/rows.csv"}', False),  # a JSON text
        ("sklearn:iris", False),
    ],
)
def test_sources_beyond_this_machine_are_not_read_again(source: str, remote: bool) -> None:
    assert _is_remote(source) == remote


@pytest.mark.parametrize("path", ["./rows.csv", "../rows.csv", "../../other folder/rows.csv", "{root}/../rows.csv"])
def test_data_are_read_again_wherever_the_parameter_has_them(run: Run, path: str) -> None:
    root = run.project.root
    path = path.format(root=root)
    (root / path).parent.mkdir(exist_ok=True)
    shutil.copy(root / "rows.csv", root / path) if path != "./rows.csv" else None
    run_in(root, "run", "-p", "read.data", path, "--no-report")
    result = here(open_run(run.project))
    assert (result.verdict, [stage.stored for stage in result.stages]) == (Verdict.IDENTICAL, ["", "", ""])


def test_artifacts_of_another_pipeline_come_from_the_run_that_has_made_them(run: Run) -> None:
    root = run.project.root
    stages = root / "nbs" / "stages" / "40_after.ipynb"
    after = toys.stage("after", 'stage.save("after", stage.load("best"))', reads=["best"], writes={"after": "a copy"})
    stages.write_text(json.dumps(after))
    settings = root / "settings.ini"
    settings.write_text(settings.read_text() + "\n[pipeline next]\nstages = after\ninputs_from = train\n")
    run_in(root, "run", "next", "--no-report")
    later = open_run(Project.find(root))
    assert here(later).verdict == Verdict.IDENTICAL
    run.project.store.path(run.require_output("best").digest).unlink()
    impossible(later, "the artifacts best, which another run has made")


def test_test_set_accesses_from_before_the_run_are_those_of_the_reproduction(run: Run, tmp_path: Path) -> None:
    digest = run.require_output("raw").digest
    run.update_stage("predict", held_out={"raw": digest}, started="2026-03-14T09:15:00.000Z")
    earlier = ("20260314-080000-train-0000", f"interactive-{1773475200 * 10**9:x}-1")  # at 8:00
    for reader in (*earlier, "20260314-100000-train-0000", run.id, "other"):
        record_access(run.project.store_root, Access(digest, reader, "purpose"))
    rows_path(run.project.store_root, digest).write_bytes(b"hashes")
    root = toys.project(tmp_path / "other", {})
    project = Project.find(root)
    write_history(run, project, [], [])
    assert {access.reader for access in read_accesses(project.store_root)} == set(earlier)
    assert rows_path(project.store_root, digest).read_bytes() == b"hashes"
    assert all(not stage.held_out for stage in open_run(project).stages.values())


def _without_archive(run: Run) -> str:
    digest = read_manifest(run)[1]["predicate"]["sources"]["project"]
    run.project.store.path(digest).unlink()
    return "the source code of the project"


def _without_manifest(run: Run) -> str:
    manifest_path(run).unlink()
    return "the manifest of run"


def _altered_record(run: Run) -> str:
    path = run.folder / "run.json"
    path.write_bytes(path.read_bytes().replace(b'"platform": "', b'"platform": "other '))
    return "the record of run"


def _altered_notebook(run: Run) -> str:
    path = run.folder / "notebooks" / "20_search.ipynb"
    path.write_text(path.read_text().replace("the clock cuts it", "it").replace("else 2", "else 3"))
    return "the code of stage search"


def _without_notebook(run: Run) -> str:
    (run.folder / "notebooks" / "20_search.ipynb").unlink()
    return "the executed notebook of stage search"


@pytest.mark.parametrize(
    "damage", [_without_archive, _without_manifest, _altered_record, _altered_notebook, _without_notebook]
)
def test_what_is_missing_is_named(run: Run, damage: Callable[[Run], str]) -> None:
    impossible(run, damage(run))


def test_a_missing_wheel_is_named_before_anything_is_installed(run: Run, tmp_path: Path) -> None:
    (tmp_path / "wheels").mkdir()
    impossible(run, "the wheels of", "numpy==", "pandas==", here=False, wheels=tmp_path / "wheels")


def test_a_stage_that_fails_is_different(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(process: StageProcess, folder: Path, arguments: Sequence[str]) -> str:
        if arguments[0] == "run":
            run_in(folder, *arguments, code=3, fail={"search": "no memory"})
        return "exit code 3"

    monkeypatch.setattr(StageProcess, "execute", failing)
    result = here(run)
    assert result.verdict == Verdict.DIFFERENT and "no memory" in result.difference[0]
    monkeypatch.setattr(StageProcess, "execute", lambda *_: "exit code 1\n  no module named mlnb")
    impossible(run, "no module named mlnb")


@pytest.mark.parametrize(
    ("error", "message", "lacking"),
    [
        ("StoreFull", "writing a file", "space on the disk"),
        ("CellFailed", f"OSError: {os.strerror(errno.ENOSPC)}", "space on the disk"),
        ("CellTimeout", "cell 3 took more than 5 s", "time"),
        ("KernelDied", "signal 9", "memory"),
        ("KeyboardInterrupt", "", "not interrupted"),
        ("", "killed by signal 9", "a process that ends"),
    ],
)
def test_what_the_machine_lacks_is_no_difference(
    run: Run, monkeypatch: pytest.MonkeyPatch, error: str, message: str, lacking: str
) -> None:
    def ended(process: StageProcess, folder: Path, arguments: Sequence[str]) -> str:
        if arguments[0] == "run":
            repeated = create_run(Project.find(folder), "train")
            if error:
                failure = StageFailure(error=error, stage="search", message=message)
                stage = StageRecord(state=StageState.FAILED, error=failure)
                repeated.update(order=("search",), stages={"search": stage})
            repeated.save()
        return f"exit code 1\n  {message}"

    monkeypatch.setattr(StageProcess, "execute", ended)
    impossible(run, lacking, message)


def test_the_folder_is_kept_on_request_and_those_of_killed_processes_are_deleted(run: Run) -> None:
    folder = run.project.store_root / "reproductions"
    (folder / "killed-0000").mkdir(parents=True)
    (folder / ".DS_Store").touch()
    result = here(run, keep=True)
    (folder / ".DS_Store").unlink()
    assert [str(path) for path in folder.iterdir()] == [result.folder] and (Path(result.folder) / KEPT).exists()
    again = Project.find(Path(result.folder) / "project")
    assert again.settings.tracker == "local" and again.settings.registry == ""
    with reproduction_folder(run.project, "first", keep=False) as first:
        with reproduction_folder(run.project, "second", keep=False):
            assert first.root.exists()
        assert main_in(run, "clean") == 0 and first.root.exists()
    assert list(folder.iterdir()) == []


def test_a_full_disk_is_explained_and_nothing_stays(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "write_text", fail)
    with pytest.raises(StoreFull, match=r"writing .*reproductions"):
        here(run)
    assert list((run.project.store_root / "reproductions").iterdir()) == []


def main_in(run: Run, *arguments: str) -> int:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(run.project.root)
        return main(list(arguments))


def test_the_command(run: Run, capsys: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stages = (
        StageComparison(stage="read", recorded="a" * 64, stored=f"{'long/' * 30}rows.csv has changed"),
        StageComparison(stage="search", recorded="b" * 64, reproduced="c" * 64, differing=("best",)),
    )
    changes = tuple(f"package{index}: 1 -> 2" for index in range(12))
    result = Reproduction(
        run=run.id, verdict=Verdict.DIFFERENT, stages=stages, difference=("search: best",), environment=changes
    )
    monkeypatch.setattr(command, "reproduce", lambda run, options: result)
    assert main_in(run, "reproduce", "--here") == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[3].split() == ["read", "a" * 12, "-", "stored:", f"{'long/' * 30}rows.csv", "has", "changed"]
    assert lines[4].endswith("different: best") and lines[-1] == "verdict: different"
    assert "  and 2 more: --json lists them" in lines
    assert main_in(run, "reproduce", run.id, "--json") == 1
    assert json.loads(capsys.readouterr().out)["stages"][1]["differing"] == ["best"]
    monkeypatch.undo()
    manifest_path(run).unlink()
    assert main_in(run, "reproduce", "--here") == 7
    lines = capsys.readouterr().out.splitlines()
    assert lines[2].startswith("missing: the manifest of run") and lines[-1] == "verdict: impossible"
    assert main_in(run, "reproduce", "--here", "--wheels", str(tmp_path)) == 2
    assert main_in(run, "reproduce", "--wheels", "nowhere") == 2 and "no such folder" in capsys.readouterr().err


def test_clean_keeps_the_source_code_and_verify_checks_it(run: Run, capsys: Any) -> None:
    assert main_in(run, "clean") == 0 and main_in(run, "verify") == 0
    digest = read_manifest(run)[1]["predicate"]["sources"]["project"]
    run.project.store.path(digest).unlink()
    capsys.readouterr()
    assert main_in(run, "verify", "--problems") == 1
    assert f"missing   source code {digest[:12]}" in capsys.readouterr().out


def test_a_process_of_its_own(tmp_path: Path) -> None:
    process = StageProcess(Path(sys.executable), os.environ, lambda line: None)
    assert process.execute(tmp_path, ["--version"]) == ""
    failure = process.execute(tmp_path, ["runn"])
    assert "exit code 2" in failure and "Did you mean 'run'?" in failure


def test_stages_are_reported_as_they_start_and_end(tmp_path: Path) -> None:
    lines: list[str] = []
    script = tmp_path / "python"
    events = [
        {"event": "stage_started", "stage": "read"},
        {"event": "stage_finished", "stage": "read", "seconds": 1.25},
        {"event": "stage_failed", "stage": "search"},
        {"event": "other"},
    ]
    script.write_text("#!/bin/sh\n" + "".join(f"echo '{json.dumps(event)}'\n" for event in events) + "echo text\n")
    script.chmod(0o700)
    assert StageProcess(script, {}, lines.append).execute(tmp_path, ["run"]) == ""
    assert lines == ["▸ read", "✓ read: 1.2 s", "✗ search"]
