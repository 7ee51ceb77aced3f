"""`mlnb upgrade` across two versions with local edits: complete or not at all; unresolved conflicts are refused."""

import dataclasses
import json
import os
import shutil
import subprocess
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mlnb.cli.ci_workflow import WORKFLOW_FILE, workflow_text
from mlnb.cli.ci_workflow import project_template as whole_template
from mlnb.cli.main import main
from mlnb.cli.new import create
from mlnb.engine import project_template, upgrade_journal
from mlnb.engine.notebook import read_notebook
from mlnb.engine.project import builtin_folder
from mlnb.engine.project_template import TEMPLATE_FILE, read_template, template_bytes
from mlnb.errors import NotebookError, ProjectError

Notebook = dict[str, object]
SHOP = Path("nbs/stages")


class Version:
    """A copy of the built-in project that stands for another version of mlnb."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def edit(self, name: str, change: Callable[[list[Notebook]], None]) -> None:
        edit(self.folder / SHOP / name, change)

    def replace(self, name: str, old: str, new: str) -> None:
        replace(self.folder / name, old, new)


def edit(path: Path, change: Callable[[list[Notebook]], None]) -> None:
    """Change a notebook's cells."""
    notebook = json.loads(path.read_text(encoding="utf-8"))
    change(notebook["cells"])
    for cell in notebook["cells"]:
        cell["source"] = source(cell).splitlines(keepends=True)
    path.write_text(json.dumps(notebook, indent=1, ensure_ascii=False, sort_keys=True) + "\n", encoding="utf-8")


def replace(path: Path, old: str, new: str) -> None:
    """Replace text that is in a file."""
    text = path.read_text(encoding="utf-8")
    assert old in text, (path, old)
    path.write_text(text.replace(old, new), encoding="utf-8")


def code(source: str, id: str) -> Notebook:
    return {"cell_type": "code", "id": id, "metadata": {}, "outputs": [], "execution_count": None, "source": source}


def source(cell: Notebook) -> str:
    return "".join(cell["source"])


def cells(path: Path) -> list[Notebook]:
    return json.loads(path.read_text(encoding="utf-8"))["cells"]


