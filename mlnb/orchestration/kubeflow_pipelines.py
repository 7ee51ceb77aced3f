"""A pipeline as one of Kubeflow Pipelines: the compiled form of version 2, with the platform settings of Kubernetes.

The form is that of kfp 2.17: https://www.kubeflow.org/docs/components/pipelines/user-guides/core-functions/compile-a-pipeline/.
"""

import shlex
from collections.abc import Sequence
from typing import Any

from mlnb.monitoring.schedules import SECRETS
from mlnb.orchestration.readable_yaml import dump_yaml
from mlnb.orchestration.task_graphs import ACTIONS_FOLDER, CLAIM, FINISH, PLAN, PROJECT, SECRET, TaskGraph
from mlnb.settings import ProcessSettings

SDK = "kfp-2.17.3"
CHANNEL = "pipelinechannel--plan-"  # Kubeflow's prefix of a value that one task hands to another


def write_kubeflow(tasks: TaskGraph, image: str) -> str:
    """Return the compiled pipeline as YAML; Kubeflow's own cache is off, as mlnb knows what has changed.

    Args:
        tasks: The pipeline.
        image: Image with mlnb and the project, by digest.
    """
    names = [task.name for task in tasks.tasks]
    components: dict[str, Any] = {}
    executors: dict[str, Any] = {}
    nodes: dict[str, Any] = {PLAN: _node(PLAN, ())}
    outputs = {name: {"parameterType": "STRING"} for name in names}
    components[f"comp-{PLAN}"] = {"executorLabel": f"exec-{PLAN}", "outputDefinitions": {"parameters": outputs}}
    executors[f"exec-{PLAN}"] = {"container": _plan_container(tasks, names, image)}
    for task in tasks.tasks:
        inner = f"stages-{task.name}"
        components[f"comp-{inner}"] = {"executorLabel": f"exec-{inner}"}
        executors[f"exec-{inner}"] = {"container": _container(tasks.command(task), image)}
        channel = CHANNEL + task.name
        components[f"comp-{task.name}"] = {
            "dag": {"tasks": {inner: _node(inner, ())}},
            "inputDefinitions": {"parameters": {channel: {"parameterType": "STRING"}}},
        }
        value = {"taskOutputParameter": {"outputParameterKey": task.name, "producerTask": PLAN}}
        nodes[task.name] = {
            **_node(task.name, (PLAN, *task.upstream), cached=None),
            "inputs": {"parameters": {channel: value}},
            "triggerPolicy": {"condition": f"inputs.parameter_values['{channel}'] == 'run'"},
        }
    components[f"comp-{FINISH}"] = {"executorLabel": f"exec-{FINISH}"}
    executors[f"exec-{FINISH}"] = {"container": _container(tasks.finish_command, image)}
    nodes[FINISH] = _node(FINISH, tasks.leaves)
    pipeline = {
        "components": components,
        "deploymentSpec": {"executors": executors},
        "pipelineInfo": {"name": tasks.name},
        "root": {"dag": {"tasks": nodes}},
        "schemaVersion": "2.1.0",
        "sdkVersion": SDK,
    }
    settings = {name: _platform() for name in executors}
    platforms = {"platforms": {"kubernetes": {"deploymentSpec": {"executors": settings}}}}
    return dump_yaml([pipeline, platforms])


def _node(name: str, upstream: Sequence[str], cached: bool | None = False) -> dict[str, Any]:
    """Return a task; `cached` None: it is a condition, which has no cache."""
    return {
        **({} if cached is None else {"cachingOptions": {}}),
        "componentRef": {"name": f"comp-{name}"},
        **({"dependentTasks": list(upstream)} if upstream else {}),
        "taskInfo": {"name": name},
    }


def _container(command: Sequence[str], image: str) -> dict[str, Any]:
    return {
        "image": image,
        "command": ["sh", "-c", f'cd {PROJECT} && exec "$@"', "sh", *command],
        "env": [{"name": ProcessSettings.actor.variable, "value": "kubeflow"}],
        "resources": {
            "cpuRequest": 1.0,
            "memoryLimit": 4.294967296,
            "memoryRequest": 1.073741824,
            "resourceCpuRequest": "1",
            "resourceMemoryLimit": "4Gi",
            "resourceMemoryRequest": "1Gi",
        },
    }


def _plan_container(tasks: TaskGraph, names: Sequence[str], image: str) -> dict[str, Any]:
    """Return the container that copies the action of each task to the file that Kubeflow reads it from."""
    plan = shlex.join((*tasks.plan_command, "--actions", ACTIONS_FOLDER))
    copy = f'mkdir -p "$(dirname "$1")" && cp {ACTIONS_FOLDER}/"$name" "$1" && shift'
    script = f"cd {PROJECT} && {plan} && for name in {' '.join(names)}; do {copy} || exit 1; done"
    files = [f"{{{{$.outputs.parameters['{name}'].output_file}}}}" for name in names]
    return {**_container((), image), "command": ["sh", "-c", script, "sh"], "args": files}


def _platform() -> dict[str, Any]:
    claim = {"constant": CLAIM}
    return {
        "pvcMount": [{**claim, "mountPath": PROJECT, "pvcNameParameter": {"runtimeValue": claim}}],
        "secretAsEnv": [
            {
                "keyToEnv": [{"envVar": name, "secretKey": name} for name in SECRETS],
                "optional": True,
                "secretName": SECRET,
                "secretNameParameter": {"runtimeValue": {"constant": SECRET}},
            }
        ],
        "securityContext": {"runAsNonRoot": True, "runAsUser": "10001"},
    }
