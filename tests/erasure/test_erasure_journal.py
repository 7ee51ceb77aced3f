"""A person is erased from a project, and from nothing else; kills, full disks and concurrent runs do no harm."""

import errno
import json
import os
import sqlite3
from contextlib import closing
from typing import Any

import pandas as pd
import pytest
from erased_people import LETTER, NEIGHBOR, PERSON, holders
from recorded_runs import snapshot

from mlnb.cli.main import main
from mlnb.engine import files
from mlnb.engine.project import Project
from mlnb.engine.project_lock import lock_project, pending_journals, use_project
from mlnb.engine.runs import open_run
from mlnb.engine.tombstones import read_erasures
from mlnb.erasure import erasure_journal
from mlnb.erasure.conditions import Condition, Selection
from mlnb.erasure.erasure_journal import erase, resume
from mlnb.erasure.erasure_plan import plan_erasure
from mlnb.erasure.file_search import Action
from mlnb.errors import DataError, ProjectError, StoreFull
from mlnb.governance import project_verification
from mlnb.governance.checks import Check, CheckState
from mlnb.monitoring.alerts import CODES
from mlnb.monitoring.labels import read_events
from mlnb.monitoring.prediction_table import read_log
from mlnb.registry.registry import Registry
from mlnb.registry.retraining_marks import retraining_marks
from mlnb.serving.packaging.bento_stores import bentoml_home

SELECTION = Selection([(Condition("name", (PERSON,)),)])


def problems(project: Project) -> list[Check]:
    return [check for check in project_verification.verify(project, "all") if not check.passed]


def where(project: Project) -> list[str]:
    return holders((project.root, bentoml_home()), (PERSON, LETTER))


def production(project: Project) -> pd.DataFrame:
    (folder,) = (project.store_root / "predictions").iterdir()
    table: pd.DataFrame = read_log(folder)[0]
    return table


def test_a_person_is_nowhere_after_the_erasure_and_everybody_else_is_where_they_were(project: Project) -> None:
    assert problems(project) == []
    embeddings = project.store_root / "embeddings"
    embeddings.mkdir()
    (embeddings / "vectors.db").write_bytes(b"vectors of texts, by digest")
    assert plan_erasure(project, Selection([(Condition("name", ("passenger 999",)),)])).changes == 0
    before, holding = snapshot(project), where(project)
    objects = {path: path.read_bytes() for path in (project.store_root / "objects").rglob("*") if path.is_file()}
    logged, raw = production(project), project.store.read(open_run(project).require_output("raw").digest)
    assert {name.split("/")[0] for name in holding} >= {".mlnb", "runs", "wandb", "bentos", "survivors.csv"}, holding
    plan = plan_erasure(project, SELECTION)
    assert plan.trained == ["survived-classifier:1"] and plan.rows == 2
    erasure = erase(project, plan, "request of 3 May")
    assert where(project) == ["survivors.csv"] and not embeddings.exists()  # the user's own file
    assert problems(project) == []
    checks = [check for check in project_verification.verify(project, "all") if check.state == CheckState.ERASED]
    assert any(check.subject.startswith("artifact raw") and "request of 3 May" in check.detail for check in checks)
    left = {path: path.read_bytes() for path in objects if path.exists()}
    assert left.items() <= objects.items()
    assert {path.parent.name + path.name for path in objects.keys() - left.keys()} == {*erasure.objects}
    others = logged[logged["in.name"] != PERSON].reset_index(drop=True)
    pd.testing.assert_frame_equal(production(project)[others.columns], others)
    (database,) = (project.store_root / "labels").glob("*.db")
    assert [(event.request, event.row) for event in read_events(database)] == [("request-1", 1), ("request-2", 1)]
    with closing(sqlite3.connect(database)) as connection, pytest.raises(sqlite3.IntegrityError, match="append-only"):
        connection.execute("DELETE FROM label_events")
    registry = Registry(project)
    assert retraining_marks(registry.log()).keys() == {"survived-classifier:1"}
    registry.engine.dispose()
    changed = {name for name, state in snapshot(project).items() if name in before and before[name] != state}
    assert not any(name.endswith(("run.json", "manifest.json", "survivors.csv")) for name in changed)
    assert NEIGHBOR in production(project)["in.name"].tolist()
    with pytest.raises(DataError, match=r"request of 3 May\. Remove the rows from the source"):
        project.store.put_bytes(raw)
    with pytest.raises(OSError, match=r"was erased on .*request of 3 May"):
        open_run(project).load("raw")
    assert plan_erasure(project, SELECTION).changes == 0
    (stored,) = read_erasures(project.store_root)  # whose record somebody changes
    stored.path.with_name("2026-forged.json").write_bytes(stored.path.read_bytes())
    stored.path.write_bytes(stored.path.read_bytes().replace(b"request", b"another"))
    details = [check.detail for check in problems(project)]
    assert "the audit log does not name this erasure" in details
    assert any(detail.endswith("of the audit log has another record") for detail in details)


def test_listing_changes_nothing(project: Project) -> None:
    plan_erasure(project, Selection([(Condition("name", ("no such name",)),)]))  # ends the killed segment
    before = snapshot(project)
    assert plan_erasure(project, SELECTION).changes > 10
    assert plan_erasure(project, Selection([(Condition("name", ("passenger 999",)),)])).changes == 0
    assert snapshot(project) == before


class Killed(BaseException):
    """The process ends here."""


