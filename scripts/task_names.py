"""Comparisons with the names of problem types, which only `mlnb.methods.tasks` may make.

python scripts/task_names.py        list them by file and line
"""

import ast
import json
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TASKS = frozenset({"binary", "multiclass", "regression", "forecasting", "anomaly", "ranking"})
# Names that mean something else: LightGBM's objectives, the label of a row, and the standalone edge scorers.
ALLOWED = ("mlnb/methods/tasks/", "mlnb/serving/edge/portable/")
OBJECTIVES = ("mlnb/serving/edge/lightgbm_text.py",)


def find(root: Path = ROOT) -> list[str]:
    """Return a line for each comparison, membership test or table keyed by names of problem types."""
    hits = []
    for path in sorted([*(root / "mlnb").rglob("*.py"), *(root / "nbs/stages").glob("*.ipynb")]):
        name = path.relative_to(root).as_posix()
        if name.startswith(ALLOWED) or name in OBJECTIVES or name == "mlnb/_modidx.py":
            continue
        lines = [line for source in _sources(path) for line in comparisons(ast.parse(source))]
        if not (path.suffix == ".ipynb" and name.startswith("nbs/stages")):
            hits += [f"{name}:{number}: {text}" for number, text in lines]
        else:
            hits += [f"{name}: {text}" for _, text in lines]
    return hits


def _sources(path: Path) -> Iterator[str]:
    """Yield the code of a module, or of the cells of a stage that are not exported."""
    if path.suffix == ".py":
        yield path.read_text("utf-8")
        return
    for cell in json.loads(path.read_text("utf-8"))["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] == "code" and "#| stage" in source:
            yield source


def comparisons(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Yield (line, code) of each comparison with a task name, and of each table or tuple of several task names."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Compare):
            named = [item for side in (node.left, *node.comparators) for item in _names(side)]
            if named:
                yield node.lineno, ast.unparse(node)
        elif isinstance(node, ast.Dict):
            if any(key is not None and _names(key) for key in node.keys):
                yield node.lineno, ast.unparse(node)[:80]
        elif isinstance(node, ast.Assign | ast.AnnAssign) and _lists_names(node.value):
            yield node.lineno, ast.unparse(node)[:80]


def _lists_names(value: ast.expr | None) -> bool:
    """Return whether a value is a literal list of several task names."""
    return isinstance(value, ast.Tuple | ast.Set | ast.List) and len(_names(value)) > 1


def _names(node: ast.expr) -> list[str]:
    """Return the task names in an expression: texts, members of `Task`, and tuples of them."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value in TASKS:
        return [node.value]
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "Task":
        return [node.attr]
    if isinstance(node, ast.Tuple | ast.Set | ast.List):
        return [name for item in node.elts for name in _names(item)]
    return []


if __name__ == "__main__":
    lines = find()
    print("\n".join([*lines, f"{len(lines)} comparisons with task names outside of mlnb.methods.tasks"]))
    sys.exit(bool(lines))
