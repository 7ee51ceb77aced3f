"""Schedules of monitoring cycles: cron expressions, and files for cron, systemd, GitHub Actions and Kubernetes."""

import re
import shlex
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from mlnb import __version__
from mlnb.errors import MissingExtra, UsageError
from mlnb.settings import ProcessSettings

TARGETS = ("cron", "systemd", "github-actions", "kubernetes")
NAME = "mlnb-loop"
ACTIONS = {  # by commit: a tag can be moved to other code
    "actions/checkout": "3d3c42e5aac5ba805825da76410c181273ba90b1 # v7.0.1",
    "actions/setup-python": "5fda3b95a4ea91299a34e894583c3862153e4b97 # v7.0.0",
    "actions/cache": "55cc8345863c7cc4c66a329aec7e433d2d1c52a9 # v6.1.0",
}
SECRETS_FILE = ".config/mlnb-loop.env"  # in the home folder, lines NAME=value, for cron and systemd
SECRETS = (ProcessSettings.personal_key.variable, ProcessSettings.webhook_secret.variable)
REPORTED = (10, 11, 12, 13)  # exit codes of results: watch, retrain, roll back, approval needed; no failures


@dataclass(frozen=True)
class ScheduledCommand:
    """A command and when it runs.

    Attributes:
        when: cron expression: minute hour day month weekday.
        command: arguments of `mlnb`.
        root: folder of the project.
    """

    when: str
    command: tuple[str, ...]
    root: Path


def run_times(expression: str, after: datetime) -> Iterator[datetime]:
    """Yield the times of a cron expression after a time.

    Raises:
        UsageError: the expression cannot be read.
        MissingExtra: cronsim is not installed.
    """
    try:
        from cronsim import CronSim, CronSimError
    except ModuleNotFoundError as error:
        raise MissingExtra("Cron expressions need cronsim: pip install 'mlnb[loop]'.") from error
    try:
        return CronSim(expression, after)
    except CronSimError as error:
        raise UsageError(
            f"{expression!r} is no cron expression ({error}); expected five fields, minute hour day month weekday: "
            "'0 * * * *' is every hour."
        ) from error


def write_schedule(scheduled: ScheduledCommand, to: str, image: str = "") -> dict[str, str]:
    """Return the text of each file that makes `to` run the command.

    Args:
        scheduled: the command.
        to: one of `TARGETS`.
        image: image that contains mlnb and the project; for Kubernetes only.

    Raises:
        UsageError: the schedule or the command cannot be expressed.
    """
    next(run_times(scheduled.when, datetime.now(UTC)))
    if len(scheduled.when.split()) != 5:
        raise UsageError(
            f"{scheduled.when!r} has {len(scheduled.when.split())} fields; a schedule for {to} needs five."
        )
    if to == "cron":
        return {f"{NAME}.cron": _cron(scheduled)}
    if to == "systemd":
        return {f"{NAME}.service": _service(scheduled), f"{NAME}.timer": _timer(scheduled)}
    if to == "github-actions":
        return {f".github/workflows/{NAME}.yml": _workflow(scheduled)}
    if not image:
        raise UsageError("Kubernetes needs an image that holds mlnb and the project: --image registry.internal/mlnb:1.")
    return {f"{NAME}.yaml": yaml.safe_dump(cron_job(scheduled, image), sort_keys=False)}


def _command(scheduled: ScheduledCommand, program: str) -> str:
    return shlex.join([program, *scheduled.command])


def _program() -> str:
    """Return the absolute path of `mlnb`, as cron and systemd do not have the PATH of a shell."""
    return str(Path(sys.executable).with_name("mlnb"))


def _cron(scheduled: ScheduledCommand) -> str:
    secrets = f'set -a; [ ! -r "$HOME/{SECRETS_FILE}" ] || . "$HOME/{SECRETS_FILE}"; set +a'
    line = f"{secrets}; cd {shlex.quote(str(scheduled.root))} && {_command(scheduled, _program())}".replace("%", r"\%")
    return (
        f"# Install with, in the folder of this file: crontab -l | cat - {NAME}.cron | crontab -\n"
        f"# Secrets, such as {SECRETS[0]}=..., belong into ~/{SECRETS_FILE}, readable by you alone.\n"
        f"{scheduled.when} {line}\n"
    )


def _service(scheduled: ScheduledCommand) -> str:
    command = " ".join(_quote(word) for word in (_program(), *scheduled.command)).replace("$", "$$")
    name, root = (str(part).replace("%", "%%") for part in (scheduled.root.name, scheduled.root))
    return (
        f"[Unit]\nDescription=Monitoring cycle of {name}: monitor, retrain if necessary\n\n"
        f"[Service]\nType=oneshot\nWorkingDirectory={root}\nExecStart={command}\n"
        f"# secrets, such as {SECRETS[0]}=...: a file that only its owner can read\n"
        f"EnvironmentFile=-%h/{SECRETS_FILE}\n"
        "# watch, retrain, roll back, approval needed: results, no failures\n"
        f"SuccessExitStatus={' '.join(map(str, REPORTED))}\n"
    )