def test_an_erasure_that_is_killed_again_and_again_is_finished(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = plan_erasure(project, SELECTION)
    left = 0

    def killing(function: Any) -> Any:
        def call(*arguments: Any, **options: Any) -> Any:
            nonlocal left
            left -= 1
            if left < 0:
                raise Killed
            return function(*arguments, **options)

        return call

    with monkeypatch.context() as patch:
        for name in ("_move", "_apply", "rewrite_chain", "remove_labels", "delete_folder", "_links"):
            patch.setattr(erasure_journal, name, killing(getattr(erasure_journal, name)))
        with pytest.raises(Killed):
            erase(project, plan, "why")
        for step in (1, 7, 30, len(plan.files) + len(plan.stored.objects)):
            left = step
            with pytest.raises(Killed):
                resume(project)
    (journal,) = pending_journals(project)
    chain = max((project.store_root / "predictions").rglob("*.chain"))
    (journal.parent / "0.chain").write_bytes(chain.read_bytes())  # killed while it wrote the chain
    chain.write_bytes(chain.read_bytes()[:-20])
    assert any("was interrupted" in check.detail for check in problems(project))
    with pytest.raises(ProjectError, match="mlnb erase --resume"), use_project(project):
        pass
    assert len(resume(project)) == 1 and resume(project) == []
    assert where(project) == ["survivors.csv"] and problems(project) == []
    registry = Registry(project)
    assert [entry.what for entry in registry.log()].count("erased") == 1
    registry.engine.dispose()
    erase(project, plan_erasure(project, Selection([(Condition("name", (NEIGHBOR,)),)])), "another request")
    assert problems(project) == [] and len([*read_erasures(project.store_root)]) == 2


@pytest.mark.parametrize("step", [0, 40])
def test_a_full_disk_leaves_everything_as_it_was(project: Project, monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    plan, before, calls = plan_erasure(project, SELECTION), snapshot(project), iter(range(step))

    def full(descriptor: int) -> None:
        if next(calls, None) is None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(files.os, "fsync", full)
        with pytest.raises(StoreFull):
            erase(project, plan, "why")
    assert snapshot(project) == before and not pending_journals(project)


def test_runs_and_erasures_exclude_each_other(project: Project) -> None:
    with use_project(project), use_project(project), pytest.raises(ProjectError, match="A run"), lock_project(project):
        pass
    with lock_project(project), pytest.raises(ProjectError, match="being erased"), use_project(project):
        pass


def test_a_segment_that_is_being_written_and_an_altered_log_are_refused(project: Project) -> None:
    (folder,) = (project.store_root / "predictions").iterdir()
    plan_erasure(project, SELECTION)
    segment = min(folder.glob("*.parquet"))
    segment.write_bytes(min(folder.glob("*-3.parquet")).read_bytes())
    plan = plan_erasure(project, SELECTION)
    with pytest.raises(ProjectError, match=f"{segment.name} is altered; nothing was erased"):
        erase(project, plan, "why")
    (folder / f"20260314T091500-{os.getpid()}-cd-9.jsonl").write_text(
        '{"id": "r", "time": 1.0, "model": "m", "ms": 1.0, "rows": [{"name": "passenger 2"}], "responses": [{}]}\n'
    )
    with pytest.raises(ProjectError, match=r"A service is writing .*cd-9.jsonl"):
        erase(project, plan_erasure(project, SELECTION), "why")


def test_the_command_lists_then_erases_unless_there_is_a_hold(
    project: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(project.root)
    where = ["erase", "--where", f"name = '{PERSON}'"]
    assert main([*where, "--confirm"]) == 2 and "A reason is needed" in capsys.readouterr().err
    assert main(["hold", "add", "lawsuit 12"]) == 0 and main([*where, "--json"]) == 0
    listed = json.loads(capsys.readouterr().out.partition("\n")[2])
    assert (listed["rows"], listed["retrain"], listed["unservable"]) == (2, ["survived-classifier:1"], [])
    actions = {line["where"]: line["action"] for line in listed["locations"]}
    assert actions["survivors.csv"] == "remove there yourself" and {*actions.values()} == {*Action}
    assert main([*where, "--confirm", "--reason", "request"]) == 2
    assert "Legal hold 4 by" in capsys.readouterr().err
    assert main(["hold", "remove", "4", "--reason", "ended"]) == 0 and main(["hold"]) == 0
    assert capsys.readouterr().out.endswith("No legal hold is in force.\n")
    assert main([*where, "--confirm", "--reason", "request"]) == 0
    shown = capsys.readouterr().out
    assert "Marked for retraining: survived-classifier:1." in shown and "Services that are running keep" in shown
    assert f"Remove the rows yourself from {project.root / 'survivors.csv'}" in shown
    assert main(["monitor", "--json"]) == CODES["retrain"]
    assert json.loads(capsys.readouterr().out)["reasons"][0]["kind"] == "erased rows"
    assert main(["models", "1"]) == 0 and "retrain: rows that it was trained on" in capsys.readouterr().out
    assert main(where) == 0 and "survivors.csv" in capsys.readouterr().out
    assert main(["erase", "--where", "nam = 'x'"]) == 2
    shown = capsys.readouterr().err
    assert "has a column 'nam', so no row is selected and nothing was erased. Did you mean 'name'?" in shown
    assert "The columns of the data: " in shown and ", fare, " in shown
    assert main(["erase", "--resume", "--confirm"]) == 2
