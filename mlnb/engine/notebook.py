"""A stage notebook, read and checked without running it: parameters, reads, writes, and what its code is."""

import ast
import json
import os
import re
import sys
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from mlnb.engine import digests, parameters
from mlnb.engine.digests import StatCache, digest_code, digest_value, parse_cell
from mlnb.engine.notebook_document import CONFLICT_TAG, read_document, refuse_conflicts
from mlnb.engine.parameters import Parameter, read_parameters
from mlnb.errors import NotebookError

STEM = re.compile(r"(\d+)_([a-z][a-z0-9_]*)")


@dataclass(frozen=True)
class Cell:
    """One code cell: its place among all cells, its source, the heading above it, and its tags."""

    index: int
    source: str
    heading: str
    tags: tuple[str, ...]

    def has(self, directive: str) -> bool:
        """Whether one of its lines is nbdev's `#| directive`."""
        return re.search(rf"^\s*#\|\s*{directive}\b", self.source, re.MULTILINE) is not None


@dataclass(frozen=True)
class StageNotebook:
    """What the engine knows of a stage before it runs."""

    name: str
    number: int
    path: Path
    title: str
    promise: str
    parameters: tuple[Parameter, ...]
    reads: tuple[str, ...]
    writes: dict[str, str]
    cells: tuple[Cell, ...]

    @cached_property
    def code_digest(self) -> str:
        """Digest of the code cells but for the parameters cell, whose values have their own place in a key."""
        return digest_code(cell.source for cell in self.cells if "parameters" not in cell.tags)

    @cached_property
    def contract_digest(self) -> str:
        """Digest of what it reads and writes."""
        return digest_value([self.name, sorted(self.reads), self.writes])

    @property
    def opens(self) -> int:
        """Index of the cell that opens the stage: what is before it depends on no artifact."""
        return next(cell.index for cell in self.cells if cell.has("stage") and "open_stage(" in cell.source)

    @cached_property
    def imports(self) -> frozenset[str]:
        """Dotted names of everything that its cells import, `from a import b` as `a.b`."""
        found: set[str] = set()
        for cell in self.cells:
            found |= imported_names(parse_cell(cell.source))
        return frozenset(found)

    def parameter(self, name: str) -> Parameter | None:
        """Return the parameter of that name, or None."""
        return next((parameter for parameter in self.parameters if parameter.name == name), None)


def imported_names(tree: ast.AST | None, package: str = "") -> set[str]:
    """Return the dotted names that a syntax tree imports, wherever in it; `package` is where `from .` leads."""
    found: set[str] = set()
    for node in ast.walk(tree) if tree else ():
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            found |= {f"{base}.{alias.name}" for alias in node.names}
    return found


def read_notebook(path: Path) -> StageNotebook:
    """Return the stage that a notebook is.

    Raises `NotebookError` when the file is no notebook or breaks the stage contract: the message names the rule.
    """
    document, where = _read_json(path), path.name
    stem = STEM.fullmatch(path.stem)
    if stem is None:
        raise NotebookError(f"{where}: expected a name like 40_features.ipynb: a number, `_`, and the stage's name.")
    cells, title, promise = _read_cells(document)
    tagged = [cell for cell in cells if "parameters" in cell.tags]
    if len(tagged) != 1:
        raise NotebookError(
            f"{where}: {len(tagged) or 'no'} cells are tagged `parameters`; expected exactly one. "
            "In JupyterLab: the gear at the top right, then add the cell tag."
        )
    exported = [match[1] for cell in cells if (match := re.search(r"#\|\s*default_exp\s+(\S+)", cell.source))]
    if exported != [f"stages.{stem[2]}"]:
        raise NotebookError(
            f"{where}: found `#| default_exp {' '.join(exported)}`; expected `#| default_exp stages.{stem[2]}`."
        )
    declared = read_parameters(tagged[0].source, where)
    reads, writes = _read_contract(cells, stem[2], where)
    return StageNotebook(stem[2], int(stem[1]), path, title, promise, declared, reads, writes, tuple(cells))


def read_notebooks(folder: Path, cache: StatCache | None = None) -> dict[str, StageNotebook]:
    """Return the stages of a folder by name, in the order of their numbers. Raises `NotebookError`.

    A notebook that has not changed since it was read is taken from `cache`.
    """
    paths = sorted(path for path in folder.glob("*.ipynb") if not path.name.startswith("."))
    if not paths:
        raise NotebookError(f"No stage notebooks in {folder}; expected files like 10_ingest.ipynb.")
    stages: dict[str, StageNotebook] = {}
    for stage in sorted((read_known(path, cache) for path in paths), key=lambda stage: (stage.number, stage.name)):
        if stage.name in stages:
            raise NotebookError(f"{stage.path.name} and {stages[stage.name].path.name} are both stage {stage.name!r}.")
        stages[stage.name] = stage
    return stages


