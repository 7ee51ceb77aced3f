"""Schedules: what cron, systemd, GitHub and Kubernetes are given is what they understand; one loop turns at a time."""

import argparse
import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest
import toys
import yaml

from mlnb.cli import loop
from mlnb.engine.files import try_lock
from mlnb.errors import UsageError
from mlnb.monitoring.alerts import CODES
from mlnb.monitoring.schedules import NAME, Turn, moments, on_calendar, write_schedule

TURN = Turn("17 3 * * 1-5", ("loop", "--once", "--promote"), Path("/srv/my models"))


def test_moments():
    found = moments("30 2 * * *", datetime(2026, 3, 1, 12, tzinfo=UTC))
    assert [next(found).isoformat() for _ in range(2)] == ["2026-03-02T02:30:00+00:00", "2026-03-03T02:30:00+00:00"]
    for wrong in ("every hour", "61 * * * *", ""):
        with pytest.raises(UsageError, match="no cron expression"):
            next(moments(wrong, datetime.now(UTC)))


def test_cron():
    (text,) = write_schedule(TURN, "cron").values()
    line = text.splitlines()[1]
    assert line.startswith("17 3 * * 1-5 cd '/srv/my models' && ") and line.endswith("mlnb loop --once --promote")


def test_systemd(tmp_path):
    files = write_schedule(Turn(TURN.when, TURN.command, tmp_path), "systemd")
    assert "OnCalendar=Mon..Fri *-*-* 3:17:00" in files[f"{NAME}.timer"]
    assert "SuccessExitStatus=10 11 12 13" in files[f"{NAME}.service"]
    assert on_calendar("*/15 0-6 1,15 * *") == "*-*-1,15 0..6:0/15:00"
    for wrong in ("0 0 1 * 1", "0 0 * JAN *"):
        with pytest.raises(UsageError):
            on_calendar(wrong)
    if shutil.which("systemd-analyze"):
        for name, text in files.items():
            (tmp_path / name).write_text(text)
        done = subprocess.run(
            ["systemd-analyze", "calendar", "Mon..Fri *-*-* 3:17:00"], capture_output=True, check=False
        )
        assert done.returncode == 0, done.stderr


def test_github_actions():
    (text,) = write_schedule(TURN, "github-actions").values()
    workflow = yaml.safe_load(text)
    assert workflow["on"]["schedule"] == [{"cron": "17 3 * * 1-5"}]
    assert workflow["jobs"]["turn"]["steps"][-1]["run"] == "mlnb loop --once --promote"


def test_kubernetes(tmp_path):
    with pytest.raises(UsageError, match="--image"):
        write_schedule(TURN, "kubernetes")
    (text,) = write_schedule(TURN, "kubernetes", "registry.internal/mlnb:1").values()
    job = yaml.safe_load(text)
    assert job["spec"]["concurrencyPolicy"] == "Forbid"
    kubernetes_validate = pytest.importorskip("kubernetes_validate")
    kubernetes_validate.validate(job, "1.34", strict=True)


def test_a_turn_does_what_the_verdict_says():
    p = argparse.ArgumentParser()
    loop.parser(p)

    def turned(outcome, *options):
        given = []

        def command(arguments):
            given.append(arguments)
            return CODES[outcome] if arguments[0] == "monitor" else 0

        return loop.turn(p.parse_args(["--once", *options]), command), [arguments[0] for arguments in given]

    assert turned("keep") == (0, ["monitor"]) and turned("watch") == (10, ["monitor"])
    assert turned("retrain", "--promote") == (0, ["monitor", "retrain"])
    assert turned("roll back", "--rollback") == (0, ["monitor", "rollback"])
    assert turned("roll back") == (0, ["monitor", "retrain"])  # nobody allowed it to go back


def test_one_loop_a_project(tmp_path):
    root = toys.chain(tmp_path)
    (root / ".mlnb").mkdir()
    with try_lock(root / ".mlnb" / "loop.lock") as held:
        assert held and "already" in toys.mlnb(root, "loop", "--once", code=2)
    assert "No model is registered yet" in toys.mlnb(root, "loop", "--once", code=2)
    assert "mlnb loop --once --promote" in toys.mlnb(root, "schedule", "--to", "cron", "--", "--promote")
