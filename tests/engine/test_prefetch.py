"""Stages start when the artifacts that they read are saved; their notebooks start before that."""

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import toys
import waiting
from in_process import mlnb_with_kernels
from waiting import wait_for

from mlnb.engine import runs
from mlnb.engine.artifacts import LARGE
from mlnb.engine.events import EventDispatcher
from mlnb.engine.formats import save_object
from mlnb.engine.graph import build_graph
from mlnb.engine.initial_record import RunOptions
from mlnb.engine.notebook import read_notebooks
from mlnb.engine.parameter_values import RequestedValues, resolve_values
from mlnb.engine.pipeline import Pipeline
from mlnb.engine.plan import Planner
from mlnb.engine.plan_steps import Step, StepAction, select
from mlnb.engine.prefetch import Prefetcher
from mlnb.engine.project import Project
from mlnb.engine.stage_files import StageInputs, StageReport, inputs_path, read_record, report_path, write_record
from mlnb.engine.stage_jobs import Job, OnCell, Outcome, OutcomeState


def wait(file: str) -> str:
    """Code that goes on once a file is there."""
    helper = Path(waiting.__file__).read_text()
    return f"\n{helper}\nimport pathlib\nwait_for(pathlib.Path({file!r}).exists, 60, 'the file')\n"


def touch(file: str) -> str:
    return f"import pathlib; pathlib.Path({file!r}).touch()"


def two(root: Path, first: str, second: str = 'stage.save("second", stage.load("first") + 1)', **more: str) -> Path:
    """A project whose stages are `zero`, `first`, and `second`, which reads `first`."""
    return toys.project(
        root,
        {
            "05_zero": toys.stage("zero", 'stage.save("zero", 0)', writes={"zero": "nought"}),
            "10_first": toys.stage("first", first, ["zero"], {"first": "one"}),
            "20_second": toys.stage("second", second, ["first"], {"second": "two"}, **more),
        },
    )


def test_a_stage_starts_once_what_it_reads_is_saved(toy_root: Path) -> None:
    first = 'stage.save("first", 1)' + wait("second")  # ends only when the second has run
    root = two(toy_root, first, 'stage.save("second", stage.load("first") + 1)\n' + touch("second"))
    mlnb_with_kernels(root, "run", "--no-report")
    stages = toys.record(root)["stages"]
    assert toys.states(root) == {"zero": "finished", "first": "finished", "second": "finished"}
    assert stages["second"]["started"] < stages["first"]["finished"]
    assert stages["second"]["reads"]["first"] == stages["first"]["outputs"]["first"]["digest"]
    assert "Nothing to do" in mlnb_with_kernels(root, "run", "--no-report")


def test_one_worker_runs_one_stage_at_a_time(toy_root: Path) -> None:
    root = two(toy_root, 'stage.save("first", 1)\nimport time; time.sleep(1)')
    mlnb_with_kernels(root, "run", "--no-report", "--workers", "1")
    stages = toys.record(root)["stages"]
    assert stages["second"]["started"] >= stages["first"]["finished"]


def test_artifacts_saved_before_a_failure_are_kept(toy_root: Path) -> None:
    first = f'stage.save("first", 1){wait("second")}1 / 0'
    root = two(toy_root, first, 'stage.save("second", stage.load("first") + 1)\n' + touch("second"))
    text = mlnb_with_kernels(root, "run", "--no-report", code=3)
    assert "stage first" in text and "ZeroDivisionError" in text
    assert toys.states(root) == {"zero": "finished", "first": "failed", "second": "waiting"}  # its producer failed
    toys.edit(root, "10_first", "1 / 0", "pass")
    mlnb_with_kernels(root, "run", "--no-report")
    assert toys.states(root) == {"zero": "reused", "first": "finished", "second": "reused"}


@pytest.mark.parametrize("engine", ["warm", "standard"])
def test_a_notebook_starts_before_its_inputs_exist(toy_root: Path, engine: str) -> None:
    first = wait("begun") + 'stage.save("first", 1)'  # is saved only when the second notebook has begun
    root = two(toy_root, first, functions=touch("begun"))
    mlnb_with_kernels(root, "run", "--no-report", env={"MLNB_KERNELS": engine})
    record = toys.record(root)
    assert set(toys.states(root).values()) == {"finished"}
    cells = json.loads((toy_root / "runs" / record["id"] / "notebooks" / "20_second.ipynb").read_text())["cells"]
    counts = [cell["execution_count"] for cell in cells if cell["cell_type"] == "code"]
    assert counts == list(range(1, len(counts) + 1))
    began = next(cell["metadata"]["papermill"] for cell in cells if "begun" in "".join(cell["source"]))
    assert began["end_time"] < record["stages"]["second"]["started"][:-1]
    assert not toys.kernels(root)