def read_known(path: Path, cache: StatCache | None) -> StageNotebook:
    """Return the stage that a notebook is, as it was read before if it and what reads it are the same."""
    if cache is None:
        return read_notebook(path)
    reader = [sys.version, *(os.stat(file).st_mtime_ns for file in (__file__, digests.__file__, parameters.__file__))]
    found = cache.get(path)
    if found is None or found["reader"] != reader:
        stage = read_notebook(path)
        facts = asdict(stage) | {"code_digest": stage.code_digest, "imports": sorted(stage.imports), "reader": reader}
        del facts["path"]
        cache.put(path, facts)
        return stage
    facts = {name: value for name, value in found.items() if name not in ("code_digest", "imports", "reader")}
    facts["parameters"] = tuple(Parameter(**one) for one in facts["parameters"])
    facts["cells"] = tuple(Cell(**{**one, "tags": tuple(one["tags"])}) for one in facts["cells"])
    stage = StageNotebook(**{**facts, "path": path, "reads": tuple(facts["reads"])})
    vars(stage).update(code_digest=found["code_digest"], imports=frozenset(found["imports"]))
    return stage


def _read_json(path: Path) -> dict[str, Any]:
    try:
        data = path.read_bytes()
        document = json.loads(data)
    except FileNotFoundError as error:
        raise NotebookError(f"{path}: no such notebook.") from error
    except ValueError as error:
        raise NotebookError(f"{path.name} is not a notebook: {error}.") from error
    if not isinstance(document, dict) or not isinstance(document.get("cells"), list):
        raise NotebookError(f"{path.name} is not a notebook: it has no list of cells.")
    if CONFLICT_TAG.encode() in data.lower():
        refuse_conflicts(read_document(data, path.name), path.name)
    return document


def _read_cells(document: dict[str, Any]) -> tuple[list[Cell], str, str]:
    cells, heading, title, promise = [], "", "", ""
    for index, cell in enumerate(document["cells"]):
        source = cell.get("source", "")
        source = "".join(source) if isinstance(source, list) else source
        if cell.get("cell_type") == "markdown":
            for line in source.splitlines():
                if match := re.match(r"#{1,6}\s+(.*)", line):
                    heading = match[1].strip()
                    title = title or heading
                elif line.startswith("> ") and not promise:
                    promise = line[2:].strip()
        elif cell.get("cell_type") == "code":
            cells.append(Cell(index, source, heading, tuple(cell.get("metadata", {}).get("tags", ()))))
    return cells, title, promise


def _read_contract(cells: list[Cell], name: str, where: str) -> tuple[tuple[str, ...], dict[str, str]]:
    expected = f'stage = open_stage("{name}", run, reads=[...], writes={{"name": "what it is"}})'
    calls, stage_code = [], [cell for cell in cells if cell.has("stage")]
    for cell in stage_code:
        tree = parse_cell(cell.source)
        if tree is None:
            raise NotebookError(f"{where}: cell {cell.index} starts with `#| stage` but is not Python.")
        calls += [
            node
            for node in ast.walk(tree)
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "open_stage"
        ]
    if len(calls) != 1:
        raise NotebookError(
            f"{where}: found {len(calls) or 'no'} `open_stage(...)` in `#| stage` cells; expected one: `{expected}`."
        )
    call = calls[0]
    keywords = {keyword.arg: keyword.value for keyword in call.keywords}
    try:
        first = ast.literal_eval(call.args[0]) if call.args else None
        reads = ast.literal_eval(keywords.get("reads", ast.List([], ast.Load())))
        writes = ast.literal_eval(keywords.get("writes", ast.Dict([], [])))
    except ValueError as error:
        raise NotebookError(f"{where}: `reads` and `writes` must be literals, as in `{expected}`.") from error
    if first != name or len(call.args) != 2 or ast.unparse(call.args[1]) != "run":
        raise NotebookError(f"{where}: found `{ast.unparse(call)[:80]}`; expected `{expected}`.")
    if not (isinstance(reads, list) and all(isinstance(item, str) for item in reads)):
        raise NotebookError(f"{where}: `reads` is {reads!r}; expected a list of artifact names.")
    if not (isinstance(writes, dict) and all(isinstance(x, str) and x for pair in writes.items() for x in pair)):
        raise NotebookError(f"{where}: `writes` is {writes!r}; expected artifact names with one sentence each.")
    if not any(".close()" in cell.source for cell in stage_code):
        raise NotebookError(f"{where}: no `stage.close()` in its `#| stage` cells; without it nothing is recorded.")
    return tuple(reads), writes
