"""Versions, aliases, promotion and rollback, on SQLite and PostgreSQL alike."""

import itertools
import json
import multiprocessing
import os
import platform
import signal
import sys
from pathlib import Path

import pytest
import sqlalchemy as sa

from mlnb.codec import from_json, replace, to_json
from mlnb.engine.project import Project
from mlnb.engine.run_records import ParameterValue, StageState
from mlnb.engine.runs import open_run
from mlnb.errors import GateFailed, RegistryError, UnknownRun, UsageError
from mlnb.registry.champion import fill_champion, find_champions
from mlnb.registry.database import writing
from mlnb.registry.model_versions import ModelVersion, split_reference
from mlnb.registry.registry import Registry
from mlnb.registry.version_comparison import compare_versions


def test_a_verified_run_is_a_version_and_the_same_bytes_are_the_same_version(registry, verified_run):
    first = registry.register(verified_run(1))
    again = registry.register(verified_run(2))
    assert (first.number, again.number) == (1, 2) and first.name == f"{first.model}:1"
    assert registry.register(open_run(registry.project, first.run)).number == 1
    assert first.metadata.metrics["roc_auc"] == 0.86
    assert first.metadata.environment.python == platform.python_version()
    assert first.metadata.gate is True and first.metadata.certificate.identical is True
    verified_run(3)
    assert [version.number for version in registry.sync()] == [3]  # what no command has registered yet
    assert registry.sync() == []


def test_runs_that_were_not_evaluated_or_are_damaged_hide_no_others(registry, verified_run):
    failed, damaged = verified_run(1), verified_run(2)
    failed.update_stage("evaluate", state=StageState.FAILED, outputs={})
    failed.save()
    outputs = damaged.stages["evaluate"].outputs
    damaged.update_stage("evaluate", outputs={**outputs, "metrics": replace(outputs["metrics"], digest="0" * 64)})
    damaged.save()
    last = verified_run(3)
    with pytest.warns(RuntimeWarning, match=f"run {damaged.id} cannot be registered"):
        assert [version.run for version in registry.sync()] == [last.id]
    registry.promote("1", why="the only one")
    assert registry.find("@champion").run == last.id


def test_promotion_and_rollback_go_one_step_at_a_time(registry, verified_run):
    for number in (1, 2, 3):
        registry.register(verified_run(number))
    for number in ("1", "2", "3"):
        registry.promote(number, why="better")
    assert registry.find("@champion").number == 3
    entry = registry.rollback(why="complaints")
    assert (entry.what, entry.before, entry.version, entry.who) == ("rolled back", 3, 2, "ann")
    registry.rollback(why="still complaints")
    assert registry.find("@champion").number == 1
    with pytest.raises(UsageError, match="no version before it"):
        registry.rollback(why="more")
    registry.promote("3", why="recovered")
    registry.rollback(why="not recovered")
    assert registry.find("@champion").number == 1
    assert registry.verify()[0] == []


def test_aliases_are_independent(registry, verified_run):
    registry.register(verified_run(1))
    registry.register(verified_run(2))
    registry.promote("1", why="first")
    registry.promote("2", "challenger", why="to be watched")
    champion, challenger = registry.find("@champion"), registry.find("@challenger")
    assert (champion.number, challenger.number, champion.aliases) == (1, 2, ("champion",))
    with pytest.raises(UsageError, match="already"):
        registry.promote("1", why="again")


def test_a_champion_is_filled_in_where_a_stage_asks_for_one(registry, verified_run):
    empty = ParameterValue(value="", origin="default")
    values = {
        "problem": {"target": ParameterValue(value="survived", origin="-p")},
        "evaluate": {"champion": empty, "champion_rows": empty},
        "challenge": {"champion": empty},
    }
    url = registry.project.settings.registry or str(registry.engine.url)
    project = registry.project = registry.project.with_settings(registry=url)
    registry.register(verified_run(1))
    assert fill_champion(project, values) == values  # there is no champion
    registry.promote("1", why="the first")
    filled = fill_champion(project, values)
    assert (Path(filled["evaluate"]["champion"].value) / "model.txt").read_text() == "model 1"
    assert filled["evaluate"]["champion"].origin == "registry" and filled["challenge"] == values["challenge"]
    rows = Path(filled["evaluate"]["champion_rows"].value)
    assert rows.is_file()
    rows.unlink()
    assert fill_champion(project, values)["evaluate"]["champion_rows"].value == ""  # what it has learned from is gone
    other = values | {"problem": {"target": ParameterValue(value="fare", origin="-p")}}
    assert fill_champion(project, other) == other  # of another problem
    segment = values | {"package": {"segment": ParameterValue(value="Berlin", origin="params")}}
    assert fill_champion(project, segment) == segment  # of all rows
    stated = values | {"evaluate": values["evaluate"] | {"champion": ParameterValue(value="mine", origin="-p")}}
    assert fill_champion(project, stated) == stated


