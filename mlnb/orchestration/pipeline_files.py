"""The files that make an orchestrator run a pipeline; they call the command `mlnb` and import nothing of it."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime

from mlnb.engine.graph import build_graph, unproduced
from mlnb.engine.notebook import read_notebooks
from mlnb.engine.project import Project
from mlnb.engine.run_records import OutputRecord
from mlnb.errors import UsageError
from mlnb.monitoring.schedules import run_times
from mlnb.orchestration.airflow_dags import write_airflow
from mlnb.orchestration.argo_workflows import write_argo
from mlnb.orchestration.github_workflows import write_github_workflow
from mlnb.orchestration.kubeflow_pipelines import write_kubeflow
from mlnb.orchestration.task_graphs import Granularity, TaskGraph, make_task_graph

ORCHESTRATORS = ("airflow", "argo", "kubeflow", "github-actions")
IN_PODS = ("argo", "kubeflow")
UNKNOWN = OutputRecord(digest="", format="", bytes=0, description="of another pipeline's newest run")
DIGEST = re.compile(r"[^\s@]+@sha256:[0-9a-f]{64}")


@dataclass(frozen=True)
class PipelineFiles:
    """What is to be written.

    Attributes:
        to: one of `ORCHESTRATORS`.
        pipeline: name of the pipeline; None: that of the setting.
        granularity: what a task is.
        options: options of `mlnb run` for all tasks.
        image: image with mlnb and the project, by digest; empty: none.
        when: cron expression; empty: the pipeline is started by hand.
    """

    to: str
    pipeline: str | None
    granularity: Granularity
    options: tuple[str, ...] = ()
    image: str = ""
    when: str = ""


def write_pipeline(project: Project, request: PipelineFiles) -> dict[str, str]:
    """Return the text of each file by its path.

    Raises:
        UsageError: an image is missing or named without a digest, or the request cannot be expressed.
        ProjectError: there is no such pipeline.
    """
    if request.image and not DIGEST.fullmatch(request.image):
        raise UsageError(
            f"--image {request.image}: expected a digest, as in registry.internal/mlnb@sha256:0123…; a tag can be "
            "moved to other code between two tasks."
        )
    if request.to in IN_PODS and not request.image:
        raise UsageError(f"{request.to} needs an image with mlnb and the project: --image NAME@sha256:DIGEST.")
    if request.to == "github-actions" and request.granularity == Granularity.STAGE:
        raise UsageError("GitHub Actions hands the store from one job to the next: --by group.")
    if request.when and request.to == "kubeflow":
        raise UsageError("Leave out --when: in Kubeflow a schedule is a recurring run of the pipeline, created there.")
    if request.when:
        next(run_times(request.when, datetime.now(UTC)))
    tasks = _task_graph(project, request)
    if request.to == "airflow":
        return {f"{tasks.name}.py": write_airflow(tasks, project.root, request.image, request.when)}
    if request.to == "argo":
        return {f"{tasks.name}.yaml": write_argo(tasks, request.image, request.when)}
    if request.to == "kubeflow":
        return {f"{tasks.name}.yaml": write_kubeflow(tasks, request.image)}
    path = f".github/workflows/{tasks.name}.yml"
    return {path: write_github_workflow(tasks, request.image, request.when)}


def _task_graph(project: Project, request: PipelineFiles) -> TaskGraph:
    pipeline = request.pipeline or project.settings.pipeline
    notebooks = read_notebooks(project.notebooks, project.source_cache)
    names = project.pipeline(pipeline)
    inputs = unproduced(notebooks, names) if pipeline in project.input_pipelines else set()
    graph = build_graph(notebooks, names, dict.fromkeys(inputs, UNKNOWN))
    return make_task_graph(pipeline, graph, request.granularity, request.options)
