"""The DAG of Airflow: its tasks, their order and their commands, with stand-ins for Airflow's classes."""

import shlex
import sys
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar

import pytest
from workflow_engine import IMAGE, chain_tasks

from mlnb.orchestration.airflow_dags import write_airflow
from mlnb.orchestration.task_graphs import TaskGraph


class Operator:
    """Takes the arguments of an operator, and what follows it."""

    created: ClassVar[list["Operator"]] = []

    def __init__(self, **arguments: Any) -> None:
        self.arguments, self.downstream = arguments, list[Operator]()
        self.created.append(self)

    def __rshift__(self, other: "Operator") -> "Operator":
        self.downstream.append(other)
        return other


class Dag:
    """Takes the arguments of a DAG."""

    last: "Dag"

    def __init__(self, **arguments: Any) -> None:
        self.arguments = arguments
        Dag.last = self

    def __enter__(self) -> "Dag":
        return self

    def __exit__(self, *_: object) -> None:
        return None


class Anything(ModuleType):
    """A module whose classes keep their arguments."""

    def __getattr__(self, name: str) -> Any:
        return lambda **arguments: (name, arguments)


def loaded(monkeypatch: pytest.MonkeyPatch, text: str) -> tuple[dict[str, Any], dict[str, Operator]]:
    """Return the names of a DAG's file, and its operators by task."""
    classes = {
        "airflow.sdk": ("DAG", Dag),
        "airflow.providers.standard.operators.bash": ("BashOperator", Operator),
        "airflow.providers.standard.operators.python": ("ShortCircuitOperator", Operator),
        "airflow.providers.cncf.kubernetes.operators.pod": ("KubernetesPodOperator", Operator),
    }
    for name, (attribute, value) in classes.items():
        module = ModuleType(name)
        setattr(module, attribute, value)
        monkeypatch.setitem(sys.modules, name, module)
    client = ModuleType("kubernetes.client")
    client.models = Anything("models")  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "kubernetes.client", client)
    monkeypatch.setattr(Operator, "created", [])
    names: dict[str, Any] = {}
    exec(compile(text, "dag.py", "exec"), names)
    return names, {operator.arguments["task_id"]: operator for operator in Operator.created}


def test_tasks_wait_for_their_inputs_and_for_the_plan(monkeypatch, tmp_path):
    tasks = chain_tasks(tmp_path / "my project")
    text = write_airflow(tasks, tmp_path / "my project", "", "0 3 * * *")
    _, operators = loaded(monkeypatch, text)
    after = {name: {other.arguments["task_id"] for other in one.downstream} for name, one in operators.items()}
    stages = [task.name for task in tasks.tasks]
    assert after["plan"] == {f"{name}-needed" for name in stages}
    assert all(after[f"{name}-needed"] == {name} for name in stages)
    assert after["number"] == {"double", "note"} and after["double"] == after["note"] == {"total"}
    assert after["total"] == {"finish"} and after["finish"] == set()
    assert Dag.last.arguments["schedule"] == "0 3 * * *" and Dag.last.arguments["dag_id"] == "mlnb-train"
    command = operators["double"].arguments["bash_command"].removeprefix("{% raw %}").removesuffix("{% endraw %}")
    assert shlex.split(command) == ["mlnb", "run", "train", "-p", "number", "4", "--only", "double"]
    assert operators["double"].arguments["cwd"] == str(tmp_path / "my project")
    assert "import mlnb" not in text and "from mlnb" not in text


def test_a_task_is_skipped_when_the_plan_reuses_its_stages(monkeypatch, tmp_path):
    names, operators = loaded(monkeypatch, write_airflow(chain_tasks(tmp_path), tmp_path, "", ""))
    assert Dag.last.arguments["schedule"] is None

    class Instance:
        def __init__(self, plan: object) -> None:
            self.plan = plan

        def xcom_pull(self, task_ids: str) -> object:
            assert task_ids == "plan"
            return self.plan

    plan = {"tasks": {"double": "run", "note": "reuse"}}
    for stated in (plan, '{"tasks": {"double": "run", "note": "reuse"}}'):
        assert names["needed"]("double", Instance(stated)) and not names["needed"]("note", Instance(stated))
    checks = [one.arguments for name, one in operators.items() if name.endswith("-needed")]
    assert {one["ignore_downstream_trigger_rules"] for one in checks} == {False}
    assert operators["total"].arguments["trigger_rule"] == "none_failed"


def test_with_an_image_tasks_are_pods(monkeypatch, tmp_path):
    _, operators = loaded(monkeypatch, write_airflow(chain_tasks(tmp_path), tmp_path, IMAGE, ""))
    pod = operators["double"].arguments
    assert pod["image"] == IMAGE and not pod["do_xcom_push"] and operators["plan"].arguments["do_xcom_push"]
    assert operators["plan"].arguments["cmds"][2].endswith("--json > /airflow/xcom/return.json{% endraw %}")
    assert pod["cmds"][2] == "{% raw %}cd /project && mlnb run train -p number 4 --only double{% endraw %}"


@pytest.mark.parametrize("option", ["it's {{ ds }}", 'a "quoted" \\ word', "Maße für Köln", "{% if %}"])
def test_options_arrive_as_they_are(monkeypatch, tmp_path, option):
    tasks = TaskGraph(pipeline="train", tasks=chain_tasks(tmp_path).tasks, options=("--target", option))
    _, operators = loaded(monkeypatch, write_airflow(tasks, Path("/srv/project"), "", ""))
    command = operators["finish"].arguments["bash_command"].removeprefix("{% raw %}").removesuffix("{% endraw %}")
    assert shlex.split(command) == ["mlnb", "run", "train", "--target", option]