def test_the_champion_is_cached_until_the_file_changes(registry, verified_run, monkeypatch):
    project = registry.project
    if registry.engine.dialect.name != "sqlite":
        pytest.skip("a server is always queried")
    registry.register(verified_run(1))
    registry.promote("1", why="the first")
    monkeypatch.setattr("mlnb.engine.digests.RACE", -1)  # a file that has just changed is cached
    assert [one.run for one in find_champions(project)] == [registry.find("1").run]
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "mlnb.registry.registry", None)
        assert [one.run for one in find_champions(project)] == [registry.find("1").run]
    registry.register(verified_run(2))
    registry.promote("2", why="better")
    assert [one.run for one in find_champions(project)] == [registry.find("2").run]


def test_a_failed_gate_needs_force_and_is_logged(registry, verified_run):
    registry.register(verified_run(1, passed=False))
    with pytest.raises(GateFailed, match="its gate has failed"):
        registry.promote("1", why="hurry")
    assert len(registry.log()) == 1  # nothing was written
    entry = registry.promote("1", why="the bound was wrong", force=True)
    assert entry.evidence.forced_past == ("its gate has failed",)


def test_required_approvals_come_from_the_settings(registry, verified_run):
    registry.project = registry.project.with_settings(approvals=2)
    registry.register(verified_run(1))
    registry.approve("1", "report read")
    with pytest.raises(UsageError, match="ann has approved"):
        registry.approve("1", "again")
    with pytest.raises(GateFailed, match="approved by 1 of 2"):
        registry.promote("1", why="better")
    registry.who = "ben"
    registry.approve("1", "slices looked at")
    assert registry.promote("1", why="better").evidence.approved_by == ("ann", "ben")
    assert registry.find("1").approved_by == ("ann", "ben")


@pytest.mark.parametrize(
    "reference, message",
    [
        ("9", "no version 9; it has 1 to 1"),
        ("@chamption", "Did you mean 'champion'"),
        ("other:1", "No model is called"),
    ],
)
def test_unknown_references_are_refused(registry, verified_run, reference, message):
    registry.register(verified_run(1))
    registry.promote("1", why="first")
    with pytest.raises(UnknownRun, match=message):
        registry.find(reference)


def test_invalid_references_and_empty_reasons_are_refused(registry, verified_run):
    assert split_reference("churn:3") == ("churn", 3, "") and split_reference("@champion") == ("", None, "champion")
    assert split_reference("3") == ("", 3, "") and split_reference("churn") == ("churn", None, "")
    for wrong in ("churn:", "churn:x", "churn@", "@3", ":3:4"):
        with pytest.raises(UsageError):
            split_reference(wrong)
    with pytest.raises(UnknownRun, match="No model is registered yet"):
        registry.find("1")
    registry.register(verified_run(1))
    for act in (registry.promote, registry.approve):
        with pytest.raises(UsageError, match="A reason is needed"):
            act("1", why=" ")


def test_versions_with_predictions_of_the_same_rows_are_compared_pairwise(registry, verified_run):
    unsure = [0.6, 0.4] * 5 + [0.3, 0.7] * 15
    first, second = registry.register(verified_run(1, p=unsure)), registry.register(verified_run(2))
    difference = compare_versions(registry.project, first, second).difference
    assert difference.metric == "roc_auc" and difference.rows == 40
    assert 0 < difference.low <= difference.value <= difference.high
    assert difference.second_better > 0.97
    other = verified_run(3)
    outputs = other.stages["split"].outputs
    other.update_stage("split", outputs={**outputs, "test": replace(outputs["test"], digest="0" * 64)})
    other.save()
    assert "different rows" in compare_versions(registry.project, first, registry.register(other)).why


