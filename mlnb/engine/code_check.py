"""Whether the code of a stage that starts is still that of its key: it may have been edited since it was planned."""

from mlnb.engine.notebook import read_cached
from mlnb.engine.plan import PLANNING, Planner
from mlnb.engine.plan_steps import Step
from mlnb.errors import NotebookError


class CodeCheck:
    """Compares the code of a stage with that of its key once, when the first cell starts and nothing is imported yet.

    Until then a stage may wait for a lock, a kernel or its worker, and its notebook is read at the end of that time.

    Args:
        planner: That has planned the stage.
        step: Of the stage.
    """

    def __init__(self, planner: Planner, step: Step) -> None:
        self.planner = planner
        self.step = step
        self.has_changed: bool | None = None  # None: not compared yet

    def compare(self) -> None:
        """Compare the code, its modules and its libraries, unless that was done."""
        if self.has_changed is None:
            with PLANNING:
                self.has_changed = self._differs()

    def _differs(self) -> bool:
        planner, name, planned = self.planner, self.step.name, self.step.key_inputs
        assert planned is not None
        try:
            current = read_cached(planner.graph.stages[name].path, planner.project.source_cache)
            if planner.sources.is_current() and current.code_digest == planned.code:
                return False
            planner.refresh(name)
            now = planner.key_inputs(name, {})
        except NotebookError:
            return True
        return (now.code, now.modules, now.libraries) != (planned.code, planned.modules, planned.libraries)
