"""A registry that is missing, empty or damaged is an error once its audit log has had entries, never a new registry."""

import sqlite3
from pathlib import Path

import planted
import pytest
from in_process import mlnb_in_process

from mlnb.engine.project import Project
from mlnb.registry.database import database_url
from mlnb.registry.known_head import known_head, remember_head
from mlnb.registry.registry import Registry

COMMANDS = ("models", "audit", "audit verify", "promote 1 --reason x", "rollback --reason x", "clean --dry-run")


@pytest.fixture
def project(tmp_path: Path) -> Project:
    created = planted.plant_project(tmp_path)
    Registry(created).versions()  # creates the tables
    remember_head(created, database_url(created), "0" * 64)
    return created


@pytest.mark.parametrize("damage", ["missing", "empty file", "no database", "no entries", "cut"])
@pytest.mark.parametrize("command", COMMANDS)
def test_a_lost_registry_is_an_error(project: Project, damage: str, command: str) -> None:
    path = project.store_root / "registry.db"
    data = path.read_bytes()
    assert path.stat().st_mode & 0o077 == 0
    if damage == "missing":
        path.unlink()
    elif damage != "no entries":
        path.write_bytes({"empty file": b"", "no database": b"x" * 5000, "cut": data[: len(data) // 2]}[damage])
    text = mlnb_in_process(project.root, *command.split(), code=3)
    assert "registry.db" in text and "Traceback" not in text
    assert path.exists() == (damage != "missing"), "no new registry is made"


def test_a_new_project_has_a_new_registry(tmp_path: Path) -> None:
    created = planted.plant_project(tmp_path)
    assert known_head(created, database_url(created)) == "" and Registry(created).versions() == []


def test_a_head_given_by_hand_needs_a_registry(tmp_path: Path) -> None:
    planted.plant_project(tmp_path)
    assert "is missing or empty" in mlnb_in_process(tmp_path, "audit", "verify", "--head", "1" * 64, code=3)
    assert not (tmp_path / ".mlnb" / "registry.db").exists()


def test_the_file_is_a_database_again_after_it_was_restored(project: Project) -> None:
    path = project.store_root / "registry.db"
    data = path.read_bytes()
    path.unlink()
    mlnb_in_process(project.root, "audit", code=3)
    path.write_bytes(data)
    with sqlite3.connect(path) as connection:
        connection.execute("INSERT INTO mlnb_log VALUES (1, '{}', ?)", ("0" * 64,))
    connection.close()
    assert "cannot be read" in mlnb_in_process(project.root, "audit", code=3)
