"""Lets BentoML import its reverse proxy, and aiohttp read certificates, only for a service that needs it.

The proxy is for services that are programs with a separate server, and imports pyparsing: in a container 4.5 of 114 MB
of memory, and a tenth of the processor time until a service is ready. It is a private module of BentoML, which
settings.ini pins to one version; the tests check what BentoML imports of it. aiohttp stays: BentoML opens a session of
it in each worker, to the service itself. But aiohttp makes two contexts for TLS when it is imported, each with all
certificates of the system: 4.3 MB, and a twentieth of the processor time. They read them before their first connection.
"""

import importlib
import ssl
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


class LateContext(ssl.SSLContext):
    """A context for TLS that reads the certificates of the system when it is used."""

    def _read(self) -> ssl.SSLContext:
        self.__class__ = ssl.SSLContext  # type: ignore[assignment]
        self.load_default_certs()
        return self

    def wrap_bio(self, *args: Any, **options: Any) -> ssl.SSLObject:
        """Return a connection, as asyncio makes it."""
        return self._read().wrap_bio(*args, **options)

    def wrap_socket(self, *args: Any, **options: Any) -> ssl.SSLSocket:
        """Return a connection over a socket."""
        return self._read().wrap_socket(*args, **options)

    def cert_store_stats(self) -> dict[str, int]:
        """Return how many certificates it has."""
        return self._read().cert_store_stats()

    def get_ca_certs(self, *args: Any, **options: Any) -> Any:
        """Return the certificates that it trusts."""
        return self._read().get_ca_certs(*args, **options)


def import_aiohttp() -> None:
    """Import aiohttp, unless it has been imported, with contexts that read certificates when they are used."""
    if "aiohttp" in sys.modules:
        return

    def postpone(context: ssl.SSLContext, *_: Any) -> None:
        context.__class__ = LateContext

    read, set_paths = ssl.SSLContext.load_default_certs, ssl.SSLContext.set_default_verify_paths
    ssl.SSLContext.load_default_certs = postpone  # type: ignore[method-assign, assignment]
    ssl.SSLContext.set_default_verify_paths = postpone  # type: ignore[method-assign, assignment]
    try:
        importlib.import_module("aiohttp")
    finally:
        ssl.SSLContext.load_default_certs = read  # type: ignore[method-assign]
        ssl.SSLContext.set_default_verify_paths = set_paths  # type: ignore[method-assign]
