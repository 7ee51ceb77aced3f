"""Which tracker a project uses."""

import sys
from collections.abc import Callable

from mlnb import environment
from mlnb.engine.project import Project
from mlnb.errors import MissingExtra, ProjectError
from mlnb.tracking.background import Background, Tracker

TRACKERS = ("wandb", "local")
AFTER = 5.0  # seconds: importing W&B takes more than one of the processor's, which the first stages need


def open_tracker(project: Project, warn: Callable[[str], None] | None = None) -> Background | None:
    """Return a listener for the engine's events that tracks runs as the project's settings say.

    None when the run record alone is wanted: `tracker = local` in settings.ini, or `WANDB_MODE=disabled`.
    W&B itself is imported `AFTER` seconds from when a stage of a run really starts, or when the run ends. `warn` is
    called with one sentence when tracking fails (default: print it on stderr). Raises `ProjectError` for an unknown
    tracker.
    """
    name = project.settings["tracker"].strip().lower()
    if name not in TRACKERS:
        raise ProjectError(f"[mlnb] tracker is {name!r} in settings.ini; expected {' or '.join(TRACKERS)}.")
    mode = environment.wandb_mode(project.settings)
    if name == "local" or mode == "disabled":
        return None
    environment.apply()
    return Background(lambda: _wandb(project, mode, warn or _print), warn or _print, after=AFTER)


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
