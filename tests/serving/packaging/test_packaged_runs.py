"""`mlnb build` and `mlnb serve`, from a run's record and the artifact store alone."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys

import pytest

from mlnb.engine import runs
from mlnb.engine.formats import save_object
from mlnb.engine.project import Project
from mlnb.engine.run_records import RunState, StageRecord
from mlnb.errors import UnknownRun
from mlnb.methods.contracts.certificates import ParityCertificate, VerifiedDigests
from mlnb.serving.packaging.bento_server import free_port, send_request
from mlnb.serving.packaging.bento_stores import bentoml_environment, bentoml_home
from mlnb.serving.packaging.packaged_runs import find_packaged_run, use_project_files


@pytest.fixture(scope="module")
def packaged(material, tmp_path_factory):
    """A folder without a project, with a run that packaged a linear model."""
    root = tmp_path_factory.mktemp("project")
    bundle = material("linear").bundle(tmp_path_factory.mktemp("linear") / "service", name="linear")
    project = Project.find(root)
    certificate = ParityCertificate(
        bento=bundle.tag,
        model=bundle.model_tag,
        rows=25,
        requests=26,
        batching=("all rows in one request",),
        identical=True,
        service="",
        digests=VerifiedDigests(rows="", predictions="", model=""),
        versions={},
    )
    outputs = {
        name: save_object(project.store, value)
        for name, value in (("service", bundle.folder), ("certificate", certificate))
    }
    verified = runs.create_run(project, "train")
    verified.update(state=RunState.FINISHED, order=("package",), stages={"package": StageRecord(outputs=outputs)})
    verified.save()
    failed = runs.create_run(project, "train")
    failed.update(state=RunState.FAILED, order=("package",), stages={"package": StageRecord()})
    failed.save()
    return root, verified, bundle


def mlnb(root, *arguments, **options):
    command = [sys.executable, "-m", "mlnb.cli.main", *arguments]
    environment = {**bentoml_environment(), "MLNB_ROOT": str(root)}
    return subprocess.Popen(
        command, cwd=root, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options
    )


def test_the_newest_run_with_a_verified_bento_is_the_latest(packaged, tmp_path):
    root, verified, _ = packaged
    project = Project.find(root)
    assert find_packaged_run(project).id == find_packaged_run(project, verified.id).id == verified.id
    failed = next(run for run in runs.list_runs(project) if run.state == RunState.FAILED)
    with pytest.raises(UnknownRun, match="has no verified bento: it is failed"):
        find_packaged_run(project, failed.id)
    with pytest.raises(UnknownRun, match="mlnb run"):
        find_packaged_run(Project.find(tmp_path))


def test_build_prints_the_tag_and_finds_it_again(packaged):
    root, verified, bundle = packaged
    process = mlnb(root, "build", "--json")
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    assert json.loads(output)["bento"] == bundle.tag
    again, _ = mlnb(root, "build", verified.id).communicate(timeout=60)
    assert again.startswith(f"{bundle.tag}  (exists already, from run {verified.id})")


def test_serve_rebuilds_a_missing_bento_and_stops_at_ctrl_c(packaged, material):
    root, verified, bundle = packaged
    shutil.rmtree(bentoml_home() / "bentos" / bundle.name, ignore_errors=True)
    port = free_port()
    process = mlnb(root, "serve", "--port", str(port))
    try:
        first = process.stdout.readline()
        assert f"{bundle.tag} of run {verified.id} serves on http://127.0.0.1:{port}" in first
        assert "curl" in process.stdout.readline() + process.stdout.readline()
        golden = material("linear").golden
        status, body, _ = send_request("127.0.0.1", port, "POST", "/predict", golden.rows)
        assert (status, json.loads(body)) == (200, golden.predictions)
        os.kill(process.pid, signal.SIGINT)
        output, errors = process.communicate(timeout=20)
        assert process.returncode == 0, errors
        assert "Stopped." in output
    finally:
        process.kill()
        process.communicate()
    with pytest.raises(OSError, match="refused"):
        send_request("127.0.0.1", port, "GET", "/livez")


def test_a_used_port_is_reported(packaged):
    root, _, _ = packaged
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        process = mlnb(root, "serve", "--port", str(port))
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 2
    assert f"--port {port + 1}" in errors


def test_without_a_model_the_next_command_is_shown(tmp_path):
    process = mlnb(tmp_path, "serve")
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 2
    assert "`mlnb run`" in errors


def test_files_are_read_in_the_project_unless_another_folder_is_named(tmp_path, monkeypatch):
    project = Project.find(tmp_path)
    for stated, expected in (("", tmp_path), ("files", tmp_path / "files")):
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("MLNB_FILES", stated)
        use_project_files(project)
        assert os.environ["MLNB_FILES"] == str(expected)
