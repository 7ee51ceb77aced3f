"""When the loop turns: cron expressions, and the files by which cron, systemd, GitHub or Kubernetes turn it."""

import shlex
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from mlnb.errors import MissingExtra, UsageError
from mlnb.settings import ProcessSettings

TARGETS = ("cron", "systemd", "github-actions", "kubernetes")
NAME = "mlnb-loop"
TOLD = (10, 11, 12, 13)  # exit codes: watch, retrain, roll back, awaiting approval; told, not failed


@dataclass(frozen=True)
class Turn:
    """One command and when it is given.

    Attributes:
        when: cron expression: minute hour day month weekday.
        command: what follows `mlnb`
        root: the project.
    """

    when: str
    command: tuple[str, ...]
    root: Path


def moments(expression: str, after: datetime) -> Iterator[datetime]:
    """Yield the moments of a cron expression after one.

    Raises:
        UsageError: when it cannot be read.
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


def write_schedule(turn: Turn, to: str, image: str = "") -> dict[str, str]:
    """Return {file: text} of what makes `to` give the command. Raises `UsageError` for what it cannot express."""
    next(moments(turn.when, datetime.now(UTC)))
    if len(turn.when.split()) != 5:
        raise UsageError(f"{turn.when!r} has {len(turn.when.split())} fields; a schedule for {to} needs five.")
    if to == "cron":
        return {f"{NAME}.cron": _cron(turn)}
    if to == "systemd":
        return {f"{NAME}.service": _service(turn), f"{NAME}.timer": _timer(turn)}
    if to == "github-actions":
        return {f".github/workflows/{NAME}.yml": _workflow(turn)}
    if not image:
        raise UsageError("Kubernetes needs an image that holds mlnb and the project: --image registry.internal/mlnb:1.")
    return {f"{NAME}.yaml": yaml.safe_dump(cron_job(turn, image), sort_keys=False)}


def _command(turn: Turn, program: str) -> str:
    return shlex.join([program, *turn.command])


def _program() -> str:
    """This installation's `mlnb`, as cron and systemd know no PATH of ours."""
    return str(Path(sys.executable).with_name("mlnb"))


def _cron(turn: Turn) -> str:
    line = f"cd {shlex.quote(str(turn.root))} && {_command(turn, _program())}".replace("%", r"\%")
    return f"# Install with: crontab -l | cat - {NAME}.cron | crontab -\n{turn.when} {line}\n"


def _service(turn: Turn) -> str:
    command = " ".join(_quote(word) for word in (_program(), *turn.command)).replace("$", "$$")
    name, root = (str(part).replace("%", "%%") for part in (turn.root.name, turn.root))
    return (
        f"[Unit]\nDescription=One turn of the loop of {name}: monitor, retrain where it must be\n\n"
        f"[Service]\nType=oneshot\nWorkingDirectory={root}\nExecStart={command}\n"
        "# watch, retrain, roll back, awaiting approval: told, not failed\n"
        f"SuccessExitStatus={' '.join(map(str, TOLD))}\n"
    )


def _quote(word: str) -> str:
    """A word of a command as systemd reads it: https://www.freedesktop.org/software/systemd/man/systemd.syntax.html."""
    word = word.replace("%", "%%")
    if word and not set(word) & set(" \t\n\"'\\;"):
        return word
    escaped = word.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def _timer(turn: Turn) -> str:
    return (
        f"[Unit]\nDescription=When {NAME} turns\n\n[Timer]\nOnCalendar={on_calendar(turn.when)}\nPersistent=true\n\n"
        "[Install]\nWantedBy=timers.target\n"
    )


def on_calendar(expression: str) -> str:
    """Return systemd's calendar expression of a cron expression of plain numbers, lists, ranges and steps."""
    minute, hour, day, month, weekday = expression.split()
    if day != "*" and weekday != "*":
        raise UsageError(f"{expression!r} means day or weekday in cron, and both in systemd: state one of them.")
    days = "" if weekday == "*" else ",".join(_weekday(part) for part in weekday.split(",")) + " "
    return f"{days}*-{_field(month, 1)}-{_field(day, 1)} {_field(hour, 0)}:{_field(minute, 0)}:00"


def _field(text: str, first: int) -> str:
    """A field of cron as one of systemd: `*/5` is `0/5`, `1-4` is `1..4`."""
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


def _workflow(turn: Turn) -> str:
    retained = {"path": "runs\n.mlnb", "key": NAME + "-${{ github.run_id }}"}  # what one turn leaves to the next
    steps: list[dict[str, Any]] = [
        {"uses": "actions/checkout@v4"},
        {"uses": "actions/setup-python@v5", "with": {"python-version": "3.12"}},
        {"run": "pip install 'mlnb[loop,postgres]'"},
        {"uses": "actions/cache/restore@v4", "with": {**retained, "restore-keys": f"{NAME}-"}},
        {"run": _tolerant(_command(turn, "mlnb")), "env": {ProcessSettings.actor.variable: "${{ github.workflow }}"}},
        {"uses": "actions/cache/save@v4", "if": "always()", "with": retained},
    ]
    job = {"runs-on": "ubuntu-latest", "concurrency": NAME, "steps": steps}
    workflow = {
        "name": NAME,
        "on": {"schedule": [{"cron": turn.when}], "workflow_dispatch": None},
        "jobs": {"turn": job},
    }
    return str(yaml.safe_dump(workflow, sort_keys=False))


def _tolerant(command: str) -> str:
    """A command in a shell that fails for none of the codes by which a turn tells what it has found."""
    return f"{command} || case $? in {'|'.join(map(str, TOLD))}) echo exit code: $? ;; *) exit 1 ;; esac"


def cron_job(turn: Turn, image: str) -> dict[str, Any]:
    """Return a CronJob that never runs twice at once, without rights that it does not need."""
    container = {
        "name": NAME,
        "image": image,
        "command": ["sh", "-c", _tolerant(_command(turn, "mlnb"))],
        "workingDir": "/project",
        "env": [{"name": ProcessSettings.actor.variable, "value": NAME}],
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
            "schedule": turn.when,
            "concurrencyPolicy": "Forbid",
            "jobTemplate": {"spec": {"backoffLimit": 0, "template": {"spec": pod}}},
        },
    }
