"""What the extension shows: stages with reasons, runs, results, drafts and failures; and what its buttons do."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import toys

from mlnb.engine.run_processes import process_start
from mlnb.engine.run_records import RunState, StageState
from mlnb.engine.runs import list_runs
from mlnb.engine.stage_files import CellNote, write_cell
from mlnb.errors import MlnbError, ProjectError, UnknownRun, UsageError
from mlnb.lab.panel_service import PanelService

TOTAL = "nbs/stages/30_total.ipynb"


def state(service, profile=None):
    return service.state(profile, "")


def stages(service, profile=None):
    return {stage["name"]: stage for stage in state(service, profile)["stages"]}


def states(service, profile=None):
    return {name: stage["state"] for name, stage in stages(service, profile).items()}


def test_each_stage_has_its_state_and_reason(service, root):
    listed = stages(service)
    assert listed["total"]["state"] == "failed" and "found <b>3</b> & 4" in listed["total"]["error"]
    assert listed["number"]["state"] == "up to date" and listed["number"]["notebook"] == "nbs/stages/10_number.ipynb"
    toys.edit(root, "10_number", "number: int = 3", "number: int = 7")
    listed = stages(service)
    assert (listed["number"]["state"], listed["number"]["reason"]) == ("outdated", "number changed: 3 -> 7")
    assert (listed["double"]["state"], listed["double"]["reason"]) == ("undecided", "after number")
    assert state(service)["status"] == "0 of 4 stages are up to date."
    assert states(service, "quick")["double"] == "outdated"
    assert stages(service, "quick")["number"]["reason"] == "number changed: 3 -> 7"


def test_the_command_has_the_profile_that_is_selected_or_that_of_the_last_run(service):
    assert state(service)["command"] == "mlnb run" and state(service)["profiles"] == ("quick",)
    assert state(service, "quick")["command"] == "mlnb run --profile=quick"
    assert "factor changed: 2.0 -> 5.0" in stages(service, "quick")["double"]["reason"]
    run = list_runs(service.view.project)[0]
    run.update(profile="quick")
    run.save()
    assert state(service)["profile"] == "quick" and state(service, "")["profile"] == ""


def test_an_unchanged_state_is_not_sent_again(service):
    version = state(service)["version"]
    assert service.state(None, version) is None
    assert service.state("quick", version) is not None


def test_a_run_that_goes_on_is_shown_cell_by_cell(service):
    run = list_runs(service.view.project)[0]
    run.update(state=RunState.RUNNING)
    run.update_stage("total", state=StageState.RUNNING, error=None)
    run.save()
    write_cell(run.folder / "stages", "total", CellNote(cell=6, cells=10, heading="Work"))
    shown = state(service)
    assert shown["failed"] == run.id
    assert shown["running"] and "total: cell 7 of 10, Work" in shown["status"]
    assert stages(service)["total"]["activity"] == "cell 7 of 10, Work" and states(service)["number"] == "reused"
    service.process.start = None  # the button is not what is tested
    run.update(pipeline="monitor")
    run.save()
    assert "of pipeline monitor goes on" in state(service)["status"]


def test_wrong_notebooks_and_settings_are_explained(service, root):
    toys.edit(root, "10_number", "number: int = 3", "number: int = three")
    shown = state(service)
    assert "10_number.ipynb: the default of 'number'" in shown["problem"] and len(shown["runs"]) == 3
    (root / "settings.ini").write_text("[mlnb]\nworkers = many\n")
    assert "workers" in state(service)["problem"] and state(service)["stages"] == ()


def test_a_notebook_that_jupyterlab_has_made_is_a_note(service, root):
    (root / "nbs" / "stages" / "Untitled.ipynb").write_text("{}")
    assert "Untitled.ipynb is left out" in state(service)["notes"][0] and stages(service)


def test_without_a_project_the_command_to_create_one_is_named(tmp_path):
    service = PanelService(tmp_path, tmp_path)
    assert "mlnb new my_project" in state(service)["problem"] and state(service)["project"] == ""
    assert service.notebook("a.ipynb")["stage"] == ""
    with pytest.raises(ProjectError, match="mlnb new my_project"):
        service.start({})


def test_the_runs_are_listed_and_their_pages_are_rendered(service):
    failed, second, first = state(service)["runs"]
    assert [run["state"] for run in (failed, second, first)] == ["failed", "finished", "finished"]
    page = service.pages.comparison(service.view, [first["id"], second["id"]])
    assert "double.factor" in page and f'href="runs/{first["id"]}/report.html"' in page
    assert "found &lt;b&gt;3&lt;/b&gt; &amp; 4" in service.pages.report(service.view, failed["id"])
    assert "<html" in service.pages.notebook(service.view, failed["id"], "30_total.html")
    for name in ("10_other.html", "../run.json"):
        with pytest.raises(UnknownRun):
            service.pages.notebook(service.view, failed["id"], name)
        with pytest.raises(UnknownRun, match="has no document"):
            service.pages.document(service.view, failed["id"], name)
    with pytest.raises(UnknownRun):
        service.pages.report(service.view, "../..")
    with pytest.raises(UsageError):
        service.pages.comparison(service.view, [first["id"]])


def test_the_result_is_compared_with_the_run_before(service, example, tmp_path):
    project = example.make_project(tmp_path / "scored")
    (project.root / "settings.ini").write_text("[mlnb]\n[pipeline train]\nstages = problem\n")
    example.make_run(project, "20260314-091500-train-a1b2", score=0.8)
    example.make_run(project, "20260314-101500-train-c3d4", minute=20, score=0.9)
    result = PanelService(project.root, tmp_path).state(None, "")["result"]
    assert result["run"].endswith("c3d4") and result["text"].startswith("ROC AUC 0.9000 [")
    assert result["change"] == "+0.1000 since run 20260314-091500-train-a1b2" and result["better"] is True


def test_the_draft_banner_names_runs_and_older_drafts(service, root):
    runs = list_runs(service.view.project)
    (listed,) = service.notebook(TOTAL)["inputs"]
    assert listed == {"source": f"run {runs[0].id}", "run": runs[0].id, "artifacts": ("double", "note"), "warning": ""}
    draft = root / "runs" / "draft"
    draft.mkdir()
    report = root / "runs" / runs[0].id / "stages" / "double.report.json"
    if not report.exists():
        report = next((root / "runs").glob("*/stages/double.report.json"))
    (draft / "double.report.json").write_bytes(report.read_bytes())
    drafted, _ = service.notebook(TOTAL)["inputs"]
    assert (drafted["source"], drafted["artifacts"], drafted["warning"]) == ("the draft of double", ("double",), "")
    os.utime(draft / "double.report.json", (1e9, 1e9))
    assert service.notebook(TOTAL)["inputs"][0]["warning"] == f"older than run {runs[0].id}"


def test_the_banner_warns_when_the_last_run_lacks_an_artifact(service):
    runs = list_runs(service.view.project)
    runs[0].update_stage("note", outputs={})
    runs[0].save()
    listed = {one["artifacts"]: one["warning"] for one in service.notebook(TOTAL)["inputs"]}
    assert listed == {("double",): "", ("note",): f"the last run, {runs[0].id}, has none (failed)"}
    assert service.notebook("README.md") == {"stage": "", "inputs": (), "failed": None}
    assert service.notebook("../../etc/passwd")["stage"] == ""


def test_the_failed_cell_is_found_in_the_source(service, root):
    failed = service.notebook(TOTAL)["failed"]
    document = json.loads((root / TOTAL).read_text())
    cell = next(cell for cell in document["cells"] if cell["id"] == failed["cell"])
    assert "stage.load" in cell["source"] and failed["source"] == cell["source"]
    assert failed["message"] == "ValueError: found <b>3</b> & 4, expected 5"
    assert service.notebook("nbs/stages/10_number.ipynb")["failed"] is None
    session = service.debug({"run": "latest"})
    assert session["failed"] == failed and session["kernel"] == "" and "has no snapshot" in session["note"]
    with pytest.raises(UnknownRun, match="has not failed"):
        service.debug({"run": "latest", "stage": "number"})


@pytest.mark.parametrize("body", [None, [], {"upto": 3}, {"other": ""}, {"profile": "quik"}, {"upto": "--clean"}])
def test_wrong_requests_start_nothing(service, monkeypatch, body):
    monkeypatch.setattr(subprocess, "Popen", None)
    with pytest.raises(MlnbError):
        service.start(body)


def test_a_run_is_started_as_a_command_and_stopped_by_ctrl_c(service, root, monkeypatch, tmp_path):
    program = tmp_path / "python"
    program.write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/words\nexec sleep 60\n')
    program.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(program))
    service.start({"profile": "quick", "upto": "double"})
    assert state(service)["status"] == "A run starts." and state(service)["running"]
    with pytest.raises(UsageError, match="goes on"):
        service.start({})
    while not (tmp_path / "words").exists():
        time.sleep(0.01)
    assert (tmp_path / "words").read_text() == "-m mlnb.cli.main run --profile=quick --upto=double\n"
    assert os.getsid(service.process.pid) != os.getsid(0)
    service.stop({})
    assert service.process._process.wait(10) == -signal.SIGTERM
    with pytest.raises(UsageError, match="No run goes on"):
        service.stop({})


@pytest.mark.parametrize(
    ("words", "number"),
    [(["-m", "mlnb.cli.main", "run"], signal.SIGTERM), (["-m", "ipykernel_launcher"], signal.SIGINT)],
)
def test_a_run_of_another_process_is_stopped(service, monkeypatch, words, number):
    run = list_runs(service.view.project)[0]
    code = "import time; print(flush=True); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", code, *words], stdout=subprocess.PIPE) as process:
        process.stdout.readline()
        run.update(state=RunState.RUNNING, pid=process.pid, pid_started=process_start(process.pid))
        run.save()
        sent = []
        monkeypatch.setattr(os, "kill", lambda pid, signal_number: sent.append((pid, signal_number)))
        service.stop({})
        monkeypatch.undo()
        process.kill()
    assert sent[-1] == (process.pid, number)


def test_a_run_of_another_machine_is_not_stopped_here(service, monkeypatch):
    run = list_runs(service.view.project)[0]
    run.update(state=RunState.RUNNING, pid=os.getppid(), pid_started="of another machine")
    run.save()
    monkeypatch.setattr("mlnb.engine.runs.is_alive", lambda *_: True)  # it has a lease
    with pytest.raises(UsageError, match="on another machine; stop it there"):
        service.stop({})


def test_a_command_that_fails_without_a_run_shows_its_output(service, monkeypatch, tmp_path):
    program = Path(tmp_path, "python")
    program.write_text("#!/bin/sh\necho 'mlnb run: the disk is full.' >&2; exit 6\n")
    program.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(program))
    service.start({})
    service.process._process.wait(10)
    assert state(service)["problem"] == "mlnb run: the disk is full." and not state(service)["running"]
    assert service.process.log.stat().st_mode & 0o077 == 0
