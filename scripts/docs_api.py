"""Pages of the documentation site about modules, from signatures and docstrings; nothing is imported."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from docs_notebooks import fence

Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
SECTION = re.compile(r"^(Args|Returns|Raises|Yields|Attributes|Example|Examples):$", re.MULTILINE)
ENTRY = re.compile(r"^(\*{0,2}[\w.]+(?:, \*{0,2}[\w.]+)*): +", re.DOTALL)
CODE = re.compile(r"(`[^`\n]+`)")


def packages(root: Path) -> dict[str, list[Path]]:
    """Return the modules of each package below a folder: dotted name -> files, those without public names left out."""
    modules: dict[str, list[Path]] = {}
    for path in sorted(root.rglob("*.py")):
        parts = path.relative_to(root.parent).with_suffix("").parts
        if any(part.startswith("_") for part in parts if part != "__init__") or path.name == "__init__.py":
            continue
        if next(public(ast.parse(path.read_text(encoding="utf-8"))), None):
            modules.setdefault(".".join(parts[:-1]), []).append(path)
    return modules


def public(tree: ast.Module | ast.ClassDef) -> Iterator[Definition]:
    """Yield the public functions and classes of a module, or the public methods of a class, that have a docstring."""
    for node in tree.body:
        if isinstance(node, Definition) and not node.name.startswith("_") and ast.get_docstring(node):
            yield node


def package_page(name: str, files: list[Path], summary: str) -> str:
    """Return the page of a package.

    Args:
        name: its dotted name.
        files: its modules.
        summary: its docstring.
    """
    texts = [f"# {name}", prose(summary)]
    for path in files:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        texts += [f"## {name}.{path.stem}", described(ast.get_docstring(tree) or "")]
        for node in public(tree):
            texts += [f"### {node.name}", fence(signature(node), "python"), described(ast.get_docstring(node) or "")]
            if isinstance(node, ast.ClassDef):
                for method in public(node):
                    texts += [f"#### {node.name}.{method.name}", fence(signature(method), "python")]
                    texts.append(described(ast.get_docstring(method) or ""))
    return "\n\n".join(text for text in texts if text) + "\n"


def signature(node: Definition) -> str:
    """Return the header of a definition; of a class also its annotated fields."""
    if isinstance(node, ast.ClassDef):
        bases = ", ".join(map(ast.unparse, node.bases))
        fields = [f"    {ast.unparse(item)}" for item in node.body if isinstance(item, ast.AnnAssign)]
        return "\n".join([f"class {node.name}({bases})" if bases else f"class {node.name}", *fields])
    start = "async def" if isinstance(node, ast.AsyncFunctionDef) else "def"
    returns = f" -> {ast.unparse(node.returns)}" if node.returns else ""
    line = f"{start} {node.name}({ast.unparse(node.args)}){returns}"
    if len(line) <= 100:
        return line
    arguments = ",\n    ".join(split_arguments(ast.unparse(node.args)))
    return f"{start} {node.name}(\n    {arguments},\n){returns}"


def split_arguments(text: str) -> list[str]:
    """Return the arguments of a signature, split at the commas that are not inside of brackets or strings."""
    depth, quote, parts = 0, "", [""]
    for letter in text:
        if quote:
            quote = "" if letter == quote else quote
        elif letter in "'\"":
            quote = letter
        depth += (letter in "([{") - (letter in ")]}") if not quote else 0
        if letter == "," and not depth and not quote:
            parts.append("")
        else:
            parts[-1] += letter
    return [part.strip() for part in parts]


def described(docstring: str) -> str:
    """Return a docstring as Markdown: its text, then arguments, results and errors as lists."""
    first, *rest = SECTION.split(docstring)
    texts = [prose(first)]
    for title, body in zip(rest[::2], rest[1::2], strict=True):
        texts += [f"**{title}**", entries(body)]
    return "\n\n".join(text for text in texts if text)


def entries(body: str) -> str:
    """Return the indented entries of a section as a list; text without names as a paragraph."""
    items: list[str] = []
    for line in body.strip("\n").splitlines():
        text = line.removeprefix("    ")
        if text.startswith(" ") and items:
            items[-1] += " " + text.strip()
        elif text.strip():
            items.append(text.strip())
    if not any(map(ENTRY.match, items)):
        return prose(" ".join(items))
    return "\n".join(f"- {ENTRY.sub(lambda name: f'`{name[1]}`: ', item)}" for item in map(prose, items))


def prose(text: str) -> str:
    """Return the text of a docstring as Markdown that shows it as it is; code in backticks stays code."""
    parts = CODE.split(text.strip())
    parts[::2] = [re.sub(r"([*\[\]#])", r"\\\1", part).replace("<", "&lt;") for part in parts[::2]]
    return "".join(parts)
