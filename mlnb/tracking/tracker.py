"""The tracker of a project."""

import sys
from collections.abc import Callable

from mlnb import environment
from mlnb.engine.project import Project
from mlnb.errors import MissingExtra
from mlnb.tracking.background_tracker import BackgroundTracker, Tracker

DELAY = 5.0  # seconds: importing W&B takes more than one second of a processor, which the first stages need


def open_tracker(project: Project, warn: Callable[[str], None] | None = None) -> BackgroundTracker | None:
    """Return a listener that tracks runs according to the project's settings; None for `tracker = local`.

    W&B is imported `DELAY` seconds after the first stage of a run has started, or when the run ends.

    Args:
        project: The project.
        warn: Receives one sentence when tracking fails; None: it is printed on standard error.
    """
    mode = project.settings.wandb_mode
    if project.settings.tracker == "local" or mode == "disabled":
        return None
    environment.apply()
    report = warn or _print
    return BackgroundTracker(lambda: _wandb(project, mode, report), report, delay=DELAY)


def _wandb(project: Project, mode: str, warn: Callable[[str], None]) -> Tracker:
    try:
        from mlnb.tracking.wandb_tracker import WandbTracker
    except ImportError as error:
        raise MissingExtra(
            f"W&B cannot be imported ({error}); `pip install wandb`, or set `tracker = local` in settings.ini"
        ) from error
    return WandbTracker(project.root / "wandb", project.name, mode, warn)


def _print(message: str) -> None:
    print(message, file=sys.stderr)
