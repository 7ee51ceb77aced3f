"""The caches of values derived from source files: of a project, and of mlnb itself for all projects of a user."""

import json
import os
from pathlib import Path

import pytest

import mlnb
from mlnb.engine import source_cache
from mlnb.engine.project import Project
from mlnb.engine.source_cache import DERIVING, SourceCache, shared_cache_path

OURS = Path(mlnb.__file__).parent / "errors.py"


@pytest.fixture
def own_file(tmp_path):
    file = tmp_path / "module.py"
    file.write_text("x = 1")
    os.utime(file, (1e9, 1e9))
    return file


@pytest.fixture(autouse=True)
def settled(monkeypatch):
    """A file that has just been written counts as unchanged."""
    monkeypatch.setattr("mlnb.engine.digests.RACE", 0)


def test_values_of_mlnb_are_shared_by_projects_and_others_are_not(tmp_path, own_file):
    shared = tmp_path / "cache" / "shared.json"
    one, other = (SourceCache(tmp_path / name / "sources.json", shared) for name in "ab")
    for file in (OURS, own_file):
        assert one.get(file) is None
        one.put(file, ["digest", []])
    one.save()
    assert other.get(OURS) is None  # read before the first was saved
    third = SourceCache(tmp_path / "c" / "sources.json", shared)
    assert third.get(OURS) == ["digest", []] and third.get(own_file) is None
    assert SourceCache(tmp_path / "a" / "sources.json", shared).get(own_file) == ["digest", []]
    assert shared.stat().st_mode & 0o777 == 0o600


def test_without_a_shared_file_all_values_are_in_the_project(tmp_path):
    cache = SourceCache(tmp_path / "sources.json", None)
    cache.put(OURS, "digest")
    cache.save()
    assert SourceCache(tmp_path / "sources.json", None).get(OURS) == "digest"


def test_values_of_other_code_are_not_used(tmp_path, monkeypatch, own_file):
    shared = tmp_path / "shared.json"
    cache = SourceCache(tmp_path / "sources.json", shared)
    cache.put(OURS, "digest")
    cache.save()
    cache.shared.put(own_file, "of another installation")
    cache.save()
    monkeypatch.setattr(source_cache, "DERIVING", (*DERIVING, own_file.parent / "new.py"))
    (own_file.parent / "new.py").touch()
    changed = SourceCache(tmp_path / "sources.json", shared)
    assert changed.get(OURS) is None and changed.shared.get(own_file) == "of another installation"


def test_a_damaged_shared_file_is_reported_and_replaced(tmp_path):
    shared = tmp_path / "shared.json"
    shared.write_text("{")
    with pytest.warns(UserWarning, match=r"shared.json is damaged"):
        cache = SourceCache(tmp_path / "sources.json", shared)
    cache.put(OURS, "digest")
    cache.save()
    assert SourceCache(tmp_path / "sources.json", shared).get(OURS) == "digest"


def test_files_that_do_not_exist_any_more_are_forgotten(tmp_path):
    shared = tmp_path / "shared.json"
    shared.write_text(json.dumps({"/nowhere/mlnb/old.py": [[1, 2, 3, 4], "digest"]}))
    cache = SourceCache(tmp_path / "sources.json", shared)
    cache.put(OURS, "digest")
    cache.save()
    assert str(OURS) in (text := shared.read_text()) and "/nowhere" not in text


def test_the_shared_file_is_in_the_users_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    path = shared_cache_path()
    assert path is not None and path.parent == tmp_path / "cache" / "mlnb" and path.parent.is_dir()
    monkeypatch.setenv("XDG_CACHE_HOME", "/proc/nowhere")
    assert shared_cache_path() is None


def test_a_second_project_digests_no_module_of_mlnb(tmp_path, monkeypatch):
    from mlnb.engine.code_sources import CodeSources

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    results = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        project = Project.find(tmp_path / name)
        results.append(CodeSources(project).dependencies(["mlnb.methods.tasks.responders"]))
        project.source_cache.save()
        monkeypatch.setattr("mlnb.engine.code_sources.parse_python", lambda source: pytest.fail("a module was parsed"))
    assert results[0] == results[1] and len(results[0][0]) > 3