def _register(root, settings, run, who):
    project = Project(root, root, settings)
    registry = Registry(project, who)
    registry.register(open_run(project, run))
    registry.approve(registry.find("1").name, f"seen by {who}")
    registry.engine.dispose()


def test_many_writers_leave_one_unbroken_chain(registry, verified_run):
    runs = [verified_run(number) for number in range(1, 7)]
    context = multiprocessing.get_context("spawn")
    jobs = [
        context.Process(target=_register, args=(run.project.root, registry.project.settings, run.id, f"writer {n}"))
        for n, run in enumerate(runs)
    ]
    for job in jobs:
        job.start()
    for job in jobs:
        job.join(60)
    assert [job.exitcode for job in jobs] == [0] * 6
    assert [version.number for version in registry.versions()] == [1, 2, 3, 4, 5, 6]
    faults, count, _ = registry.verify()
    assert (faults, count) == ([], 12) and len(registry.find("1").approved_by) == 6


def _killed_at(registry, number):
    """Promote version 2 in a process that is killed after `number` statements; return whether it finished."""

    def promote():
        mine = Registry(registry.project, "bob")
        assert mine.find("2").number == 2
        seen = itertools.count(1)

        def after(*_):
            if next(seen) == number:
                os.kill(os.getpid(), signal.SIGKILL)

        sa.event.listen(mine.engine, "after_cursor_execute", after)
        mine.promote("2", why="better")
        os._exit(0)  # without closing a connection that the parent has opened

    process = multiprocessing.get_context("fork").Process(target=promote)
    process.start()
    process.join(30)
    assert process.exitcode in (0, -signal.SIGKILL)
    return process.exitcode == 0


def test_a_kill_at_any_moment_leaves_the_old_state_or_the_new_one(registry, verified_run):
    registry.register(verified_run(1))
    registry.register(verified_run(2))
    registry.promote("1", why="first")
    registry.engine.dispose()
    moments = itertools.count(1)
    while not _killed_at(registry, next(moments)):
        faults, count, _ = registry.verify()
        champion = registry.find("@champion").number
        assert faults == [] and (champion, count) in {(1, 3), (2, 4)}
        if champion == 2:
            break
    assert next(moments) > 5  # it was killed in the middle as well
    assert registry.find("@champion").number == 2 and registry.verify()[:2] == ([], 4)


def test_a_locked_registry_is_reported_and_nothing_is_lost(registry, verified_run, monkeypatch):
    registry.register(verified_run(1))
    monkeypatch.setattr("mlnb.registry.database.PATIENCE", 1)
    other = Registry(registry.project, "bob")
    with writing(registry.engine):
        assert other.find("1").number == 1  # who only reads does not wait
        with pytest.raises(RegistryError, match="The change was rolled back; try it again"):
            other.promote("1", why="first")
    other.promote("1", why="first")
    assert other.verify()[:2] == ([], 2)
    other.engine.dispose()


def test_a_database_that_cannot_be_opened_is_named(project, verified_run, tmp_path):
    (tmp_path / "file").write_text("no folder")
    for url, message in [
        (f"sqlite:///{tmp_path / 'file' / 'registry.db'}", "cannot be opened"),
        ("postgresql://nobody@127.0.0.1:1/none", "cannot be opened"),
        ("nonsense", "Expected an SQLAlchemy URL"),
    ]:
        with pytest.raises(RegistryError, match=message):
            Registry(project.with_settings(registry=url)).versions()


def test_a_secret_comes_from_the_environment(project, monkeypatch, tmp_path):
    monkeypatch.setenv("REGISTRY_FOLDER", str(tmp_path))
    project = project.with_settings(registry="sqlite:///${REGISTRY_FOLDER}/shared.db")
    assert Registry(project).versions() == [] and (tmp_path / "shared.db").exists()


def test_a_version_is_read_from_its_json(registry, verified_run):
    registry.register(verified_run(1))
    registry.promote("1", why="first")
    version = registry.find("1")
    assert from_json(ModelVersion, json.loads(json.dumps(to_json(version)))) == version
    assert {entry.what for entry in registry.log()} == {"registered", "promoted"} and registry.verify()[0] == []
