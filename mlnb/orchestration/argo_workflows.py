"""A pipeline as a workflow of Argo: https://argo-workflows.readthedocs.io/en/latest/fields/."""

from typing import Any

from mlnb.orchestration.readable_yaml import dump_yaml
from mlnb.orchestration.task_graphs import ACTIONS_FOLDER, CLAIM, FINISH, PLAN, PROJECT, SECRET, Task, TaskGraph
from mlnb.settings import ProcessSettings


def write_argo(tasks: TaskGraph, image: str, when: str) -> str:
    """Return a WorkflowTemplate, and a CronWorkflow when there is a schedule, as YAML.

    Args:
        tasks: The pipeline.
        image: Image with mlnb and the project, by digest.
        when: Cron expression; empty: the workflow is started by hand.
    """
    documents = [workflow_template(tasks, image)]
    if when:
        documents.append(cron_workflow(tasks, when))
    return dump_yaml(documents)


def workflow_template(tasks: TaskGraph, image: str) -> dict[str, Any]:
    """Return the WorkflowTemplate: a plan, the tasks that it does not reuse, and the run that completes them."""
    nodes: list[dict[str, Any]] = [{"name": PLAN, "template": PLAN}]
    nodes += [_node(task) for task in tasks.tasks]
    nodes.append({"name": FINISH, "template": FINISH, "depends": _after(tasks.leaves)})
    plan = _template(PLAN, (*tasks.plan_command, "--actions", ACTIONS_FOLDER), image)
    plan["outputs"] = {
        "parameters": [
            {"name": task.name, "valueFrom": {"path": f"{ACTIONS_FOLDER}/{task.name}"}} for task in tasks.tasks
        ]
    }
    templates = [
        {"name": "pipeline", "dag": {"tasks": nodes}},
        plan,
        *(_template(f"stages-{task.name}", tasks.command(task), image) for task in tasks.tasks),
        _template(FINISH, tasks.finish_command, image),
    ]
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "WorkflowTemplate",
        "metadata": {"name": tasks.name},
        "spec": {
            "entrypoint": "pipeline",
            "synchronization": {"mutexes": [{"name": tasks.name}]},
            "podGC": {"strategy": "OnPodSuccess"},
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": 10001,
                "fsGroup": 10001,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "volumes": [{"name": "project", "persistentVolumeClaim": {"claimName": CLAIM}}],
            "templates": templates,
        },
    }


def cron_workflow(tasks: TaskGraph, when: str) -> dict[str, Any]:
    """Return the CronWorkflow that starts the template; a run that is late is not started twice."""
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "CronWorkflow",
        "metadata": {"name": tasks.name},
        "spec": {
            "schedules": [when],
            "concurrencyPolicy": "Forbid",
            "workflowSpec": {"workflowTemplateRef": {"name": tasks.name}},
        },
    }


def _node(task: Task) -> dict[str, Any]:
    upstream = (PLAN, *task.upstream)
    return {
        "name": task.name,
        "template": f"stages-{task.name}",
        "depends": _after(upstream),
        "when": f"{{{{tasks.{PLAN}.outputs.parameters.{task.name}}}}} == run",
    }


def _after(names: tuple[str, ...]) -> str:
    """Return the condition that tasks have succeeded, or were left out because their stages are reused."""
    return " && ".join(name if name == PLAN else f"({name}.Succeeded || {name}.Skipped)" for name in names)


def _template(name: str, command: tuple[str, ...], image: str) -> dict[str, Any]:
    return {
        "name": name,
        "retryStrategy": {"limit": 2, "retryPolicy": "OnError"},  # of lost pods; a failed stage fails again
        "container": {
            "image": image,
            "command": list(command),
            "workingDir": PROJECT,
            "env": [{"name": ProcessSettings.actor.variable, "value": "argo"}],
            "envFrom": [{"secretRef": {"name": SECRET, "optional": True}}],
            "resources": {"requests": {"cpu": "1", "memory": "1Gi"}, "limits": {"memory": "4Gi"}},
            "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
            "volumeMounts": [{"name": "project", "mountPath": PROJECT}],
        },
    }
