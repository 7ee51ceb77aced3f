"""Runs of a small project: reuse and its reasons, selection of stages, grids, drafts, secrets."""

import json
import os
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

import pytest
import toys
from in_process import mlnb_with_kernels

from mlnb.api.run_request import RunRequest, match_plan, plan_request
from mlnb.engine import runs
from mlnb.engine.project import Project


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project that has run once."""
    root = toys.chain(tmp_path_factory.mktemp("chain"))
    mlnb_with_kernels(root, "run", "--no-report")
    return root


@pytest.fixture
def root(done: Path, tmp_path: Path) -> Path:
    """A copy of it, to change at will."""
    subprocess.run(["cp", "-a", f"{done}/.", str(tmp_path)], check=True)
    return tmp_path


def total(root: Path) -> dict[str, object]:
    return dict(runs.open_run(Project.find(root)).load("total"))


def plan(root: Path, *arguments: str) -> dict[str, tuple[str, str]]:
    text = mlnb_with_kernels(root, "plan", "--json", *arguments)
    return {step["stage"]: (step["action"], step["reason"]) for step in json.loads(text)["stages"]}


def test_a_run_executes_all_stages_and_the_next_reuses_them(done: Path) -> None:
    assert toys.states(done) == dict.fromkeys(["number", "double", "note", "total"], "finished")
    assert total(done) == {"total": 7.0, "note": "number 3"}
    before = len(list((done / "runs").iterdir()))
    assert "Nothing to do" in mlnb_with_kernels(done, "run")
    assert len(list((done / "runs").iterdir())) == before


def test_a_stage_that_must_run_is_known_without_a_plan_of_the_others(
    toy_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run plans them, and saves what it has read of their code."""
    monkeypatch.setattr("mlnb.engine.digests.RACE", -1)  # files that were written just now are cached, too
    root = toys.chain(toy_root)
    toys.edit(root, "30_total", 'stage.save("total"', 'import helper\nstage.save("total"')
    (root / "helper.py").write_text("x = 1\n")

    def match() -> tuple[bool, bool, list[str], str]:
        (grid,) = plan_request(project := Project.find(root), RunRequest())
        run = match_plan(project, RunRequest(), grid)
        cached = isinstance(project.source_cache.get(root / "helper.py"), list)
        return grid.planner.must_run(), cached, sorted(grid.planner._dependencies), run.id if run else ""

    assert match() == (True, False, ["number"], "")
    mlnb_with_kernels(root, "run", "--no-report")
    assert match() == (False, True, ["double", "note", "number", "total"], runs.open_run(Project.find(root)).id)
    (plan,) = plan_request(Project.find(root), RunRequest(only=("double",), force=("double",)))
    assert not plan.planner.must_run()  # the results of other stages are needed first


def test_executed_notebooks_and_record_are_written(done: Path) -> None:
    record = toys.record(done)
    stage = record["stages"]["double"]
    folder = done / "runs" / record["id"]
    assert "Parameters" in (folder / stage["notebook"]).read_text()
    assert stage["parameters"] == {"factor": {"value": 2.0, "origin": "default"}}
    assert stage["reads"]["number"] == record["stages"]["number"]["outputs"]["number"]["digest"]
    assert record["stages"]["number"]["metrics"] == {"number": 3.0}


def test_the_plan_gives_a_reason_for_each_stage(root: Path) -> None:
    assert plan(root, "-p", "factor", "3") == {
        "number": ("reuse", "unchanged"),
        "double": ("run", "factor changed: 2.0 -> 3.0"),
        "note": ("reuse", "unchanged"),
        "total": ("pending", "after double"),
    }
    toys.edit(root, "25_note", 'stage.save("note", f"', 'stage.save("note", f"a ')
    assert plan(root)["note"] == ("run", "its code changed")
    toys.edit(root, "25_note", "It does note.", "Another promise, which is prose.")
    toys.edit(root, "25_note", 'f"a ', 'f"')
    assert plan(root)["note"] == ("reuse", "unchanged")


def test_equal_output_bytes_let_later_stages_be_reused(root: Path) -> None:
    toys.edit(root, "20_double", "factor * stage", "(1 + factor - 1) * stage")
    mlnb_with_kernels(root, "run", "--no-report")
    assert toys.states(root) == {"number": "reused", "double": "finished", "note": "reused", "total": "reused"}


