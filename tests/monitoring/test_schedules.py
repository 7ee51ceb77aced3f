"""Schedules for cron, systemd, GitHub and Kubernetes are valid; one monitoring loop runs at a time."""

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
from mlnb.monitoring.schedules import (
    NAME,
    SECRETS_FILE,
    TARGETS,
    ScheduledCommand,
    on_calendar,
    run_times,
    write_schedule,
)

SCHEDULED = ScheduledCommand("17 3 * * 1-5", ("loop", "--once", "--promote"), Path("/srv/my models"))


def test_cron_expressions_give_times():
    times = run_times("30 2 * * *", datetime(2026, 3, 1, 12, tzinfo=UTC))
    assert [next(times).isoformat() for _ in range(2)] == ["2026-03-02T02:30:00+00:00", "2026-03-03T02:30:00+00:00"]
    for wrong in ("every hour", "61 * * * *", ""):
        with pytest.raises(UsageError, match="no cron expression"):
            next(run_times(wrong, datetime.now(UTC)))


def test_crontab():
    (text,) = write_schedule(SCHEDULED, "cron").values()
    *comments, line = text.splitlines()
    assert all(comment.startswith("#") for comment in comments)
    assert line.startswith("17 3 * * 1-5 ") and "; cd '/srv/my models' && " in line
    assert line.endswith("mlnb loop --once --promote")


def test_every_schedule_passes_secrets_without_their_values(tmp_path, monkeypatch):
    """Commands see the key of pseudonyms; no file that is written has its value."""
    monkeypatch.setenv("MLNB_PERSONAL_KEY", "a key for tests, of 32 characters")
    texts = {to: "".join(write_schedule(SCHEDULED, to, "mlnb:1").values()) for to in TARGETS}
    assert not any("a key for tests" in text for text in texts.values())
    (container,) = yaml.safe_load(texts["kubernetes"])["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"]
    assert container["envFrom"] == [{"secretRef": {"name": f"{NAME}-secrets", "optional": True}}]
    assert f"EnvironmentFile=-%h/{SECRETS_FILE}\n" in texts["systemd"]
    assert "MLNB_PERSONAL_KEY: ${{ secrets.MLNB_PERSONAL_KEY }}" in texts["github-actions"]
    (text,) = write_schedule(ScheduledCommand("1 2 * * *", ("loop",), tmp_path), "cron").values()
    command = text.splitlines()[-1].removeprefix("1 2 * * * ")
    environment = {"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"}
    for secrets, output in [("", "[]"), ("MLNB_PERSONAL_KEY='it is $secret'\n", "[it is $secret]")]:
        (tmp_path / SECRETS_FILE).parent.mkdir(exist_ok=True)
        (tmp_path / SECRETS_FILE).write_text(secrets)
        shown = command.rpartition("&& ")[0] + """&& sh -c 'echo "[$MLNB_PERSONAL_KEY]"'"""
        done = subprocess.run(["sh", "-c", shown], env=environment, capture_output=True, text=True, check=True)
        assert done.stdout.strip() == output and done.stderr == ""


