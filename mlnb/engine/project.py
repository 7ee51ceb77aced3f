"""A project: the folder whose settings.ini names the notebooks, pipelines and profiles."""

import os
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

import mlnb
from mlnb.engine.confined_names import is_plain_name
from mlnb.engine.digests import StatCache
from mlnb.engine.source_cache import SourceCache, shared_cache_path
from mlnb.engine.store import Store
from mlnb.errors import ProjectError, SettingsError
from mlnb.settings import ProcessSettings, ProjectSettings
from mlnb.settings_file import read_sections
from mlnb.suggestions import did_you_mean

if TYPE_CHECKING:
    from mlnb.engine.shared_database import SharedDatabase

SECTIONS = ("mlnb", "pipeline", "profile", "stage")
PIPELINE_KEYS = ("stages", "inputs_from")
STAGE_KEYS = ("retries",)


def builtin_folder() -> Path:
    """Return the folder of the built-in project: inside an installed wheel, or the checkout that mlnb runs from."""
    package = Path(mlnb.__file__).parent
    inside = package / "builtin"
    return inside if (inside / "settings.ini").is_file() else package.parent


class ProjectFile(NamedTuple):
    """The contents of settings.ini."""

    settings: ProjectSettings
    pipelines: dict[str, tuple[str, ...]]
    profiles: dict[str, dict[str, str]]
    input_pipelines: dict[str, str]
    stage_retries: dict[str, int]


class Project(msgspec.Struct, frozen=True, dict=True):
    """A project's folders, settings, pipelines and profiles.

    Args:
        root: Folder that runs and the store are in.
        home: Folder whose settings.ini and notebooks are used: `root`, or that of the built-in project.
        settings: Section [mlnb] and its environment variables.
        pipelines: Names of the stages of each pipeline.
        profiles: Parameter values of each profile, as text.
        input_pipelines: Pipeline whose newest run supplies the artifacts that a pipeline reads and does not make.
        stage_retries: Times that a stage is repeated after a transient error, of stages with a setting for it.
    """

    root: Path
    home: Path
    settings: ProjectSettings = msgspec.field(default_factory=ProjectSettings)
    pipelines: dict[str, tuple[str, ...]] = {}
    profiles: dict[str, dict[str, str]] = {}
    input_pipelines: dict[str, str] = {}
    stage_retries: dict[str, int] = {}

    @classmethod
    def find(cls, start: Path | None = None) -> "Project":
        """Return the project around a folder.

        Without a settings.ini with a section [mlnb] there or above, the project is the built-in one, with its runs in
        the folder itself.

        Args:
            start: The folder; None: MLNB_ROOT, else the working directory.

        Raises:
            ProjectError: settings.ini cannot be read.
            SettingsError: A setting is unknown or wrong.
        """
        start = Path(start or ProcessSettings().root or Path.cwd()).resolve()
        for folder in [start, *start.parents]:
            contents = read_project_file(folder / "settings.ini")
            if contents is not None:
                return cls(folder, folder, *contents)
        home = builtin_folder()
        builtin = read_project_file(home / "settings.ini")
        if builtin is None:
            raise ProjectError(f"No section [mlnb] in {home / 'settings.ini'}; reinstall mlnb.")
        return cls(start, home, *builtin)

    @property
    def name(self) -> str:
        """The name of the project's folder."""
        return self.root.name or "project"

    def path_of(self, text: str) -> Path:
        """Return the file or folder that a setting names: in the project, unless its path is absolute or starts with ~.

        Raises:
            SettingsError: It starts with the name of a user who has no home folder.
        """
        return self.root / _expand(text)

    @property
    def is_builtin(self) -> bool:
        """Whether the built-in stages are used, as there is no settings.ini here."""
        return self.home != self.root

    @property
    def notebooks(self) -> Path:
        """The folder of the stage notebooks."""
        return self.home / _expand(self.settings.notebooks)

    @property
    def models(self) -> Path:
        """The folder of the notebooks with the project's model families; it need not exist."""
        return self.notebooks.parent / "models"

    @property
    def encoders(self) -> Path:
        """The folder of the notebooks with the project's encoders; it need not exist."""
        return self.notebooks.parent / "encoders"

    @property
    def metrics(self) -> Path:
        """The folder of the notebooks with the project's metrics; it need not exist."""
        return self.notebooks.parent / "metrics"

    @property
    def sources(self) -> Path:
        """The folder of the notebooks with the project's sources; it need not exist."""
        return self.notebooks.parent / "sources"

    @property
    def runs(self) -> Path:
        """The folder of the run records."""
        return self.path_of(self.settings.runs)

    @property
    def store_root(self) -> Path:
        """The folder of the artifact store, the caches and the scratch folders."""
        return self.path_of(self.settings.store)

    @cached_property
    def store(self) -> Store:
        """The artifact store, with the remote store behind it when the settings name one."""
        store = Store(self.store_root)
        if self.settings.remote:
            from mlnb.engine.remote_link import RemoteLink  # most projects have none

            store.remote = RemoteLink(self.root, store, self.settings)
        return store

    @cached_property
    def database(self) -> "SharedDatabase | None":
        """The database that machines share; None when the settings name none."""
        if not self.settings.database:
            return None
        from mlnb.engine.shared_database import SharedDatabase  # most projects have none

        return SharedDatabase(self.settings.database)

    @cached_property
    def source_cache(self) -> SourceCache:
        """Values derived from source files."""
        return SourceCache(self.store_root / "cache" / "sources.json", shared_cache_path())

    @cached_property
    def file_cache(self) -> StatCache:
        """Digests of data files."""
        return StatCache(self.store_root / "cache" / "files.json")

    def import_path(self) -> dict[str, str]:
        """Return the environment variable by which the project's own modules are imported from its root."""
        if self.is_builtin:
            return {}
        current = os.environ.get("PYTHONPATH")
        return {"PYTHONPATH": os.pathsep.join(filter(None, [str(self.root), current]))}

    def with_settings(self, **values: Any) -> "Project":
        """Return a copy with other settings. Raises `SettingsError` for a value that is not accepted."""
        return msgspec.structs.replace(self, settings=self.settings.replace(**values))

    def pipeline(self, name: str | None) -> tuple[str, ...]:
        """Return the names of a pipeline's stages; None: the default pipeline. Raises `ProjectError`."""
        name = name or self.settings.pipeline
        if name not in self.pipelines:
            raise ProjectError(_unknown("pipeline", name, list(self.pipelines)))
        return self.pipelines[name]

    def check_stage_sections(self, stages: Iterable[str]) -> None:
        """Raise `ProjectError` for a section [stage NAME] when no notebook has a stage of that name."""
        names = list(stages)
        for name in self.stage_retries:
            if name not in names:
                hint = did_you_mean(name, names)
                raise ProjectError(
                    f"{self.home / 'settings.ini'}: [stage {name}]: there is no stage {name!r}; expected one of "
                    f"{', '.join(names)}.{hint}"
                )

    def profile(self, name: str | None) -> dict[str, str]:
        """Return the parameter values of a profile, as text; None: no values. Raises `ProjectError`."""
        if name is None:
            return {}
        if name not in self.profiles:
            raise ProjectError(_unknown("profile", name, list(self.profiles)))
        return self.profiles[name]


