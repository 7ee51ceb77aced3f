"""Leases: one holder at a time, renewed by a thread, free when the holder is gone; SQLite stands for a server."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from waiting import wait_for

from mlnb import leases
from mlnb.leases import Leases


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[sa.Engine]:
    created = sa.create_engine(f"sqlite:///{tmp_path}/leases.db", poolclass=sa.NullPool)
    yield created
    created.dispose()


def test_one_process_at_a_time_holds_a_name(engine: sa.Engine) -> None:
    with Leases(engine) as ana, Leases(engine) as bob:
        assert ana.take("stage/a") and ana.take("stage/a") and not bob.take("stage/a") and bob.take("stage/b")
        assert ana.living("stage/") == {"stage/a": ana.holder, "stage/b": bob.holder}
        assert ana.living("stage/a") == {"stage/a": ana.holder} and ana.living("stage_a") == {}
        bob.release("stage/a")  # which it does not hold
        assert not bob.take("stage/a")
        ana.release("stage/a")
        assert bob.take("stage/a")


def test_a_lease_is_renewed_until_its_holder_is_gone(engine: sa.Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leases, "RENEW_SECONDS", 0.2)
    monkeypatch.setattr(leases, "LEASE_SECONDS", 1.0)  # SQLite has whole seconds
    ana, bob = Leases(engine), Leases(engine)
    assert ana.take("a")
    threading.Event().wait(2.5)
    assert not bob.take("a")
    ana.close()  # as a process that is killed
    wait_for(lambda: bob.take("a"), 5, "the lease to expire")
    assert not ana.take("a") and ana.living("a") == {"a": bob.holder}
    bob.release("a")
    thread = bob._thread
    wait_for(lambda: thread is None or not thread.is_alive(), 5, "the end of the thread that has nothing to renew")
    assert bob.take("a") and bob._thread is not None
    bob.close()


def test_processes_that_start_at_once_make_one_table_and_one_holder(engine: sa.Engine) -> None:
    parties, taken = [Leases(engine) for _ in range(4)], list[bool]()
    threads = [threading.Thread(target=lambda each=each: taken.append(each.take("a"))) for each in parties]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(taken) == [False, False, False, True]
    for each in parties:
        each.close()
