"""A pipeline as a workflow of GitHub Actions: a job for each group of stages, left out when its stages are reused."""

import re
import shlex
from typing import Any

from mlnb import __version__
from mlnb.monitoring.schedules import ACTIONS, SECRETS
from mlnb.orchestration.readable_yaml import dump_yaml
from mlnb.orchestration.task_graphs import FINISH, PLAN, TaskGraph
from mlnb.settings import ProcessSettings

CACHED = "runs\n.mlnb"
PYTHON = "3.12"


def write_github_workflow(tasks: TaskGraph, image: str, when: str) -> str:
    """Return the workflow as YAML; each job continues from what the one before it has stored.

    Args:
        tasks: The pipeline, as groups one after the other.
        image: Image with mlnb, by digest, that the jobs run in; empty: each job installs mlnb.
        when: Cron expression; empty: the workflow is started by hand.
    """
    jobs: dict[str, Any] = {PLAN: _plan_job(tasks, image)}
    before = [PLAN]
    for task in tasks.tasks:
        needed = f"needs.{PLAN}.outputs.{task.name} == 'run'"
        jobs[task.name] = {
            "needs": list(before),
            "if": f"${{{{ !cancelled() && !failure() && {needed} }}}}",
            **_job(shlex.join(tasks.command(task)), task.name, image),
        }
        before.append(task.name)
    jobs[FINISH] = {
        "needs": list(before),
        "if": "${{ !cancelled() && !failure() }}",
        **_job(shlex.join(tasks.finish_command), FINISH, image),
    }
    events: dict[str, Any] = {"workflow_dispatch": None}
    if when:
        events = {"schedule": [{"cron": when}], **events}
    workflow = {
        "name": tasks.name,
        "on": events,
        "permissions": {"contents": "read"},
        "concurrency": {"group": tasks.name, "cancel-in-progress": False},
        "jobs": jobs,
    }
    text = dump_yaml([workflow])
    for action, commit in ACTIONS.items():
        text = re.sub(rf"(uses: {action}(?:/\w+)?)$", rf"\1@{commit}", text, flags=re.MULTILINE)
    return text


def _plan_job(tasks: TaskGraph, image: str) -> dict[str, Any]:
    outputs = {task.name: f"${{{{ steps.{PLAN}.outputs.{task.name} }}}}" for task in tasks.tasks}
    folder = "$RUNNER_TEMP/actions"
    lines = [
        f'{shlex.join(tasks.plan_command)} --actions "{folder}"',
        f'for file in "{folder}"/*; do echo "$(basename "$file")=$(cat "$file")" >> "$GITHUB_OUTPUT"; done',
    ]
    steps = [*_set_up(image), {"id": PLAN, "run": "\n".join(lines) + "\n", "shell": "bash"}]
    return {**_machine(image, 15), "outputs": outputs, "steps": steps}


def _job(command: str, name: str, image: str) -> dict[str, Any]:
    run = {
        "run": command,
        "env": {
            ProcessSettings.actor.variable: "${{ github.workflow }}",
            **{secret: f"${{{{ secrets.{secret} }}}}" for secret in SECRETS},
        },
    }
    save = {
        "uses": "actions/cache/save",
        "if": "always()",
        "with": {"path": CACHED, "key": f"{_key()}-{name}-${{{{ github.run_attempt }}}}"},
    }
    return {**_machine(image, 360), "steps": [*_set_up(image), run, save]}


def _machine(image: str, minutes: int) -> dict[str, Any]:
    container = {"container": image} if image else {}
    return {"runs-on": "ubuntu-latest", **container, "timeout-minutes": minutes}


def _set_up(image: str) -> list[dict[str, Any]]:
    install: list[dict[str, Any]] = [
        {"uses": "actions/setup-python", "with": {"python-version": PYTHON}},
        {"run": f"python -m pip install {shlex.quote(f'mlnb=={__version__}')}"},
    ]
    restore = {"path": CACHED, "key": f"{_key()}-none", "restore-keys": f"{_key()}-\nmlnb-pipeline-"}
    return [
        {"uses": "actions/checkout", "with": {"persist-credentials": False}},
        *([] if image else install),
        {"uses": "actions/cache/restore", "with": restore},
    ]


def _key() -> str:
    return "mlnb-pipeline-${{ github.run_id }}"