def test_a_prefetched_notebook_that_is_not_needed_is_ended(toy_root: Path) -> None:
    root = two(toy_root, 'stage.save("first", 1)', functions="import pathlib; pathlib.Path('begun').touch()")
    mlnb_with_kernels(root, "run", "--no-report")
    (toy_root / "nbs" / "stages" / "begun").unlink()
    toys.edit(root, "10_first", 'stage.save("first", 1)', wait("begun") + 'stage.save("first", 1)')
    mlnb_with_kernels(root, "run", "--no-report")
    assert toys.states(root) == {"zero": "reused", "first": "finished", "second": "reused"}
    assert not toys.kernels(root)


def test_a_failure_before_the_opening_cell_fails_the_stage(toy_root: Path) -> None:
    first = wait("begun") + 'stage.save("first", 1)'
    root = two(toy_root, first, functions=touch("begun") + "\n1 / 0")
    text = mlnb_with_kernels(root, "run", "--no-report", code=3)
    assert "stage second" in text and "ZeroDivisionError" in text and not toys.kernels(root)
    assert toys.states(root) == {"zero": "finished", "first": "finished", "second": "failed"}
    toys.edit(root, "20_second", "\n1 / 0", "")
    mlnb_with_kernels(root, "run", "--no-report")
    assert toys.states(root) == {"zero": "reused", "first": "reused", "second": "finished"}


def test_snapshots_start_at_the_opening_cell(toy_root: Path) -> None:
    first = wait("begun") + 'stage.save("first", 1)'
    second = 'stage.save("second", stage.load("first") / 0)'
    root = two(toy_root, first, second, functions=touch("begun"))
    text = mlnb_with_kernels(root, "run", "--no-report", code=3)
    assert "mlnb debug" in text
    toys.edit(root, "20_second", "/ 0", "+ 1")
    assert "continues at cell" in mlnb_with_kernels(root, "plan")
    mlnb_with_kernels(root, "run", "--no-report")
    assert "continues at cell" in toys.record(root)["stages"]["second"]["reason"]
    assert "starts at the first cell" not in toys.record(root)["stages"]["second"]["reason"]


class Twice:
    """An executor whose first stage saves other bytes in the end than at first, as a kernel that died could have."""

    def __init__(self, root: Path) -> None:
        self.project = Project.find(root)
        self.begun: list[str] = []
        self.ends: list[Callable[[], None]] = []

    def prepare(self, job: Job) -> bool:
        """Begin nothing ahead."""
        return False

    def discard(self, target: Path) -> None:
        """There is nothing to end."""

    def trim(self) -> None:
        """There is nothing to let go of."""

    def execute(self, job: Job, on_cell: OnCell) -> Outcome:
        """Report the events that a session would have reported."""
        self.begun.append(job.stage)
        folder = self.project.runs / job.environment["MLNB_RUN"] / "stages"
        inputs = read_record(StageInputs, inputs_path(folder, job.stage))
        assert inputs is not None

        def say(value: Any, closed: bool) -> None:
            output = save_object(self.project.store, value, "x")
            report = StageReport(attempt=inputs.attempt, outputs={job.stage: output}, closed=closed)
            write_record(report_path(folder, job.stage), report)

        if job.stage == "first":
            say("early", closed=False)
            wait_for(lambda: "second" in self.begun, 60, "the start of the second stage")
            say("late", closed=True)
        else:
            first = inputs.inputs.get("first")
            say([job.stage, first.digest if first else None], closed=True)
        job.target.parent.mkdir(exist_ok=True)
        job.target.write_text("{}")
        return Outcome(state=OutcomeState.FINISHED)

    def interrupt(self) -> None:
        """Nothing runs for long."""


def test_readers_of_an_artifact_that_was_saved_again_rerun(toy_root: Path) -> None:
    root = two(toy_root, "pass")
    project, executor = Project.find(root), Twice(root)
    graph = build_graph(read_notebooks(project.notebooks), ["zero", "first", "second"])
    planner = Planner(
        project, graph, resolve_values(graph.stages, list(graph.stages), RequestedValues()), select(graph)
    )
    run = Pipeline(planner, executor, EventDispatcher([]), RunOptions(pipeline="train")).execute()
    assert executor.begun.count("second") == 2 and executor.begun.count("first") == 1
    stages = run.stages
    assert run.state == "finished" and stages["second"].state == "finished"
    assert run.load("first") == "late"
    assert run.load("second") == ["second", stages["first"].outputs["first"].digest]
    assert stages["second"].reads["first"] == stages["first"].outputs["first"].digest


class EditedAtFirst(Twice):
    """An executor before whose first cell somebody edits the notebook that is being read."""

    def execute(self, job: Job, on_cell: OnCell) -> Outcome:
        """Edit, begin, and go on."""
        if not self.begun:
            toys.edit(self.project.root, "05_zero", '"zero", 0', '"zero", 1')
        on_cell(0, 9, "")
        return super().execute(job, on_cell)


