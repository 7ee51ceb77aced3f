"""`mlnb traffic`: output, exit codes, and promotion by the result."""

import json

import pytest
from traffic_log import write_traffic

from mlnb.cli.main import main
from mlnb.engine.formats import save_object
from mlnb.monitoring.monitoring_paths import label_database, log_folder
from mlnb.registry.registry import Registry

A, B = "20260314-091500-train-a1b2", "20260314-101500-train-c3d4"


@pytest.fixture
def versions(tmp_path, example, monkeypatch):
    """Two registered versions of a model, the first the champion, the second the challenger; return their tags."""
    project = example.make_project(tmp_path / "titanic")
    (project.root / "settings.ini").write_text("[mlnb]\n[pipeline train]\nstages = problem\n")
    first, other = example.make_run(project, A), example.make_run(project, B, minute=20, score=0.91)
    (tmp_path / "service").mkdir()
    (tmp_path / "service" / "model.txt").write_text("another")
    certificate = first.load("certificate")
    tags = certificate["model"], f"{certificate['model']}b"
    changed = {
        "service": save_object(project.store, tmp_path / "service", "another service"),
        "certificate": save_object(project.store, {**certificate, "model": tags[1]}, "another certificate"),
    }
    other.update_stage("package", outputs={**other.stages["package"].outputs, **changed})
    other.save()
    monkeypatch.chdir(project.root)
    monkeypatch.setenv("MLNB_ACTOR", "ann")
    monkeypatch.setenv("COLUMNS", "200")
    registry = Registry(project)
    registry.sync()
    registry.promote("1", why="first")
    return project, tags, first.load("contract")["classes"]


def write(versions, folder, **options):
    """Write the prediction log and the labels of the project."""
    project, tags, classes = versions
    write_traffic(folder, *tags, classes=tuple(classes), **options)
    model = tags[0].partition(":")[0]
    log_folder(project, model).parent.mkdir(parents=True, exist_ok=True)
    (folder / "log").rename(log_folder(project, model))
    label_database(project, model).parent.mkdir(parents=True, exist_ok=True)
    (folder / "labels.db").rename(label_database(project, model))


def test_a_better_canary_is_promoted_by_the_result(versions, tmp_path, capsys):
    write(versions, tmp_path / "traffic", skills=(0.2, 0.7))
    assert main(["traffic", "2", "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["decision"] == "promote" and result["low"] > 0 and result["challenger"]["version"] == versions[1][1]
    assert main(["traffic", "2", "--promote"]) == 0
    text = capsys.readouterr().out
    assert "canary" in text and "promote: gain" in text and "2 promoted as champion" in text
    entry = Registry(versions[0]).log()[-1]
    assert "on matured labels of" in entry.why and entry.version == 2
    assert main(["traffic", "2"]) == 2 and "is the champion" in capsys.readouterr().err


def test_without_a_significant_gain_the_champion_stays(versions, tmp_path, capsys):
    write(versions, tmp_path / "traffic", skills=(0.7, 0.2))
    assert main(["traffic", "2", "--promote"]) == 12
    assert "withdraw: gain" in capsys.readouterr().out
    assert main(["traffic", "2", "--promote", "--days", "0.01"]) == 10
    assert "wait: " in capsys.readouterr().out
    assert Registry(versions[0]).log()[-1].version == 1


def test_the_challengers_of_several_models_are_compared(versions, tmp_path, capsys):
    write(versions, tmp_path / "traffic", skills=(0.2, 0.7))
    assert main(["traffic", "--all"]) == 2 and "has a version with the alias challenger" in capsys.readouterr().err
    registry = Registry(versions[0])
    registry.promote("2", "challenger", "first canary")
    model = registry.find("2").model
    assert main(["traffic", "--all", "--days", "0.01"]) == 10
    assert f"{model}:2" in (text := capsys.readouterr().out) and "wait" in text.splitlines()[-1]
    assert main(["traffic", "--name", f"{model}*", "--promote"]) == 0
    assert "promote" in capsys.readouterr().out.splitlines()[-1] and registry.find(f"{model}@champion").number == 2
    assert main(["traffic", "--all"]) == 2 and "that is not its champion" in capsys.readouterr().err
    assert main(["traffic", "2", "--all"]) == 2 and "names one version" in capsys.readouterr().err


def test_a_service_that_never_ran_is_an_error(versions, capsys):
    assert main(["traffic", "2"]) == 2 and "`mlnb serve` writes one" in capsys.readouterr().err
    assert main(["traffic"]) == 2 and "challenger" in capsys.readouterr().err
