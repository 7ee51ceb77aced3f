"""The Jupyter server extension: adds the handlers of the panel, and cleans notebooks when they are saved."""

import atexit
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from mlnb.lab.labextension import SERVER_EXTENSION

if TYPE_CHECKING:
    from jupyter_server.serverapp import ServerApp


def _jupyter_server_extension_points() -> list[dict[str, str]]:
    """Return where Jupyter finds the extension."""
    return [{"module": SERVER_EXTENSION}]


def _load_jupyter_server_extension(app: "ServerApp") -> None:
    """Add the handlers to a Jupyter server; what they need is imported at the first request."""
    from mlnb.lab.handlers import routes

    app.web_app.add_handlers(".*$", routes(app, _add_kernel_folder(app)))  # type: ignore[no-untyped-call]


def _add_kernel_folder(app: "ServerApp") -> Path:
    """Return a new folder below whose share/jupyter/kernels the server finds kernels; it is deleted at the end."""
    folder = Path(tempfile.mkdtemp(prefix="mlnb-kernels-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    manager = app.kernel_spec_manager
    if manager is not None:
        manager.kernel_dirs = [*manager.kernel_dirs, str(folder / "share" / "jupyter" / "kernels")]
    return folder
