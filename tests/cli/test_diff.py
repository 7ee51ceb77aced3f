"""`mlnb diff`: changed cells, invalidated stages, results of both runs, and the exit code of the gate."""

import json
import re
from pathlib import Path
from typing import Any

import mistune
import pytest
from example_run import Example
from git_checkouts import commit, git
from hypothesis import given, settings
from hypothesis import strategies as st
from in_process import mlnb_in_process
from toys import chain, edit

from mlnb.cli import revision_diff
from mlnb.cli.diff_blocks import CellDiff, Paragraph, Rows
from mlnb.cli.diff_formats import COMMENT_BYTES, diff_markdown, diff_text
from mlnb.cli.main import main
from mlnb.engine.project import Project
from mlnb.engine.run_records import GitState, RunState, StageFailure, StageState
from mlnb.engine.runs import Run, open_run
from mlnb.tracking.run_results import Verdict

HOSTILE = [
    "<script>alert(1)</script><img src=x onerror=alert(1)>",
    "``` \n````\n</details>\n# Heading\n| a | b |\n|---|---|",
    "@someone #1 https://example.org www.example.org [x](javascript:alert(1)) ![x](y) :smile:",
    "\x1b[31mred\x1b[0m \u202eesrever\u202c \x07 \\| \\` ~~~ **bold** _it_ &lt;",
    "x" * 5_000,
    "half of a pair: \ud800",
]
FIRST, SECOND = "20260314-091500-train-a1b2", "20260314-101500-train-c3d4"


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project whose first commit has a run, and whose second has changed cells and none."""
    root = chain(tmp_path_factory.mktemp("toy") / "project")
    commit(root, "One")
    mlnb_in_process(root, "run", "--no-report", "-p", "double.factor", "3")
    edit(root, "20_double", 'stage.save("double",', '# twice\nstage.save("double", 0 +')
    (root / "rows.csv").write_text("a\n")
    commit(root, "Two")
    return root


@pytest.fixture(scope="module")
def tested(tmp_path_factory: pytest.TempPathFactory, example: Example) -> Project:
    """A project with a run of each of its two commits; that of the second has a higher score, and a failed gate."""
    project = example.make_project(tmp_path_factory.mktemp("tested") / "titanic")
    (project.root / "rows.csv").write_text("a\n1\n")
    _belongs_to(example.make_run(project, FIRST), commit(project.root, "One"))
    (project.root / "rows.csv").write_text("a\n2\n")
    change = {
        "gate": _fail_gate,
        "metrics": _change_fairness,
        "findings": _change_findings,
        "decision": _change_threshold,
    }
    _belongs_to(example.make_run(project, SECOND, minute=20, change=change), commit(project.root, "Two"))
    return project


def _belongs_to(run: Run, of: str) -> None:
    run.update(git=GitState(commit=of, dirty=False))
    run.save()


def _fail_gate(gate: dict[str, Any]) -> dict[str, Any]:
    gate["passed"] = gate["lines"][0]["passed"] = False
    return gate


def _change_fairness(metrics: dict[str, Any]) -> dict[str, Any]:
    difference = {"value": 0.31, "low": 0.2, "high": 0.4}
    assessment = {
        "column": "sex<b>",
        "measure": "equal_opportunity",
        "difference": difference,
        "groups": [],
        "limit": 0.2,
    }
    return metrics | {"fairness": [assessment], "model_bytes": 2 * metrics["model_bytes"]}


def _change_threshold(fitted: dict[str, Any]) -> dict[str, Any]:
    return fitted | {"decision": fitted["decision"] | {"threshold": 0.4}}


def _change_findings(findings: dict[str, Any]) -> dict[str, Any]:
    new = {"check": "drift", "severity": "warning", "column": HOSTILE[1], "message": HOSTILE[0]}
    return findings | {"findings": [new, *(one for one in findings["findings"] if one["severity"] == "info")]}


def diffed(root: Path, capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> str:
    """Return what the command prints in a folder."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        patch.setenv("COLUMNS", "200")
        ended = main(["diff", *arguments])
    captured = capsys.readouterr()
    assert ended == code, captured.err
    return captured.out or captured.err


def test_a_revision_without_a_run_has_changed_cells_and_stages(toy: Path, capsys: Any) -> None:
    text = diffed(toy, capsys, "HEAD~1", code=2)
    assert "The gate is unknown" in text and "mlnb run train" in text
    assert re.search(r"double +its code changed\n", text), "the other stage waits for it, or is equal"
    assert re.search(r"total +after double", text)
    assert '-stage.save("double", factor' in text and '+stage.save("double", 0 + factor' in text
    assert "rows.csv" in text and "note" not in text


