"""Measure how long modules and stages are."""

import ast
import io
import json
import tokenize
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MODULE_LINES = 300  # physical lines of a module written by hand; lines of code of a generated one
STAGE_LINES, CELL_LINES = 80, 15  # lines of code in the `#| stage` cells of a notebook, and in one of them
GENERATED = ("mlnb/methods/", "mlnb/stages/")
WRITTEN = ("mlnb", "scripts", "bentos", "benchmarks")


def code_lines(text: str) -> int:
    """Return the lines of a module that are code: no docstrings, comments or blank lines."""
    documented = {
        number
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        and ast.get_docstring(node, clean=False) is not None
        for number in range(node.body[0].lineno, (node.body[0].end_lineno or 0) + 1)
    }
    empty = (tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER)
    written = {
        number
        for token in tokenize.generate_tokens(io.StringIO(text).readline)
        if token.type not in empty
        for number in range(token.start[0], token.end[0] + 1)
    }
    return len(written - documented)


def long_modules() -> list[str]:
    """Return a line about each module that is longer than can be read in one sitting."""
    messages = []
    for path in (path for folder in WRITTEN for path in sorted((ROOT / folder).rglob("*.py"))):
        name, text = path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8")
        generated = name.startswith(GENERATED)
        lines = code_lines(text) if generated else len(text.splitlines())
        if lines > MODULE_LINES and path.name != "_modidx.py":
            messages.append(f"{name}: {lines} {'lines of code' if generated else 'lines'}, at most {MODULE_LINES}")
    return messages


def stage_cells() -> dict[str, list[tuple[int, int]]]:
    """Return for each stage notebook the (number, lines of code) of its cells that run the stage."""
    cells = {}
    for path in sorted((ROOT / "nbs" / "stages").glob("*.ipynb")):
        sources = ["".join(cell["source"]) for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]]
        cells[path.name] = [
            (number, sum(bool(line.strip()) and not line.lstrip().startswith("#") for line in source.splitlines()))
            for number, source in enumerate(sources)
            if source.startswith("#| stage")
        ]
    return cells


def long_stages() -> list[str]:
    """Return a line about each stage notebook that does more than compose."""
    messages = []
    for name, cells in stage_cells().items():
        total = sum(lines for _, lines in cells)
        long = [f"cell {number} has {lines}" for number, lines in cells if lines > CELL_LINES]
        if total > STAGE_LINES or long:
            messages.append(f"{name}: {total} lines in stage cells{''.join(f', {one}' for one in long)}")
    return messages
