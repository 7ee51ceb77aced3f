"""Answers the requests of the JupyterLab extension; each method is called in a thread of the Jupyter server."""

import json
from pathlib import Path
from typing import Any

from msgspec import field

from mlnb.api.last_run import new_project_command
from mlnb.codec import Record, from_json, to_json
from mlnb.dashboard.project_views import ProjectView
from mlnb.engine.digests import digest_bytes
from mlnb.engine.project import Project
from mlnb.errors import MlnbError, ProjectError
from mlnb.lab.failed_cell import open_session
from mlnb.lab.open_notebook import OpenNotebook, describe_notebook
from mlnb.lab.panel_state import PanelState, describe_panel, find_running
from mlnb.lab.parameter_form import fill_form
from mlnb.lab.run_pages import RunPages, find_run
from mlnb.lab.run_process import RunProcess
from mlnb.lab.stage_views import plan_steps, planned_values, run_options, run_request


class StartRequest(Record, frozen=True, kw_only=True):
    """A run to start: a profile, the last stage, and a stage to run though unchanged; an empty text is left out."""

    profile: str = ""
    upto: str = ""
    force: str = ""


class DebugRequest(Record, frozen=True, kw_only=True):
    """A run to debug, and its stage; empty: the first one that failed."""

    run: str
    stage: str = ""


class FormRequest(Record, frozen=True, kw_only=True):
    """A parameters cell, what was typed by name of the parameter, and the profile of the next run.

    Args:
        path: Of the notebook, relative to the server's folder.
        source: Of the cell, which may not be saved yet.
        profile: The selected profile; empty: none.
        texts: What was typed; empty: nothing yet.
    """

    path: str
    source: str
    profile: str = ""
    texts: dict[str, str] = field(default_factory=dict)


class PanelService:
    """The project in the folder of a Jupyter server, and the run that the panel has started."""

    def __init__(self, folder: Path, kernels: Path) -> None:
        """Take the folders; the project is opened at each request, as it may be created or changed meanwhile.

        Args:
            folder: The root folder of the Jupyter server.
            kernels: Folder below whose share/jupyter/kernels the server finds kernels.
        """
        self.folder = folder.resolve()
        self.kernels = kernels
        self.pages = RunPages()
        self._read: tuple[tuple[str, int], ProjectView] | None = None
        self._process: RunProcess | None = None

    @property
    def view(self) -> ProjectView:
        """The project. Raises `ProjectError` when there is none; `SettingsError` when its settings are wrong."""
        project = Project.find(self.folder)
        if project.is_builtin:
            raise ProjectError(
                f"No project in {project.root} or above. Create one in a terminal, and open it: "
                f"{new_project_command(project)}"
            )
        key = (str(project.root), (project.root / "settings.ini").stat().st_mtime_ns)
        if self._read is None or self._read[0] != key:
            self._read = (key, ProjectView("project", project))
        return self._read[1]

    @property
    def process(self) -> RunProcess:
        """The run that the panel has started."""
        if self._process is None:
            self._process = RunProcess(self.view.project)
        return self._process

    def state(self, profile: str | None, version: str) -> dict[str, Any] | None:
        """Return the state of the panel with its version; None when the version is that of the panel already.

        Args:
            profile: The selected profile; empty: none; None: that of the last run.
            version: Of the state that the panel shows.
        """
        try:
            shown = describe_panel(self.folder, self.view, self.process, profile)
        except MlnbError as error:  # there is no project, or its settings are wrong
            shown = PanelState(project="", problem=str(error))
        values = to_json(shown)
        current = digest_bytes(json.dumps(values).encode())[:16]
        return None if current == version else {"version": current, **values}

    def notebook(self, path: str) -> dict[str, Any]:
        """Return what is shown in an open notebook; nothing where there is no project.

        Args:
            path: Of the notebook, relative to the server's folder.
        """
        try:
            return to_json(describe_notebook(self.folder, self.view, path))
        except MlnbError:  # the panel shows it
            return to_json(OpenNotebook())

    def start(self, body: object) -> dict[str, Any]:
        """Start a run, after checking that it can be planned; return an empty object."""
        start = from_json(StartRequest, body, "the request")
        request = run_request(start.profile, start.upto, start.force)
        plan_steps(self.view.project, request)
        self.process.start(run_options(request))
        return {}

    def stop(self, body: object) -> dict[str, Any]:
        """Interrupt the run that goes on; return an empty object."""
        self.process.stop(find_running(self.view))
        return {}

    def debug(self, body: object) -> dict[str, Any]:
        """Return the failed cell of a run, the outputs before it, and the kernel with its state."""
        request = from_json(DebugRequest, body, "the request")
        run = find_run(self.view, request.run)
        return to_json(open_session(self.folder, self.kernels, run, request.stage))

    def parameters(self, body: object) -> dict[str, Any]:
        """Return the form of a parameters cell, and the cell with the values that were typed."""
        form = from_json(FormRequest, body, "the request")
        path = self.folder / form.path
        planned = planned_values(self.view.project, path, form.profile)
        return to_json(fill_form(form.source, form.texts, planned, path.name))
