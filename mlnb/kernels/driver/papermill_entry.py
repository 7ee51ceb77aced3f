"""What papermill's entry point loads: the warm engine, imported when it is first used: papermill is then there."""

from typing import Any


class Later:
    """Stands for `mlnb.kernels.driver.warm_engine.WarmEngine` without importing it."""

    def __getattr__(self, name: str) -> Any:
        from mlnb.kernels.driver.warm_engine import WarmEngine

        return getattr(WarmEngine, name)


engine = Later()
