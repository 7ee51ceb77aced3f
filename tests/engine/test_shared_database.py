"""Locks of stages, state of runs and test-set accesses of several machines in one PostgreSQL database."""

import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest
import sqlalchemy as sa
import toys
from database_server import run_postgresql
from in_process import InProcess, mlnb_in_process
from remote_clones import run, shared_clones, states
from waiting import wait_for

from mlnb import leases
from mlnb.engine import stage_locks
from mlnb.engine.active_runs import ActiveRuns, list_active
from mlnb.engine.events import RunFinished, RunStarted
from mlnb.engine.project import Project
from mlnb.engine.run_processes import run_lease
from mlnb.engine.run_records import RunState
from mlnb.engine.runs import create_run, open_run
from mlnb.engine.shared_accesses import ACCESSES, exchange_accesses, exchange_rows
from mlnb.engine.shared_database import SharedDatabase
from mlnb.engine.stage_files import ProgressNote, progress_path, read_record
from mlnb.engine.stage_locks import SHARED_POLL, StageLocks
from mlnb.engine.test_set_access import (
    Access,
    count_accesses,
    count_opened,
    read_accesses,
    record_access,
    record_rows,
    rows_path,
)
from mlnb.erasure import erasure_journal
from mlnb.errors import DatabaseWarning, MissingExtra, ProjectError, SettingsError
from mlnb.leases import Leases
from mlnb.settings import ProjectSettings


def engine(url: str) -> sa.Engine:
    return sa.create_engine(url.replace("postgresql", "postgresql+psycopg"), poolclass=sa.NullPool)


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with run_postgresql() as (url, _):
        yield url


