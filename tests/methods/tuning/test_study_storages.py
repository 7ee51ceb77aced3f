"""Storages of studies: journals that several processes append to, and that survive kills and full disks."""

import errno
import fcntl
import multiprocessing
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy.exc import OperationalError

from mlnb.methods.tuning import study_storages
from mlnb.methods.tuning.studies import enqueue_trial, open_study, open_trials, take_trial
from mlnb.methods.tuning.study_storages import journal_url, open_storage
from mlnb.methods.tuning.trial_leases import TrialLeases
from mlnb.stages.tune import storage_url


def enqueue(path: Path, first: int, count: int) -> None:
    """Append trials with the indices from `first` on."""
    with open_storage(journal_url(path)) as storage:
        study = open_study(storage, "shared", "minimize")
        for index in range(first, first + count):
            enqueue_trial(study, index, "baseline", {}, "none", True, ["baseline"])


def indices(path: Path) -> list[int]:
    """Return the indices of the trials in the order of the journal."""
    with open_storage(journal_url(path)) as storage:
        return [trial.user_attrs["index"] for trial in open_study(storage, "shared", "minimize").trials]


@pytest.mark.parametrize("name", ["plain", "a?b", "a b", "50%", "a%3Fb?", "é#ü?x=1", "journal:", "a&b?uri=true"])
def test_a_folder_may_have_any_name(tmp_path: Path, name: str) -> None:
    folder = tmp_path / name
    folder.mkdir()
    with open_storage(storage_url("", folder)) as storage:
        open_study(storage, "one", "minimize")
        assert not TrialLeases(storage).shared
    assert [path.name for path in folder.iterdir()] == ["study.log"]
    with open_storage(storage_url("", folder)) as storage:
        assert optuna.get_all_study_names(storage) == ["one"]


@settings(max_examples=20)
@given(st.binary(max_size=40), st.booleans())
def test_what_a_killed_process_left_is_removed(
    tmp_path_factory: pytest.TempPathFactory, left: bytes, large: bool
) -> None:
    left = left.replace(b"\n", b"") * (4000 if large else 1)  # longer than what is read at a time
    path = tmp_path_factory.mktemp("journal") / "study.log"
    enqueue(path, 0, 2)
    whole = path.read_bytes()
    with path.open("ab") as file:
        file.write(left)
    assert indices(path) == [0, 1]
    enqueue(path, 2, 1)
    assert indices(path) == [0, 1, 2] and path.read_bytes().startswith(whole + b"{")


@settings(max_examples=20)
@given(cut=st.integers(0, 3000))
def test_a_journal_of_any_length_can_be_continued(tmp_path_factory: pytest.TempPathFactory, cut: int) -> None:
    path = tmp_path_factory.mktemp("journal") / "study.log"
    enqueue(path, 0, 2)
    os.truncate(path, min(cut, path.stat().st_size))
    before = indices(path)
    enqueue(path, 7, 1)
    assert indices(path) == [*before, 7]


def test_processes_append_whole_lines(tmp_path: Path) -> None:
    path = tmp_path / "study.log"
    enqueue(path, 0, 1)
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=enqueue, args=(path, first, 20)) for first in (100, 200, 300)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0, 0, 0]
    stored = indices(path)
    for first in (100, 200, 300):
        assert [index for index in stored if first <= index < first + 20] == list(range(first, first + 20))


def test_the_lock_of_a_killed_process_is_free(tmp_path: Path) -> None:
    path = tmp_path / "study.log"
    enqueue(path, 0, 1)
    child = os.fork()
    if not child:  # it ends while it holds the lock
        study_storages._JournalLock(str(path)).acquire()
        os.kill(os.getpid(), 9)
    os.waitpid(child, 0)
    enqueue(path, 1, 1)  # waits for nothing
    assert indices(path) == [0, 1]


def test_an_interrupted_wait_gives_the_file_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "study.log"
    path.touch()
    before = len(os.listdir("/proc/self/fd")) if sys.platform == "linux" else 0

    def interrupted(handle: int, how: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(fcntl, "flock", interrupted)
    with pytest.raises(KeyboardInterrupt):
        study_storages._JournalLock(str(path)).acquire()
    assert not before or len(os.listdir("/proc/self/fd")) == before


def test_a_full_disk_loses_no_trial(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "study.log"
    enqueue(path, 0, 1)
    fsync: Callable[[Any], None] = os.fsync

    def full(handle: int) -> None:  # half of the line was written
        os.ftruncate(handle, os.fstat(handle).st_size - 20)
        raise OSError(errno.ENOSPC, "No space left on device")

    with open_storage(journal_url(path)) as storage:
        study = open_study(storage, "shared", "minimize")
        monkeypatch.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="No space left"):
            enqueue_trial(study, 1, "baseline", {}, "none", True, ["baseline"])
        monkeypatch.setattr(os, "fsync", fsync)
    enqueue(path, 2, 1)
    assert indices(path) == [0, 2]


def test_without_flock_the_lock_of_optuna_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "fcntl", None)
    path = tmp_path / "study.log"
    enqueue(path, 0, 3)
    with open_storage(journal_url(path)) as storage:
        study = open_study(storage, "shared", "minimize")
        assert take_trial(study).user_attrs["index"] == 0 and open_trials(study) == {0, 1, 2}


@pytest.mark.parametrize(
    "url",
    ["nosuch://ana:secret@host", "journal:////no/such/folder/secret", "journal:////proc", "sqlite:////proc/x/secret"],
)
def test_a_storage_that_cannot_be_opened_is_named_without_its_path(url: str) -> None:
    expected = f"found a storage {url.partition(':')[0]}:… that cannot be opened"
    with pytest.raises(ValueError, match=expected) as error, open_storage(url):
        pass
    assert "secret" not in str(error.value) and "journal:///study.log" in str(error.value)


def test_no_search_of_one_machine_imports_sqlalchemy(tmp_path: Path, new_interpreters: None) -> None:
    code = (
        "import sys; from pathlib import Path; from mlnb.methods.tuning.studies import open_study; "
        "from mlnb.methods.tuning.trial_leases import TrialLeases; "
        "from mlnb.methods.tuning.study_storages import journal_url, open_storage\n"
        "with open_storage(journal_url(Path(sys.argv[1]) / 's')) as storage, TrialLeases(storage):\n"
        "    open_study(storage, 'one', 'minimize')\n"
        "print('sqlalchemy' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_a_database_that_another_process_creates_is_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    create, calls = optuna.storages.RDBStorage, list[str]()

    def exists_meanwhile(url: str) -> optuna.storages.RDBStorage:
        calls.append(url)
        if len(calls) == 1:
            raise OperationalError("CREATE TABLE studies", None, Exception("table studies already exists"))
        return create(url)

    monkeypatch.setattr(optuna.storages, "RDBStorage", exists_meanwhile)
    storage = study_storages._open_database(f"sqlite:///{tmp_path}/s")
    assert len(calls) == 2
    storage.engine.dispose()