def test_a_clean_checkout_is_planned_with_the_parameters_of_the_run(toy: Path, capsys: Any) -> None:
    value = json.loads(diffed(toy, capsys, "HEAD~1..HEAD", "--format", "json", code=2))
    assert (value["stages_by"], value["gate"], value["results"]) == ("plan", "unknown", None)
    assert [stage["stage"] for stage in value["stages"]] == ["double", "total"]
    assert value["base"]["run"] and value["head"]["run"] is None
    assert "git checkout" in value["head"]["make_run"]
    assert [notebook["path"] for notebook in value["notebooks"]] == ["nbs/stages/20_double.ipynb"]


def test_without_any_run_the_notebooks_are_compared(toy: Path, tmp_path: Path, capsys: Any) -> None:
    git(toy, "clone", "--quiet", str(toy), str(tmp_path / "clone"))
    value = json.loads(diffed(tmp_path / "clone", capsys, "HEAD~1..HEAD", "--format", "json", code=2))
    assert value["stages_by"] == "notebooks"
    assert value["stages"] == [
        {"stage": "double", "reason": "its code changed"},
        {"stage": "total", "reason": "after double"},
    ]
    edit(tmp_path / "clone", "10_number", "number: int = 3", "number: int = 4")
    stages = tmp_path / "clone" / "nbs" / "stages"
    (stages / "25_note.ipynb").rename(stages / "26_note.ipynb")
    text = diffed(tmp_path / "clone", capsys, "HEAD", code=2)
    assert "number changed: 3 -> 4" in text and "Notebook renamed: nbs/stages/26_note.ipynb from" in text
    edit(tmp_path / "clone", "26_note", 'stage.save("note",', '"\ud800"\nstage.save("note",')
    assert "\\ud800" in diffed(tmp_path / "clone", capsys, "HEAD", "--format", "json", code=2)
    (stages / "10_number.ipynb").write_text("{}")
    text = diffed(tmp_path / "clone", capsys, "HEAD", code=2)
    assert "breaks the contract" in text and "10_number.ipynb is not a notebook" in text


def test_the_run_of_what_is_checked_out_has_the_keys_of_its_plan(toy: Path, tmp_path: Path, capsys: Any) -> None:
    """The run was started in a changed tree, with a parameter, and the change was committed afterwards."""
    git(toy, "clone", "--quiet", str(toy), str(tmp_path / "clone"))
    root = tmp_path / "clone"
    mlnb_in_process(root, "run", "--no-report")
    first = json.loads(diffed(root, capsys, "HEAD", "--format", "json"))
    assert first["base"]["run"] == first["head"]["run"] and first["stages"] == []
    edit(root, "30_total", "+ 1", "+ 2")
    mlnb_in_process(root, "run", "--no-report", "-p", "number.number", "7")
    changed = json.loads(diffed(root, capsys, "HEAD", "--format", "json"))
    assert changed["stages_by"] == "runs" and changed["gate"] == "none"
    assert changed["stages"][0] == {"stage": "number", "reason": "number changed: 3 -> 7"}
    (root / "notes.md").write_text("prose")
    commit(root, "Three")
    (root / "README.md").write_text("prose")
    commit(root, "Four")
    after = json.loads(diffed(root, capsys, "HEAD~2..HEAD", "--format", "json"))
    assert after["head"]["run"] == changed["head"]["run"]
    edit(root, "30_total", "+ 2", "+ 3")
    assert json.loads(diffed(root, capsys, "--format", "json", code=2))["head"]["run"] is None, "a changed tree"
    assert json.loads(diffed(root, capsys, "HEAD~3..HEAD~2", "--format", "json"))["head"]["run"], "a commit with prose"


def test_a_stage_whose_inputs_are_the_same_bytes_is_not_invalidated(tmp_path: Path, capsys: Any) -> None:
    root = chain(tmp_path / "project")
    commit(root, "One")
    mlnb_in_process(root, "run", "--no-report")
    edit(root, "20_double", 'stage.save("double",', 'print(1)\nstage.save("double",')
    planned = json.loads(diffed(root, capsys, "HEAD", "--format", "json", code=2))
    assert [stage["stage"] for stage in planned["stages"]] == ["double", "total"], "outputs are unknown before a run"
    mlnb_in_process(root, "run", "--no-report")
    finished = json.loads(diffed(root, capsys, "HEAD", "--format", "json"))
    assert finished["stages"] == [{"stage": "double", "reason": "its code changed"}]


def test_results_of_both_runs_are_side_by_side(tested: Project, capsys: Any) -> None:
    text = diffed(tested.root, capsys, "HEAD~1..HEAD", code=4)
    assert text.splitlines()[2] == "The gate failed."
    assert FIRST in text and SECOND in text and "Head minus base: 0 [0, 0]" in text
    assert (
        re.search(r"model size .*\+100 %", text)
        and re.search(r"decision threshold +– +0.4000", text)
        and "latency, median" in text
    )
    assert re.search(r"pass .*FAIL ", text), "the line of the gate that changed"
    assert "sex<b>: equal_opportunity" in text and "0.3100 [0.2000, 0.4000]" in text
    assert "New findings" in text and "Resolved findings" in text


