"""Checks and runs a workflow of Argo as its controller does: the subset that mlnb writes."""

import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import toys

from mlnb.engine.graph import build_graph
from mlnb.engine.notebook import read_notebooks
from mlnb.orchestration.task_graphs import Granularity, TaskGraph, make_task_graph

IMAGE = f"registry.internal/mlnb@sha256:{'0' * 64}"
KEYS = {  # fields of Argo 3.6 by kind of object; those of containers are Kubernetes'
    "document": {"apiVersion", "kind", "metadata", "spec"},
    "WorkflowTemplate": {"entrypoint", "synchronization", "podGC", "securityContext", "volumes", "templates"},
    "CronWorkflow": {"schedules", "concurrencyPolicy", "workflowSpec"},
    "template": {"name", "dag", "container", "outputs", "retryStrategy"},
    "node": {"name", "template", "depends", "when"},
    "retry": {"limit", "retryPolicy"},
    "container": {
        *("image", "command", "workingDir", "env", "envFrom", "resources", "securityContext", "volumeMounts"),
    },
}
PARAMETER = re.compile(r"\{\{tasks\.([\w-]+)\.outputs\.parameters\.([\w-]+)\}\}")


def chain_tasks(root: Path, granularity: Granularity = Granularity.STAGE) -> TaskGraph:
    """Return the tasks of `toys.chain`, which is written into a folder."""
    notebooks = read_notebooks(toys.chain(root) / "nbs" / "stages")
    graph = build_graph(notebooks, ["number", "double", "note", "total"])
    return make_task_graph("train", graph, granularity, ["-p", "number", "4"])


def problems(document: dict[str, Any]) -> Iterator[str]:
    """Yield unknown keys, and references to templates, tasks and parameters that do not exist."""
    yield from _unknown(document, "document")
    spec = document["spec"]
    yield from _unknown(spec, document["kind"])
    if document["kind"] != "WorkflowTemplate":
        return
    templates = {template["name"]: template for template in spec["templates"]}
    if spec["entrypoint"] not in templates:
        yield f"no template {spec['entrypoint']}"
    for template in templates.values():
        yield from _unknown(template, "template")
        yield from _unknown(template.get("container", {}), "container")
        yield from _unknown(template.get("retryStrategy", {}), "retry")
    nodes = {node["name"]: node for node in templates[spec["entrypoint"]]["dag"]["tasks"]}
    for node in nodes.values():
        yield from _unknown(node, "node")
        if node["template"] not in templates:
            yield f"no template {node['template']}"
        for name in _awaited(node):
            if name not in nodes:
                yield f"no task {name}"
        for task, parameter in PARAMETER.findall(node.get("when", "")):
            outputs = templates.get(nodes.get(task, {}).get("template"), {}).get("outputs", {}).get("parameters", [])
            if parameter not in [output["name"] for output in outputs] or task not in _awaited(node):
                yield f"no parameter {parameter} of {task}"


def execute(document: dict[str, Any], run: Callable[[list[str]], object]) -> dict[str, str]:
    """Run the commands of a workflow in an order that its conditions allow; return Succeeded or Skipped by task.

    Args:
        document: A WorkflowTemplate.
        run: Runs a command.
    """
    templates = {template["name"]: template for template in document["spec"]["templates"]}
    waiting = {node["name"]: node for node in templates[document["spec"]["entrypoint"]]["dag"]["tasks"]}
    ended: dict[str, str] = {}
    values: dict[tuple[str, str], str] = {}
    while waiting:
        ready = next(node for node in waiting.values() if {*_awaited(node)} <= {*ended})
        del waiting[ready["name"]]
        when = PARAMETER.sub(lambda match: values[match[1], match[2]], ready.get("when", "a == a"))
        left, _, right = when.partition(" == ")
        if left != right:
            ended[ready["name"]] = "Skipped"
            continue
        template = templates[ready["template"]]
        run(template["container"]["command"])
        for output in template.get("outputs", {}).get("parameters", []):
            values[ready["name"], output["name"]] = Path(output["valueFrom"]["path"]).read_text()
        ended[ready["name"]] = "Succeeded"
    return ended


def moved(document: dict[str, Any], folder: Path, to: Path) -> dict[str, Any]:
    """Return a document with another folder for what the tasks hand to each other."""
    shutil.rmtree(to, ignore_errors=True)

    def replace(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: replace(item) for key, item in value.items()}
        if isinstance(value, list):
            return [replace(item) for item in value]
        return value.replace(str(folder), str(to)) if isinstance(value, str) else value

    return dict(replace(document))


def _awaited(node: dict[str, Any]) -> list[str]:
    return [name.partition(".")[0] for name in re.findall(r"[\w-]+(?:\.\w+)?", node.get("depends", ""))]


def _unknown(value: dict[str, Any], kind: str) -> Iterator[str]:
    for key in value:
        if key not in KEYS[kind]:
            yield f"unknown key {key}"
