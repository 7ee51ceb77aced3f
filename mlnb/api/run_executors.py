"""The executor that the setting `executor` names: processes of this machine, or the workers of a Dask cluster."""

import contextlib
from collections.abc import Iterator

from mlnb.engine.project import Project
from mlnb.engine.runs import has_run
from mlnb.engine.stage_orders import LOCAL, AnyExecutor
from mlnb.errors import MissingExtra, SettingsError
from mlnb.executors import local


def open_executor(project: Project, workers: int) -> AnyExecutor:
    """Return the executor of a project, which is to be closed.

    Args:
        project: The project.
        workers: Number of stages that run at once.

    Raises:
        SettingsError: The setting has another form, or there is no remote store that workers could share.
        MissingExtra: Dask is not installed.
        ExecutorError: No scheduler responds, no worker joins, or one differs from this machine.
    """
    url = project.settings.executor
    if url == LOCAL:
        executor = local.LocalExecutor(workers)
        executor.warm(project.notebooks, project.import_path())
        return executor
    require_dask()
    from mlnb.api.dispatched_stages import DispatchedStages
    from mlnb.executors.dask_cluster import DaskCluster, cluster_address

    cluster_address(url)
    if project.store.remote is None:
        raise SettingsError(
            f"The setting `executor` is {url}, and there is no remote store that its workers could share: set "
            "`remote` in settings.ini, or MLNB_REMOTE."
        )
    project.store.remote.start()
    return DispatchedStages(project, DaskCluster(url))


@contextlib.contextmanager
def early_executor(project: Project, workers: int) -> Iterator[AnyExecutor | None]:
    """Start the executor of a new project, whose first worker gets ready while the project is planned.

    Args:
        project: The project.
        workers: Number of stages that run at once.

    Yields:
        None where all stages may be reused, which is known after planning, or where other machines run them.
    """
    if project.settings.executor != LOCAL or project.store.remote is not None or has_run(project):
        yield None
        return
    with contextlib.closing(open_executor(project, workers)) as executor:
        yield executor


def require_dask() -> None:
    """Raise `MissingExtra` where Dask is not installed."""
    try:
        import distributed  # noqa: F401 -- here, as few projects use workers
    except ImportError as error:
        raise MissingExtra("Workers need Dask: pip install 'mlnb[dask]'.") from error
