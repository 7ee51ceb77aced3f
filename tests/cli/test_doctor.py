"""`mlnb doctor` reports each problem with advice, and exits with 2."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import toys

from mlnb.cli import doctor
from mlnb.cli.main import main
from mlnb.engine.project import Project

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.setenv("BENTOML_HOME", str(tmp_path / "bentoml"))
    monkeypatch.delenv("WANDB_MODE", raising=False)
    return Project.find(tmp_path)


def states(findings: Iterator[doctor.Finding]) -> dict[str, str]:
    return {finding.topic: finding.state for finding in findings}


def test_this_environment_has_no_findings(
    project: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(project.root)
    assert main(["doctor"]) == 0, capsys.readouterr().out
    assert "Nothing is wrong." in capsys.readouterr().out
    assert list(project.root.iterdir()) == [], "looking leaves nothing behind"


def test_slow_imports_are_reported(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    assert states(doctor.python(project))["bytecode"] == "note"
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    assert "bytecode" not in states(doctor.python(project))


@pytest.mark.parametrize(("version", "state"), [((3, 10, 1), "wrong"), ((3, 12, 1), "ok"), ((3, 19, 0), "note")])
def test_the_python_version_is_checked(
    project: Project, monkeypatch: pytest.MonkeyPatch, version: tuple[int, ...], state: str
) -> None:
    monkeypatch.setattr(sys, "version_info", version)
    assert states(doctor.python(project))["python"] == state


def test_a_library_outside_its_version_limits_is_reported(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    real = doctor.metadata.version
    monkeypatch.setattr(doctor.metadata, "version", lambda name: "9.9" if name == "pandas" else real(name))
    wrong = [finding for finding in doctor.versions(project) if finding.state == "wrong"]
    assert [finding.result for finding in wrong] == ["pandas is 9.9, expected <3.1,>=3.0"]
    assert "constraints.txt" in wrong[0].advice


def test_network_services_are_reported(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLNB_EMBEDDINGS_URL", raising=False)
    assert states(doctor.network(project)) == {"wandb": "ok", "embeddings": "ok"}
    monkeypatch.setenv("WANDB_MODE", "online")
    monkeypatch.setenv("BENTOML_DO_NOT_TRACK", "False")
    monkeypatch.setenv("MLNB_EMBEDDINGS_URL", "https://user:secret@example.org/v1")
    findings = list(doctor.network(Project.find(project.root)))
    assert states(iter(findings)) == {"wandb": "note", "embeddings": "note", "telemetry": "note"}
    assert "example.org" in findings[1].result and "secret" not in findings[1].result


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_folder_is_reported(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    assert doctor.unwritable(tmp_path / "runs") == "Permission denied"


def test_a_link_to_nothing_is_reported(tmp_path: Path) -> None:
    (tmp_path / "runs").symlink_to(tmp_path / "missing")
    assert doctor.unwritable(tmp_path / "runs") == "No such file or directory"
    assert doctor.unwritable(tmp_path / "new" / "runs") == "" and not (tmp_path / "new").exists()


def test_a_file_in_place_of_a_folder_is_reported(project: Project) -> None:
    project.runs.touch()
    assert states(doctor.folders(project))["runs"] == "wrong"


def test_too_many_threads_are_reported() -> None:
    findings = list(doctor.threads({"OMP_NUM_THREADS": "64", "OMP_WAIT_POLICY": "passive"}, cores=2))
    assert [(f.result, f.advice) for f in findings] == [
        ("OMP_NUM_THREADS=64", "lower it: there are 2 cores"),
        ("OMP_WAIT_POLICY=passive", ""),
    ]


@pytest.mark.parametrize(
    ("variable", "value", "message"),
    [
        ("MLNB_DATABASE", "nonsense", "database: The setting `database` is 'nonsense'; expected postgresql://"),
        ("MLNB_DATABASE", "postgresql://u:${NO_SUCH}@h/x", "the environment variable NO_SUCH is not set"),
        ("registry", "postgresql://u:${NO_SUCH}@h/x", "registry: 'postgresql://u:${NO_SUCH}@h/x': the environment"),
        ("[stage nope]", "retries = 1", "[stage nope]: there is no stage 'nope'"),
    ],
)
def test_settings_that_a_run_would_refuse_are_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str, value: str, message: str
) -> None:
    toys.new_project(tmp_path)
    root = tmp_path / "project"
    assert states(doctor.settings(Project.find(root))) == {"settings": "ok"}
    path = root / "settings.ini"
    if variable.startswith("MLNB"):
        monkeypatch.setenv(variable, value)
    elif variable.startswith("["):
        path.write_text(f"{path.read_text()}\n{variable}\n{value}\n")
    else:
        path.write_text(path.read_text().replace(f"\n{variable} =", f"\n{variable} = {value}", 1))
    (finding,) = doctor.settings(Project.find(root))
    assert finding.state == "wrong" and message in finding.result


def test_the_variables_of_settings_are_listed(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    lines = {line.split()[0]: line for line in doctor.settings_table(project).splitlines()}
    assert "MLNB_RUN_MEMORY" in lines["memory"] and "MLNB_DATABASE" in lines["database"]