def _quote(word: str) -> str:
    """Return a word of a command in the syntax of systemd: https://www.freedesktop.org/software/systemd/man/systemd.syntax.html."""
    word = word.replace("%", "%%")
    if word and not set(word) & set(" \t\n\"'\\;"):
        return word
    escaped = word.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def _timer(scheduled: ScheduledCommand) -> str:
    return (
        f"[Unit]\nDescription=Schedule of {NAME}\n\n"
        f"[Timer]\nOnCalendar={on_calendar(scheduled.when)}\nPersistent=true\n\n"
        "[Install]\nWantedBy=timers.target\n"
    )


def on_calendar(expression: str) -> str:
    """Return systemd's calendar expression of a cron expression of plain numbers, lists, ranges and steps."""
    minute, hour, day, month, weekday = expression.split()
    if day != "*" and weekday != "*":
        raise UsageError(f"{expression!r} means day or weekday in cron, and both in systemd: set only one of them.")
    days = "" if weekday == "*" else ",".join(_weekday(part) for part in weekday.split(",")) + " "
    return f"{days}*-{_field(month, 1)}-{_field(day, 1)} {_field(hour, 0)}:{_field(minute, 0)}:00"


def _field(text: str, first: int) -> str:
    """Return a field of cron as one of systemd: `*/5` is `0/5`, `1-4` is `1..4`."""
    if not all(character.isdigit() or character in "*/,-" for character in text):
        raise UsageError(f"{text!r} cannot be written for systemd; expected numbers, as in 0, 1-4, */5 or 0,30.")
    parts = []
    for part in text.split(","):
        span, _, step = part.partition("/")
        span = str(first) if span == "*" and step else span.replace("-", "..")
        parts.append(f"{span}/{step}" if step else span)
    return ",".join(parts)


def _weekday(text: str) -> str:
    names = ("Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
    try:
        return "..".join(names[int(part)] for part in text.split("-"))
    except (ValueError, IndexError):
        raise UsageError(f"{text!r} is no weekday; expected 0 (Sunday) to 6, as in 1-5.") from None


def _workflow(scheduled: ScheduledCommand) -> str:
    retained = {"path": "runs\n.mlnb", "key": NAME + "-${{ github.run_id }}"}  # what one cycle leaves to the next
    steps: list[dict[str, Any]] = [
        {"uses": "actions/checkout", "with": {"persist-credentials": False}},
        {"uses": "actions/setup-python", "with": {"python-version": "3.12"}},
        {"run": f"pip install 'mlnb[loop,postgres]=={__version__}'"},
        {"uses": "actions/cache/restore", "with": {**retained, "restore-keys": f"{NAME}-"}},
        {
            "run": _tolerant(_command(scheduled, "mlnb")),
            "env": {
                ProcessSettings.actor.variable: "${{ github.workflow }}",
                **{name: f"${{{{ secrets.{name} }}}}" for name in SECRETS},
            },
        },
        {"uses": "actions/cache/save", "if": "always()", "with": retained},
    ]
    job = {"runs-on": "ubuntu-latest", "timeout-minutes": 120, "concurrency": NAME, "steps": steps}
    workflow = {
        "name": NAME,
        "on": {"schedule": [{"cron": scheduled.when}], "workflow_dispatch": None},
        "permissions": {"contents": "read"},
        "jobs": {"cycle": job},
    }
    text = str(yaml.safe_dump(workflow, sort_keys=False))
    for action, commit in ACTIONS.items():
        text = re.sub(rf"(uses: {action}\S*)", rf"\1@{commit}", text)
    return text


def _tolerant(command: str) -> str:
    """Return a shell command that does not fail for the exit codes of results."""
    return f"{command} || case $? in {'|'.join(map(str, REPORTED))}) echo exit code: $? ;; *) exit 1 ;; esac"


def cron_job(scheduled: ScheduledCommand, image: str) -> dict[str, Any]:
    """Return a CronJob that never runs concurrently and has no unnecessary privileges."""
    container = {
        "name": NAME,
        "image": image,
        "command": ["sh", "-c", _tolerant(_command(scheduled, "mlnb"))],
        "workingDir": "/project",
        "env": [{"name": ProcessSettings.actor.variable, "value": NAME}],
        "envFrom": [{"secretRef": {"name": f"{NAME}-secrets", "optional": True}}],  # by variable
        "resources": {"requests": {"cpu": "1", "memory": "1Gi"}, "limits": {"memory": "4Gi"}},
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
        "volumeMounts": [{"name": "project", "mountPath": "/project"}],
    }
    pod = {
        "restartPolicy": "Never",
        "securityContext": {"runAsNonRoot": True, "runAsUser": 10001, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [container],
        "volumes": [{"name": "project", "persistentVolumeClaim": {"claimName": "mlnb-project"}}],
    }
    return {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": {"name": NAME},
        "spec": {
            "schedule": scheduled.when,
            "concurrencyPolicy": "Forbid",
            "jobTemplate": {"spec": {"backoffLimit": 0, "template": {"spec": pod}}},
        },
    }
