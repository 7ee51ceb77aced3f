"""Measure the code: untyped dictionaries, text subscripts, repeated module names, lengths of modules and stages.

python scripts/figures.py             every figure, and where it is highest
"""

import ast
import re
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from lengths import CELL_LINES, STAGE_LINES, long_modules, long_stages

ROOT = Path(__file__).resolve().parent.parent

# True: more than the limit fails `make check`; False: the figure is reported.
ENFORCED = {"untyped": True, "names": True, "stages": True}
UNTYPED = 6.0  # `dict[str, Any]` per 1,000 physical lines

# Base names that modules of several packages share, and why each has one meaning.
SHARED_NAMES: dict[str, str] = {
    "labels": "the command that adds labels, and the labels",
    "monitor": "the command that runs the stage, and the stage",
    "plan": "the command that prints the plan, and the plan",
    "runs": "the command that lists runs, and the runs",
}


@dataclass(frozen=True)
class Module:
    """A module of the repository."""

    path: str
    text: str
    tree: ast.Module

    @property
    def name(self) -> str:
        """The name it is imported by."""
        return self.path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")

    @property
    def lines(self) -> int:
        """Physical lines."""
        return len(self.text.splitlines())


def modules(folder: str = "mlnb") -> list[Module]:
    """Return the modules of a folder, the index that nbdev writes left out."""
    paths = sorted(path for path in (ROOT / folder).rglob("*.py") if path.name != "_modidx.py")
    texts = {path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8") for path in paths}
    return [Module(path, text, ast.parse(text)) for path, text in texts.items()]


def is_untyped(node: ast.AST) -> bool:
    """Whether a node of a syntax tree is `dict[str, Any]`."""
    if not (isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name)):
        return False
    inner = node.slice
    return (
        node.value.id in ("dict", "Dict")
        and isinstance(inner, ast.Tuple)
        and [ast.unparse(part) for part in inner.elts] in (["str", "Any"], ["str", "typing.Any"])
    )


def annotations(tree: ast.AST) -> Iterator[ast.AST]:
    """Yield every node of a tree, those inside annotations that are written as texts included."""
    for node in ast.walk(tree):
        yield node
        for child in (getattr(node, "annotation", None), getattr(node, "returns", None)):
            if isinstance(child, ast.Constant) and isinstance(child.value, str):
                yield from ast.walk(ast.parse(child.value, mode="eval"))


def aliases(module: Module) -> dict[str, int]:
    """Return the names at the top of a module that stand for a type with `dict[str, Any]`, and how many are in it."""
    counts = {}
    for node in module.tree.body:
        target = node.targets[0] if isinstance(node, ast.Assign) else getattr(node, "target", None)
        value = getattr(node, "value", None)
        if isinstance(target, ast.Name) and isinstance(value, ast.Subscript | ast.BinOp):
            counts[target.id] = sum(map(is_untyped, ast.walk(value)))
    return {name: count for name, count in counts.items() if count}


def untyped(listed: list[Module]) -> Counter[str]:
    """Return how often each module writes `dict[str, Any]`; a use of a name that stands for it counts as one more."""
    standing = {module.name: aliases(module) for module in listed}
    counts: Counter[str] = Counter()
    for module in listed:
        names = dict(standing[module.name])
        for node in ast.walk(module.tree):
            if isinstance(node, ast.ImportFrom) and node.module in standing:
                for name in node.names:
                    if name.name in standing[node.module]:
                        names[name.asname or name.name] = standing[node.module][name.name]
        for node in annotations(module.tree):
            if is_untyped(node):
                counts[module.path] += 1
            elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
                counts[module.path] += names.get(node.id, 0)
    return counts


def loose(listed: list[Module]) -> int:
    """Return how often an annotation is a dictionary of anything by another name: `dict`, `Mapping[str, Any]` ..."""
    whole = re.compile(r"\b(?:Mapping|MutableMapping)\[str, (?:Any|object)\]|\bdict\[str, object\]|\bdict\b(?!\[)")
    return sum(
        len(whole.findall(ast.unparse(part)))
        for module in listed
        for node in ast.walk(module.tree)
        for name in ("annotation", "returns")
        if isinstance(part := getattr(node, name, None), ast.AST)
    )


def subscripts(listed: list[Module]) -> Counter[str]:
    """Return how often each module looks something up by a literal text: `record["state"]`."""
    return Counter(
        module.path
        for module in listed
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Subscript)
        and isinstance(node.slice, ast.Constant)
        and isinstance(node.slice.value, str)
    )


def per_thousand(count: int, listed: list[Module]) -> float:
    """Return a count per 1,000 physical lines."""
    return 1000 * count / max(1, sum(module.lines for module in listed))


def repeated_names(listed: list[Module]) -> dict[str, list[str]]:
    """Return the modules that share a base name without a reason, by that name."""
    places = defaultdict(list)
    for module in listed:
        name = Path(module.path).stem
        if name not in ("__init__", *SHARED_NAMES):
            places[name].append(module.path)
    return {name: paths for name, paths in sorted(places.items()) if len(paths) > 1}


def figures() -> tuple[list[str], list[str]]:
    """Return lines with the figures, and the lines among them that fail `make check`."""
    listed = modules()
    dicts, texts = untyped(listed), subscripts(listed)
    rate = per_thousand(dicts.total(), listed)
    names, stages = repeated_names(listed), long_stages()
    per_line = per_thousand(texts.total(), listed)
    lines = {
        "untyped": [f"dict[str, Any]: {rate:.1f} per 1,000 lines of mlnb ({dicts.total()}), limit {UNTYPED:g}"],
        "loose": [f"other dictionaries of anything (dict, Mapping[str, Any] ...): {loose(listed)}"],
        "texts": [f"text subscripts: {per_line:.1f} per 1,000 lines of mlnb ({texts.total()})"],
        "names": [f"base names with two meanings: {len(names)}"],
        "stages": [f"stages with more than {STAGE_LINES} lines in stage cells or {CELL_LINES} in one: {len(stages)}"],
    }
    wrong = {"untyped": rate > UNTYPED, "names": bool(names), "stages": bool(stages)}
    if wrong["names"]:
        lines["names"] += [f"  {name}: {', '.join(paths)}" for name, paths in names.items()]
    if wrong["stages"]:
        lines["stages"] += [f"  {line}" for line in stages]
    failing = [line for name, is_wrong in wrong.items() if is_wrong and ENFORCED[name] for line in lines[name]]
    return [line for part in lines.values() for line in part], failing


def main() -> int:
    """Print every figure, and the modules with most of what is counted."""
    listed = modules()
    print("\n".join(figures()[0]))
    for title, counted in (("dict[str, Any]", untyped(listed)), ("text subscripts", subscripts(listed))):
        packages: Counter[str] = Counter()
        for path, count in counted.items():
            packages["/".join(path.split("/")[:-1])] += count
        print(f"\n{title} by package, then by module")
        for name, count in [*packages.most_common(), *counted.most_common(15)]:
            print(f"{count:5}  {name}")
    print("\n" + ("\n".join(long_modules()) or "no module is too long"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