def _expand(text: str) -> Path:
    """Return a path with the home folder for ~. Raises `SettingsError` where there is none."""
    if not text.startswith("~"):
        return Path(text)
    try:
        return Path(text).expanduser()
    except RuntimeError as error:
        raise SettingsError(f"A setting names {text!r}: {error} Expected a path, or ~/ for your own folder.") from error


def _unknown(kind: str, name: str, names: list[str]) -> str:
    return f"No {kind} {name!r}; settings.ini has {', '.join(names) or 'none'}." + did_you_mean(name, names)


def read_project_file(path: Path) -> ProjectFile | None:
    """Return the contents of settings.ini; None when there is no such file or it has no section [mlnb].

    Raises:
        ProjectError: The file cannot be read, or a section or a key of a pipeline is misspelled.
        SettingsError: A setting is unknown or wrong.
    """
    sections = read_sections(path)
    if "mlnb" not in sections:
        return None
    contents = ProjectFile(ProjectSettings(sections["mlnb"], file_name=str(path)), {}, {}, {}, {})
    for section, values in sections.items():
        kind, _, name = section.partition(" ")
        if kind == "pipeline":
            if not is_plain_name(name):
                raise ProjectError(f"{path}: [{section}]: {name!r} is no pipeline name; expected no / or \\ in it.")
            for key in values:
                if key not in PIPELINE_KEYS:
                    hint = did_you_mean(key, PIPELINE_KEYS)
                    raise ProjectError(f"{path}: [{section}] has key {key!r}; expected stages or inputs_from.{hint}")
            contents.pipelines[name] = tuple(values.get("stages", "").split())
            if "inputs_from" in values:
                contents.input_pipelines[name] = values["inputs_from"].strip()
        elif kind == "profile":
            contents.profiles[name] = values
        elif kind == "stage":
            for key, text in values.items():
                if key not in STAGE_KEYS:
                    hint = did_you_mean(key, STAGE_KEYS)
                    raise ProjectError(f"{path}: [{section}] has key {key!r}; expected {', '.join(STAGE_KEYS)}.{hint}")
                contents.stage_retries[name] = ProjectSettings.retries.parse(text, f"{path}: [{section}] {key}")
        elif name and (hint := did_you_mean(kind, SECTIONS)):
            raise ProjectError(f"{path}: section [{section}] is unknown.{hint}")
    return contents
