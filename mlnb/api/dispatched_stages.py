"""The executor `dask://HOST:PORT`: stages run on workers, which share the remote store with this machine."""

import secrets
import threading
import warnings
from typing import TYPE_CHECKING

import msgspec

from mlnb.api.planned_stages import push_plan
from mlnb.codec import replace
from mlnb.engine.digests import digest_bytes
from mlnb.engine.plan import Planner
from mlnb.engine.project import Project
from mlnb.engine.stage_jobs import OnCell, OutcomeState
from mlnb.engine.stage_locks import shares_work
from mlnb.engine.stage_orders import Dispatcher, OnProgress, OrderNote, OrderReply, StageOrder
from mlnb.errors import MlnbError, RemoteWarning

if TYPE_CHECKING:
    from mlnb.executors.dask_cluster import DaskCluster


class DispatchedStages(Dispatcher):
    """Has the stages of a project run by the workers of a cluster; futures carry keys alone."""

    def __init__(self, project: Project, cluster: "DaskCluster") -> None:
        """Use a cluster.

        Args:
            project: The project, with a remote store.
            cluster: Its workers.
        """
        self._cluster = cluster
        self._remote = project.settings.remote
        self._pushing = threading.Lock()
        self._pushed: set[str] = set()  # recipes of the plans that were pushed

    def dispatch(
        self, pipeline: str, planner: Planner, order: StageOrder, on_cell: OnCell, on_progress: OnProgress
    ) -> OrderReply:
        """Have a stage run to its end; see `Dispatcher.dispatch`."""
        from mlnb.api.stage_worker import run_order

        def on_note(text: str) -> None:
            note = msgspec.json.decode(text, type=OrderNote)
            if note.cell is not None:
                on_cell(note.cell.cell, note.cell.cells, note.cell.heading)
            if note.progress is not None:
                on_progress(note.progress)

        message = msgspec.json.encode(replace(order, remote=self._remote)).decode()
        try:
            self._push(pipeline, planner, order.recipe)
            name = secrets.token_hex(8) if order.forced else digest_bytes(f"{self._remote} {order.key}".encode())
            text = self._cluster.call(run_order, name, message, on_note, self._copies(planner, order.stage))
        except MlnbError as error:
            kind = type(error).__name__
            return OrderReply(state=OutcomeState.FAILED, message=f"{kind}: {error}", error=kind)
        if text is None:
            return OrderReply(state=OutcomeState.INTERRUPTED)
        reply = msgspec.json.decode(text, type=OrderReply)
        for warning in reply.warnings:
            warnings.warn(f"{reply.host}: {warning}", RemoteWarning, stacklevel=2)
        return reply

    def _copies(self, planner: Planner, stage: str) -> int:
        """Return the number of workers that run a stage at once: those of all machines where a database shares it."""
        return self._cluster.hosts() if shares_work(planner, stage) else 1

    def _push(self, pipeline: str, planner: Planner, recipe: str) -> None:
        """Push the plan of a stage, unless it is there; after a notebook was edited, it is another plan."""
        with self._pushing:
            if recipe not in self._pushed:
                self._pushed.update(push_plan(planner.project, pipeline, planner).values())

    def interrupt(self) -> None:
        """End all running stages."""
        self._cluster.cancel()

    def close(self) -> None:
        """Close the connection to the workers."""
        self._cluster.close()
