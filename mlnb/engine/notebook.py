"""A stage notebook, read and checked without running it: its parameters, reads, writes and code."""

import ast
import json
import os
import re
import sys
import warnings
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from mlnb.codec import Record
from mlnb.engine import digests, parameters
from mlnb.engine.confined_names import is_plain_name
from mlnb.engine.digests import StatCache, digest_code, digest_value, parse_cell, walk_statements
from mlnb.engine.notebook_document import CONFLICT_TAG, read_document, refuse_conflicts
from mlnb.engine.parameters import Parameter, read_parameters
from mlnb.errors import IgnoredFileWarning, NotebookError

SCRATCH_NAME = re.compile(r"^Untitled\d*$|-Copy\d+$")  # of a notebook that JupyterLab has made
FILE_NAME = re.compile(r"(\d+)_([a-z][a-z0-9_]*)")


class Cell(Record, frozen=True, kw_only=True):
    """One code cell: its index among all cells, its source, the heading above it, and its tags."""

    index: int
    source: str
    heading: str
    tags: tuple[str, ...]

    def has(self, directive: str) -> bool:
        """Whether one of its lines is nbdev's `#| directive`."""
        return re.search(rf"^\s*#\|\s*{directive}\b", self.source, re.MULTILINE) is not None


class StageNotebook(Record, frozen=True, kw_only=True):
    """A stage, as its notebook declares it.

    Args:
        name, number: From the file name, as in 40_features.ipynb.
        title: The first heading.
        description: The sentence under the title.
        reads: Names of the artifacts that it reads.
        writes: Names of the artifacts that it makes, each with a description.
        cells: Its code cells.
        code_digest: Digest of the code cells without the parameters cell, whose values are in the stage key.
        imports: Dotted names of everything that the cells import, `from a import b` as `a.b`.
    """

    name: str
    number: int
    path: Path
    title: str
    description: str
    parameters: tuple[Parameter, ...]
    reads: tuple[str, ...]
    writes: dict[str, str]
    cells: tuple[Cell, ...]
    code_digest: str
    imports: frozenset[str]

    @property
    def contract_digest(self) -> str:
        """Digest of what it reads and writes."""
        return digest_value([self.name, sorted(self.reads), self.writes])

    @property
    def opening_cell(self) -> int:
        """Index of the cell that opens the stage; the cells before it depend on no artifact."""
        return next(cell.index for cell in self.cells if cell.has("stage") and "open_stage(" in cell.source)

    def parameter(self, name: str) -> Parameter | None:
        """Return the parameter of that name, or None."""
        return next((parameter for parameter in self.parameters if parameter.name == name), None)


def imported_names(tree: ast.AST | None, package: str = "") -> set[str]:
    """Return the dotted names that a syntax tree imports anywhere; `package` is the one that `from .` refers to."""
    names: set[str] = set()
    for node in walk_statements(tree) if tree else ():
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            names |= {f"{base}.{alias.name}" for alias in node.names}
    return names


@lru_cache(maxsize=1024)
def cell_imports(source: str) -> frozenset[str]:
    """Return the dotted names that a cell imports."""
    return frozenset(imported_names(parse_cell(source)))


def read_notebook(path: Path) -> StageNotebook:
    """Return the stage that a notebook declares.

    Raises:
        NotebookError: The file is no notebook or breaks the contract of stage notebooks; the message names the rule.
    """
    where = path.name
    cells, title, description = _read_cells(path)
    stem = FILE_NAME.fullmatch(path.stem)
    if stem is None:
        raise NotebookError(f"{where}: expected a name like 40_features.ipynb: a number, `_`, and the stage's name.")
    tagged = [cell for cell in cells if "parameters" in cell.tags]
    if len(tagged) != 1:
        raise NotebookError(
            f"{where}: {len(tagged) or 'no'} cells have the tag `parameters`; expected exactly one. "
            "In JupyterLab: open the property inspector (gear at the top right) and add the cell tag."
        )
    exported = [match[1] for cell in cells if (match := re.search(r"#\|\s*default_exp\s+(\S+)", cell.source))]
    if exported != [f"stages.{stem[2]}"]:
        raise NotebookError(
            f"{where}: found `#| default_exp {' '.join(exported)}`; expected `#| default_exp stages.{stem[2]}`."
        )
    declared = read_parameters(tagged[0].source, where)
    reads, writes = _read_contract(cells, stem[2], where)
    imports = frozenset(name for cell in cells for name in cell_imports(cell.source))
    return StageNotebook(
        name=stem[2],
        number=int(stem[1]),
        path=path,
        title=title,
        description=description,
        parameters=declared,
        reads=reads,
        writes=writes,
        cells=tuple(cells),
        code_digest=digest_code(cell.source for cell in cells if "parameters" not in cell.tags),
        imports=imports,
    )


def read_notebooks(folder: Path, cache: StatCache | None = None) -> dict[str, StageNotebook]:
    """Return the stages of a folder by name, in the order of their numbers.

    Args:
        folder: The folder of the stage notebooks.
        cache: Notebooks that were read before and have not changed since.

    Raises:
        NotebookError: There is no notebook, two have the same name, or one breaks the contract.
    """
    paths = []
    for path in sorted(path for path in folder.glob("*.ipynb") if not path.name.startswith(".")):
        if SCRATCH_NAME.search(path.stem):
            message = f"{path} is left out: JupyterLab gives this name to new files and copies."
            warnings.warn(message, IgnoredFileWarning, stacklevel=2)
        else:
            paths.append(path)
    if not paths:
        raise NotebookError(f"No stage notebooks in {folder}; expected files like 10_ingest.ipynb.")
    stages: dict[str, StageNotebook] = {}
    for stage in sorted((read_cached(path, cache) for path in paths), key=lambda stage: (stage.number, stage.name)):
        if stage.name in stages:
            raise NotebookError(
                f"{stage.path.name} and {stages[stage.name].path.name} are both stage {stage.name!r}; rename one."
            )
        stages[stage.name] = stage
    return stages


