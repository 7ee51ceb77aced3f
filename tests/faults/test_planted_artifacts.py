"""Commands that read runs execute nothing that a run's folder holds, and write nothing outside of the project."""

import json
import pickle
from pathlib import Path

import planted
import pytest

from mlnb.cli.main import main
from mlnb.codec import replace
from mlnb.engine.formats import load_object
from mlnb.engine.project import Project
from mlnb.engine.runs import list_runs, open_run, read_run
from mlnb.errors import DamagedFileWarning, SchemaError, StoreCorrupted, UnknownRun
from mlnb.tracking.artifact_views import BestTrial, load_optional, load_view
from mlnb.tracking.run_results import verdict

FACTS = ("gate", "metrics", "best", "certificate", "trials", "contract", "findings", "card", "provenance")
READERS = (["show"], ["show", "latest", "tune"], ["show", "--json"], ["runs"], ["runs", "--json"], ["report"])
PATHS = (
    "../outside",
    "/etc/outside",
    "a/../../outside",
    "..",
    "",
    ".",
    "a//b",
    "a\\..\\..\\outside",
    "C:outside",
    "a\nb",
)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    planted_project = planted.plant_project(tmp_path / "project")
    monkeypatch.chdir(planted_project.root)
    return planted_project


@pytest.mark.parametrize("declared", ["pickle", "json", "text", "table", "array", "file", "dill"])
@pytest.mark.parametrize("command", READERS, ids=" ".join)
def test_no_command_that_reads_runs_unpickles(
    project: Project, tmp_path: Path, declared: str, command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    mark = tmp_path / "exploded"
    digest = planted.plant_object(project, pickle.dumps(planted.Bomb(mark)))
    planted.plant_run(project, {name: planted.output(digest, declared) for name in FACTS})
    assert main(command) == 0
    assert main(["show", "--artifact", "gate"]) in (0, 2)
    assert not mark.exists()
    if declared == "pickle" and command == ["runs"]:
        assert "Artifact 'gate' of run" in capsys.readouterr().err


def test_a_pickle_is_loaded_where_a_stage_asks_for_it(project: Project, tmp_path: Path) -> None:
    digest = planted.plant_object(project, pickle.dumps({1, 2}))
    with pytest.raises(SchemaError, match="a pickle, which could run any code"):
        load_object(project.store, "pickle", digest)
    assert load_object(project.store, "pickle", digest, unpickle=True) == {1, 2}
    path = project.store.path(digest)
    path.chmod(0o600)
    path.write_bytes(pickle.dumps(planted.Bomb(tmp_path / "exploded")))  # no longer what the record vouches for
    with pytest.raises(StoreCorrupted, match="was damaged"):
        load_object(project.store, "pickle", digest, unpickle=True)
    assert not (tmp_path / "exploded").exists()


@pytest.mark.parametrize("name", PATHS)
def test_a_tree_cannot_leave_its_folder(project: Project, tmp_path: Path, name: str) -> None:
    part = planted.plant_object(project, b"x")
    listing = planted.plant_tree(project, {name: part})
    with pytest.raises(StoreCorrupted, match="stay inside its folder"):
        project.store.unpack(listing.digest)
    assert not project.store.intact(listing.digest, tree=True)
    assert list(tmp_path.rglob("outside*")) == []


@pytest.mark.parametrize("listing", [{"a": "../../x"}, {"a": 1}, {"a": "0" * 63}, {"a": "0" * 64, "a/b": "0" * 64}])
def test_a_forged_listing_is_refused(project: Project, listing: dict[str, str]) -> None:
    with pytest.raises(StoreCorrupted, match="with a digest"):
        project.store.unpack(planted.plant_tree(project, listing).digest)


@pytest.mark.parametrize("data", [b"[]", b"1", b"{", b"[" * 100_000, b"\xff"])
def test_a_listing_of_another_form_is_refused(project: Project, data: bytes) -> None:
    with pytest.raises(StoreCorrupted, match="no list of files"):
        project.store.unpack(planted.plant_object(project, data))


@pytest.mark.parametrize("plant", ["extra file", "link to a file", "link to a folder", "the folder is a link"])
def test_an_unpacked_tree_with_anything_else_in_it_is_made_again(project: Project, tmp_path: Path, plant: str) -> None:
    tree = planted.plant_tree(project, {"model/a.txt": planted.plant_object(project, b"x")})
    folder = project.store.unpack(tree.digest)
    (tmp_path / "evil").mkdir()
    (tmp_path / "evil" / "a.txt").write_text("x")
    if plant == "extra file":
        (folder / "model.pkl").write_bytes(pickle.dumps(planted.Bomb(tmp_path / "exploded")))
    elif plant == "link to a file":
        (folder / "model" / "b.txt").symlink_to(tmp_path / "evil" / "a.txt")
    elif plant == "link to a folder":
        (folder / "model" / "a.txt").unlink()
        (folder / "model").rmdir()
        (folder / "model").symlink_to(tmp_path / "evil")
    else:
        folder.rename(tmp_path / "moved")
        folder.symlink_to(tmp_path / "moved")
    with pytest.warns(DamagedFileWarning, match="was damaged"):
        again = project.store.unpack(tree.digest)
    assert [path.relative_to(again).as_posix() for path in sorted(again.rglob("*"))] == ["model", "model/a.txt"]
    assert not again.is_symlink() and not (again / "model").is_symlink()


@pytest.mark.parametrize("digest", ["../../../precious", "/etc/passwd", "", "0" * 63, "ab/../../../precious"])
def test_a_digest_is_no_path(project: Project, digest: str) -> None:
    precious = project.root / "precious"
    precious.write_text("mine")
    run = planted.plant_run(project, {name: planted.output(digest, "table") for name in FACTS})
    for command in READERS:
        assert main(command) == 0
    with pytest.raises(StoreCorrupted, match="as the digest of an artifact"):
        run.load("gate")
    assert not project.store.intact(digest) and not project.store.intact(digest, tree=True)
    assert precious.read_text() == "mine"


@pytest.mark.parametrize("key", ["../../precious", "/tmp/x", "..", ""])
def test_a_stage_key_is_no_path(project: Project, key: str) -> None:
    (project.root / "precious.json").write_text("{}")
    assert project.store.result(key) is None and (project.root / "precious.json").exists()
    for use in (project.store.scratch, project.store.clear_scratch, project.store.lock):
        with pytest.raises(StoreCorrupted, match="as a stage key"):
            use(key)


@pytest.mark.parametrize("notebook", ["../../../outside.ipynb", "/tmp/outside.ipynb", "notebooks/..\\..\\x.ipynb"])
def test_a_notebook_is_in_the_folder_of_its_run(project: Project, tmp_path: Path, notebook: str) -> None:
    run = planted.plant_run(project, {}, notebook=notebook)
    (tmp_path / "outside.ipynb").write_text('{"cells": []}')
    with pytest.raises(SchemaError, match="leaves the run's folder"):
        read_run(project, run.folder)
    assert main(["report"]) == 2 and not list(tmp_path.rglob("outside.html"))


def test_a_link_in_a_run_is_not_followed(project: Project, tmp_path: Path) -> None:
    run = planted.plant_run(project, {}, notebook="notebooks/10_tune.ipynb")
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "10_tune.ipynb").write_text('{"cells": []}')
    (run.folder / "notebooks").rmdir()
    (run.folder / "notebooks").symlink_to(outside)
    assert main(["report"]) == 0
    assert [path.name for path in outside.iterdir()] == ["10_tune.ipynb"]


