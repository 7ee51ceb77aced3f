"""A pipeline as a DAG of Airflow 3, in a Python file that imports nothing of mlnb."""

import json
import shlex
from collections.abc import Mapping
from pathlib import Path

from mlnb.orchestration.task_graphs import FINISH, PLAN, TaskGraph
from mlnb.settings import ProcessSettings

HEAD = '''"""{title}

Written by `mlnb schedule --to airflow`. The task `plan` finds the tasks whose stages have not changed, and these are
skipped. A lost worker is retried; all tasks can be run again, as a stage that has been stored is reused.
"""

import json
from datetime import timedelta
from typing import Any

{imports}
from airflow.sdk import DAG

COMMANDS = {commands}
UPSTREAM = {upstream}
PLAN, FINISH = "{plan}", "{finish}"
'''

BASH = """
PROJECT = {project}


def make(name: str, command: str) -> BashOperator:
    return BashOperator(
        task_id=name,
        bash_command=f"{{{{% raw %}}}}{{command}}{{{{% endraw %}}}}",
        cwd=PROJECT,
        env={{"{actor}": "airflow"}},
        append_env=True,
        trigger_rule="none_failed",
    )
"""

POD = """
IMAGE = "{image}"


def make(name: str, command: str) -> KubernetesPodOperator:
    script = f"cd /project && {{command}}" + (" > /airflow/xcom/return.json" if name == PLAN else "")
    volume = k8s.V1PersistentVolumeClaimVolumeSource(claim_name="mlnb-project")
    secret = k8s.V1SecretEnvSource(name="mlnb-secrets", optional=True)
    return KubernetesPodOperator(
        task_id=name,
        name=f"mlnb-{{name}}",
        image=IMAGE,
        cmds=["sh", "-c", f"{{{{% raw %}}}}{{script}}{{{{% endraw %}}}}"],
        do_xcom_push=name == PLAN,
        env_vars={{"{actor}": "airflow"}},
        env_from=[k8s.V1EnvFromSource(secret_ref=secret)],
        volumes=[k8s.V1Volume(name="project", persistent_volume_claim=volume)],
        volume_mounts=[k8s.V1VolumeMount(name="project", mount_path="/project")],
        container_resources=k8s.V1ResourceRequirements(
            requests={{"cpu": "1", "memory": "1Gi"}}, limits={{"memory": "4Gi"}}
        ),
        security_context={{"runAsNonRoot": True, "runAsUser": 10001}},
        container_security_context={{"allowPrivilegeEscalation": False, "capabilities": {{"drop": ["ALL"]}}}},
        trigger_rule="none_failed",
    )
"""

TAIL = '''

def needed(name: str, ti: Any) -> bool:
    """Return whether a stage of the task has to run."""
    plan = ti.xcom_pull(task_ids=PLAN)
    return bool((json.loads(plan) if isinstance(plan, str) else plan)["tasks"][name] == "run")


with DAG(
    dag_id="{dag}",
    schedule={when},
    catchup=False,
    max_active_runs=1,
    default_args={{"retries": 1, "retry_delay": timedelta(minutes=1)}},
    tags=["mlnb"],
) as dag:
    tasks = {{name: make(name, command) for name, command in COMMANDS.items()}}
    for name, upstream in UPSTREAM.items():
        if name not in (PLAN, FINISH):
            check = ShortCircuitOperator(
                task_id=f"{{name}}-needed",
                python_callable=needed,
                op_args=[name],
                ignore_downstream_trigger_rules=False,
            )
            tasks[PLAN] >> check >> tasks[name]
        for other in upstream:
            tasks[other] >> tasks[name]
'''

BASH_IMPORTS = """from airflow.providers.standard.operators.bash import BashOperator
from airflow.providers.standard.operators.python import ShortCircuitOperator"""
POD_IMPORTS = """from airflow.providers.cncf.kubernetes.operators.pod import KubernetesPodOperator
from airflow.providers.standard.operators.python import ShortCircuitOperator
from kubernetes.client import models as k8s"""


def write_airflow(tasks: TaskGraph, project: Path, image: str, when: str) -> str:
    """Return the file of the DAG.

    Args:
        tasks: The pipeline.
        project: Folder of the project on the workers; not used with an image.
        image: Image with mlnb and the project, by digest, for a pod per task; empty: the worker runs the commands.
        when: Cron expression; empty: the DAG is started by hand.
    """
    plan = ("mlnb", *tasks.plan_command[1:], "--json")
    commands = {PLAN: shlex.join(plan)}
    commands |= {task.name: shlex.join(tasks.command(task)) for task in tasks.tasks}
    commands[FINISH] = shlex.join(tasks.finish_command)
    upstream: dict[str, list[str]] = {
        PLAN: [],
        **{task.name: list(task.upstream) for task in tasks.tasks},
        FINISH: list(tasks.leaves),
    }
    head = HEAD.format(
        title=f"The pipeline {tasks.pipeline} of mlnb.",
        imports=POD_IMPORTS if image else BASH_IMPORTS,
        commands=_lines(commands),
        upstream=_lines(upstream),
        plan=PLAN,
        finish=FINISH,
    )
    actor = ProcessSettings.actor.variable
    folder = json.dumps(str(project), ensure_ascii=False)
    operator = POD.format(image=image, actor=actor) if image else BASH.format(project=folder, actor=actor)
    return head + operator + TAIL.format(dag=tasks.name, when=json.dumps(when) if when else None)


def _lines(values: Mapping[str, object]) -> str:
    """Return a dictionary of texts and lists of texts as Python, an item a line."""
    items = (f"    {json.dumps(name)}: {json.dumps(value, ensure_ascii=False)},\n" for name, value in values.items())
    return f"{{\n{''.join(items)}}}"
