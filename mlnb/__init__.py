"""mlnb: notebooks that are documentation, library, tests and pipeline stages at once."""

__version__ = "0.1.0"

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mlnb.engine.session import open_stage as open_stage

__all__ = ["__version__", "open_stage"]


def __getattr__(name: str) -> Any:
    """Import `open_stage` at first use, so that `import mlnb` costs next to nothing."""
    if name == "open_stage":
        from mlnb.engine.session import open_stage

        return open_stage
    raise AttributeError(f"module 'mlnb' has no attribute {name!r}")
