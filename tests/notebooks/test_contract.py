"""Every notebook of the project keeps its contract: stages, methods and guides alike."""

import ast
import json
import re
from pathlib import Path

import pytest

from mlnb.cli.check import find_problems, notebook_problems
from mlnb.engine.notebook import imported_names, read_notebook
from mlnb.engine.project import Project

ROOT = Path(__file__).resolve().parents[2]
NBS = ROOT / "nbs"
STAGES = sorted((NBS / "stages").glob("*.ipynb"))
METHODS = sorted((NBS / "methods").glob("*/*.ipynb"))
GUIDES = sorted((NBS / "guides").glob("*.ipynb"))
# What `#| stage` cells may import from mlnb, in addition to `open_stage`, methods and stages.
ALSO: dict[str, tuple[str, ...]] = {
    "evaluate": (
        "mlnb.serving.batch.compiled.faster_predictions",
    ),  # predicts with compiled trees, bit by bit the same
    "package": ("mlnb.serving",),  # builds the bento and verifies it over HTTP
    "collect": ("mlnb.monitoring.production_data",),  # reads the files of the prediction log and the labels
    "monitor": ("mlnb.monitoring.production_data",),  # as above
    "challenge": ("mlnb.monitoring.fresh_responses",),  # responds through the code that serves both models
}


def cells_of(path: Path) -> list[tuple[str, str]]:
    """Return (type, source) of every cell that is not empty."""
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return [(cell["cell_type"], "".join(cell["source"])) for cell in cells if "".join(cell["source"]).strip()]


def directive(source: str, name: str) -> bool:
    return re.search(rf"^#\|\s*{name}\b", source, re.MULTILINE) is not None


def public(source: str) -> list[ast.FunctionDef | ast.ClassDef]:
    nodes = [node for node in ast.parse(source).body if isinstance(node, ast.FunctionDef | ast.ClassDef)]
    return [node for node in nodes if not node.name.startswith("_")]


def name_of(path: Path) -> str:
    return path.stem


def test_the_project_has_no_problem() -> None:
    assert find_problems(Project.find(ROOT)) == []


@pytest.mark.parametrize("path", STAGES, ids=name_of)
def test_stage_has_no_problem_and_no_remark(path: Path) -> None:
    stage = read_notebook(path)
    assert list(notebook_problems(stage)) == []
    assert {name: text for name, text in stage.writes.items() if len(text.split()) < 3} == {}


@pytest.mark.parametrize("path", STAGES, ids=name_of)
def test_stage_has_its_cells_in_order(path: Path) -> None:
    (first, title), *_ = cells = cells_of(path)
    export, parameters, *_ = [source for kind, source in cells if kind == "code"]
    assert first == "markdown"
    assert title.startswith("# ")
    assert "\n> " in title
    assert directive(export, "default_exp")
    assert parameters.startswith('run: str = "draft"')


@pytest.mark.parametrize("path", STAGES, ids=name_of)
def test_stage_keeps_pure_code_before_its_run(path: Path) -> None:
    cells = cells_of(path)
    start = next(n for n, (_, source) in enumerate(cells) if source.startswith("## Run the stage"))
    assert not any(directive(source, "stage") for kind, source in cells[:start] if kind == "code")
    assert all(directive(source, "stage") for kind, source in cells[start:] if kind == "code")
    assert cells[-1][1].rstrip().endswith("stage.close()") or "stage.close()" in cells[-1][1]


@pytest.mark.parametrize("path", STAGES, ids=name_of)
def test_stage_imports_only_what_it_may(path: Path) -> None:
    stage = read_notebook(path)
    for cell in stage.cells:
        names = {name for name in imported_names(ast.parse(cell.source)) if name.partition(".")[0] == "mlnb"}
        allowed = ("mlnb.methods", "mlnb.stages", "mlnb.errors", "mlnb.codec", "mlnb.column_files")
        if cell.has("stage"):
            allowed = ("mlnb.methods", "mlnb.stages")
        if cell.has("stage"):
            allowed += ("mlnb.open_stage", *ALSO.get(stage.name, ()))
        assert [name for name in names if not name.startswith(allowed)] == []


@pytest.mark.parametrize("path", METHODS, ids=name_of)
def test_method_has_title_summary_and_module(path: Path) -> None:
    (first, title), *_ = cells = cells_of(path)
    assert first == "markdown"
    assert title.startswith("# ")
    assert "\n> " in title
    exports = re.findall(r"^#\|\s*default_exp\s+(\S+)", "\n".join(source for _, source in cells), re.MULTILINE)
    assert exports == [f"methods.{path.parent.name}.{path.stem}"]


@pytest.mark.parametrize("path", METHODS, ids=name_of)
def test_method_does_not_import_the_engine(path: Path) -> None:
    for source in (source for kind, source in cells_of(path) if kind == "code" and directive(source, "export")):
        names = {name for name in imported_names(ast.parse(source)) if name.partition(".")[0] == "mlnb"}
        assert [
            name
            for name in names
            if not name.startswith(
                (
                    "mlnb.methods",
                    "mlnb.array_files",
                    "mlnb.codec",
                    "mlnb.column_files",
                    "mlnb.errors",
                    "mlnb.leases",
                    "mlnb.decompression",
                    "mlnb.exported_code",
                    "mlnb.machine",
                    "mlnb.parquet_table",
                )
            )
        ] == []


def mirrored_tests(path: Path) -> list[Path]:
    """Return the tests of a methods notebook's package, which have the assertions that are too many for a notebook."""
    return sorted((ROOT / "tests" / "methods" / path.parent.name).glob("test_*.py")) if path in METHODS else []


@pytest.mark.parametrize("path", METHODS + STAGES, ids=name_of)
def test_public_code_has_docstrings_and_examples(path: Path) -> None:
    code = [source for kind, source in cells_of(path) if kind == "code"]
    nodes = [node for source in code if directive(source, "export") for node in public(source)]
    assert [node.name for node in nodes if not ast.get_docstring(node)] == [], "no docstring"
    shown = "\n".join(source for source in code if not directive(source, "(export|stage)"))
    functions = [node.name for node in nodes if isinstance(node, ast.FunctionDef)]
    shown += "\n".join(file.read_text("utf-8") for file in mirrored_tests(path))
    assert [name for name in functions if name not in shown] == [], "no cell and no mirrored test shows what these do"
    assert not nodes or re.search(r"^\s*assert\b", shown, re.MULTILINE)


@pytest.mark.parametrize("path", GUIDES, ids=name_of)
def test_guide_exports_nothing(path: Path) -> None:
    cells = cells_of(path)
    assert cells[0][1].startswith("# ")
    assert not any(directive(source, "(export|default_exp|stage)") for _, source in cells)


@pytest.mark.parametrize("path", [NBS / "index.ipynb", *GUIDES, *STAGES, *METHODS], ids=name_of)
def test_notebook_links_resolve(path: Path) -> None:
    text = "\n".join(source for kind, source in cells_of(path) if kind == "markdown")
    links = [link.partition("#")[0] for link in re.findall(r"\]\(([^)\s]+)\)", text) if "://" not in link]
    assert [link for link in links if link and not (path.parent / link).exists()] == []


@pytest.mark.parametrize("path", [NBS / "index.ipynb", *GUIDES, *STAGES, *METHODS], ids=name_of)
def test_notebook_is_saved_clean(path: Path) -> None:
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
        if cell["cell_type"] == "code":
            assert (cell["outputs"], cell["execution_count"]) == ([], None)
        assert set(cell["metadata"]) <= {"tags"}
