"""Documents of a run: a changed digit, a free number, a changed value and a changed cell are found and named."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from example_run import Example
from recorded_runs import recorded_run

from mlnb.codec import replace
from mlnb.engine.project import Project, builtin_folder
from mlnb.engine.runs import Run, read_run
from mlnb.governance.checks import CheckState, passed
from mlnb.governance.document_evidence import FILES, collect_evidence, document_path, find_origin
from mlnb.governance.document_verification import check_document_sources, check_documents
from mlnb.methods.documentation import documents


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory, example: Example) -> Run:
    """A run with documents, whose questions are all answered."""
    return recorded_run(example, tmp_path_factory.mktemp("documents") / "project")


@pytest.fixture
def run(original: Run, tmp_path: Path) -> Run:
    """A copy of it, with the same store, which no test changes."""
    root = tmp_path / "project"
    shutil.copytree(original.folder, root / "runs" / original.id)
    (root / ".mlnb").symlink_to(original.project.store_root)
    project = Project(root, root)
    return read_run(project, project.runs / original.id)


def edit(path: Path, change: Callable[[str], str]) -> None:
    path.chmod(0o600)
    path.write_text(change(path.read_text()))


def test_untouched_documents_pass(run: Run) -> None:
    checks = list(check_documents(run, strict=True))
    assert {check.state for check in checks} == {CheckState.OK} and passed(checks)
    assert [check.subject.rpartition("/")[2] for check in checks] == [
        "evidence.json",
        "model_card.md",
        "data_sheet.md",
        "technical_documentation.md",
    ]


def test_the_evidence_names_stage_cell_and_digest(run: Run) -> None:
    origin = collect_evidence(run).artifacts["metrics"]
    assert (origin.stage, origin.digest) == ("evaluate", run.require_output("metrics").digest)
    assert origin.cell is not None and len(origin.source) == 64
    assert find_origin(run, "nothing") is None


def test_one_changed_digit_is_named_with_its_line(run: Run) -> None:
    path = document_path(run, "card")
    edit(path, lambda text: re.sub(r"(On \d)(\d)", lambda m: f"{m[1]}{(int(m[2]) + 1) % 10}", text, count=1))
    card = list(check_documents(run))[1]
    assert card.state == CheckState.ALTERED and re.match(
        r"line 3 has '\d+', the evidence '\d+' \(metrics /rows\)", card.detail
    )


@pytest.mark.parametrize(
    ("change", "detail"),
    [
        (lambda text: text + "\nMeasured on 95 rows.\n", "numbers without evidence: 95"),
        (lambda text: text + "\nApproved.\n", "not the document of the run"),
        (lambda text: "", "line 1 has ''"),
    ],
)
def test_a_document_with_more_or_less_text_is_altered(run: Run, change: Callable[[str], str], detail: str) -> None:
    edit(document_path(run, "technical_documentation"), change)
    check = list(check_documents(run))[3]
    assert check.state == CheckState.ALTERED and detail in check.detail


def test_a_changed_or_missing_file_is_found(run: Run) -> None:
    path = document_path(run, "card").with_name("evidence.json")
    content = json.loads(path.read_text())
    content["documents"]["card"]["spans"][5]["raw"] = "another"
    edit(path, lambda text: json.dumps(content))
    assert next(check_documents(run)).state == CheckState.ALTERED
    edit(path, lambda text: "{")
    assert next(check_documents(run)).state == CheckState.ALTERED
    path.unlink()
    assert next(check_documents(run)).state == CheckState.MISSING
    shutil.rmtree(path.parent)
    assert [check.subject for check in check_documents(run)] == [f"document {name} of {run.id}" for name in FILES]


def test_a_value_that_its_artifact_does_not_have_is_found(original: Run, example: Example, tmp_path: Path) -> None:
    def change(evidence: Any) -> Any:
        span = next(one for one in evidence["documents"]["card"]["spans"] if one["pointer"] == "/deciding/value")
        span["raw"] += 0.1
        return evidence

    run = example.make_run(example.make_project(tmp_path), reused=(), change={"evidence": change})
    document_path(run, "card").parent.mkdir()
    document_path(run, "card").with_name("evidence.json").write_bytes(
        document_path(original, "card").with_name("evidence.json").read_bytes()
    )
    assert "metrics /deciding/value is" in next(check_documents(run)).detail


def test_other_templates_make_documents_stale(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(documents.TEMPLATES, "card", documents.TEMPLATES["card"] + "More.")
    assert [check.state for check in check_documents(run)][1:] == [CheckState.STALE, CheckState.OK, CheckState.OK]


def test_open_points_fail_when_they_must_not_be(original: Run, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    evidence = collect_evidence(run)
    spans = {name: replace(one, open_points=("Who owns it?",)) for name, one in evidence.documents.items()}
    monkeypatch.setattr(
        "mlnb.governance.document_verification.collect_evidence", lambda run: replace(evidence, documents=spans)
    )
    checks = list(check_documents(run, strict=True))[1:]
    assert {check.state for check in checks} == {CheckState.OPEN} and not passed(checks)
    assert checks[0].detail == "open: Who owns it?"
    relaxed = list(check_documents(run))[1:]
    assert passed(relaxed) and "1 open points" in relaxed[0].detail


def test_a_changed_cell_makes_the_documents_stale(run: Run, tmp_path: Path) -> None:
    stages = tmp_path / "nbs" / "stages"
    shutil.copytree(builtin_folder() / "nbs" / "stages", stages)
    project = replace(run.project, home=tmp_path)
    same = Run(project, run.folder, run.record)
    assert list(check_document_sources(same)) == []
    edit(stages / "70_evaluate.ipynb", lambda text: text.replace("golden_limit)", "golden_limit + 1)", 1))
    checks = list(check_document_sources(same))
    assert {check.state for check in checks} == {CheckState.STALE} and len(checks) == 3
    assert re.search(r"metrics: cells \d+ of stage evaluate changed since the run", checks[0].detail)
