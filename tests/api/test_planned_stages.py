"""A worker runs the stages of a plan from the remote store alone; the digests are those of a local run."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from in_process import mlnb_in_process
from remote_clones import Clones, output, run, shared_clones

from mlnb.codec import encode
from mlnb.engine.project import Project
from mlnb.signing import signing_keys
from mlnb.signing.trusted_keys import TrustedKeys, trust_key

URL = "s3://b/team"


@pytest.fixture
def clones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Clones]:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for name in ("MLNB_ROOT", "MLNB_REMOTE_MODE"):
        monkeypatch.setenv(name, "")  # the command sets them, and they are restored
    with shared_clones(tmp_path, monkeypatch) as shared:
        yield shared


def push(root: Path, *arguments: str) -> dict[str, str]:
    """Push a plan; return the key of each stage for `mlnb stage`."""
    plan = json.loads(mlnb_in_process(root, "plan", "--push", "--json", *arguments))
    return {stage["stage"]: stage["worker_key"] for stage in plan["stages"]}


def test_a_worker_runs_the_stages_of_a_plan_with_the_same_digests(clones: Clones, tmp_path: Path) -> None:
    ana, first = clones.first_run()
    (ana / "words.txt").write_text("of the worker")
    arguments = ("-p", "double.factor", "3", "-p", "note.source", "words.txt")
    keys = push(ana, *arguments)
    assert mlnb_in_process(ana, "plan", "--push", *arguments).count(f"--remote {URL}") == 4
    (worker := tmp_path / "worker").mkdir()
    clones.patch.setenv("MLNB_ACTOR", "worker")
    text = mlnb_in_process(worker, "stage", keys["total"], "--remote", URL, code=2)
    assert "A stage before 'total' has no result" in text
    assert "has its result" in mlnb_in_process(worker, "stage", keys["number"], "--remote", URL)  # ana has run it
    for stage in ("double", "note"):
        assert "its result is pushed" in mlnb_in_process(worker, "stage", keys[stage], "--remote", URL)
    clones.patch.setenv("MLNB_ACTOR", "ana")
    clones.patch.setenv("MLNB_ROOT", "")
    text, second = run(ana, *arguments)
    assert "double: reused, run" in text and "note: reused, run" in text and "by worker" in text
    assert second.load("total") == {"total": 10.0, "note": "number 3"}
    assert output(second, "number") == output(first, "number")
    (project,) = [path.parent for path in (tmp_path / "cache").rglob("words.txt")]
    assert (project / "settings.ini").exists() and not list(project.glob("*/trusted_keys.json"))


def test_a_worker_refuses_what_it_would_run_differently(clones: Clones, tmp_path: Path) -> None:
    ana = clones.clone("ana")
    keys = push(ana)
    (worker := tmp_path / "worker").mkdir()
    missing = mlnb_in_process(worker, "stage", "0" * 64, "--remote", URL, code=2)
    assert "has no plan with the key" in missing and "mlnb plan --push" in missing
    clones.patch.setattr("mlnb.engine.plan.python_version", lambda: "3.99")
    text = mlnb_in_process(worker, "stage", keys["number"], "--remote", URL, code=2)
    assert "Python" in text and "-> 3.99" in text and "Install the libraries" in text


def test_a_worker_with_keys_runs_signed_plans_alone(clones: Clones, tmp_path: Path) -> None:
    ana = clones.clone("ana")
    unsigned = push(ana)
    clones.patch.setenv("MLNB_CONFIG", str(tmp_path / "config"))
    trust_key(Project.find(ana), signing_keys.create_key().public, "ana", "author")
    (worker := tmp_path / "worker").mkdir()
    command = ("stage", unsigned["number"], "--remote", URL, "--keys", str(ana / "trusted_keys.json"))
    text = mlnb_in_process(worker, *command, code=2)
    assert "is unsigned; expected a trusted signature" in text and "has no plan" in text
    push(ana)
    assert "its result is pushed" in mlnb_in_process(worker, *command)


def test_keys_count_for_the_worker_that_names_them(clones: Clones, tmp_path: Path) -> None:
    ana = clones.clone("ana")
    keys = push(ana)
    clones.patch.setenv("MLNB_CONFIG", str(tmp_path / "config"))
    trust_key(Project.find(clones.clone("bob")), signing_keys.create_key().public, "bob", "author")
    (worker := tmp_path / "worker").mkdir()
    command = ("stage", keys["number"], "--remote", URL)
    trusting = (*command, "--keys", str(tmp_path / "bob" / "trusted_keys.json"))
    assert "is unsigned" in mlnb_in_process(worker, *trusting, code=2)
    assert "its result is pushed" in mlnb_in_process(worker, *command)  # one that trusts every plan
    assert "is unsigned" in mlnb_in_process(worker, *trusting, code=2)


@pytest.mark.parametrize(
    ("text", "expected"), [(None, "There is no file"), ("{", "damaged"), ("no keys", "has no key")]
)
def test_a_file_without_keys_is_refused(tmp_path: Path, text: str | None, expected: str) -> None:
    path = tmp_path / "trusted_keys.json"
    if text is not None:
        path.write_bytes(encode(TrustedKeys()) if text == "no keys" else text.encode())
    arguments = ("stage", "0" * 64, "--remote", URL, "--keys", str(path))
    assert expected in mlnb_in_process(tmp_path, *arguments, code=2)


def test_a_plan_that_no_other_machine_could_run_is_not_pushed(clones: Clones, tmp_path: Path) -> None:
    ana = clones.clone("ana")
    (tmp_path / "outside.csv").write_text("a\n1\n")
    text = mlnb_in_process(ana, "plan", "--push", "-p", "note.source", str(tmp_path / "outside.csv"), code=2)
    assert "outside of the project" in text and not clones.named("/planned/")
    clones.patch.setenv("MLNB_REMOTE_MODE", "r")
    assert "can only be read" in mlnb_in_process(ana, "plan", "--push", code=3)
    clones.patch.delenv("MLNB_REMOTE")
    assert "There is no remote store" in mlnb_in_process(ana, "plan", "--push", code=2)
