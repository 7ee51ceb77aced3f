"""Restored files are erased wherever they are; those that are not the command's own any more are reported."""

import json
from pathlib import Path

import pytest
from data_runs import data_project, ingest

from mlnb.cli.main import main
from mlnb.engine.project import Project
from mlnb.governance.restored_files import list_restored

ROWS = [f"{number},person {number}@example.org,{number % 7}" for number in range(40)]
TEXT = "\n".join(["id,mail,age", *ROWS, ""])
PERSON = b"person 17@example.org"
ERASE = ["erase", "--where", "id = 17", "--confirm", "--reason", "request"]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A project whose data has changed since a run has read it, next to a repository of DVC."""
    root = tmp_path / "project"
    root.mkdir()
    (tmp_path / "out" / ".dvc").mkdir(parents=True)
    project = data_project(root)
    (root / "people.csv").write_text(TEXT)
    ingest(project, "people.csv", 1)
    (root / "people.csv").write_text("other\n1\n")
    monkeypatch.chdir(root)
    monkeypatch.setenv("COLUMNS", "400")
    return project


def restore(to: str, *options: str) -> None:
    assert main(["data", "restore", "latest", "--to", to, *options]) == 0


def holders(project: Project) -> list[str]:
    """Return the files with the person, in the project and next to it."""
    parent = project.root.parent
    files = sorted(path for path in parent.rglob("*") if path.is_file() and not path.is_symlink())
    return [path.relative_to(parent).as_posix() for path in files if PERSON in path.read_bytes()]


def test_restored_files_and_their_copies_are_erased_inside_and_outside_of_the_project(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    for to, options in (("in.csv", []), ("../out/people.csv", ["--dvc"]), ("../out/people.parquet", [])):
        restore(to, *options)
    linked = project.root.parent / "out" / "people.csv"  # as DVC links files to its cache
    (copy,) = (path for path in linked.parent.glob(".dvc/**/*") if path.is_file())
    linked.unlink()
    linked.symlink_to(copy)
    assert len(holders(project)) == 2
    assert main([*ERASE[:3], "--json"]) == 0
    listed = json.loads(capsys.readouterr().out.partition("\n{")[2].join(["{", ""]))
    what = {Path(line["where"]).name: line["what"] for line in listed["locations"] if "object" not in line["where"]}
    assert what.pop("people.csv") == "link to a restored file" and what.pop("people.csv.dvc") == "pointer of DVC"
    assert what.pop("in.csv") == what.pop("people.parquet") == "restored file" and what.pop(copy.name) == "cache of DVC"
    assert listed["restored"] == []
    assert main(ERASE) == 0
    assert "delete them from its remote" in capsys.readouterr().out
    assert not holders(project) and not [*list_restored(project)]
    assert [path.name for path in linked.parent.iterdir()] == [".dvc"]


def test_changed_and_moved_files_and_those_of_runs_are_reported_with_an_exit_code(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    names = ("changed.csv", "moved.csv", "used.csv")
    for name in names:
        restore(f"../out/{name}")
    out = project.root.parent / "out"
    with (out / "changed.csv").open("a") as file:
        file.write("99,new@example.org,1\n")
    (out / "moved.csv").rename(out / "elsewhere.csv")
    ingest(project, str(out / "used.csv"), 2)
    assert main(ERASE) == 1
    text = capsys.readouterr().out
    paths = [out / "changed.csv", out / "used.csv", project.root / "people.csv"]
    assert f"Remove the rows yourself from {', '.join(map(str, paths))}, then run" in text
    assert f"{out / 'moved.csv'} was restored with the rows and is not there now" in text
    assert holders(project) == ["out/changed.csv", "out/elsewhere.csv", "out/used.csv"]
    assert sorted(Path(record.path).name for record in list_restored(project)) == ["changed.csv", "used.csv"]
    (out / "used.csv").unlink()
    assert main(ERASE) == 1 and "restored file, changed since" in capsys.readouterr().out  # the store has no rows now
    (out / "changed.csv").unlink()
    assert main(ERASE) == 0 and "No location has these rows." in capsys.readouterr().out


def test_what_the_user_had_before_stays(project: Project) -> None:
    out = project.root.parent / "out"
    (project.root / "people.csv").write_text(TEXT)
    restore("people.csv", "--force")  # it has the version already
    assert [record.digest for record in list_restored(project)] == [""]
    restore("../out/own.csv", "--dvc")
    (copy,) = (path for path in out.glob(".dvc/**/*") if path.is_file())
    for record in (project.store_root / "restored").glob("*.json"):
        record.unlink()  # as if DVC had put it into its cache
    restore("../out/own.csv", "--dvc", "--force")
    assert main(ERASE) == 1
    assert holders(project) == [copy.relative_to(out.parent).as_posix(), "project/people.csv"]


def test_a_killed_restoration_leaves_a_record(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    class Killed(BaseException):
        pass

    def kill(path: Path) -> str:
        raise Killed

    out = project.root.parent / "out"
    (project.root / "people.csv").unlink()
    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr("mlnb.governance.data_restoration.digest_file", kill)
        restore("../out/people.csv")
    (out / ".writing-0123.csv").write_text(TEXT)
    assert main(ERASE) == 1  # it is not known whose file it is
    assert holders(project) == ["out/people.csv"]
