"""Lets BentoML import its reverse proxy only for a service that needs it.

The proxy is for services that are programs with a separate server, and imports pyparsing: in a container 4.5 of 114 MB
of memory, and a tenth of the processor time until a service is ready. It is a private module of BentoML, which
settings.ini pins to one version; the tests check what BentoML imports of it. aiohttp stays: BentoML opens a session of
it in each worker.
"""

import importlib
import sys
from types import ModuleType
from typing import Any

PROXY = "_bentoml_impl.server.proxy"
USED = "create_proxy_app"  # all that BentoML imports of it


def import_proxy_late() -> None:
    """Replace the proxy, unless it has been imported, by a module that imports it when it is called."""
    if PROXY not in sys.modules:
        module = ModuleType(PROXY, "Imports BentoML's reverse proxy when a service needs it.")
        setattr(module, USED, _create_proxy_app)
        sys.modules[PROXY] = module


def _create_proxy_app(service: Any) -> Any:
    """Return what BentoML's function of this name returns."""
    sys.modules.pop(PROXY)
    return getattr(importlib.import_module(PROXY), USED)(service)