def test_the_exit_code_is_that_of_the_gate(tested: Project, capsys: Any) -> None:
    assert "The gate passed." in diffed(tested.root, capsys, "HEAD..HEAD~1")
    assert "The gate failed." in diffed(tested.root, capsys, "HEAD~1..HEAD", code=4)
    assert "same run" in diffed(tested.root, capsys, "HEAD~1..HEAD~1")
    run = open_run(tested, FIRST)
    record = run.record
    for commit_id, dirty in ((record.git.commit, True), ("4cf0cc7f" * 5, False)):
        run.update(git=GitState(commit=commit_id, dirty=dirty))
        run.save()
        assert "The gate is unknown" in diffed(tested.root, capsys, "HEAD..HEAD~1", code=2), "another tree or history"
    run.update(git=record.git)
    run.save()


def test_a_gate_without_labels_has_no_result(tested: Project, capsys: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(revision_diff, "verdict", lambda run: Verdict(metric="stability", value=1.0, gate=True))
    assert "no row has a label" in diffed(tested.root, capsys, "HEAD..HEAD~1")
    assert "The gate failed." in diffed(tested.root, capsys, "HEAD~1..HEAD", code=4)


def test_a_run_that_ended_with_its_gate_counts(tested: Project, capsys: Any) -> None:
    """Stage package refuses a model that failed its gate, so that the run has failed."""
    run = open_run(tested, SECOND)
    record = run.record
    for error, code in (("GateFailed", 4), ("CellFailed", 2)):
        run.update(state=RunState.FAILED)
        run.update_stage("package", state=StageState.FAILED, error=StageFailure(error=error, stage="package"))
        run.save()
        diffed(tested.root, capsys, "HEAD~1..HEAD", code=code)
    run.update(state=record.state, stages=record.stages)
    run.save()


def test_markdown_shows_hostile_values_as_text(tested: Project, capsys: Any, tmp_path: Path) -> None:
    output = tmp_path / "diff.md"
    assert diffed(tested.root, capsys, "HEAD~1..HEAD", "--format", "markdown", "--output", str(output), code=4)
    assert_harmless(output.read_text())


@settings(max_examples=25)
@given(values=st.lists(st.one_of(st.sampled_from(HOSTILE), st.text()), min_size=1, max_size=4))
def test_any_value_is_text_in_every_format(values: list[str]) -> None:
    blocks = [
        Paragraph("Notebook changed:", tuple(values)),
        Rows(("a", "b"), tuple((value, value) for value in values)),
        CellDiff(values[0], tuple(f"+{line}" for value in values for line in value.splitlines())),
    ]
    assert_harmless(diff_markdown(blocks, values[0]))
    text = diff_text(blocks, values[0])
    assert all(one.isprintable() or one == "\n" for one in text)


def assert_harmless(text: str) -> None:
    """Check that Markdown has only the elements that mlnb writes, and no link or mention outside of code."""
    html = mistune.create_markdown(escape=False, plugins=["table", "strikethrough", "url"])(text)
    tags = set(re.findall(r"<(/?[a-zA-Z!][\w-]*)", html))
    allowed = {"p", "h2", "h3", "table", "thead", "tbody", "tr", "th", "td", "code", "pre"}
    assert {tag.lstrip("/") for tag in tags} <= allowed | {"!--"}, tags
    outside = re.sub(r"<code.*?</code>", "", html, flags=re.DOTALL)
    assert "@" not in outside and "http" not in outside
    assert all(one.isprintable() or one == "\n" for one in text)
    assert len(text.encode()) <= COMMENT_BYTES


def test_a_comment_has_a_limit(capsys: Any) -> None:
    blocks = [CellDiff(f"cell {number}", ("+" + "é" * 190,) * 40) for number in range(30)]
    text = diff_markdown(blocks, "main .. HEAD")
    assert len(text.encode()) <= COMMENT_BYTES and text.count("```") % 2 == 0
    assert re.search(r"\d+ parts left out", text)
    assert "left out" not in diff_markdown(blocks[:2], "main .. HEAD")


def test_wrong_arguments_are_explained(toy: Path, tmp_path: Path, capsys: Any) -> None:
    assert "No commit 'no-such-branch'" in diffed(toy, capsys, "no-such-branch..HEAD", code=2)
    for output in ("no/such/file.md", "nbs"):
        assert "is no file in an existing folder" in diffed(toy, capsys, "HEAD", "--output", output, code=2)
    assert "No pipeline 'tarin'" in diffed(toy, capsys, "HEAD", "--pipeline", "tarin", code=2)
    assert "is in no git repository" in diffed(tmp_path, capsys, code=2)


def test_a_project_that_began_later_is_all_new(tmp_path: Path, capsys: Any) -> None:
    commit(tmp_path, "Empty")
    chain(tmp_path)
    value = json.loads(diffed(tmp_path, capsys, "HEAD", "--format", "json", code=2))
    assert {notebook["change"] for notebook in value["notebooks"]} == {"added"}
    assert {stage["reason"] for stage in value["stages"]} == {"new stage"}
