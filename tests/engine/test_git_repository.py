"""Revisions of a git repository: what they are called, and which files they have."""

from pathlib import Path

import pytest
from git_checkouts import commit, git

from mlnb.engine.git_repository import GitRepository, Revision
from mlnb.errors import ProjectError, UsageError


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project below the top of a repository, with a branch that is two commits ahead of main."""
    top = tmp_path_factory.mktemp("repository")
    folder = top / "shop"
    (folder / "nbs").mkdir(parents=True)
    (top / "other.ipynb").write_text("of another project")
    (folder / "nbs" / "10_a.ipynb").write_text("first")
    (folder / "nbs" / 'odd "näme\n.ipynb').write_bytes(b"odd\0bytes\n")
    (folder / "nbs" / "link.ipynb").symlink_to("/etc/hostname")
    (folder / "rows.csv").write_text("a\n1\n")
    commit(top, "One")
    git(top, "tag", "v1")
    git(top, "switch", "--quiet", "-c", "work")
    (folder / "nbs" / "10_a.ipynb").write_text("second")
    commit(top, "Two")
    (folder / "rows.csv").write_text("a\n2\n")
    commit(top, "Three")
    return folder


def names(folder: Path, text: str) -> list[str]:
    """Return the subjects of the commits that a text names."""
    return [git(folder, "log", "-1", "--format=%s", one.commit) for one in GitRepository(folder).revisions(text)]


@pytest.mark.parametrize(
    ("text", "subjects"),
    [
        ("", ["One", "Three"]),
        ("HEAD~1", ["Two", "Three"]),
        ("v1..HEAD~1", ["One", "Two"]),
        ("HEAD~1..", ["Two", "Three"]),
        ("..main", ["Three", "One"]),
        ("work...main", ["One", "One"]),
    ],
)
def test_revisions_are_named_as_in_git(folder: Path, text: str, subjects: list[str]) -> None:
    assert names(folder, text) == subjects
    assert GitRepository(folder).revisions(text)[1].is_working_tree == (".." not in text)


def test_a_revision_is_shown_with_a_short_id(folder: Path) -> None:
    commit_id = git(folder, "rev-parse", "HEAD")
    shown = [str(one) for one in GitRepository(folder).revisions(f"v1..{commit_id}")]
    assert shown == [f"v1 ({git(folder, 'rev-parse', 'v1')[:8]})", commit_id[:8]]


def test_an_unknown_revision_is_reported_with_the_closest_name(folder: Path) -> None:
    repository = GitRepository(folder)
    with pytest.raises(UsageError, match=r"No commit 'mian' .*expected a branch, a tag .*'main'"):
        repository.revisions("mian..HEAD")
    for text in ("--output=x", "HEAD:nbs", "v1^{tree}", "nbs"):
        with pytest.raises(UsageError, match="No commit"):
            repository.revisions(text)
    assert not (folder / "x").exists()


def test_notebooks_of_a_commit_and_of_the_working_tree(folder: Path) -> None:
    repository = GitRepository(folder)
    first, _ = repository.revisions("v1")
    committed = repository.notebooks(first)
    assert committed["nbs/10_a.ipynb"] == b"first"
    assert set(committed) == {"nbs/10_a.ipynb"}, "no link, no name that leaves a folder, no other project"
    scratch = folder / "nbs" / "20_new.ipynb"
    scratch.write_text("not added yet")
    try:
        notebooks = repository.notebooks(Revision("working tree", first.commit, True))
    finally:
        scratch.unlink()
    assert notebooks == {"nbs/10_a.ipynb": b"second", "nbs/20_new.ipynb": b"not added yet"}


def test_many_objects_are_read_as_they_are(tmp_path: Path) -> None:
    contents = {f"{number}.ipynb": bytes([number]) * number + b"\n" * (number % 3) for number in range(9)}
    for name, data in contents.items():
        (tmp_path / name).write_bytes(data)
    head = Revision("HEAD", commit(tmp_path))
    assert GitRepository(tmp_path).notebooks(head) == contents


def test_changed_files_are_relative_to_the_project(folder: Path) -> None:
    repository = GitRepository(folder)
    assert repository.changed_files(*repository.revisions("v1..HEAD")) == ["nbs/10_a.ipynb", "rows.csv"]
    assert repository.changed_files(*repository.revisions("HEAD")) == []
    assert repository.is_clean()


def test_a_folder_without_a_repository(tmp_path: Path) -> None:
    with pytest.raises(ProjectError, match=r"is in no git repository .*git init"):
        GitRepository(tmp_path)


def test_a_repository_without_a_commit_or_a_default_branch(tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet", "--initial-branch=trunk")
    with pytest.raises(UsageError, match="No commit 'HEAD'"):
        GitRepository(tmp_path).revisions("")
    git(tmp_path, "commit", "--quiet", "--allow-empty", "-m", "One")
    with pytest.raises(UsageError, match=r"none of the branches .*mlnb diff BASE"):
        GitRepository(tmp_path).revisions("")


def test_a_machine_without_git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ProjectError, match=r"no program git.*Install it"):
        GitRepository(tmp_path)
