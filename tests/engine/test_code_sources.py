"""The sources of a stage are the modules that it imports, in any form of import, and no others."""

import os
import site
from collections.abc import Callable
from pathlib import Path

import pytest
import toys
from custom_families import CODE, FILE, write_family
from waiting import wait_for

from mlnb.api.run_request import RunRequest, plan_request
from mlnb.engine import digests
from mlnb.engine.code_sources import CodeSources
from mlnb.engine.plan_reasons import explain
from mlnb.engine.project import Project, builtin_folder
from mlnb.engine.run_records import KeyInputs


def behind(root: Path, *imports: str) -> tuple[dict[str, str], dict[str, str]]:
    return CodeSources(Project.find(root)).dependencies(imports)


def test_modules_are_followed_through_every_kind_of_import(tmp_path: Path) -> None:
    root = toys.chain(tmp_path)
    (root / "lib" / "deep").mkdir(parents=True)
    (root / "lib" / "__init__.py").write_text("")
    (root / "lib" / "a.py").write_text("from .deep import c\nfrom . import b\n")
    (root / "lib" / "b.py").write_text("def f():\n    import pandas.api\n")
    (root / "lib" / "deep" / "__init__.py").write_text("")
    (root / "lib" / "deep" / "c.py").write_text("from ..d import x\nimport json\n")
    (root / "lib" / "d.py").write_text("x = 1\n")
    (root / "lib" / "unused.py").write_text("import numpy\n")
    modules, libraries = behind(root, "lib.a", "mlnb.open_stage")
    assert set(modules) == {"lib", "lib.a", "lib.b", "lib.deep", "lib.deep.c", "lib.d"}
    assert set(libraries) == {"pandas"}
    (root / "lib" / "d.py").write_text("x = 2\n")
    changed = behind(root, "lib.a")[0]
    assert [name for name in modules if modules[name] != changed[name]] == ["lib.d"]
    (root / "lib" / "d.py").write_text('"""Prose."""\nx = 2  # two\n')
    assert behind(root, "lib.a")[0] == changed


def test_methods_are_part_of_a_stage_key_and_the_engine_is_not(tmp_path: Path) -> None:
    modules, libraries = behind(
        tmp_path, "mlnb.open_stage", "mlnb.settings.ServiceSettings", "mlnb.methods.tables.columns.Schema"
    )
    packages = {"mlnb.methods", "mlnb.methods.tables", "mlnb.methods.contracts"}
    contracts = {f"mlnb.methods.contracts.{name}" for name in ("declarations", "responses", "table_formats")}
    records = {"mlnb.codec", *contracts}
    tables = {f"mlnb.methods.tables.{name}" for name in ("columns", "value_lists", "values")}
    assert set(modules) == packages | records | tables
    assert "numpy" in libraries


def test_model_families_are_part_of_the_stages_that_read_them(tmp_path: Path) -> None:
    root = toys.chain(tmp_path)
    write_family(root, code=CODE.replace("import json", "import json\nimport shapely"))
    readers = "mlnb.methods.models.project_families.register_families"
    modules, libraries = behind(root, readers)
    assert FILE in modules and "shapely" in libraries
    assert FILE not in behind(root, "mlnb.methods.models.custom_families.load_family")[0]
    write_family(root, code=CODE)
    assert behind(root, readers)[0][FILE] != modules[FILE]


def test_files_of_an_encoder_are_part_of_the_stage_that_reads_it(tmp_path: Path) -> None:
    root, readers = toys.chain(tmp_path), "mlnb.methods.encoding.project_encoders.read_encoders"
    code = "#| export\nclass A:\n    files = {'model': 'net.bin'}\n    x = files['model']\n"
    write_family(root, "nbs/encoders/a.ipynb", code)
    keys = [behind(root, readers)[0]["net.bin"]]
    for data in (b"1", b"2"):
        (root / "net.bin").write_bytes(data)
        keys.append(behind(root, readers)[0]["net.bin"])
    assert keys[0] == "none" and len(set(keys)) == 3


def test_the_code_of_a_service_is_part_of_the_stage_that_packages_it(tmp_path: Path) -> None:
    root = toys.chain(tmp_path)
    _write(root / "shop" / "service.py", "import helper\nimport shapely\n")
    _write(root / "helper.py", "x = 1\n")

    def inputs(**values: object) -> KeyInputs:
        (plan,) = plan_request(Project.find(root), RunRequest(values=values))
        return plan.planner.key_inputs("note", {})

    before = inputs(**{"note.source": "shop"})
    assert set(before.modules) == {"helper"} and "shapely" in before.libraries
    _write(root / "helper.py", "x = 2\n")
    assert explain(before, inputs(**{"note.source": "shop"})) == "helper changed"
    assert not inputs(**{"note.source": "helper.py"}).modules and not inputs().modules
    served = CodeSources(Project.find(root)).service_imports(builtin_folder() / "bentos" / "tabular")
    modules, libraries = behind(root, *served)
    assert {"mlnb.serving.runtime.endpoint", "mlnb.serving.runtime.http_server"} <= set(modules)
    assert "bentoml" in libraries and "mlnb.cli" not in modules


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


CHANGES: dict[str, Callable[[Path], object]] = {
    "a module is edited": lambda root: _write(root / "lib" / "b.py", "y = 22\n"),
    "a module is edited, with size and time kept": lambda root: _keep_time(root / "lib" / "b.py", "y = 3\n"),
    "a module is deleted": lambda root: (root / "lib" / "b.py").unlink(),
    "a module is added": lambda root: _write(root / "lib" / "extra.py", "import scipy\n"),
    "a package hides a library": lambda root: _write(root / "shapely" / "__init__.py", ""),
    "a family is added": lambda root: write_family(root, code=CODE),
}


def _keep_time(path: Path, text: str) -> None:
    stat = path.stat()
    path.write_text(text)
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))


@pytest.mark.parametrize("name", CHANGES)
def test_sources_are_current_until_something_changes(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = toys.chain(tmp_path)
    _write(root / "lib" / "__init__.py", "")
    _write(root / "lib" / "a.py", "from lib import b, extra\nimport shapely\n")
    _write(root / "lib" / "b.py", "y = 2\n")
    imports = ("lib.a", "mlnb.methods.models.project_families.register_families")
    sources = CodeSources(Project.find(root))
    before = sources.dependencies(imports)
    assert not sources.is_current()  # files that have just changed may change again without a difference
    monkeypatch.setattr(digests, "RACE", 0)

    def read_again() -> CodeSources | None:
        again = CodeSources(Project.find(root))
        assert again.dependencies(imports) == before
        return again if again.is_current() else None

    # Other tests of a new clone compile modules, which makes folders next to those of mlnb.
    sources = wait_for(read_again, 30, "sources that are current")
    CHANGES[name](root)
    assert not sources.is_current()
    assert CodeSources(Project.find(root)).dependencies(imports) != before


def test_names_that_no_code_imports_do_not_matter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run makes folders and files in the project's folder, which has changed less than two seconds ago then."""
    root = toys.chain(tmp_path)
    monkeypatch.setattr(site, "getsitepackages", list)  # other tests may change the folders of the environment
    monkeypatch.setattr(digests, "RACE", 0)
    sources = CodeSources(Project.find(root))
    before = sources.dependencies(("lib.a",))
    monkeypatch.setattr(digests, "RACE", 2 * 10**9)
    (root / "runs").mkdir()
    (root / "past.csv").touch()
    assert sources.is_current() and CodeSources(Project.find(root)).dependencies(("lib.a",)) == before
    (root / "lib").mkdir()
    assert not sources.is_current()
