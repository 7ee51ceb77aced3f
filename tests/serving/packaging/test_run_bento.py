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
from mlnb.errors import UnknownRun
from mlnb.serving.packaging.bento_server import call, free_port
from mlnb.serving.packaging.bento_stores import home, quiet_environment
from mlnb.serving.packaging.run_bento import find_winner


@pytest.fixture(scope="module")
def packaged(material, tmp_path_factory):
    """A folder without a project, with a run that packaged a linear model."""
    root = tmp_path_factory.mktemp("project")
    bundle = material("linear").bundle(tmp_path_factory.mktemp("linear") / "service", name="linear")
    project = Project.find(root)
    outputs = {}
    for name, value in (("service", bundle.folder), ("certificate", {"bento": bundle.tag})):
        kind, digest, size = save_object(project.store, value)
        outputs[name] = {"digest": digest, "format": kind, "bytes": size, "description": name}
    record = {"pipeline": "train", "state": "finished", "stages": {"package": {"outputs": outputs}}}
    proven = runs.create_run(project, "train", record)
    runs.create_run(project, "train", {**record, "state": "failed", "stages": {"package": {"outputs": {}}}})
    return root, proven, bundle


def mlnb(root, *arguments, **options):
    command = [sys.executable, "-m", "mlnb.cli.main", *arguments]
    environment = {**quiet_environment(), "MLNB_ROOT": str(root)}
    return subprocess.Popen(
        command, cwd=root, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options
    )


def test_the_newest_run_with_a_proven_bento_is_meant(packaged, tmp_path):
    root, proven, _ = packaged
    project = Project.find(root)
    assert find_winner(project).id == find_winner(project, proven.id).id == proven.id
    failed = next(run for run in runs.list_runs(project) if run.record.state == "failed")
    with pytest.raises(UnknownRun, match=r"has no proven bento: it ended failed"):
        find_winner(project, failed.id)
    with pytest.raises(UnknownRun, match="mlnb run"):
        find_winner(Project.find(tmp_path))


def test_build_prints_the_tag_and_finds_it_again(packaged):
    root, proven, bundle = packaged
    process = mlnb(root, "build", "--json")
    said, complaint = process.communicate(timeout=60)
    assert process.returncode == 0, complaint
    assert json.loads(said)["bento"] == bundle.tag
    again, _ = mlnb(root, "build", proven.id).communicate(timeout=60)
    assert again.startswith(f"{bundle.tag}  (was there already, from run {proven.id})")


def test_serve_builds_what_is_gone_answers_and_stops_at_ctrl_c(packaged, material):
    root, proven, bundle = packaged
    shutil.rmtree(home() / "bentos" / bundle.name, ignore_errors=True)
    port = free_port()
    process = mlnb(root, "serve", "--port", str(port))
    try:
        first = process.stdout.readline()
        assert f"{bundle.tag} of run {proven.id} answers on http://127.0.0.1:{port}" in first
        assert "curl" in process.stdout.readline() + process.stdout.readline()
        golden = material("linear").golden
        status, body, _ = call("127.0.0.1", port, "POST", "/predict", golden.rows)
        assert (status, json.loads(body)) == (200, golden.predictions)
        os.kill(process.pid, signal.SIGINT)
        said, complaint = process.communicate(timeout=20)
        assert process.returncode == 0, complaint
        assert "Stopped." in said
    finally:
        process.kill()
        process.communicate()
    with pytest.raises(OSError, match="refused"):
        call("127.0.0.1", port, "GET", "/livez")


def test_a_taken_port_is_explained(packaged):
    root, _, _ = packaged
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        process = mlnb(root, "serve", "--port", str(port))
        _, complaint = process.communicate(timeout=60)
    assert process.returncode == 2
    assert f"--port {port + 1}" in complaint


def test_nothing_to_serve_says_how_to_get_something(tmp_path):
    process = mlnb(tmp_path, "serve")
    _, complaint = process.communicate(timeout=60)
    assert process.returncode == 2
    assert "`mlnb run`" in complaint
