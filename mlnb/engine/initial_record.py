"""The record that a run starts with."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import mlnb
from mlnb.engine.plan import Planner


def first_record(planner: Planner, facts: dict[str, Any]) -> dict[str, Any]:
    """Return the record of a run before anything has happened; `facts` has its pipeline, command, group and profile."""
    stages = {}
    for name, stage in planner.graph.stages.items():
        values = planner.values[name]
        stages[name] = {
            "state": "waiting",
            "why": "",
            "key": None,
            "title": stage.title,
            "promise": stage.promise,
            "notebook": None,
            "started": None,
            "finished": None,
            "seconds": None,
            "parameters": {key: {"value": item.value, "from": item.origin} for key, item in values.items()},
            "reads": dict.fromkeys(stage.reads),
            "producers": {a: planner.graph.producers[a] for a in stage.reads if a in planner.graph.producers},
            "outputs": {},
            "metrics": {},
            "versions": {},
            "from_run": None,
            "error": None,
        }
    return {
        "state": "running",
        "finished": None,
        "seconds": None,
        "group": None,
        "profile": None,
        **facts,
        "mlnb": mlnb.__version__,
        "python": sys.version.split()[0],
        "platform": sys.platform,
        "git": git_state(planner.project.root),
        "order": list(planner.graph.stages),
        "stages": stages,
    }


def git_state(root: Path) -> dict[str, Any] | None:
    """Return {"commit", "dirty"} of the checkout around `root`, or None where there is none."""
    command = ["git", "-C", str(root), "status", "--porcelain=v2", "--branch", "--untracked-files=no"]
    try:
        text = subprocess.run(command, capture_output=True, text=True, timeout=5, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    lines = text.splitlines()
    commit = next((line.split()[-1] for line in lines if line.startswith("# branch.oid")), "")
    return {"commit": commit, "dirty": any(not line.startswith("#") for line in lines)}