def test_upto_only_from_and_force(root: Path) -> None:
    assert plan(root, "--upto", "double")["total"][0] == "skip"
    assert plan(root, "--only", "total", "-p", "number", "9")["number"] == (
        "input",
        f"outdated, from run {toys.record(root)['id']}",
    )
    assert plan(root, "--from", "double", "--force", "double")["double"] == ("run", "forced")
    assert {action for action, _ in plan(root, "--force").values()} == {"run"}
    mlnb_with_kernels(root, "run", "--no-report", "--only", "double", "-p", "factor", "4", "-p", "word", "nombre")
    assert toys.states(root) == {"number": "reused", "double": "finished", "note": "skipped", "total": "skipped"}


def test_precedence_and_origin_of_parameter_values(root: Path) -> None:
    (root / "values.yaml").write_text("double:\n  factor: 6\nword: nombre\n")
    text = mlnb_with_kernels(root, "plan", "--json", "--profile", "quick", "-f", "values.yaml", "-p", "number", "4")
    values = json.loads(text)["values"]
    assert values["double"]["factor"] == {"value": 6.0, "origin": "-f values.yaml"}
    assert values["note"]["word"] == {"value": "nombre", "origin": "-f values.yaml"}
    assert values["number"]["number"] == {"value": 4, "origin": "-p"}
    text = mlnb_with_kernels(root, "plan", "--profile", "quick")
    assert "double.factor = 5.0   (profile quick)" in text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["-p", "facto", "3"], "Did you mean 'factor'"),
        (["-p", "doubel.factor", "3"], "Did you mean 'double'"),
        (["-p", "factor", "much"], "expected float, at least 0"),
        (["-p", "run", "x"], "set by mlnb itself"),
        (["-f", "nowhere.yaml"], "No such file"),
        (["--profile", "quik"], "Did you mean 'quick'"),
        (["trian"], "Did you mean 'train'"),
        (["--upto", "totl"], "Did you mean 'total'"),
        (["-p", "source", "vlaues.csv"], "Did you mean 'values.csv'"),
        (["--workers", "0", "-p", "factor", "9"], "expected 1 or more"),
        (["--workers", "0"], "expected 1 or more"),  # though there is nothing to do
        (["-g", "factor"], "expected `name=value,value`"),
        (["-p", "word", "${NO_SUCH_SECRET}"], "expected one of"),
    ],
)
def test_a_usage_error_exits_with_2(done: Path, arguments: list[str], message: str) -> None:
    (done / "values.csv").touch()
    assert message in mlnb_with_kernels(done, "run", *arguments, code=2)


def test_runs_of_a_grid_share_stages(root: Path) -> None:
    mlnb_with_kernels(root, "run", "--no-report", "-g", "factor=7,8", "-g", "number=3")
    first, second = toys.record(root, -2), toys.record(root, -1)
    assert first["group"] == second["group"] is not None
    assert {run["stages"]["double"]["parameters"]["factor"]["value"] for run in (first, second)} == {7.0, 8.0}
    assert toys.states(root)["number"] == "reused"


def test_a_stage_run_by_papermill_changes_no_record(root: Path) -> None:
    run = toys.record(root)["id"]
    before = (root / "runs" / run / "run.json").read_bytes()
    source, target = root / "nbs/stages/20_double.ipynb", root / "out.ipynb"
    command = [*toys.PAPERMILL, str(source), str(target), "-p"]
    subprocess.run([*command, "run", run], cwd=root, check=True, capture_output=True)
    assert "the same bytes as" in target.read_text()
    subprocess.run([*command, "run", "draft", "-p", "factor", "9"], cwd=root, check=True, capture_output=True)
    subprocess.run(
        [*toys.PAPERMILL, str(root / "nbs/stages/30_total.ipynb"), str(target)],
        cwd=root,
        check=True,
        capture_output=True,
    )
    assert "from the draft of double" in target.read_text() and f"from run {run}" in target.read_text()
    assert (root / "runs" / run / "run.json").read_bytes() == before
    draft = json.loads((root / "runs" / "draft" / "total.report.json").read_text())
    assert "total" in draft["outputs"]
    assert "Nothing to do" in mlnb_with_kernels(root, "run")


