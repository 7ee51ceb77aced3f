"""What papermill's entry point loads: the warm engine, imported at its first use, when papermill itself is imported."""

from typing import Any


class LazyEngine:
    """Stands for `mlnb.kernels.driver.warm_engine.WarmEngine` without importing it."""

    def __getattr__(self, name: str) -> Any:
        from mlnb.kernels.driver.warm_engine import WarmEngine

        return getattr(WarmEngine, name)


engine = LazyEngine()