def test_code_that_is_edited_while_a_stage_starts_has_no_result_of_the_planned_code(toy_root: Path) -> None:
    root = two(toy_root, "pass")
    (root / "settings.ini").write_text(
        (root / "settings.ini").read_text().replace("[mlnb]", "[mlnb]\nretry_seconds = 0.1")
    )
    project, executor = Project.find(root), EditedAtFirst(root)
    graph = build_graph(read_notebooks(project.notebooks), ["zero", "first", "second"])
    values = resolve_values(graph.stages, list(graph.stages), RequestedValues())
    planner = Planner(project, graph, values, select(graph))
    planned = planner.step("zero", {}).key
    run = Pipeline(planner, executor, EventDispatcher([]), RunOptions(pipeline="train")).execute()
    assert run.state == "finished" and executor.begun.count("zero") == 2
    assert planned is not None and project.store.result(planned) is None
    assert run.stages["zero"].key not in (None, planned) and len(run.stages["zero"].attempts) == 1


EDIT = """
import pathlib, time
path = pathlib.Path("20_second.ipynb")
text = path.read_text()
assert {old!r} in text
path.write_text(text.replace({old!r}, {new!r}))
"""


def edit(old: str, new: str) -> str:
    """Code of the first stage that edits the second's notebook and then saves."""
    return EDIT.format(old=old, new=new) + 'stage.save("first", 1)'


def test_a_notebook_edited_during_a_run_is_executed_as_edited(toy_root: Path) -> None:
    root = two(toy_root, wait("begun") + edit("+ 1)", "+ 2)"), functions=touch("begun"))
    mlnb_with_kernels(root, "run", "--no-report")
    record = toys.record(root)
    assert runs.open_run(Project.find(root)).load("second") == 3
    steps = json.loads(mlnb_with_kernels(root, "plan", "--json"))["stages"]
    assert [step["action"] for step in steps] == ["reuse"] * 3  # the result is known by the code that made it
    toys.edit(root, "20_second", "+ 2)", "+ 1)")
    mlnb_with_kernels(root, "run", "--no-report")
    assert runs.open_run(Project.find(root)).load("second") == 2
    assert toys.record(root)["stages"]["second"]["key"] != record["stages"]["second"]["key"]


def test_an_edit_that_breaks_the_graph_of_a_run_is_reported(toy_root: Path) -> None:
    second = 'stage.save("second", stage.load("first") + 1)'
    root = two(toy_root, edit("reads=['first']", "reads=['first', 'zero']"), second)
    text = mlnb_with_kernels(root, "run", "--no-report", code=3)
    assert "20_second.ipynb: its parameters, reads or writes were changed during the run" in text
    assert toys.states(root) == {"zero": "finished", "first": "finished", "second": "failed"}
    toys.edit(root, "10_first", edit("reads=['first']", "reads=['first', 'zero']"), 'stage.save("first", 1)')
    mlnb_with_kernels(root, "run", "--no-report")
    assert set(toys.states(root).values()) <= {"finished", "reused"}


def test_readers_of_a_large_artifact_wait_for_the_end_of_its_producer(toy_root: Path) -> None:
    first = f"import numpy as np, time\nstage.save('first', np.zeros({LARGE // 8}))\ntime.sleep(1)"
    root = two(toy_root, first, 'stage.save("second", len(stage.load("first")))', functions="import math")
    mlnb_with_kernels(root, "run", "--no-report")
    stages = toys.record(root)["stages"]
    assert stages["second"]["started"] >= stages["first"]["finished"]
    assert runs.open_run(Project.find(root)).load("second") == LARGE // 8


def test_a_stage_that_the_executor_refuses_is_tried_again() -> None:
    readers: dict[str, tuple[str, ...]] = {"zero": (), "first": (), "second": ("first",)}
    graph = SimpleNamespace(
        stages={name: SimpleNamespace(reads=[*parents, "data"]) for name, parents in readers.items()},
        parents=readers.__getitem__,
        by_priority=sorted,
    )
    step = Step(name="second", action=StepAction.RUN, reason="")
    planner = SimpleNamespace(
        graph=graph,
        selection=SimpleNamespace(selected=set(readers)),
        refresh=lambda name: None,
        step=lambda name, outputs: step,
    )
    refusals = iter([False, True])
    executor = SimpleNamespace(prepare=lambda job: next(refusals))
    jobs = SimpleNamespace(job=lambda stage, attempt: attempt)
    artifacts = SimpleNamespace(any_large=False, parent_outputs=lambda name: {})
    prefetcher = Prefetcher(cast(Any, executor), cast(Any, jobs), cast(Any, planner))
    for _ in range(4):  # the third and the fourth time there is nothing left to prepare
        prefetcher.choose({"second"}, {"first"}, cast(Any, artifacts))
    assert next(refusals, None) is None and prefetcher.take(step)