@pytest.fixture
def url(server: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """The URL of an empty database, which is the setting."""
    with engine(server).begin() as connection:
        connection.exec_driver_sql("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
    monkeypatch.setenv("MLNB_DATABASE", server)
    return server


def project(root: Path, **settings: str) -> Project:
    root.mkdir(exist_ok=True)
    return Project(root, root, ProjectSettings(settings))


def locks(own: Project, dispatched: bool = False, storage: str = "") -> StageLocks:
    values = {"tune": {"storage": SimpleNamespace(value=storage)} if storage else {}}
    return StageLocks(SimpleNamespace(project=own, values=values), dispatched)


def test_machines_that_share_results_share_the_locks_of_stages(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared = {"remote": (tmp_path / "share").as_uri()}
    ana, bob = (locks(project(tmp_path / name, **shared)) for name in ("ana", "bob"))
    with ana.hold("tune", "k" * 64) as first:
        assert first.held and first.shared
        with bob.hold("tune", "k" * 64) as second, bob.hold("tune", "other") as other:
            assert not second.held and second.wait == SHARED_POLL and other.held
        for alone in (  # shares no results, works for another machine, or works on the same study at the same time
            locks(project(tmp_path / "carl")),
            locks(project(tmp_path / "bob", **shared), dispatched=True),
            locks(project(tmp_path / "bob", **shared), storage="postgresql://host/studies"),
        ):
            with alone.hold("tune", "k" * 64) as own:
                assert own.held
        with monkeypatch.context() as patch:  # a CPU of another family, whose results are not used
            patch.setattr(stage_locks, "platform_name", lambda: "Linux-x86_64-other-1")
            with bob.hold("tune", "k" * 64) as own:
                assert own.held
    with bob.hold("tune", "k" * 64) as again:
        assert again.held
    mounted = [locks(project(tmp_path / "carl")) for _ in range(2)]  # one folder, mounted by two machines
    mounted[1]._store.lock = mounted[0]._store.__class__(tmp_path / "no flock").lock
    with mounted[0].hold("tune", "k") as first, mounted[1].hold("tune", "k") as second:
        assert first.held and not second.held


def test_a_stage_that_another_machine_runs_is_awaited_and_pulled(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with shared_clones(tmp_path, monkeypatch) as clones:
        _, first = clones.first_run()
        key = first.stages["double"].key
        assert key is not None
        entries = clones.named(key)
        for name in entries:
            del clones.objects[name]
        bob = clones.clone("bob")
        ana = Leases(engine(url))
        name = f"stage/{locks(Project.find(bob))._scope()}/{key}"
        assert ana.take(name)

        def finish() -> None:
            clones.objects.update(entries)
            ana.release(name)

        timer = threading.Timer(1.5, finish)
        timer.start()
        _, second = run(bob)
        timer.join()
        ana.close()
        assert set(states(second).values()) == {"reused"} and second.stages["double"].from_run == first.id
        note = read_record(ProgressNote, progress_path(second.folder / "stages", "double"))
        assert note is not None and note.text == f"waits for {socket.gethostname()}, which runs it"
        assert second.stages["double"].reason == "another run made it at the same time"


def test_a_run_waits_for_no_lost_machine_and_pushes_before_it_releases(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leases, "LEASE_SECONDS", 1.0)
    with shared_clones(tmp_path, monkeypatch) as clones:
        ana = clones.clone("ana")
        own = Project.find(ana)
        other = Leases(engine(url))
        database, names, seen = own.database, list[str](), list[int]()
        assert database is not None
        take, release = SharedDatabase.take, SharedDatabase.release

        def taking(self: SharedDatabase, name: str) -> bool | None:
            if name.startswith("stage/") and name not in names:
                names.append(name)
                other.take(name)
                other.close()  # its machine is lost
            return take(self, name)

        def releasing(self: SharedDatabase, name: str) -> None:
            if name.startswith("stage/"):
                seen.append(len(clones.named(name.rpartition("/")[2])))
            release(self, name)

        monkeypatch.setattr(SharedDatabase, "take", taking)
        monkeypatch.setattr(SharedDatabase, "release", releasing)
        _, done = run(ana, "--upto", "number")
        assert done.stages["number"].state == "finished" and len(names) == 1
        for thread in threading.enumerate():
            if thread.name == "release of a lock":
                thread.join(10)
        assert seen == [1] and database.living("stage/") == {}


def test_an_unreachable_database_is_one_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLNB_DATABASE", "postgresql://ann:${PW}@127.0.0.1:1/shared")
    monkeypatch.setenv("PW", "hidden")
    root = toys.chain(tmp_path)
    toys.edit(root, "20_double", "the number times", "held-out: the number times")
    text = mlnb_in_process(root, "run", "--no-report")
    done = open_run(Project.find(root))
    assert done.state == "finished" and "hidden" not in text
    assert text.count("is not used") <= 2 and "those of this machine alone" in text  # the command, and the notebook
    assert "the right to create tables" in mlnb_in_process(root, "doctor", "--remote", code=2)
    database = SharedDatabase("postgresql://127.0.0.1:1/shared")
    with pytest.warns(DatabaseWarning, match="127.0.0.1:1/shared is not used: connection failed"):
        assert database.take("a") is None
    assert database.take("a") is None and database.living("") == {} and database.use(lambda _: 1, 2) == 2


def test_wrong_settings_are_errors(monkeypatch: pytest.MonkeyPatch) -> None:
    for wrong in ("sqlite:///studies.db", "postgresql://", "postgresql://host:port/name", "host/name"):
        with pytest.raises(SettingsError, match="The setting `database` is"):
            SharedDatabase(wrong)
    monkeypatch.setattr("mlnb.engine.shared_database.find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match=r"pip install 'mlnb\[postgres\]'"):
        SharedDatabase("postgresql://host/name")


def test_the_runs_of_other_machines_are_running_or_killed(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ana, bob = Project.find(toys.chain(tmp_path / "ana")), Project.find(toys.chain(tmp_path / "bob"))
    monkeypatch.setattr("socket.gethostname", lambda: "gpu-1")
    started, runs = create_run(ana, "train"), ActiveRuns(SharedDatabase(url))
    started.update(pid=2**30, pid_started="another machine's")
    started.save()
    runs(RunStarted(started))
    runs.close()
    assert open_run(ana).state == RunState.RUNNING  # where the folder is mounted
    (line,) = [line for line in mlnb_in_process(bob.root, "runs").splitlines() if started.id in line]
    assert "running" in line and "gpu-1" in line
    assert "running" in mlnb_in_process(bob.root, "show", started.id)
    (listed,) = json.loads(mlnb_in_process(bob.root, "runs", "--json"))
    assert (listed["id"], listed["state"], listed["machine"]) == (started.id, "running", "gpu-1")

    runs._database.release(run_lease(started.id))  # as when it has expired
    assert open_run(ana).state == RunState.KILLED
    assert "killed" in mlnb_in_process(bob.root, "show", started.id[-6:])
    for state, left in ((RunState.INTERRUPTED, 1), (RunState.FAILED, 0), (RunState.FINISHED, 0)):
        ended = ActiveRuns(SharedDatabase(url))
        started.update(state=state)
        ended(RunFinished(started))
        ended.close()
        active = list_active(bob, SharedDatabase(url))
        assert [each.run.state for each in active] == [state] * left
    assert json.loads(mlnb_in_process(bob.root, "runs", "--json")) == []


def test_a_run_is_listed_while_it_runs_and_no_stage_waits_for_that(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bob, execute, seen = project(tmp_path / "bob"), InProcess.execute, list[str]()

    def looking(self, job, on_cell):
        outcome = execute(self, job, on_cell)
        if job.stage == "double":
            seen.extend(wait_for(first_finished, 20, "the record that the run's thread has written"))
        return outcome

    def first_finished() -> list[str]:
        active = list_active(bob, SharedDatabase(url))
        texts = [f"{each.run.state} {each.run.stages['number'].state} {each.person}" for each in active]
        return texts if any("finished" in text for text in texts) else []

    monkeypatch.setattr(InProcess, "execute", looking)
    monkeypatch.setenv("MLNB_ACTOR", "ana")
    mlnb_in_process(toys.chain(tmp_path / "ana"), "run", "--no-report", "--upto", "double")
    assert seen == ["running finished ana"] and list_active(bob, SharedDatabase(url)) == []
    assert SharedDatabase(url).living("") == {}


def test_accesses_to_test_sets_are_counted_together(url: str, tmp_path: Path) -> None:
    for name in ("ana", "bob"):
        root = toys.chain(tmp_path / name)
        toys.edit(root, "20_double", "the number times", "held-out: the number times")
        mlnb_in_process(root, "run", "--no-report")
    done = open_run(Project.find(root))
    digest = done.require_output("double").digest
    assert "a lease is taken and given back" in mlnb_in_process(root, "doctor", "--remote")
    assert count_accesses(root / ".mlnb", digest) == 2  # no remote store, and one of another machine


def test_rows_of_the_test_sets_of_other_machines_are_recognized(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ana, bob = project(tmp_path / "ana"), project(tmp_path / "bob")
    table = pd.DataFrame({"x": range(50)})
    record_access(ana.store_root, Access("d" * 64, "run-1", "key"))
    record_rows(ana.store_root, "d" * 64, table)
    record_access(bob.store_root, Access("e" * 64, "run-2", "other"))
    for own in (ana, bob, ana):
        exchange_accesses(SharedDatabase(url), own.store_root)
        exchange_rows(SharedDatabase(url), own.store_root)
    with engine(url).begin() as connection:
        connection.execute(sa.insert(ACCESSES).values(digest="../../keys", reader="forged", purpose=""))
    exchange_accesses(SharedDatabase(url), bob.store_root)
    assert not list(tmp_path.rglob("forged"))
    assert read_accesses(ana.store_root) == read_accesses(bob.store_root) and len(read_accesses(bob.store_root)) == 2
    opened = count_opened(bob.store, [table[:20]], Access("", "run-2", "other"), ())
    assert opened == [(20, 0, 0)]

    record_path = rows_path(ana.store_root, "d" * 64)
    record_path.write_bytes(record_path.read_bytes()[:-80])  # ten rows are erased
    assert exchange_rows(SharedDatabase(url), ana.store_root) and exchange_rows(SharedDatabase(url), bob.store_root)
    assert rows_path(bob.store_root, "d" * 64).stat().st_size == 40 * 8
    monkeypatch.setenv("MLNB_DATABASE", "postgresql://127.0.0.1:1/shared")
    with pytest.warns(DatabaseWarning), pytest.raises(ProjectError, match=r"hashes of them still.*mlnb erase --resume"):
        erasure_journal._erase_shared(project(tmp_path / "ana"))
    monkeypatch.delenv("MLNB_DATABASE")
    erasure_journal._erase_shared(project(tmp_path / "bob"))
