"""The dashboard as a Starlette application: routes, pages, errors."""

from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

from jinja2 import ChoiceLoader, Environment, FileSystemLoader
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from mlnb.dashboard.access_control import DOCUMENT_POLICY, AccessControl
from mlnb.dashboard.file_warnings import collect_warnings
from mlnb.dashboard.live_run import describe_live
from mlnb.dashboard.model_overview import overview
from mlnb.dashboard.optuna_pages import ADDRESS, OptunaPages
from mlnb.dashboard.project_views import ProjectView, view_projects
from mlnb.dashboard.registry_view import read_registry
from mlnb.dashboard.run_differences import RunDifferences
from mlnb.dashboard.run_listing import RunQuery, list_rows, newest_results
from mlnb.dashboard.study_page import newest_studies
from mlnb.engine.digests import digest_bytes
from mlnb.engine.project import Project
from mlnb.engine.runs import Run, open_run
from mlnb.errors import MlnbError, UnknownRun, UsageError
from mlnb.registry.known_head import registry_exists
from mlnb.reports.comparison_page import collect_comparison
from mlnb.reports.monitoring_page import render_monitoring_report
from mlnb.reports.run_documents import render_file
from mlnb.reports.run_page import page_name
from mlnb.reports.run_report import environment, render_notebook, render_report, style
from mlnb.tracking import run_results
from mlnb.tracking.run_table import short_data

HERE = Path(__file__).parent


class Site(NamedTuple):
    """What the head of a page shows: all projects, that of the page, and its section."""

    projects: Sequence[ProjectView]
    view: ProjectView | None
    section: str


class Dashboard:
    """The pages of some projects; each method answers one kind of address."""

    def __init__(self, projects: Sequence[Project]) -> None:
        self.views = view_projects(projects)
        self.charts = OptunaPages(self.views).routes()
        self.differences = RunDifferences()

    def routes(self) -> list[Route]:
        """Return the routes; all of them are read-only."""
        return [
            *self.charts,
            Route("/", self.models),
            Route("/compare", self.compare),
            Route("/dashboard.js", self.script),
            Route("/p/{project}", self.project),
            Route("/p/{project}/runs", self.runs),
            Route("/p/{project}/compare", self.compare),
            Route("/p/{project}/studies", self.studies),
            Route("/p/{project}/registry", self.registry),
            Route("/p/{project}/monitoring.html", self.monitoring),
            Route("/p/{project}/runs/{run}", self.run),
            Route("/p/{project}/runs/{run}/live", self.live),
            Route("/p/{project}/runs/{run}/report.html", self.report),
            Route("/p/{project}/runs/{run}/notebooks/{name}", self.notebook),
            Route("/p/{project}/runs/{run}/documents/{name}", self.document),
        ]

    def models(self, request: Request) -> Response:
        """Return the overview of all models."""
        return self._page("models.html", None, "models", lambda: {"overview": overview(self.views.values())})

    def project(self, request: Request) -> Response:
        """Return the address of a project's runs."""
        return RedirectResponse(self._view(request).url("runs"))

    def runs(self, request: Request) -> Response:
        """Return the table of a project's runs."""
        view, query = self._view(request), RunQuery.read(request.query_params)

        def values() -> Mapping[str, object]:
            others = [other for other in self.views.values() if other is not view]
            choices = {other: newest_results(other) for other in others}
            return {"listing": list_rows(view, query), "choices": choices, "short_data": short_data}

        return self._page("runs.html", view, "runs", values)

    def run(self, request: Request) -> Response:
        """Return the page of a run."""
        view, run = self._run(request)
        changed = {name: p for name, p in run_results.parameters(run).items() if p.origin != "default"}
        return self._page(
            "run.html",
            view,
            "run",
            lambda: {"live": describe_live(view, run), "changed": changed, "before": _before(view, run)},
        )

    def live(self, request: Request) -> Response:
        """Return what changes on the page of a run; 204 while nothing has changed since `version`."""
        view, run = self._run(request)
        page = self._render("live_run.html", view, "run", lambda: {"live": describe_live(view, run)})
        version = digest_bytes(page.encode(errors="backslashreplace"))
        if request.query_params.get("version") == version:
            return Response(status_code=204)
        return HTMLResponse(page.encode(errors="backslashreplace"), headers={"X-Version": version})

    def compare(self, request: Request) -> Response:
        """Return the comparison of the runs that the address names, those of other projects as `project/run`."""
        view = self._view(request) if "project" in request.path_params else None
        names = request.query_params.getlist("run")

        def values() -> Mapping[str, object]:
            compared = [self._named(view, name) for name in names if name]
            addresses = {(run.project.root, run.id): owner.run_url(run) for owner, run in compared}
            page = collect_comparison([run for _, run in compared], self.differences)
            return {"page": page, "run_url": lambda run: addresses[run.project.root, run.id]}

        return self._page("comparison.html", view, "compare", values)

    def studies(self, request: Request) -> Response:
        """Return the hyperparameter searches of a project."""
        view = self._view(request)
        return self._page(
            "studies.html",
            view,
            "studies",
            lambda: {"studies": newest_studies(view), "charts": ADDRESS if self.charts else ""},
        )

    def registry(self, request: Request) -> Response:
        """Return the registry of a project."""
        view = self._view(request)
        return self._page("registry.html", view, "registry", lambda: {"registry": read_registry(view.project)})

    def monitoring(self, request: Request) -> Response:
        """Return the monitoring report of a project as it is now."""
        project = self._view(request).project
        if not registry_exists(project):
            raise HTTPException(404, f"{project.name} has no registered model that could be monitored.")
        return _document(partial(render_monitoring_report, project, remember=False))

    def report(self, request: Request) -> Response:
        """Return the report of a run as it is now."""
        _, run = self._run(request)
        return _document(lambda: render_report(run))

    def notebook(self, request: Request) -> Response:
        """Return an executed notebook of a run: as a page, or the file itself for its name."""
        _, run = self._run(request)
        wanted = f"notebooks/{request.path_params['name']}"
        for stage, record in run.stages.items():
            path = run.notebook_file(stage)
            if path is None or record.notebook is None:
                continue
            if wanted == page_name(record.notebook):
                return _document(partial(render_notebook, run, stage))
            if wanted == record.notebook:
                disposition = f"attachment; filename*=UTF-8''{quote(path.name, safe='')}"
                headers = {"Content-Disposition": disposition, "Content-Security-Policy": DOCUMENT_POLICY}
                return Response(path.read_bytes(), media_type="application/x-ipynb+json", headers=headers)
        raise HTTPException(404, f"Run {run.id} has no executed notebook of that name.")

    def document(self, request: Request) -> Response:
        """Return a document of a run as it is now."""
        _, run = self._run(request)
        return _document(partial(render_file, run, request.path_params["name"]))

    def script(self, request: Request) -> Response:
        """Return the script of all pages: interactive charts, and the page of a run while it goes on."""
        return Response(_script(), media_type="text/javascript")

    def failed(self, request: Request, error: Exception) -> Response:
        """Return the page of an error that mlnb explains, or of an address that does not exist."""
        status, text = 500, str(error)
        if isinstance(error, HTTPException):
            status, text = error.status_code, error.detail
        elif isinstance(error, UnknownRun):
            status = 404
        elif isinstance(error, UsageError):
            status = 400
        return self._page("error.html", None, "", lambda: {"text": text}, status)

    def _named(self, view: ProjectView | None, name: str) -> tuple[ProjectView, Run]:
        """Return the run that a name in an address means: `project/run`, or an id in the project of the page."""
        key, separated, own = name.partition("/")
        if separated:
            view, name = self._project(key), own
        if view is None:
            raise UsageError(f"The run to compare is {name!r}; expected its project and its id, such as churn/{name}.")
        return view, view.run(name) or open_run(view.project, name)

    def _view(self, request: Request) -> ProjectView:
        return self._project(request.path_params["project"])

    def _project(self, name: str) -> ProjectView:
        if name not in self.views:
            raise HTTPException(404, f"No project {name!r}; there is {', '.join(self.views)}.")
        return self.views[name]

    def _run(self, request: Request) -> tuple[ProjectView, Run]:
        view, name = self._view(request), request.path_params["run"]
        run = view.run(name)
        if run is None:
            raise UnknownRun(f"No run is called {name!r} in {view.name}.")
        return view, run

    def _page(
        self,
        template: str,
        view: ProjectView | None,
        section: str,
        values: Callable[[], Mapping[str, object]],
        status: int = 200,
    ) -> Response:
        page = self._render(template, view, section, values)
        return HTMLResponse(page.encode(errors="backslashreplace"), status)

    def _render(
        self, template: str, view: ProjectView | None, section: str, values: Callable[[], Mapping[str, object]]
    ) -> str:
        """Return a page; it starts with the warnings that reading its values gave."""
        content, notes = collect_warnings(values)
        site = Site(list(self.views.values()), view, section)
        return templates().get_template(template).render(site=site, style=_styles(), notes=notes, **content)


