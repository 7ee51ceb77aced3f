"""Find terms that the field has a standard name for, in text and in names: what `make check` calls as `prose`.

python scripts/prose.py               all findings; exit code 1 if there is one
python scripts/prose.py nbs/stages    findings in some packages or files
"""

import ast
import io
import json
import re
import subprocess
import sys
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatch
from functools import cache
from pathlib import Path

from terms import ALLOWED, NAMES, TERMS, VALUES

ROOT = Path(__file__).resolve().parent.parent

GENERATED = ("mlnb/methods/*", "mlnb/stages/*", "mlnb/_modidx.py", "constraints.txt")
SKIPPED = (*GENERATED, "LICENSE", "scripts/terms.py", "tests/scripts/test_prose.py")  # the last two hold the terms
TEXTS = (".md", ".html", ".ini", ".toml", ".yaml", ".yml", ".in", "Makefile", ".ci/run", ".importlinter")
CODE = re.compile(r"`[^`\n]+`")  # code in markdown: names and commands, which are checked elsewhere


@dataclass(frozen=True, order=True)
class Finding:
    """A term or a name that has a standard equivalent."""

    path: str
    line: int
    text: str
    instead: str
    is_name: bool = False

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: found {self.text!r}, use {self.instead}"


def search_text(path: str, line: int, text: str) -> Iterator[Finding]:
    """Yield the terms of a text whose first line is `line`; lines are joined, as a term may be broken over two."""
    joined = text.replace("\n", " ")
    for pattern, instead in TERMS:
        for match in pattern.finditer(joined):
            yield Finding(path, line + text.count("\n", 0, match.start()), match[0], instead)


def search_code(path: str, source: str, lines: list[int]) -> Iterator[Finding]:
    """Yield the terms in comments and texts of Python code, and the names it defines.

    Args:
        path: The file, for the findings.
        source: The code.
        lines: For each line of the code, its line in the file.

    Raises:
        SyntaxError: The code is not Python.
    """
    tree = ast.parse(source)
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield from search_text(path, lines[token.start[0] - 1], token.string)
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            first = lines[node.lineno - 1]
            if (instead := VALUES.get(node.value)) is not None:
                yield Finding(path, first, node.value, instead)
            for inner in search_text(path, 0, node.value):
                # Texts joined from several literals may hold fewer line ends than lines.
                last = lines[(node.end_lineno or node.lineno) - 1]
                yield Finding(path, min(first + inner.line, last), inner.text, inner.instead)
        for name in defined(node):
            if (instead := NAMES.get(name)) is not None:
                yield Finding(path, lines[getattr(node, "lineno", 1) - 1], name, instead, is_name=True)


def defined(node: ast.AST) -> list[str]:
    """Return the names that a node of a syntax tree defines: of a class, function, argument, variable or attribute."""
    if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
        return [node.name]
    if isinstance(node, ast.arg):
        return [node.arg]
    if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
        return [node.id]
    if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
        return [node.attr]
    return []


def search_notebook(path: str, text: str) -> Iterator[Finding]:
    """Yield the findings of a notebook; lines are those of its file."""
    starts = [number + 2 for number, line in enumerate(text.splitlines()) if re.match(r'\s*"source": \[$', line)]
    cells = [cell for cell in json.loads(text)["cells"] if cell["source"]]
    for cell, start in zip(cells, starts, strict=True):
        source = "".join(cell["source"])
        lines = list(range(start, start + source.count("\n") + 2))
        if cell["cell_type"] == "markdown":
            yield from search_text(path, start, without_code(source))
        else:
            try:
                yield from search_code(path, source, lines)
            except SyntaxError:  # a cell that is shown to fail, or one with commands of IPython
                yield from search_text(path, start, source)


def without_code(text: str) -> str:
    """Return markdown with code between backticks blanked, fenced blocks included; line ends stay."""
    fenced = re.sub(r"```.*?```", lambda match: "\n" * match[0].count("\n"), text, flags=re.DOTALL)
    return CODE.sub(lambda match: " " * len(match[0]), fenced)


@cache
def search_file(path: str) -> list[Finding]:
    """Return the findings of one file of the repository, those that are allowed left out."""
    if not path.endswith((".py", ".ipynb", *TEXTS)):
        return []
    text = (ROOT / path).read_text(encoding="utf-8")
    if path.endswith(".ipynb"):
        findings = search_notebook(path, text)
    elif path.endswith(".py"):
        findings = search_code(path, text, list(range(1, text.count("\n") + 3)))
    elif path.endswith(".md"):
        findings = search_text(path, 1, without_code(text))
    else:
        findings = search_text(path, 1, text)
    return sorted({one for one in findings if not allowed(one)})


def allowed(finding: Finding) -> bool:
    """Whether a term is meant in its ordinary sense in this file."""
    return any(fnmatch(finding.path, path) and finding.text.lower() == term for path, term, _ in ALLOWED)


def files(within: tuple[str, ...] = ("",)) -> list[str]:
    """Return the files of the repository that are searched and whose path starts with one of `within`."""
    command = ["git", "-C", str(ROOT), "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    return [
        path
        for path in sorted(set(listed))
        if path.startswith(within) and (ROOT / path).is_file() and not any(fnmatch(path, skip) for skip in SKIPPED)
    ]


def find(within: tuple[str, ...] = ("",)) -> list[Finding]:
    """Return the findings in the files whose path starts with one of `within`."""
    return [finding for path in files(within) for finding in search_file(path)]


def main(arguments: list[str]) -> int:
    """Print the findings; return 1 when there is one."""
    findings = find(tuple(arguments) or ("",))
    print("\n".join(map(str, findings)))
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