@pytest.mark.parametrize("name", ["../x", "a/b", "..", "a\\b"])
def test_names_of_stages_and_artifacts_are_confined(project: Project, name: str) -> None:
    run = planted.plant_run(project, {name: planted.output(planted.unknown_digest())})
    with pytest.raises(SchemaError, match="leaves the run's folder"):
        read_run(project, run.folder)
    stage = run.stages["tune"]
    run.record = replace(run.record, order=(name,), stages={name: replace(stage, outputs={})})
    run.save()
    with pytest.raises(SchemaError, match="leaves the run's folder"):
        read_run(project, run.folder)


@pytest.mark.parametrize("reference", ["..", ".", "../project", "a/../..", "/etc", "..\\x", "", "\x00"])
def test_a_run_id_is_no_path(project: Project, reference: str) -> None:
    run = planted.plant_run(project, {})
    (project.root / "run.json").write_bytes((run.folder / "run.json").read_bytes())
    with pytest.raises(UnknownRun):
        open_run(project, reference or "nothing")
    (project.runs / "latest.json").write_text(json.dumps({"id": reference}))
    assert open_run(project).id == run.id


def test_a_run_that_is_a_link_is_refused(project: Project, tmp_path: Path) -> None:
    run = planted.plant_run(project, {})
    run.folder.rename(tmp_path / "elsewhere")
    run.folder.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(SchemaError, match="is a symbolic link"):
        open_run(project, run.id)
    with pytest.warns(DamagedFileWarning, match="is a symbolic link"):
        assert list_runs(project) == []


@pytest.mark.parametrize("section", ["pipeline ../../x", "pipeline a/b", "pipeline a\\b"])
def test_a_pipeline_is_no_path(project: Project, section: str, capsys: pytest.CaptureFixture[str]) -> None:
    (project.root / "settings.ini").write_text(f"[mlnb]\n[{section}]\nstages = tune\n")
    assert main(["runs"]) == 2 and "is no pipeline name" in capsys.readouterr().err


def test_what_is_left_out_is_reported(project: Project) -> None:
    run = planted.plant_run(project, {name: planted.output(planted.unknown_digest()) for name in FACTS})
    with pytest.warns(DamagedFileWarning, match="Artifacts of runs are missing"):
        assert verdict(run).winner is None
    broken = planted.plant_run(project, {"best": planted.output(planted.plant_object(project, b"{"))})
    with pytest.warns(DamagedFileWarning, match=f"'best' of run {broken.id}"):
        assert load_optional(broken, "best") is None
    wrong = planted.plant_run(project, {"best": planted.output(planted.plant_object(project, b"[1]"))})
    with pytest.warns(DamagedFileWarning, match="'best'"):
        assert load_view(wrong, "best", BestTrial) is None
