"""A project: the folder whose settings.ini says which notebooks, pipelines and profiles there are."""

import configparser
import os
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import mlnb
from mlnb.engine.digests import StatCache
from mlnb.engine.parameters import nearest
from mlnb.engine.store import Store
from mlnb.errors import ProjectError

DEFAULTS = {
    "notebooks": "nbs/stages",
    "runs": "runs",
    "store": ".mlnb",
    "pipeline": "train",
    "tracker": "wandb",
    "wandb_mode": "offline",
    "registry": "",
    "approvals": "0",
    "predictions": "",
    "predictions_masked": "",
    "workers": "2",
    "cell_timeout": "1800",
    "stage_timeout": "3600",
    "kernels": "warm",
    "kernels_idle": "600",
    "kernels_at_once": "0",
    "snapshots": "failed",
    "snapshot_minutes": "30",
    "snapshot_bytes": "3e8",
    "preload": "",
    "preload_never": "",
}


def builtin_folder() -> Path:
    """Return the folder of the built-in project: inside an installed wheel, or the checkout that mlnb runs from."""
    package = Path(mlnb.__file__).parent
    inside = package / "builtin"
    return inside if (inside / "settings.ini").is_file() else package.parent


@dataclass(frozen=True)
class Project:
    """Where things are. Runs and the store are under `root`; the notebooks may be mlnb's own."""

    root: Path
    home: Path  # the folder whose settings.ini and notebooks are used: root, or the built-in project
    settings: dict[str, str]
    pipelines: dict[str, tuple[str, ...]] = field(default_factory=dict)
    profiles: dict[str, dict[str, str]] = field(default_factory=dict)
    givers: dict[str, str] = field(default_factory=dict)  # pipeline -> the one whose runs give it what it does not make

    @classmethod
    def find(cls, start: Path | None = None) -> "Project":
        """Return the project around `start` (default: MLNB_ROOT, else the working directory).

        Without a settings.ini that has a `[mlnb]` section there or above, mlnb's built-in stages are used and
        runs are kept in `start` itself. Raises `ProjectError` when settings.ini cannot be read.
        """
        start = Path(start or os.environ.get("MLNB_ROOT") or Path.cwd()).resolve()
        for folder in [start, *start.parents]:
            parsed = _read_settings(folder / "settings.ini")
            if parsed is not None:
                return cls(folder, folder, *parsed)
        home = builtin_folder()
        builtin = _read_settings(home / "settings.ini")
        if builtin is None:
            raise ProjectError(f"No [mlnb] section in {home / 'settings.ini'}: the installation is damaged.")
        return cls(start, home, *builtin)

    @property
    def name(self) -> str:
        """The project's name: its folder's."""
        return self.root.name or "project"

    @property
    def is_builtin(self) -> bool:
        """Whether mlnb's own stages are used, for want of a project here."""
        return self.home != self.root

    @property
    def notebooks(self) -> Path:
        """The folder of the stage notebooks."""
        return self.home / self.settings["notebooks"]

    @property
    def runs(self) -> Path:
        """The folder of the run records."""
        return self.root / self.settings["runs"]

    @property
    def store_root(self) -> Path:
        """The folder of the artifact store, the caches and what stages keep between attempts."""
        return self.root / self.settings["store"]

    @cached_property
    def store(self) -> Store:
        """The artifact store."""
        return Store(self.store_root)

    @cached_property
    def sources(self) -> StatCache:
        """What was derived from source files, remembered by stat."""
        return StatCache(self.store_root / "cache" / "sources.json")

    @cached_property
    def files(self) -> StatCache:
        """Digests of data files, remembered by stat."""
        return StatCache(self.store_root / "cache" / "files.json")

    def import_path(self) -> dict[str, str]:
        """Return the environment in which a project's own modules are imported from its root."""
        if self.is_builtin:
            return {}
        before = os.environ.get("PYTHONPATH")
        return {"PYTHONPATH": os.pathsep.join(filter(None, [str(self.root), before]))}

    def number(self, name: str) -> float:
        """Return a numeric setting; raises `ProjectError` when it is not a number."""
        try:
            return float(self.settings[name])
        except ValueError as error:
            raise ProjectError(f"[mlnb] {name} is {self.settings[name]!r}; expected a number.") from error

    def pipeline(self, name: str | None) -> tuple[str, ...]:
        """Return the names of a pipeline's stages; the default pipeline for None."""
        name = name or self.settings["pipeline"]
        if name not in self.pipelines:
            raise ProjectError(
                f"No pipeline {name!r}; settings.ini has {', '.join(self.pipelines) or 'none'}."
                + nearest(name, list(self.pipelines))
            )
        return self.pipelines[name]

    def profile(self, name: str | None) -> dict[str, str]:
        """Return the values of a profile, as written; nothing for None."""
        if name is None:
            return {}
        if name not in self.profiles:
            raise ProjectError(
                f"No profile {name!r}; settings.ini has {', '.join(self.profiles) or 'none'}."
                + nearest(name, list(self.profiles))
            )
        return self.profiles[name]


Parsed = tuple[dict[str, str], dict[str, tuple[str, ...]], dict[str, dict[str, str]], dict[str, str]]


def _read_settings(path: Path) -> Parsed | None:
    if not path.is_file():
        return None
    parser = configparser.ConfigParser(default_section="(no defaults)", interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    try:
        parser.read_string(path.read_text(encoding="utf-8"), source=str(path))
    except (configparser.Error, UnicodeDecodeError) as error:
        raise ProjectError(f"{path} cannot be read: {error}") from error
    if "mlnb" not in parser:
        return None
    settings = dict(parser["mlnb"])
    for name in settings:
        if name not in DEFAULTS:
            raise ProjectError(f"{path}: [mlnb] has no setting {name!r}." + nearest(name, list(DEFAULTS)))
    pipelines: dict[str, tuple[str, ...]] = {}
    profiles: dict[str, dict[str, str]] = {}
    givers: dict[str, str] = {}
    for section in parser.sections():
        kind, _, name = section.partition(" ")
        if kind == "pipeline":
            pipelines[name] = tuple(parser[section].get("stages", "").split())
            if "given" in parser[section]:
                givers[name] = parser[section]["given"].strip()
        elif kind == "profile":
            profiles[name] = dict(parser[section])
    return DEFAULTS | settings, pipelines, profiles, givers
