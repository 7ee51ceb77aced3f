"""The record of a run before its first stage."""

import subprocess
import sys
from pathlib import Path

from msgspec import field

import mlnb
from mlnb.codec import Record, replace
from mlnb.engine.plan import Planner
from mlnb.engine.run_records import GitState, RunRecord, StageRecord


class RunOptions(Record, frozen=True, kw_only=True):
    """What a run was started with.

    Args:
        pipeline: Name of the pipeline.
        command: The command line.
        profile: Name of the profile, if any.
        group: What sibling runs of a grid share.
        grid: The values of this run's combination.
        segment: The segment whose model it makes; empty: all rows.
        dispatched: Whether another machine has ordered its stages, and holds their locks.
    """

    pipeline: str
    command: tuple[str, ...] = ()
    profile: str | None = None
    group: str | None = None
    grid: dict[str, str] = field(default_factory=dict)
    segment: str = ""
    dispatched: bool = False


def initial_record(record: RunRecord, planner: Planner, options: RunOptions) -> RunRecord:
    """Return the record of a new run with its options, versions and waiting stages."""
    graph = planner.graph
    stages = {
        name: StageRecord(
            title=stage.title,
            description=stage.description,
            parameters=planner.values[name],
            reads=dict.fromkeys(stage.reads),
            producers={a: graph.producers[a] for a in stage.reads if a in graph.producers},
        )
        for name, stage in graph.stages.items()
    }
    return replace(
        record,
        command=options.command,
        profile=options.profile,
        group=options.group,
        grid=options.grid,
        segment=options.segment,
        mlnb_version=mlnb.__version__,
        python_version=sys.version.split()[0],
        platform=sys.platform,
        git=git_state(planner.project.root),
        order=tuple(graph.stages),
        stages=stages,
    )


def git_state(root: Path) -> GitState | None:
    """Return the commit of the checkout around `root`; None outside of a checkout or without git."""
    command = ["git", "-C", str(root), "status", "--porcelain=v2", "--branch", "--untracked-files=no"]
    try:
        text = subprocess.run(command, capture_output=True, text=True, timeout=5, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    lines = text.splitlines()
    commit = next((line.split()[-1] for line in lines if line.startswith("# branch.oid")), "")
    return GitState(commit=commit, dirty=any(not line.startswith("#") for line in lines))