def test_systemd_units(tmp_path):
    root = tmp_path / "my 5% models"
    root.mkdir()
    turn = ScheduledCommand(SCHEDULED.when, (*SCHEDULED.command, "-p", "a b", 'echo "$5"'), root)
    files = write_schedule(turn, "systemd")
    assert "OnCalendar=Mon..Fri *-*-* 3:17:00" in files[f"{NAME}.timer"]
    assert "SuccessExitStatus=10 11 12 13" in files[f"{NAME}.service"]
    assert files[f"{NAME}.service"].count("my 5%% models") == 2
    assert on_calendar("*/15 0-6 1,15 * *") == "*-*-1,15 0..6:0/15:00"
    for wrong in ("0 0 1 * 1", "0 0 * JAN *"):
        with pytest.raises(UsageError):
            on_calendar(wrong)
    if shutil.which("systemd-analyze"):
        for name, text in files.items():
            (tmp_path / name).write_text(text)
        command = ["systemd-analyze", "verify", "--recursive-errors=no", *(tmp_path / name for name in files)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0 and NAME not in done.stderr, done.stderr
        calendar = ["systemd-analyze", "calendar", "--iterations=2", on_calendar(SCHEDULED.when)]
        output = subprocess.run(calendar, capture_output=True, text=True, check=True).stdout
        assert "03:17:00" in output


@pytest.mark.parametrize(("code", "ends"), [(0, 0), (10, 0), (13, 0), (1, 1), (3, 1)])
def test_verdict_exit_codes_are_no_failures_of_scheduled_jobs(tmp_path, code, ends):
    (tmp_path / "mlnb").write_text(f"#!/bin/sh\necho turned $@\nexit {code}\n")
    (tmp_path / "mlnb").chmod(0o755)
    (text,) = write_schedule(SCHEDULED, "kubernetes", "registry.internal/mlnb:1").values()
    command = yaml.safe_load(text)["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"][0]["command"]
    (text,) = write_schedule(SCHEDULED, "github-actions").values()
    (step,) = [one for one in yaml.safe_load(text)["jobs"]["cycle"]["steps"] if "mlnb loop" in one.get("run", "")]
    environment = {"PATH": f"{tmp_path}:/usr/bin:/bin"}
    for given in (command, ["bash", "-eo", "pipefail", "-c", step["run"]]):
        done = subprocess.run(given, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == ends and "turned loop --once --promote" in done.stdout
        assert (f"exit code: {code}" in done.stdout) == (code >= 10)


def test_github_workflow():
    (text,) = write_schedule(SCHEDULED, "github-actions").values()
    workflow = yaml.safe_load(text)
    assert workflow["on"]["schedule"] == [{"cron": "17 3 * * 1-5"}]
    steps = workflow["jobs"]["cycle"]["steps"]
    assert all("uses" in step or "run" in step for step in steps)
    cache_keys = [step["with"]["key"] for step in steps if "actions/cache" in step.get("uses", "")]
    assert len(cache_keys) == 2 and len(set(cache_keys)) == 1 and steps[-1]["if"] == "always()"


def test_kubernetes_cron_job(tmp_path):
    with pytest.raises(UsageError, match="--image"):
        write_schedule(SCHEDULED, "kubernetes")
    (text,) = write_schedule(SCHEDULED, "kubernetes", "registry.internal/mlnb:1").values()
    job = yaml.safe_load(text)
    assert job["spec"]["concurrencyPolicy"] == "Forbid"
    kubernetes_validate = pytest.importorskip("kubernetes_validate")
    kubernetes_validate.validate(job, "1.34", strict=True)
    job["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"][0]["imagee"] = "x"
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(job, "1.34", strict=True)


def test_a_monitoring_cycle_follows_the_verdict():
    p = argparse.ArgumentParser()
    loop.parser(p)

    def turned(outcome, *options):
        given = []

        def command(arguments):
            given.append(arguments)
            return CODES[outcome] if arguments[0] == "monitor" else 0

        return loop.run_cycle(p.parse_args(["--once", *options]), command), [arguments[0] for arguments in given]

    assert turned("keep") == (0, ["monitor"]) and turned("watch") == (10, ["monitor"])
    assert turned("retrain", "--promote") == (0, ["monitor", "retrain"])
    assert turned("roll back", "--rollback") == (0, ["monitor", "rollback"])
    assert turned("roll back") == (0, ["monitor", "retrain"])  # nobody allowed it to go back


def test_a_project_has_one_monitoring_loop(tmp_path):
    root = toys.chain(tmp_path)
    (root / ".mlnb").mkdir()
    with try_lock(root / ".mlnb" / "loop.lock") as held:
        assert held and "already" in toys.mlnb(root, "loop", "--once", code=2)
    assert "No model is registered yet" in toys.mlnb(root, "loop", "--once", code=2)
    text = toys.mlnb(root, "schedule", "--to", "cron", "--", "--promote")
    assert "mlnb loop --once --promote" in text and "# mlnb-loop.cron, a file that --write FOLDER writes" in text
