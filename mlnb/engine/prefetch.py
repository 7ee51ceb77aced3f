"""Executes the notebook of the stage that comes next while its inputs are still made, up to the cell that opens it.

Imports, definitions and proofs depend on no artifact; the kernel that has done with them waits for the rest.
"""

import secrets
from collections.abc import Collection
from contextlib import suppress
from typing import Any

from mlnb.engine.artifacts import Artifacts
from mlnb.engine.plan import Planner, Step
from mlnb.engine.stage_inputs import Orders
from mlnb.engine.stage_jobs import Executor
from mlnb.errors import NotebookError


class Ahead:
    """At most one notebook of a run waits at a time, and none twice; it takes no worker's place."""

    def __init__(self, executor: Executor, orders: Orders, planner: Planner) -> None:
        self.executor = executor
        self.orders = orders
        self.planner = planner
        self.graph = planner.graph
        self._name: str | None = None
        self._nonce = ""
        self._code: list[Any] = []
        self._tried: set[str] = set()

    def choose(self, pending: Collection[str], running: Collection[str], artifacts: Artifacts) -> None:
        """Prepare the stage that most others wait for, of those whose last inputs are being made."""
        if self._name is not None or len(pending) + len(running) == len(self.graph.stages):
            return  # the first stages need the processors
        if artifacts.large:
            self.executor.trim()
            return
        if not all(self.graph.stages[name].reads for name in running):
            return  # what brings in data may take any memory
        chosen = self.planner.selection.chosen - self._tried
        for name in self.graph.by_urgency(chosen.intersection(pending)):
            makers = set(self.graph.parents(name))
            if not makers.intersection(running) or makers.intersection(pending):
                continue
            self._tried.add(name)
            with suppress(NotebookError):  # told when it is to run
                self.planner.refresh(name)
                step = self.planner.step(name, artifacts.known(name))
                if step.action in ("run", "maybe"):
                    self._prepare(name, _code(step))
                    return

    def _prepare(self, name: str, code: list[Any]) -> None:
        nonce = secrets.token_hex(8)
        if self.executor.prepare(self.orders.job(self.graph.stages[name], nonce)):
            self._name, self._nonce, self._code = name, nonce, code

    def take(self, step: Step) -> str:
        """Return the nonce for a stage that is to run: that of a kernel which waits, or a new one."""
        if step.name == self._name:
            if step.action == "run" and step.wake is None and self._code == _code(step):
                self._name = None
                return self._nonce
            self.drop()
        return secrets.token_hex(8)

    def drop(self) -> None:
        """End what waits."""
        if self._name is not None:
            self.executor.discard(self.orders.target(self.graph.stages[self._name]))
            self._name = None


def _code(step: Step) -> list[Any]:
    """Return what a notebook that was begun stands on: edited since, it has to be begun again."""
    return [step.basis[part] for part in ("code", "modules", "libraries")]
