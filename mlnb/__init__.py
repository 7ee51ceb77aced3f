"""mlnb: notebooks that are documentation, library, tests and pipeline stages at once."""

__version__ = "0.1.0"

from importlib import import_module
from typing import Any

# Public names and where they are; __init__.pyi has their types.
PUBLIC = {
    "TableClassifier": ("mlnb.api.estimators", "TableClassifier"),
    "TableRegressor": ("mlnb.api.estimators", "TableRegressor"),
    "latest": ("mlnb.api.project_runs", "latest"),
    "load_model": ("mlnb.api.project_runs", "load_model"),
    "monitor": ("mlnb.api.champion_operations", "monitor"),
    "open_run": ("mlnb.api.project_runs", "open_recorded_run"),
    "open_stage": ("mlnb.engine.session", "open_stage"),
    "promote": ("mlnb.api.model_operations", "promote"),
    "retrain": ("mlnb.api.champion_operations", "retrain"),
    "run": ("mlnb.api.project_runs", "run"),
    "runs": ("mlnb.api.project_runs", "runs"),
    "write_reports": ("mlnb.api.model_operations", "write_reports"),
}
__all__ = [
    "TableClassifier",
    "TableRegressor",
    "__version__",
    "latest",
    "load_model",
    "monitor",
    "open_run",
    "open_stage",
    "promote",
    "retrain",
    "run",
    "runs",
    "write_reports",
]


def __getattr__(name: str) -> Any:
    """Import a public name at first use, so that `import mlnb` costs next to nothing."""
    if name not in PUBLIC:
        raise AttributeError(f"module 'mlnb' has no attribute {name!r}")
    module, attribute = PUBLIC[name]
    return getattr(import_module(module), attribute)


def __dir__() -> list[str]:
    """Return the public names, also those not imported yet."""
    return sorted({*globals(), *PUBLIC})