def test_secrets_reach_no_output_and_no_record(tmp_path: Path) -> None:
    secret = "hunter2-çédille"
    body = (
        'key = stage.resolve(word)\nprint("the key is", key)\ndisplay({"key": key})\n'
        'stage.save("length", len(key))\nif number:\n    raise ValueError(f"no entry with {key}")'
    )
    root = toys.project(
        tmp_path,
        {
            "10_secret": toys.stage(
                "secret",
                body,
                writes={"length": "letters"},
                parameters='word: str = "x"  # a key\nnumber: int = 0  # fail',
            )
        },
    )
    mlnb_with_kernels(root, "run", "-p", "word", "${THE_KEY}", code=2)
    environment = {"THE_KEY": secret}
    mlnb_with_kernels(root, "run", "-p", "word", "${THE_KEY}", env=environment)
    text = mlnb_with_kernels(root, "run", "-p", "word", "${THE_KEY}", "-p", "number", "1", env=environment, code=3)
    assert "no entry with ${THE_KEY}" in text
    length = runs.list_runs(Project.find(root))[1].load("length")
    assert length == len(secret)
    leaks = [
        path
        for path in root.rglob("*")
        if path.is_file() and (secret.encode() in path.read_bytes() or b"hunter2" in path.read_bytes())
    ]
    assert leaks == []


def test_without_a_project_the_built_in_stages_run_in_the_current_folder(tmp_path: Path) -> None:
    project = Project.find(tmp_path)
    assert project.is_builtin and project.runs == tmp_path / "runs"
    assert "ingest" in mlnb_with_kernels(tmp_path, "stages")
    assert os.listdir(tmp_path) == []


def test_the_content_of_a_file_is_part_of_the_key_and_its_path_is_not(root: Path) -> None:
    for name in ("a.csv", "moved.csv"):
        (root / name).write_text("x\n1\n")
    mlnb_with_kernels(root, "run", "--no-report", "-p", "source", "a.csv")
    assert plan(root, "-p", "source", "moved.csv")["note"] == ("reuse", "unchanged")
    (root / "moved.csv").write_text("x\n2\n")
    assert plan(root, "-p", "source", "moved.csv")["note"][1].startswith("source changed: file ")
    with closing(sqlite3.connect(root / "b.db")) as connection:
        connection.execute("create table t (x)")
    mlnb_with_kernels(root, "run", "--no-report", "-p", "source", "sqlite:///b.db::t")
    assert plan(root, "-p", "source", "sqlite:///b.db::t")["note"] == ("reuse", "unchanged")
    with closing(sqlite3.connect(root / "b.db")) as connection:
        connection.execute("insert into t values (1)")
        connection.commit()
    assert plan(root, "-p", "source", "sqlite:///b.db::t")["note"][0] == "run"


def test_a_pipeline_takes_missing_inputs_from_a_run_of_another_pipeline(root: Path) -> None:
    settings = root / "settings.ini"
    settings.write_text(settings.read_text() + "\n[pipeline again]\nstages = total\ninputs_from = train\n")
    assert "1 problem" in mlnb_with_kernels(root, "check", code=2)  # a parameter that no cell reads
    mlnb_with_kernels(root, "run", "--no-report", "-p", "factor", "3")
    first, second = sorted(path.name for path in (root / "runs").glob("*-train-*"))
    assert "Nothing to do" not in mlnb_with_kernels(root, "run", "again", "--no-report")  # from the newest of train
    assert toys.states(root) == {"total": "reused"} and total(root)["total"] == 10.0
    mlnb_with_kernels(root, "run", "again", "--no-report", "--inputs-from", first)
    assert total(root)["total"] == 7.0
    toys.edit(root, "30_total", "+ 1", "+ 2")
    mlnb_with_kernels(root, "run", "again", "--no-report", "--inputs-from", second)
    assert toys.states(root) == {"total": "finished"} and total(root)["total"] == 11.0
    assert toys.record(root)["stages"]["total"]["producers"] == {}
    settings.write_text(settings.read_text().replace("inputs_from = train", "inputs_from = never"))
    assert "No finished run of pipeline 'never'" in mlnb_with_kernels(root, "run", "again", code=2)