def snapshot(folder: Path) -> dict[str, bytes]:
    """Return all files of a project but those of its store and of git."""
    files = (path for path in folder.rglob("*") if path.is_file())
    contents = {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}
    return {name: data for name, data in contents.items() if not name.startswith((".mlnb/", ".git/"))}


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project made from the present version."""
    create(tmp_path / "shop")
    monkeypatch.chdir(tmp_path / "shop")
    return tmp_path / "shop"


@pytest.fixture
def newer(tmp_path: Path, project: Path, monkeypatch: pytest.MonkeyPatch) -> Version:
    """A newer version, installed once the project is made; equal until it is edited."""
    folder = tmp_path / "installed"
    for part in ("nbs/stages", "bentos"):
        shutil.copytree(builtin_folder() / part, folder / part)
    shutil.copy(builtin_folder() / "settings.ini", folder)
    monkeypatch.setattr(project_template, "builtin_folder", lambda: folder)
    monkeypatch.setattr(project_template.mlnb, "__version__", "0.2.0")
    return Version(folder)


def append(text: str) -> Callable[[list[Notebook]], None]:
    """Return an edit that appends a line to the last cell."""

    def change(cells: list[Notebook]) -> None:
        cells[-1]["source"] = source(cells[-1]) + f"\n{text}"

    return change


def test_a_new_project_is_up_to_date(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = snapshot(project)
    for options in ([], ["--check"], ["--dry-run"], ["--force"]):
        assert main(["upgrade", *options]) == 0
        assert "Up to date" in capsys.readouterr().out
    assert snapshot(project) == before
    template = read_template(project)
    assert (template.name, template.library) == ("shop", "shop")
    assert template == whole_template("shop", "shop")
    assert template_bytes(template) == before[TEMPLATE_FILE], "the same contents are the same bytes"


def test_untouched_notebooks_become_the_new_version(project: Path, newer: Version) -> None:
    newer.edit("40_features.ipynb", append("print('größer')"))
    newer.replace("settings.ini", "workers = 2", "workers = 3")
    newer.replace("bentos/tabular/service.py", "Predicts the target", "Predicts (neu) the target")
    assert main(["upgrade", "--check"]) == 1
    assert main(["upgrade"]) == 0
    assert main(["upgrade", "--check"]) == main(["check"]) == 0
    for name, data in whole_template("shop", "shop").files.items():
        assert (project / name).read_bytes() == data


def test_local_edits_survive_an_upgrade(project: Path, newer: Version, capsys: pytest.CaptureFixture[str]) -> None:
    features, tune = project / SHOP / "40_features.ipynb", project / SHOP / "50_tune.ipynb"
    count = len(cells(features))

    def ours(cells: list[Notebook]) -> None:
        cells[0]["source"] = "# Merkmale\n\n> Größen und Längen, 日本 🙂."  # edited markdown
        assert "assert" in source(cells[6])
        cells[6] = code("print('mine: größer')", "mine")  # one deleted, one added
        cells.append(cells.pop(5))  # moved

    def theirs(cells: list[Notebook]) -> None:
        cells[5]["source"] = source(cells[5]) + "\n# new in the cell that the project has moved"
        cells.append(code("#| stage\nprint('from the new version')", "new1"))

    edit(features, ours)
    newer.edit("40_features.ipynb", theirs)
    replace(tune, "trials: int | None = None", "trials: int | None = 77")
    newer.replace("nbs/stages/50_tune.ipynb", "  # trials to finish in all", "  # trials in all")
    newer.edit("50_tune.ipynb", append("print('new')"))
    assert main(["upgrade", "--dry-run"]) == 0
    shown = capsys.readouterr().out
    assert main(["upgrade"]) == 0
    assert shown in capsys.readouterr().out + "\n", "the dry run shows what is done"
    merged = cells(features)
    assert source(merged[0]).endswith("日本 🙂.")
    assert [cell["id"] for cell in merged].count("mine") == 1
    assert len(merged) == count + 1
    assert source(merged[-2]) == "#| stage\nprint('from the new version')"
    assert source(merged[-1]).endswith("# new in the cell that the project has moved")
    line = "trials: int | None = 77  # trials in all"
    assert any(line in source(cell) for cell in cells(tune))
    row = next(line.split() for line in shown.splitlines() if "50_tune" in line)
    assert row[1:] == [str(len(cells(tune)) - 2), "2", "0", "0", "0"]
    assert main(["upgrade", "--check"]) == 0


def test_a_conflict_is_marked_and_refused_until_it_is_resolved(
    project: Path, newer: Version, capsys: pytest.CaptureFixture[str]
) -> None:
    features = project / SHOP / "40_features.ipynb"
    edit(features, append("# mine"))
    newer.edit("40_features.ipynb", append("# größer"))
    assert main(["upgrade"]) == 1
    out = capsys.readouterr().out
    assert "nbs/stages/40_features.ipynb: cell " in out and "delete the cells tagged `conflict`" in out
    raw, ours, note = cells(features)[:-4:-1]
    assert (raw["cell_type"], source(raw).splitlines()[-1]) == ("raw", "# größer")
    assert (ours["cell_type"], source(ours).splitlines()[-1]) == ("code", "# mine")
    assert source(note).startswith("**Conflict: yours / new version**")
    assert main(["check"]) == 2
    assert f"40_features.ipynb: cell {len(cells(features)) - 3} (" in capsys.readouterr().out
    assert main(["run"]) == main(["plan"]) == 2
    error = capsys.readouterr().err
    assert "40_features.ipynb" in error and "unresolved conflict" in error
    newer.edit("40_features.ipynb", append("# newer still"))
    assert main(["upgrade", "--force"]) == 2, "resolve the last upgrade first"
    edit(features, lambda cells: cells.pop(-3) and None)
    with pytest.raises(NotebookError, match="unresolved conflict"):
        read_notebook(features)  # the raw cell alone is one, too
    edit(features, lambda cells: cells.pop(-1) and None)
    assert main(["check"]) == 0
    assert main(["upgrade", "--force"]) == 1


def test_stages_that_are_new_removed_renamed_or_deleted(
    project: Path, newer: Version, capsys: pytest.CaptureFixture[str]
) -> None:
    stages = newer.folder / SHOP
    shutil.copy(stages / "25_explore.ipynb", stages / "26_look.ipynb")
    newer.replace("nbs/stages/26_look.ipynb", "stages.explore", "stages.look")
    newer.replace(
        "settings.ini", "stages = problem ingest validate explore", "stages = problem ingest validate look explore"
    )
    (stages / "90_monitor.ipynb").unlink()
    (stages / "40_features.ipynb").rename(stages / "42_features.ipynb")
    (stages / "60_train.ipynb").rename(stages / "62_train.ipynb")
    (project / SHOP / "60_train.ipynb").rename(project / SHOP / "61_train.ipynb")
    (project / SHOP / "85_document.ipynb").unlink()
    newer.edit("85_document.ipynb", append("# new"))
    replace(project / "settings.ini", "stages = problem ingest", "stages = problem mine ingest")
    assert main(["upgrade"]) == 0
    out = capsys.readouterr().out
    names = {path.name for path in (project / SHOP).glob("*.ipynb")}
    assert {"26_look.ipynb", "42_features.ipynb", "61_train.ipynb", "90_monitor.ipynb"} <= names
    assert not names & {"40_features.ipynb", "60_train.ipynb", "62_train.ipynb", "85_document.ipynb"}
    assert "new stage" in out and "removed in the new version; yours is kept" in out
    assert "was 40_features.ipynb" in out and "deleted in this project" in out
    assert "stages = problem mine ingest validate look explore" in (project / "settings.ini").read_text()


def test_a_custom_stage_is_kept_when_a_new_one_has_its_name(
    project: Path, newer: Version, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copy(project / SHOP / "25_explore.ipynb", project / SHOP / "77_look.ipynb")
    shutil.copy(newer.folder / SHOP / "60_train.ipynb", newer.folder / SHOP / "26_look.ipynb")
    newer.edit("40_features.ipynb", append("# new"))
    mine = (project / SHOP / "77_look.ipynb").read_bytes()
    assert main(["upgrade"]) == 0
    assert "a stage of this name" in capsys.readouterr().out
    assert (project / SHOP / "77_look.ipynb").read_bytes() == mine
    assert main(["upgrade", "--check"]) == 0, "what is kept out is not available for ever"


def test_texts_are_merged_and_their_conflicts_refused(
    project: Path, newer: Version, capsys: pytest.CaptureFixture[str]
) -> None:
    service = project / "bentos/tabular/service.py"
    replace(service, "Predicts the target", "Predicts (größer) the target")
    newer.replace("bentos/tabular/service.py", "Predicts the target", "Predicts (neu) the target")
    replace(project / "settings.ini", "workers = 2", "workers = 1")
    newer.replace("settings.ini", "workers = 2", "workers = 3")
    assert main(["upgrade"]) == 1
    assert "workers: '1' is kept; the new version has '3'" in capsys.readouterr().out
    assert "workers = 1" in (project / "settings.ini").read_text()
    assert main(["check"]) == main(["plan"]) == 2
    assert "bentos/tabular/service.py, line" in capsys.readouterr().err
    shutil.copy(newer.folder / "bentos/tabular/service.py", service)
    assert main(["check"]) == 0


def git(*command: str) -> None:
    names = {f"GIT_{who}_{what}": "x@example.org" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    subprocess.run(["git", *command], check=True, capture_output=True, env={**os.environ, **names})


def test_the_workflow_is_upgraded_too_and_edits_are_kept(project: Path, monkeypatch, capsys) -> None:
    """Lines that the project has edited stay; where the new version changes them, both are marked and refused."""
    text, file = workflow_text(), project / WORKFLOW_FILE
    file.write_text(text.replace("timeout-minutes: 120", "timeout-minutes: 30"))
    newer = text.replace('python-version: "3.12"', 'python-version: "3.13"')
    monkeypatch.setattr("mlnb.cli.ci_workflow.workflow_text", lambda: newer)
    assert main(["upgrade", "--force"]) == 0
    assert f"{WORKFLOW_FILE}: merged" in capsys.readouterr().out
    assert file.read_text() == newer.replace("timeout-minutes: 120", "timeout-minutes: 30")
    monkeypatch.setattr(
        "mlnb.cli.ci_workflow.workflow_text", lambda: newer.replace("timeout-minutes: 120", "timeout-minutes: 240")
    )
    assert main(["upgrade", "--force"]) == 1
    assert f"{WORKFLOW_FILE}: 1 conflict, each between" in capsys.readouterr().out
    assert main(["check"]) == 2 and "an unresolved conflict of `mlnb upgrade`" in capsys.readouterr().out


def test_a_project_from_before_keeps_its_workflow(project: Path, capsys) -> None:
    template = read_template(project)
    files = {name: data for name, data in template.files.items() if name != WORKFLOW_FILE}
    project_template.write_template(project, dataclasses.replace(template, files=files))
    (project / WORKFLOW_FILE).write_text("name: ours\n")
    assert main(["upgrade", "--force"]) == 0
    assert "yours is kept" in capsys.readouterr().out and (project / WORKFLOW_FILE).read_text() == "name: ours\n"
    assert main(["upgrade", "--check"]) == 0


def test_uncommitted_changes_are_refused(project: Path, newer: Version, capsys: pytest.CaptureFixture[str]) -> None:
    newer.edit("40_features.ipynb", append("# new"))
    git("init", "-q")
    assert main(["upgrade"]) == 2, "untracked"
    git("add", ".")
    git("commit", "-qm", "Start")
    (project / "README.md").write_text("not part of an upgrade")
    (project / SHOP / "99_größe.ipynb").write_text("{}")
    before = snapshot(project)
    capsys.readouterr()
    assert main(["upgrade"]) == 2
    assert "Uncommitted changes in nbs/stages/99_größe.ipynb; expected none" in capsys.readouterr().err
    assert snapshot(project) == before
    assert main(["upgrade", "--dry-run"]) == 0
    assert main(["upgrade", "--check"]) == 1
    assert main(["upgrade", "--force"]) == 0


def test_nothing_is_written_when_one_notebook_cannot_be_merged(project: Path, newer: Version) -> None:
    newer.edit("40_features.ipynb", append("# new"))
    newer.edit("50_tune.ipynb", append("# new"))
    (project / SHOP / "50_tune.ipynb").write_text("<<<<<<< HEAD")
    before = snapshot(project)
    assert main(["upgrade"]) == 2
    assert snapshot(project) == before


@pytest.fixture
def kills(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[int], None]]:
    """Return a function that lets writes fail as a kill would, after `count` of them."""
    write = upgrade_journal.write_whole

    def kill_after(count: int) -> None:
        done = iter(range(count))

        def dying(*args: object) -> None:
            if next(done, None) is None:
                raise KeyboardInterrupt
            write(*args)

        monkeypatch.setattr(upgrade_journal, "write_whole", dying)

    yield kill_after
    monkeypatch.setattr(upgrade_journal, "write_whole", write)


def test_a_kill_leaves_the_old_version_or_an_upgrade_that_is_completed(
    project: Path, newer: Version, kills: Callable[[int], None], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("40_features.ipynb", "50_tune.ipynb", "60_train.ipynb"):
        newer.edit(name, append("# new"))
    edit(project / SHOP / "40_features.ipynb", append("# mine"))
    shutil.copytree(project, tmp_path / "other")
    before = snapshot(project)
    assert main(["upgrade"]) == 1
    after = snapshot(project)
    monkeypatch.chdir(tmp_path / "other")
    write = upgrade_journal.write_whole
    for count in range(12):
        shutil.rmtree(tmp_path / "other")
        (tmp_path / "other").mkdir()
        for name, data in before.items():
            (tmp_path / "other" / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / "other" / name).write_bytes(data)
        monkeypatch.chdir(tmp_path / "other")
        kills(count)
        assert main(["upgrade"]) == 130
        monkeypatch.setattr(upgrade_journal, "write_whole", write)
        if upgrade_journal.pending_folder(tmp_path / "other" / ".mlnb").is_dir():
            assert main(["check"]) == main(["plan"]) == 2
            assert main(["upgrade", "--check"]) == 1
            assert main(["upgrade"]) == 0
        else:
            assert snapshot(tmp_path / "other") == before
            assert main(["upgrade"]) == 1
        assert snapshot(tmp_path / "other") == after


def test_an_edit_after_an_interrupted_upgrade_is_not_overwritten(
    project: Path, newer: Version, kills: Callable[[int], None], capsys: pytest.CaptureFixture[str]
) -> None:
    newer.edit("40_features.ipynb", append("# new"))
    kills(4)
    assert main(["upgrade"]) == 130
    edit(project / SHOP / "40_features.ipynb", append("# mine"))
    before = snapshot(project)
    assert main(["upgrade"]) == 2
    assert "40_features.ipynb was edited after an upgrade was interrupted" in capsys.readouterr().err
    assert snapshot(project) == before


def test_the_previous_files_are_kept(project: Path, newer: Version) -> None:
    newer.edit("40_features.ipynb", append("# new"))
    before = (project / SHOP / "40_features.ipynb").read_bytes()
    assert main(["upgrade"]) == 0
    previous = upgrade_journal.previous_files(project / ".mlnb")
    assert (previous / SHOP / "40_features.ipynb").read_bytes() == before
    assert {path.name for path in previous.rglob("*") if path.is_file()} == {"40_features.ipynb", TEMPLATE_FILE}


def test_a_concurrent_upgrade_is_refused(project: Path, newer: Version) -> None:
    newer.edit("40_features.ipynb", append("# new"))
    with upgrade_journal.upgrade_lock(project / ".mlnb"):
        assert main(["upgrade"]) == 2
    assert main(["upgrade"]) == 0


def test_an_obsolete_setting_does_not_block_an_upgrade(project: Path, newer: Version) -> None:
    replace(project / "settings.ini", "kernels = warm", "kernels = warm\nformer = 1")
    newer.edit("40_features.ipynb", append("# new"))
    assert main(["upgrade"]) == 0


@pytest.mark.parametrize("damage", ["missing", "empty", "other", "schema"])
def test_a_template_that_cannot_be_read_is_refused(
    project: Path, newer: Version, damage: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = project / TEMPLATE_FILE
    if damage == "missing":
        path.unlink()
    elif damage == "empty":
        path.write_bytes(b"")
    else:
        with zipfile.ZipFile(path) as archive:
            files = {name: archive.read(name) for name in archive.namelist()}
        change = {"other": ("settings.ini", b"[mlnb]\n"), "schema": ("manifest.json", b'{"schema": 9}')}[damage]
        with zipfile.ZipFile(path, "w") as archive:
            for name, data in {**files, change[0]: change[1]}.items():
                archive.writestr(name, data)
    assert main(["upgrade"]) == 2
    assert TEMPLATE_FILE in capsys.readouterr().err
    with pytest.raises(ProjectError):
        read_template(project)
