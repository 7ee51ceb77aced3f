"""Stages on the workers of a Dask cluster: digests, progress, failures, interruptions, lost and different workers."""

import asyncio
import gc
import logging
import os
import socket
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import toys
from dask_workers import Workers, dask_workers, free_port
from in_process import InProcess, mlnb_in_process
from remote_clones import Clones, output, run, shared_clones, states
from toys import edit
from waiting import wait_for

from mlnb.api import stage_worker
from mlnb.engine.project import Project
from mlnb.engine.runs import open_run
from mlnb.engine.test_set_access import Access, read_accesses, record_access
from mlnb.errors import ExecutorError, SettingsError
from mlnb.executors import dask_cluster
from mlnb.executors.dask_cluster import DaskCluster, cluster_address, connect, joined_workers
from mlnb.executors.worker_versions import differences, worker_versions


@pytest.fixture(scope="module")
def cluster() -> Iterator[Workers]:
    with dask_workers() as workers:
        workers.join()
        yield workers


@pytest.fixture
def clones(cluster: Workers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Clones]:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for name in ("MLNB_ROOT", "MLNB_REMOTE_MODE"):
        monkeypatch.setenv(name, "")  # a worker sets them, and they are restored
    with shared_clones(tmp_path, monkeypatch) as shared:
        yield shared
        for own in cluster.own.values():
            own.close()


def test_workers_run_the_stages_with_the_digests_of_a_local_run(cluster: Workers, clones: Clones) -> None:
    _, local = clones.first_run()
    clones.objects.clear()
    clones.patch.setenv("MLNB_EXECUTOR", cluster.url)
    execute = InProcess.execute

    def reporting(self, job, on_cell):
        on_cell(0, 2, "Work")
        return execute(self, job, on_cell)

    clones.patch.setattr(InProcess, "execute", reporting)
    bob = clones.clone("bob")
    edit(bob, "20_double", "the number times", "held-out: the number times")
    record_access(bob / ".mlnb", Access("0" * 64, "interactive-1"))
    text, remote = run(bob)
    assert set(states(remote).values()) == {"finished"} and "✓ total" in text
    for artifact in ("number", "double", "note", "total"):
        assert output(remote, artifact) == output(local, artifact)
    assert all("; on " in stage.reason for stage in remote.stages.values())
    assert (remote.folder / "notebooks" / "30_total.ipynb").exists()
    assert (remote.folder / "stages" / "total.cell.json").exists()  # the cells were followed
    (shared,) = clones.folder.glob("cache/mlnb/workers/*/.mlnb/test_set_accesses/0000*/interactive-1")
    readers = {access.reader for access in read_accesses(bob / ".mlnb")}
    assert shared and readers == {"interactive-1", remote.stages["total"].from_run}
    assert "Nothing to do" in run(bob)[0]
    _, forced = run(bob, "--only", "double", "--force", "double")
    assert states(forced)["double"] == "finished" and forced.stages["double"].reason.startswith("forced; on")


def test_a_failed_stage_is_an_error_and_no_second_attempt(cluster: Workers, clones: Clones) -> None:
    clones.patch.setenv("MLNB_EXECUTOR", cluster.url)
    ana = clones.clone("ana")
    edit(ana, "20_double", "factor *", "undefined *")
    text = mlnb_in_process(ana, "run", "--no-report", code=3)
    failed = open_run(Project.find(ana))
    assert "NameError: name 'undefined' is not defined" in text
    assert failed.stages["double"].state == "failed" and failed.stages["number"].state == "finished"
    assert "undefined" in (failed.folder / "notebooks" / "20_double.ipynb").read_text()
    pushed = [path for path in clones.named("/runs/") if "20" in path]
    assert len(pushed) == 2 + (failed.stages["note"].state == "finished") + 1  # one of each stage, and that of ana


