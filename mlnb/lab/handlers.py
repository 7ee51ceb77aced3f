"""The handlers of the Jupyter server: for users with its token, on this machine."""

import asyncio
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jupyter_server.base.handlers import APIHandler
from jupyter_server.utils import url_path_join
from tornado import web

from mlnb.errors import MlnbError, UnknownRun

if TYPE_CHECKING:
    from jupyter_server.serverapp import ServerApp

    from mlnb.lab.panel_service import PanelService

LOCAL = ("127.0.0.1", "::1", "0.0.0.0")  # tornado reports the last one for a UNIX socket, never for an address
Answer = Callable[["PanelService"], Any]


class Worker:
    """Calls the service of a folder in one thread, so that neither the server waits nor two requests meet."""

    def __init__(self, folder: Path, kernels: Path) -> None:
        self._folders = folder, kernels
        self._threads = ThreadPoolExecutor(1, thread_name_prefix="mlnb")

    @cached_property
    def _service(self) -> "PanelService":
        from mlnb.lab.panel_service import PanelService  # imported by the first request, not at the server's start

        return PanelService(*self._folders)

    async def call(self, answer: Answer) -> Any:
        """Return what a function returns for the service."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, lambda: answer(self._service))


class PanelHandler(APIHandler):
    """Base of the handlers: refuses other machines, and explains errors in a sentence."""

    _track_activity = False  # requests at intervals do not keep an idle server alive

    def initialize(self, worker: Worker, action: str = "") -> None:
        """Take what calls the service, and the name of its method for a button."""
        self.worker = worker
        self.action = action

    async def prepare(self) -> None:  # type: ignore[override]
        """Refuse a request from another machine."""
        await super().prepare()
        if self.request.remote_ip not in LOCAL:
            raise web.HTTPError(403, "mlnb answers this machine only; reach it by an SSH tunnel.")

    async def answer(self, answer: Answer) -> Any:
        """Return what a function returns for the service; None after an error, which is sent."""
        try:
            return await self.worker.call(answer)
        except MlnbError as error:
            self.set_status(404 if isinstance(error, UnknownRun) else 400)
            message = str(error)
        except Exception as error:
            self.log.exception("mlnb: %s", self.request.path)
            self.set_status(500)
            message = f"{type(error).__name__}: {error}. The terminal of JupyterLab shows where."
        self.finish(json.dumps({"message": message}))
        return None


class StateHandler(PanelHandler):
    """The state of the panel."""

    @web.authenticated
    async def get(self) -> None:
        """Send the state; nothing, with status 204, while it is that of the argument `version`."""
        profile, version = self.get_argument("profile", None), self.get_argument("version", "")
        sent = await self.answer(lambda service: service.state(profile, version) or {"unchanged": True})
        if sent is None:
            return
        if "unchanged" in sent:
            self.set_status(204)
            self.finish()
        else:
            self.finish(json.dumps(sent))


class NotebookHandler(PanelHandler):
    """What the extension shows in an open notebook."""

    @web.authenticated
    async def get(self) -> None:
        """Send what is about the notebook of the argument `path`."""
        path = self.get_argument("path")
        sent = await self.answer(lambda service: service.notebook(path))
        if sent is not None:
            self.finish(json.dumps(sent))


class ActionHandler(PanelHandler):
    """A button: calls a method of the service with the JSON body."""

    @web.authenticated
    async def post(self) -> None:
        """Send what the method returns."""
        body = self.get_json_body()
        sent = await self.answer(lambda service: getattr(service, self.action)(body))
        if sent is not None:
            self.finish(json.dumps(sent))


class PageHandler(PanelHandler):
    """A report, an executed notebook or a comparison, as a page in which nothing runs."""

    @property
    def content_security_policy(self) -> str:
        """The policy of the page."""
        from mlnb.lab.run_pages import PAGE_POLICY  # see Worker

        return PAGE_POLICY

    @web.authenticated
    async def get(self, run: str = "", page: str = "") -> None:
        """Send the page of the address."""
        names = self.get_arguments("run")
        if not run:
            render: Answer = lambda service: service.pages.comparison(service.view, names)  # noqa: E731
        elif page.startswith("notebooks/"):
            render = lambda service: service.pages.notebook(service.view, run, page.partition("/")[2])  # noqa: E731
        elif page.startswith("documents/"):
            render = lambda service: service.pages.document(service.view, run, page.partition("/")[2])  # noqa: E731
        else:
            render = lambda service: service.pages.report(service.view, run)  # noqa: E731
        sent = await self.answer(render)
        if sent is not None:
            self.finish(sent.encode(errors="backslashreplace"), set_content_type="text/html; charset=utf-8")


ACTIONS = ("start", "stop", "debug", "parameters")


def routes(app: "ServerApp", kernels: Path) -> list[tuple[str, type[PanelHandler], dict[str, Any]]]:
    """Return the handlers.

    Args:
        app: The Jupyter server.
        kernels: Folder below whose share/jupyter/kernels it finds kernels.
    """
    worker = Worker(Path(app.root_dir), kernels)
    path = partial(url_path_join, app.web_app.settings["base_url"], "mlnb")
    actions = [(path(name), ActionHandler, {"worker": worker, "action": name}) for name in ACTIONS]
    return [
        (path("state"), StateHandler, {"worker": worker}),
        *actions,
        (path("notebook"), NotebookHandler, {"worker": worker}),
        (path("compare"), PageHandler, {"worker": worker}),
        (path(r"runs/([^/]+)/(report\.html|(?:notebooks|documents)/[^/]+)"), PageHandler, {"worker": worker}),
    ]
