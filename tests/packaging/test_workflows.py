"""Workflows run only code that a commit names, and have no rights that they do not need."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from mlnb.cli.ci_workflow import WORKFLOW_FILE, workflow_text
from mlnb.monitoring.schedules import ScheduledCommand, write_schedule

ROOT = Path(__file__).resolve().parents[2]
COMMIT = re.compile(r"uses: ([\w.-]+/[\w.-]+)(?:/[\w./-]+)?@([0-9a-f]{40}) # (v\d+\.\d+\.\d+)$")


def workflows() -> dict[str, str]:
    """Return the text of each workflow of the project, and of those that `mlnb schedule` and `mlnb new` write."""
    texts = {path.name: path.read_text(encoding="utf-8") for path in (ROOT / ".github/workflows").glob("*.yml")}
    written = write_schedule(ScheduledCommand("17 3 * * 1-5", ("loop", "--once"), Path("/project")), "github-actions")
    return texts | written | {WORKFLOW_FILE: workflow_text()}


WORKFLOWS = workflows()
JOB_WORDS = {"file", "printf", "mine", "select", "startswith", "id", "gh", "head", "if", "then", "else", "fi"}
# Jobs that may write, by workflow. None of them checks out or installs anything.
GRANTED: dict[str, dict[str, dict[str, str]]] = {
    WORKFLOW_FILE: {"comment": {"pull-requests": "write"}},  # posts what `mlnb diff` wrote
    "docs.yml": {"publish": {"pages": "write", "id-token": "write"}},
    "release.yml": {
        "attest": {"id-token": "write", "attestations": "write"},
        "publish": {"id-token": "write"},
    },
}
PINNED = {
    *("actions/checkout", "actions/setup-python", "actions/upload-artifact", "actions/download-artifact"),
    *("actions/cache", "actions/upload-pages-artifact", "actions/deploy-pages", "actions/attest"),
    "pypa/gh-action-pypi-publish",
}
every_workflow = pytest.mark.parametrize("text", WORKFLOWS.values(), ids=WORKFLOWS)


def steps(text: str) -> Iterator[dict[str, Any]]:
    for job in yaml.safe_load(text)["jobs"].values():
        yield from job["steps"]


@every_workflow
def test_actions_are_pinned_by_commit(text: str) -> None:
    used = [line.strip().removeprefix("- ") for line in text.splitlines() if re.match(r"\s*(- )?uses:", line)]
    assert used
    assert [line for line in used if not COMMIT.match(line)] == [], "pin by commit, with the release as a comment"


def test_all_workflows_use_the_same_release_of_an_action() -> None:
    pins: dict[str, set[str]] = {}
    for line in "\n".join(WORKFLOWS.values()).splitlines():
        if match := COMMIT.search(line):
            pins.setdefault(match[1], set()).add(f"{match[2]} {match[3]}")
    assert {action: commits for action, commits in pins.items() if len(commits) > 1} == {}
    assert set(pins) == PINNED


@every_workflow
def test_workflows_may_only_read(text: str) -> None:
    workflow = yaml.safe_load(text)
    assert workflow["permissions"] == {"contents": "read"}
    granted = {name: job["permissions"] for name, job in workflow["jobs"].items() if "permissions" in job}
    assert granted == GRANTED.get(next(name for name, one in WORKFLOWS.items() if one == text), {})
    assert not {"pull_request_target", "workflow_run"} & set(workflow.get("on", workflow.get(True)))
    assert all("timeout-minutes" in job for job in workflow["jobs"].values())


def test_a_job_that_may_write_runs_no_code_of_a_pull_request() -> None:
    """It installs and checks out nothing, posts a text by its name, and leaves forks alone."""
    job = yaml.safe_load(workflow_text())["jobs"]["comment"]
    (step,) = job["steps"]
    words = re.findall(r"(?:^|[|(;] *|then |else |\$\()\s*([a-z]+)\b", step["run"], re.MULTILINE)
    assert "uses" not in step and set(words) <= JOB_WORDS
    assert "head.repo.full_name == github.repository" in job["if"]
    assert set(job["env"]) == {"GH_TOKEN", "COMMENT", "NUMBER"}
    runner = yaml.safe_load(workflow_text())["jobs"]["run"]
    assert not any("GH_TOKEN" in str(step) or "github.token" in str(step) for step in runner["steps"])


def test_jobs_that_may_write_run_actions_of_a_short_list_and_no_code() -> None:
    for name in ("docs.yml", "release.yml"):
        for job in GRANTED[name]:
            uses = [step["uses"].partition("@")[0] for step in yaml.safe_load(WORKFLOWS[name])["jobs"][job]["steps"]]
            assert set(uses) <= PINNED - {"actions/checkout", "actions/setup-python", "actions/cache"}


def test_the_site_is_published_from_main_and_tags_only_and_pypi_from_tags() -> None:
    docs, release = (yaml.safe_load(WORKFLOWS[name]) for name in ("docs.yml", "release.yml"))
    assert "github.event_name != 'pull_request'" in docs["jobs"]["publish"]["if"]
    assert "refs/heads/main" in docs["jobs"]["publish"]["if"] and "refs/tags/v" in docs["jobs"]["publish"]["if"]
    assert release[True] == {"push": {"tags": ["v*"]}}  # YAML reads the key `on` as true
    assert [release["jobs"][job].get("needs") for job in ("attest", "publish")] == ["build", "attest"]
    assert all(job.get("environment") for name, job in release["jobs"].items() if name == "publish")


def test_shells_can_read_the_scripts_that_are_written() -> None:
    for step in steps(workflow_text()):
        if "run" in step:
            subprocess.run(["bash", "-n"], input=step["run"], text=True, check=True)


@every_workflow
def test_no_step_keeps_the_token_of_the_checkout(text: str) -> None:
    checkouts = [step for step in steps(text) if step.get("uses", "").startswith("actions/checkout@")]
    assert checkouts
    assert all(step["with"]["persist-credentials"] is False for step in checkouts)


@every_workflow
def test_no_input_becomes_text_of_a_script(text: str) -> None:
    assert [step["run"] for step in steps(text) if "${{" in step.get("run", "")] == []


def test_dependency_updates_wait_for_a_week() -> None:
    updates = yaml.safe_load((ROOT / ".github/dependabot.yml").read_text(encoding="utf-8"))["updates"]
    assert {update["package-ecosystem"] for update in updates} == {"github-actions", "pip"}
    assert all(update["cooldown"]["default-days"] >= 7 for update in updates)
