"""The interactive charts of optuna-dashboard on the hyperparameter searches of all projects, where it is installed.

It gets a copy of the trials in memory; what it could change is refused, as every request other than GET and HEAD is.
"""

import importlib.util
import json
import threading
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import MutableHeaders
from starlette.routing import Route
from starlette.types import Message, Receive, Scope, Send

from mlnb.dashboard.project_views import ProjectView
from mlnb.dashboard.study_page import runs_with_trials
from mlnb.methods.contracts.problems import ProblemContract
from mlnb.reports.trial_chart import is_complete
from mlnb.tracking import run_results
from mlnb.tracking.artifact_views import Trial, load_record

if TYPE_CHECKING:
    import optuna

ADDRESS = "/dashboard"  # its addresses are fixed
PATHS = (ADDRESS, f"{ADDRESS}/{{path:path}}", "/api/{path:path}", "/static/{path:path}", "/csv/{path:path}")
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; "
    "font-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
Parameter = bool | int | float | str | None


def is_installed() -> bool:
    """Return whether optuna-dashboard is installed."""
    return all(importlib.util.find_spec(name) for name in ("optuna_dashboard", "a2wsgi"))


class OptunaPages:
    """The ASGI application; optuna-dashboard is imported when a page of it is opened."""

    def __init__(self, views: Mapping[str, ProjectView]) -> None:
        self.views = views
        self._lock = threading.Lock()
        self._names: set[str] = set()
        self._storage: optuna.storages.InMemoryStorage | None = None
        self._application: Any = None

    def routes(self) -> list[Route]:
        """Return the routes of its addresses; empty where it is not installed."""
        return [Route(path, self) for path in PATHS] if is_installed() else []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request; a page is opened with the searches of that moment."""
        if self._application is None or scope["path"].startswith(ADDRESS):
            await run_in_threadpool(self._update)

        async def send_with_policy(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)["Content-Security-Policy"] = POLICY
            await send(message)

        await self._application(scope, receive, send_with_policy)

    def _update(self) -> None:
        """Add the searches that are new since the last call."""
        from a2wsgi import WSGIMiddleware
        from optuna import logging
        from optuna.storages import InMemoryStorage
        from optuna_dashboard import wsgi

        with self._lock:
            if self._storage is None:
                logging.set_verbosity(logging.WARNING)
                self._storage = InMemoryStorage()
                self._application = WSGIMiddleware(wsgi(self._storage))
            for view in self.views.values():
                for run in runs_with_trials(view):
                    name = f"{view.name}: {run.id}"
                    if name not in self._names:
                        self._names.add(name)
                        contract = load_record(run, "contract", ProblemContract)
                        direction = contract.direction if contract else "maximize"
                        add_study(self._storage, name, direction, run_results.read_trials(run))


def add_study(storage: "optuna.storages.InMemoryStorage", name: str, direction: str, trials: Sequence[Trial]) -> None:
    """Add a study with trials to a storage of Optuna.

    Args:
        storage: The storage.
        name: Name of the study.
        direction: "maximize" or "minimize".
        trials: Its trials; a pruned one is shown with the score of its first folds.
    """
    from optuna import create_study
    from optuna.study import StudyDirection
    from optuna.trial import TrialState, create_trial

    study = create_study(storage=storage, study_name=name, direction=StudyDirection[direction.upper()])
    rows = [_parameters(trial) for trial in trials]
    distributions = _distributions(rows)
    for trial, row in zip(trials, rows, strict=True):
        finite = trial.score is not None and run_results.is_finite(trial.score)
        state = (
            TrialState.COMPLETE if finite and is_complete(trial) else TrialState.PRUNED if finite else TrialState.FAIL
        )
        study.add_trial(
            create_trial(
                state=state,
                value=trial.score if state == TrialState.COMPLETE else None,
                params=row,
                distributions={key: distributions[key] for key in row},
                intermediate_values={0: trial.score} if state == TrialState.PRUNED and trial.score is not None else {},
                user_attrs={"trial": trial.number},
            )
        )


def _parameters(trial: Trial) -> dict[str, Parameter]:
    """Return the hyperparameters of a trial, each with its family, which has them."""
    try:
        values = json.loads(trial.params or "{}")
    except ValueError:
        values = {}
    values = values if isinstance(values, dict) else {}
    own = {f"{trial.family}.{name}": _plain(value) for name, value in values.items()}
    return {"family": trial.family, **own}


def _plain(value: Any) -> Parameter:
    return value if value is None or isinstance(value, bool | int | float | str) else json.dumps(value)


def _distributions(rows: Sequence[Mapping[str, Parameter]]) -> dict[str, Any]:
    """Return a distribution of each hyperparameter that has all of its values."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution

    columns: dict[str, list[Parameter]] = {}
    for row in rows:
        for name, value in row.items():
            columns.setdefault(name, []).append(value)
    distributions: dict[str, Any] = {}
    for name, values in columns.items():
        numbers = [value for value in values if isinstance(value, int | float) and not isinstance(value, bool)]
        if len(numbers) == len(values) and all(map(run_results.is_finite, numbers)):
            distributions[name] = FloatDistribution(float(min(numbers)), float(max(numbers)))
        else:
            distributions[name] = CategoricalDistribution(_different(values))
    return distributions


def _different(values: Iterable[Parameter]) -> list[Parameter]:
    """Return the values once each; true and 1 are different ones."""
    return list({(type(value), value): value for value in values}.values())