def create_application(projects: Sequence[Project], token: str) -> Starlette:
    """Return the application.

    Args:
        projects: The projects that it shows.
        token: The secret in the address that opens it.
    """
    dashboard = Dashboard(projects)
    return Starlette(
        routes=dashboard.routes(),
        middleware=[Middleware(AccessControl, token=token)],
        exception_handlers={MlnbError: dashboard.failed, HTTPException: dashboard.failed},
    )


@cache
def templates() -> Environment:
    """Return the template environment: that of reports, with the pages of the dashboard."""
    reports = environment()
    folders = FileSystemLoader(HERE)
    return reports.overlay(loader=ChoiceLoader([folders, reports.loader] if reports.loader else [folders]))


@cache
def _styles() -> str:
    return style() + "".join((HERE / name).read_text(encoding="utf-8") for name in ("uplot.min.css", "dashboard.css"))


@cache
def _script() -> str:
    names = ("uplot.min.js", "dashboard.js", "charts.js")
    return "\n".join((HERE / name).read_text(encoding="utf-8") for name in names)


def _document(render: Callable[[], str]) -> Response:
    """Return a report or notebook under a policy by which nothing in it runs."""
    page, _ = collect_warnings(render)
    headers = {"Content-Security-Policy": DOCUMENT_POLICY}
    return HTMLResponse(page.encode(errors="backslashreplace"), headers=headers)


def _before(view: ProjectView, run: Run) -> Run | None:
    """Return the run of the same pipeline before this one; None without one."""
    runs = [other for other in view.runs()[0] if other.record.pipeline == run.record.pipeline]
    ids = [other.id for other in runs]
    return next(iter(runs[ids.index(run.id) + 1 :]), None) if run.id in ids else None