def test_a_stage_whose_worker_stops_it_is_run_again(cluster: Workers, clones: Clones) -> None:
    clones.patch.setenv("MLNB_EXECUTOR", cluster.url)
    ana, (own,), execute = clones.clone("ana"), cluster.own.values(), InProcess.execute
    attempts: list[str] = []

    def stopping(self, job, on_cell):
        attempts.append(job.stage)
        if attempts.count("double") == 1 and job.stage == "double":
            own.stop(own._topic)  # as a worker that ends does
        return execute(self, job, on_cell)

    clones.patch.setattr(InProcess, "execute", stopping)
    _, ended = run(ana)
    assert set(states(ended).values()) == {"finished"} and ended.load("total")["total"] == 7.0
    assert len(clones.named("/stages/")) == 4  # a result each


def test_the_stage_of_a_worker_that_is_killed_runs_again_on_another_one(
    clones: Clones, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = tmp_path / "begun"
    body = f"import os, pathlib, time\nbegun = pathlib.Path({str(begun)!r})\nagain = begun.exists()\n"
    body += "begun.write_text(str(os.getpid()))\nif not again:\n    time.sleep(60)\nstage.save('out', 'done')"
    root = toys.project(tmp_path / "ana", {"10_slow": toys.stage("slow", body, writes={"out": "a word"})})
    with dask_workers() as workers, (tmp_path / "worker.log").open("w+") as log:
        words = [sys.executable, "-m", "mlnb.cli.main", "worker", "--on", workers.url]
        worker = subprocess.Popen(words, cwd=tmp_path, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        kernels, ended = list[int](), list[float]()

        def kill() -> None:
            wait_for(lambda: begun.exists() and begun.read_text(), 60, "the stage to begin")
            workers.join()
            kernels.append(int(begun.read_text()))
            worker.kill()
            ended.append(time.monotonic())

        try:
            wait_for(lambda: "has joined" in Path(log.name).read_text(), 60, "the worker to join")
            monkeypatch.setenv("MLNB_EXECUTOR", workers.url)
            killer = threading.Thread(target=kill)
            killer.start()
            _, done = run(root)
            seconds = time.monotonic() - ended[0]
            killer.join()
        finally:
            worker.kill()
            worker.wait()
        wait_for(lambda: not psutil.pid_exists(kernels[0]), 10, "the end of the killed worker's kernel")
        for own in workers.own.values():
            own.close()
    assert done.load("out") == "done" and seconds < 10 and int(begun.read_text()) == os.getpid()
    assert len(clones.named("/stages/")) == 1  # one result, and the killed attempt has left none


def test_an_interruption_ends_the_stage_on_its_worker(cluster: Workers, clones: Clones) -> None:
    ended = threading.Event()
    (own,) = cluster.own.values()
    clones.patch.setattr(own, "stop", lambda topic: ended.set())
    calls = DaskCluster(cluster.url)
    replies = []
    thread = threading.Thread(target=lambda: replies.append(calls.call(_wait, "c", "go", print)))
    thread.start()
    wait_for(lambda: any(task.state == "executing" for task in _tasks(cluster)), 10, "the task")
    calls.cancel()
    thread.join(10)
    assert replies == [None] and ended.wait(10)
    GO.set()
    calls.close()


def test_copies_end_with_the_first_reply(cluster: Workers) -> None:
    calls = DaskCluster(cluster.url)
    notes: list[str] = []
    assert calls.hosts() == 1 and calls.call(_answer, "a", "hello", notes.append, copies=3) == "hello"
    assert calls.call(_answer, "a", "once", notes.append) == "once"
    again = calls.call(_answer, "a", "again", notes.append)
    assert again in ("once", "again")  # the work has the same name, and its reply may not be forgotten yet
    wait_for(lambda: not _tasks(cluster), 10, "the end of the other copies")
    with pytest.raises(ZeroDivisionError):
        calls.call(_divide, "b", "1", notes.append, copies=2)
    calls.close()


def test_two_machines_that_request_the_same_work_share_it(cluster: Workers) -> None:
    clusters = [DaskCluster(cluster.url) for _ in range(2)]
    replies: list[str | None] = []
    threads = [
        threading.Thread(target=lambda each=each: replies.append(each.call(_count, "d", "", print)))
        for each in clusters
    ]
    threads[0].start()
    wait_for(lambda: len(COUNTED) == 1, 10, "the task")
    threads[1].start()
    wait_for(lambda: len(cluster.scheduler.clients) >= 2 and _wanted(cluster) == 2, 10, "the other request")
    clusters[0].cancel()
    threads[0].join(10)
    COUNTED.append("go")
    threads[1].join(10)
    assert replies == [None, "1"]  # ended for one of them, and run once
    for each in clusters:
        each.close()


COUNTED: list[str] = []


def _count(topic: str, message: str) -> str:
    COUNTED.append(topic)
    wait_for(lambda: "go" in COUNTED, 10, "go")
    return str(COUNTED.count(topic))


def _wanted(cluster: Workers) -> int:
    return max((len(task.who_wants or ()) for task in list(cluster.scheduler.tasks.values())), default=0)


def _answer(topic: str, message: str) -> str:
    return message


def _divide(topic: str, message: str) -> str:
    return str(1 / (int(message) - 1))


GO = threading.Event()


def _wait(topic: str, message: str) -> str:
    GO.wait(20)
    return message


def _tasks(cluster: Workers):
    return [task for worker in cluster.own for task in list(worker.state.tasks.values())]


def test_other_machines_are_refused_with_what_differs(cluster: Workers, clones: Clones) -> None:
    own = worker_versions()
    assert {"mlnb", "Python", "platform", "pandas", "distributed"} <= own.keys() and not differences(own, dict(own))
    clones.patch.setattr(dask_cluster, "worker_versions", lambda: {**own, "pandas": "2.9"})
    clones.patch.setenv("MLNB_EXECUTOR", cluster.url)
    ana = clones.clone("ana")
    text = mlnb_in_process(ana, "run", "--no-report", code=3)
    assert f"pandas 2.9 here, {own['pandas']} there" in text and "constraints.txt" in text
    text = mlnb_in_process(ana, "worker", "--on", cluster.url, code=3)
    assert f"pandas 2.9 here, {own['pandas']} there" in text
    client = connect(cluster.url)
    assert len(joined_workers(client)) == 1
    client.close()


def test_errors_before_anything_runs(clones: Clones) -> None:
    ana = clones.clone("ana")
    url = f"dask://127.0.0.1:{free_port()}"
    clones.patch.setattr(dask_cluster, "CONNECT_SECONDS", 0.2)
    with pytest.raises(ExecutorError, match=r"No scheduler responds at .* Start one: `mlnb worker --scheduler"):
        DaskCluster(url)
    clones.patch.setenv("MLNB_EXECUTOR", "dask://host")
    assert "expected dask://HOST:PORT, or local" in mlnb_in_process(ana, "run", code=2)
    clones.patch.setenv("MLNB_EXECUTOR", url)
    clones.patch.delenv("MLNB_REMOTE")
    assert "no remote store that its workers could share" in mlnb_in_process(ana, "run", code=2)
    clones.patch.setitem(__import__("sys").modules, "distributed", None)
    assert "pip install 'mlnb[dask]'" in mlnb_in_process(ana, "run", code=2)
    for wrong in ("dask://host:x", "tcp://host:1", "dask://host:1/path"):
        with pytest.raises(SettingsError):
            cluster_address(wrong)


@pytest.mark.parametrize("greeting", [b"", b"SSH-2.0-x\r\n", (10).to_bytes(8, "little") + b"x" * 10])
def test_another_server_is_no_scheduler(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, greeting: bytes) -> None:
    monkeypatch.setattr(dask_cluster, "CONNECT_SECONDS", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"dask://127.0.0.1:{server.getsockname()[1]}"
        thread = threading.Thread(target=_greet, args=(server, greeting))
        thread.start()
        text = mlnb_in_process(tmp_path, "worker", "--on", url, code=3)
        thread.join(10)
    assert f"No scheduler responds at {url}" in text and not thread.is_alive()


def _greet(server: socket.socket, greeting: bytes) -> None:
    connection, _ = server.accept()
    with connection:
        connection.sendall(greeting)
        while connection.recv(1000):  # until the other side closes
            continue


def test_a_scheduler_that_cannot_listen_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stage_worker, "_stop_signals", lambda: None)  # threads get no signals
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"dask://127.0.0.1:{server.getsockname()[1]}"
        text = mlnb_in_process(tmp_path, "worker", "--scheduler", url, code=3)
    with warnings.catch_warnings():  # Tornado leaves the socket of a refused bind open: it must not end in another test
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()
    assert f"No scheduler can listen at {url}" in text and "free port" in text
    text = mlnb_in_process(tmp_path, "worker", "--scheduler", url, "--keys", "k.json", code=2)
    assert "--keys is for workers" in text


def test_a_worker_with_wrong_keys_does_not_join(cluster: Workers, tmp_path: Path) -> None:
    missing = tmp_path / "k.json"
    text = mlnb_in_process(tmp_path, "worker", "--on", cluster.url, "--keys", str(missing), code=2)
    assert f"There is no file {missing}" in text and "mlnb keys trust" in text


def test_a_notebook_connects_while_its_event_loop_runs(cluster: Workers) -> None:
    async def cell() -> int:
        client = connect(cluster.url)
        try:
            return len(joined_workers(client))
        finally:
            client.close()

    assert asyncio.run(cell()) == len(cluster.own) > 0


def test_a_lost_scheduler_is_logged_by_no_logger_of_dask(cluster: Workers) -> None:
    client = connect(cluster.url)
    assert not any(logging.getLogger(f"distributed{part}").isEnabledFor(logging.ERROR) for part in ("", ".client"))
    client.close()


def test_a_scheduler_without_workers_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dask_cluster, "WORKER_SECONDS", 0.0)
    with dask_workers() as empty, pytest.raises(ExecutorError, match=r"No worker has joined .* --on"):
        DaskCluster(empty.url)


def test_a_worker_joins_again_when_its_scheduler_is_back(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    url, loops = f"dask://127.0.0.1:{free_port()}", dict[str, tuple[asyncio.AbstractEventLoop, asyncio.Event]]()

    def stop_signals() -> asyncio.Event:  # threads get no signals
        event = asyncio.Event()
        loops[threading.current_thread().name] = (asyncio.get_running_loop(), event)
        return event

    def start(name: str, serve, *arguments) -> threading.Thread:
        thread = threading.Thread(target=serve, args=arguments, name=name)
        thread.start()
        return thread

    def stop(thread: threading.Thread) -> None:
        loop, event = loops[thread.name]
        loop.call_soon_threadsafe(event.set)
        thread.join(30)
        assert not thread.is_alive()

    def joined(times: int) -> None:
        texts: list[str] = []

        def printed() -> bool:
            texts.append(capsys.readouterr().out)
            return "".join(texts).count(f"has joined {url}") == times

        wait_for(printed, 20, "the worker")

    ended: set[Path] = set()
    monkeypatch.setattr(stage_worker, "_stop_signals", stop_signals)
    monkeypatch.setattr(stage_worker.live_snapshots, "stop_idle_parents", ended.update)
    own = stage_worker.StageWorker()
    own.parents.add(Path("kernels"))  # of a stage that it has run
    monkeypatch.setattr(stage_worker, "StageWorker", lambda keys: own)
    monkeypatch.setattr(stage_worker, "REJOIN_SECONDS", 0.1)
    scheduler = start("first", stage_worker.serve_scheduler, url)
    wait_for(lambda: "first" in loops, 10, "the scheduler")
    worker = start("worker", stage_worker.serve_worker, url)
    joined(1)
    stop(scheduler)
    again = start("second", stage_worker.serve_scheduler, url)
    joined(1)
    stop(worker)
    assert ended == {Path("kernels")}
    stop(again)
