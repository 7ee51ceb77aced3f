"""A run never waits for its tracker and never fails because of it."""

import atexit
import os
import threading
import time

import pytest
from waiting import wait_for

from mlnb.engine.events import CellStarted, RunFinished, RunStarted, StageFinished, StageReused, StageStarted
from mlnb.engine.project import Project
from mlnb.engine.run_records import RunState
from mlnb.errors import SettingsError
from mlnb.settings import ProjectSettings
from mlnb.tracking.background_tracker import BackgroundTracker
from mlnb.tracking.tracker import open_tracker


class Notes:
    """A tracker that remembers, slowly if it must, and raises at `fails`."""

    def __init__(self, seconds=0.0, fails=None):
        self.seen, self.closed, self.seconds, self.fails = [], 0, seconds, fails

    def __call__(self, event):
        time.sleep(self.seconds)  # a slow tracker
        if event.name == self.fails:
            raise RuntimeError("connection lost")
        self.seen.append((event.name, getattr(event, "stage", None), event.run.record.state))

    def close(self):
        self.closed += 1


@pytest.fixture
def run(tmp_path, example):
    return example.make_run(example.make_project(tmp_path / "titanic"), upto="split")


def send(listener, run, *names):
    """Call a listener with events of these names, those of a stage for `ingest`."""
    events = {
        "run_started": RunStarted(run),
        "stage_started": StageStarted(run, "ingest", "never run"),
        "cell_started": CellStarted(run, "ingest", 0, 9, "Ingest"),
        "stage_finished": StageFinished(run, "ingest"),
        "stage_reused": StageReused(run, "ingest"),
        "run_finished": RunFinished(run),
    }
    for name in names:
        listener(events[name])


def test_events_arrive_in_order_with_the_record_of_their_moment(run):
    notes, warnings = Notes(), []
    listener = BackgroundTracker(lambda: notes, warnings.append)
    run.update(state=RunState.RUNNING)
    send(listener, run, "run_started", "stage_reused", "stage_started", "cell_started", "stage_finished")
    run.update(state=RunState.FINISHED)
    send(listener, run, "run_finished")
    listener.close()
    assert notes.seen == [
        ("run_started", None, "running"),
        ("stage_reused", "ingest", "running"),
        ("stage_started", "ingest", "running"),
        ("stage_finished", "ingest", "running"),
        ("run_finished", None, "finished"),
    ]
    assert notes.closed == 1 and not warnings


def test_a_run_without_work_creates_no_tracker(run):
    def make():
        raise AssertionError("created")

    threads = threading.active_count()
    send(BackgroundTracker(make, print), run, "run_started", "stage_reused", "run_finished")
    assert threading.active_count() == threads


def test_a_tracker_created_later_gets_all_events(run):
    notes, begun = Notes(), time.monotonic()
    created = []
    listener = BackgroundTracker(lambda: created.append(time.monotonic()) or notes, print, delay=0.3)
    send(listener, run, "run_started", "stage_started", "stage_finished")
    wait_for(lambda: len(notes.seen) == 3, 20, "three events")
    assert created[0] - begun >= 0.3
    send(listener, run, "run_finished")
    listener.close()
    assert [kind for kind, _, _ in notes.seen] == ["run_started", "stage_started", "stage_finished", "run_finished"]


def test_a_run_that_ends_before_its_tracker_exists_is_tracked_at_its_end(run):
    notes = Notes()
    listener = BackgroundTracker(lambda: notes, print, delay=3600)
    send(listener, run, "run_started", "stage_started", "run_finished")
    listener.close()
    assert len(notes.seen) == 3 and notes.closed == 1


def test_sending_events_does_not_block_and_the_end_is_bounded(run):
    notes, warnings = Notes(seconds=0.3), []
    listener = BackgroundTracker(lambda: notes, warnings.append, timeout=0.1)
    began = time.perf_counter()
    send(listener, run, "run_started", "stage_started", "stage_finished", "run_finished")
    listener.close()
    assert time.perf_counter() - began < 0.3
    assert "did not finish within" in warnings[0]


def test_the_tracker_of_a_run_that_did_not_finish_is_closed_at_once(run):
    notes, warnings = Notes(), []
    for delay in (0.0, 3600.0):
        listener = BackgroundTracker(lambda: notes, warnings.append, delay=delay)
        send(listener, run, "run_started", "stage_started")
        wait_for(lambda delay=delay: delay or len(notes.seen) == 2, 20, "two events")
        threads = list(listener._threads.values())
        began = time.perf_counter()
        listener.close()
        assert time.perf_counter() - began < 5 and not any(thread.is_alive() for thread in threads)
    assert notes.closed == 1 and not warnings, "the second one was not created"


def test_an_abandoned_tracker_is_not_waited_for_and_ends_with_the_process(run, monkeypatch):
    hooks, ended, go = [], [], threading.Event()

    class Stuck(Notes):
        def __call__(self, event):
            go.wait(20)
            raise AssertionError("torn down")

    monkeypatch.setattr(atexit, "register", lambda *hook: hooks.append(hook))
    monkeypatch.setattr(os, "_exit", ended.append)
    warnings = []
    listener = BackgroundTracker(Stuck, warnings.append)
    send(listener, run, "run_started", "stage_started", "run_finished")
    (thread,) = listener._threads.values()
    threading.Timer(0.1, listener.abandon).start()
    began = time.perf_counter()
    listener.close()
    assert time.perf_counter() - began < 5
    ((leave, threads),) = hooks
    leave(threads)
    assert ended == [130]
    go.set()
    thread.join(20)
    leave(threads)
    assert ended == [130] and not warnings, "it has ended by now"


def test_a_tracker_that_fails_is_closed_and_reported_once(run):
    notes, warnings = Notes(fails="stage_started"), []
    listener = BackgroundTracker(lambda: notes, warnings.append)
    send(listener, run, "run_started", "stage_started", "stage_finished", "run_finished")
    listener.close()
    assert notes.closed == 1
    assert len(warnings) == 1 and "connection lost" in warnings[0] and "mlnb show" in warnings[0]


def test_consecutive_runs_have_separate_trackers(run, example):
    other = example.make_run(run.project, "20260314-101500-train-c3d4", upto="split")
    created = []
    listener = BackgroundTracker(lambda: created.append(Notes()) or created[-1], print)
    for each in (run, other):
        send(listener, each, "run_started", "stage_started", "run_finished")
    listener.close()
    assert [len(notes.seen) for notes in created] == [3, 3]


def test_the_settings_choose_the_tracker(run, monkeypatch):
    def project(**values):
        return Project(run.project.root, run.project.root, ProjectSettings(values))

    monkeypatch.delenv("WANDB_MODE", raising=False)
    assert isinstance(open_tracker(project()), BackgroundTracker)
    assert open_tracker(project(tracker="local")) is None
    with pytest.raises(SettingsError, match=r"expected one of wandb, local\. Did you mean 'wandb'"):
        project(tracker="wandbb")
    monkeypatch.setenv("WANDB_MODE", "disabled")
    assert open_tracker(project()) is None


def test_without_wandb_the_run_continues_with_a_warning(run, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "mlnb.tracking.wandb_tracker", None)
    warnings = []
    listener = open_tracker(run.project, warnings.append)
    send(listener, run, "run_started", "stage_started", "run_finished")
    listener.close()
    assert "pip install wandb" in warnings[0]
