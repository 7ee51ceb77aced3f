"""A workflow of Argo has valid references, runs as `mlnb run` does, and leaves out what has not changed."""

import copy
import json
from pathlib import Path

import pytest
import toys
import workflow_engine
import yaml
from in_process import mlnb_in_process
from workflow_engine import IMAGE, chain_tasks

from mlnb.orchestration.argo_workflows import workflow_template, write_argo
from mlnb.orchestration.task_graphs import ACTIONS_FOLDER


def test_documents_have_known_keys_and_valid_references(tmp_path):
    documents = [*yaml.safe_load_all(write_argo(chain_tasks(tmp_path), IMAGE, "0 3 * * 1"))]
    assert [document["kind"] for document in documents] == ["WorkflowTemplate", "CronWorkflow"]
    assert [problem for document in documents for problem in workflow_engine.problems(document)] == []
    template, cron = documents
    assert cron["spec"]["schedules"] == ["0 3 * * 1"]
    assert cron["spec"]["workflowSpec"]["workflowTemplateRef"]["name"] == template["metadata"]["name"] == "mlnb-train"
    images = {each["container"]["image"] for each in template["spec"]["templates"] if "container" in each}
    assert images == {IMAGE}
    (alone,) = yaml.safe_load_all(write_argo(chain_tasks(tmp_path), IMAGE, ""))
    assert alone == template


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda nodes: nodes[1].update(template="stages-nmber"), "no template stages-nmber"),
        (lambda nodes: nodes[2].update(depends="plan && (nmber.Succeeded)"), "no task nmber"),
        (lambda nodes: nodes[1].update(whn="true"), "unknown key whn"),
        (lambda nodes: nodes[0].update(template="finish"), "no parameter number of plan"),
    ],
)
def test_the_check_of_documents_sees_mutants(tmp_path, change, problem):
    mutant = copy.deepcopy(workflow_template(chain_tasks(tmp_path), IMAGE))
    change(mutant["spec"]["templates"][0]["dag"]["tasks"])
    assert problem in [*workflow_engine.problems(mutant)]


def test_a_workflow_has_the_results_of_a_run_and_skips_unchanged_tasks(tmp_path):
    root = tmp_path / "chain"
    document = workflow_template(chain_tasks(root), IMAGE)
    document = workflow_engine.moved(document, Path(ACTIONS_FOLDER), tmp_path / "actions")

    def execute() -> dict[str, str]:
        return workflow_engine.execute(document, lambda command: mlnb_in_process(root, *command[1:]))

    stages = ("number", "double", "note", "total")
    assert execute() == dict.fromkeys(("plan", *stages, "finish"), "Succeeded")
    keys = {step["stage"]: step["key"] for step in json.loads(_plan(root))["stages"]}
    assert execute() == {"plan": "Succeeded", **dict.fromkeys(stages, "Skipped"), "finish": "Succeeded"}
    toys.edit(root, "20_double", "factor * stage", "2 * factor * stage")
    ended = execute()
    assert ended["number"] == ended["note"] == "Skipped" and ended["double"] == ended["total"] == "Succeeded"
    changed = {step["stage"]: (step["key"], step["action"]) for step in json.loads(_plan(root))["stages"]}
    assert all(action == "reuse" for _, action in changed.values())  # the tasks stored what a run reads
    assert {name for name, (key, _) in changed.items() if key == keys[name]} == {"number", "note"}


def _plan(root: Path) -> str:
    return mlnb_in_process(root, "plan", "train", "-p", "number", "4", "--json").splitlines()[-1]
