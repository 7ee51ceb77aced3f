"""A newcomer who searches for a standard term finds its module: by file name, function, or docstring."""

import ast
from pathlib import Path

import pytest

import mlnb

ROOT = Path(mlnb.__file__).parent
MOST = 3  # modules that a search may list
SEARCHES = {
    "decision threshold": "methods/decisions/decision_thresholds.py",
    "request validation": "serving/runtime/row_checks.py",
    "column type inference": "methods/tables/type_inference.py",
    "stage key": "engine/plan.py",
    "drift verdict": "methods/operations/monitoring_verdict.py",
    "build bento": "serving/packaging/bento_builder.py",
    "W&B failed": "tracking/wandb_tracker.py",
    "lag features": "methods/series/lag_features.py",
    "promote version": "registry/registry.py",
    "restore state failed cell": "cli/debug.py",
}


def read_module(path: Path) -> tuple[str, list[str], str]:
    """Return the path, the functions and the first line of the docstring of a module, in lower case."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    functions = [node.name.replace("_", " ").lower() for node in tree.body if isinstance(node, ast.FunctionDef)]
    headline = (ast.get_docstring(tree) or "").partition(chr(10))[0]
    return path.relative_to(ROOT).as_posix(), functions, headline.lower()


@pytest.fixture(scope="module")
def modules() -> list[tuple[str, list[str], str]]:
    return [read_module(path) for path in ROOT.rglob("*.py")]


@pytest.mark.parametrize("term", SEARCHES)
def test_a_standard_term_leads_to_its_module(modules, term):
    words = term.lower().split()
    matches = (
        [path for path, _, _ in modules if all(word in path for word in words)]
        or [path for path, functions, _ in modules if term in functions]
        or [path for path, _, headline in modules if all(word in headline for word in words)]
    )
    assert SEARCHES[term] in matches and len(matches) <= MOST, matches