class _CachedNotebook(Record, frozen=True, kw_only=True):
    """A stage in the cache, and the version of the code that read it."""

    stage: StageNotebook
    reader: tuple[str | int, ...]


def read_cached(path: Path, cache: StatCache | None) -> StageNotebook:
    """Return the stage that a notebook declares, from the cache when neither it nor the reading code has changed.

    Raises:
        NotebookError: As `read_notebook`.
    """
    if cache is None:
        return read_notebook(path)
    modified = [os.stat(file).st_mtime_ns for file in (__file__, digests.__file__, parameters.__file__)]
    reader: tuple[str | int, ...] = (sys.version, *modified)
    try:
        cached = msgspec.convert(cache.get(path), _CachedNotebook, dec_hook=_path_from_text)
    except msgspec.ValidationError:  # nothing is cached, or by another version
        cached = None
    if cached is not None and cached.reader == reader:
        return cached.stage
    stage = read_notebook(path)
    cache.put(path, msgspec.to_builtins(_CachedNotebook(stage=stage, reader=reader), enc_hook=str))
    return stage


def _path_from_text(kind: type, text: Any) -> Path:
    return Path(text)


class _Cells(NamedTuple):
    """The code cells of a notebook, its first heading, and the first quoted line."""

    code: list[Cell]
    title: str
    description: str


def _read_cells(path: Path) -> _Cells:
    try:
        data = path.read_bytes()
        document = json.loads(data)
    except FileNotFoundError as error:
        raise NotebookError(f"{path}: no such notebook.") from error
    except (ValueError, RecursionError) as error:
        if (conflict := _conflict_line(data.decode(errors="replace"))) is not None:
            raise NotebookError(
                f"{path.name}: line {conflict} is an unresolved merge conflict of git; resolve it, then run "
                f"again: `nbdev_fix {path.name}` keeps both versions as cells."
            ) from None
        raise NotebookError(f"{path.name} is not a notebook: {error}.") from error
    if not isinstance(document, dict) or not isinstance(document.get("cells"), list):
        raise NotebookError(f"{path.name} is not a notebook: it has no list of cells.")
    if CONFLICT_TAG.encode() in data.lower():
        refuse_conflicts(read_document(data, path.name), path.name)
    cells: list[Cell] = []
    heading = title = description = ""
    for index, cell in enumerate(document["cells"]):
        source = cell.get("source", "")
        source = "".join(source) if isinstance(source, list) else source
        if _conflict_line(source) is not None:
            raise NotebookError(
                f"{path.name}: cell {index} has an unresolved merge conflict; keep one of its versions."
            )
        if cell.get("cell_type") == "markdown":
            for line in source.splitlines():
                if match := re.match(r"#{1,6}\s+(.*)", line):
                    heading = match[1].strip()
                    title = title or heading
                elif line.startswith("> ") and not description:
                    description = line[2:].strip()
        elif cell.get("cell_type") == "code":
            tags = tuple(cell.get("metadata", {}).get("tags", ()))
            cells.append(Cell(index=index, source=source, heading=heading, tags=tags))
    return _Cells(cells, title, description)


def _conflict_line(text: str) -> int | None:
    """Return the number of the first line that starts a merge conflict of git, from 1; None when there is none."""
    if "<<<<<<< " not in text:
        return None
    lines = text.splitlines()
    return next((number for number, line in enumerate(lines, start=1) if line.startswith("<<<<<<< ")), None)


def _read_contract(cells: list[Cell], name: str, where: str) -> tuple[tuple[str, ...], dict[str, str]]:
    expected = f'stage = open_stage("{name}", run, reads=[...], writes={{"name": "description"}})'
    calls: list[ast.Call] = []
    stage_code = [cell for cell in cells if cell.has("stage")]
    for cell in stage_code:
        if magic := re.match(r"(?:\s*#.*\n)+\s*(%%\w+)", cell.source):
            raise NotebookError(
                f"{where}: cell {cell.index} has {magic[1]} below a comment, where IPython does not accept it; make it "
                "the first line and write `#| stage` below it."
            )
        tree = parse_cell(cell.source)
        if tree is None:
            raise NotebookError(f"{where}: cell {cell.index} starts with `#| stage` but is not Python.")
        calls += [
            node
            for node in (ast.walk(tree) if "open_stage" in cell.source else ())
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
        raise NotebookError(f"{where}: `writes` is {writes!r}; expected artifact names with a sentence each.")
    for artifact in (*reads, *writes):
        if not is_plain_name(artifact):
            raise NotebookError(f"{where}: {artifact!r} is no name of an artifact; expected no / or \\ in it.")
    if not any(".close()" in cell.source for cell in stage_code):
        raise NotebookError(
            f"{where}: no `stage.close()` in its `#| stage` cells; add it, as nothing is recorded without it."
        )
    return tuple(reads), writes
