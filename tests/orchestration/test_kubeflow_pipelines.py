"""The compiled pipeline of Kubeflow: valid references, no cache, and a plan that hands over its actions."""

import os
import subprocess

import yaml
from workflow_engine import IMAGE, chain_tasks

from mlnb.orchestration.kubeflow_pipelines import write_kubeflow
from mlnb.orchestration.task_graphs import ACTIONS_FOLDER, PROJECT


def test_tasks_refer_to_components_and_these_to_executors(tmp_path):
    pipeline, platforms = yaml.safe_load_all(write_kubeflow(chain_tasks(tmp_path), IMAGE))
    tasks, components = pipeline["root"]["dag"]["tasks"], pipeline["components"]
    executors = pipeline["deploymentSpec"]["executors"]
    inner = [node for one in components.values() if "dag" in one for node in one["dag"]["tasks"].items()]
    for name, node in [*tasks.items(), *inner]:
        assert node["taskInfo"]["name"] == name and node["componentRef"]["name"] in components
        assert {*node.get("dependentTasks", ())} <= {*tasks}
        assert node.get("cachingOptions", {}) == {}  # Kubeflow's cache is off
    assert {one["executorLabel"] for one in components.values() if "dag" not in one} == {*executors}
    assert {*platforms["platforms"]["kubernetes"]["deploymentSpec"]["executors"]} == {*executors}
    assert {one["container"]["image"] for one in executors.values()} == {IMAGE}
    assert tasks["total"]["dependentTasks"] == ["plan", "double", "note"]
    assert tasks["finish"]["dependentTasks"] == ["total"]
    for name in ("number", "double", "note", "total"):
        channel = f"pipelinechannel--plan-{name}"
        assert tasks[name]["triggerPolicy"]["condition"] == f"inputs.parameter_values['{channel}'] == 'run'"
        assert tasks[name]["inputs"]["parameters"][channel]["taskOutputParameter"]["outputParameterKey"] == name
        assert name in components["comp-plan"]["outputDefinitions"]["parameters"]
        assert channel in components[f"comp-{name}"]["inputDefinitions"]["parameters"]


def test_commands_run_in_the_project_and_the_plan_copies_its_actions(tmp_path):
    pipeline, _ = yaml.safe_load_all(write_kubeflow(chain_tasks(tmp_path), IMAGE))
    executors = pipeline["deploymentSpec"]["executors"]
    (tmp_path / "mlnb").write_text(
        '#!/bin/sh\npwd; echo "$@"; [ "$1" = run ] && exit\nfor last; do :; done\nmkdir -p "$last"\n'
        'for name in number double note total; do printf "$name" > "$last/$name"; done\n'
    )
    (tmp_path / "mlnb").chmod(0o755)

    def run(name: str, *arguments: str) -> str:
        words = [word.replace(PROJECT, str(tmp_path)) for word in executors[name]["container"]["command"]]
        words = [word.replace(ACTIONS_FOLDER, str(tmp_path / "actions")) for word in words]
        environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
        done = subprocess.run([*words, *arguments], env=environment, capture_output=True, text=True, check=True)
        return done.stdout

    assert run("exec-stages-double").splitlines() == [str(tmp_path), "run train -p number 4 --only double"]
    files = executors["exec-plan"]["container"]["args"]
    assert files[1] == "{{$.outputs.parameters['double'].output_file}}"
    paths = [tmp_path / "outputs" / str(number) / "value" for number in range(len(files))]
    run("exec-plan", *map(str, paths))
    assert [path.read_text() for path in paths] == ["number", "double", "note", "total"]
