"""Access control: an API key or bearer token from the environment, and no open service on a network address."""

import hmac
import ipaddress
import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass

from mlnb.errors import UsageError
from mlnb.settings import ServiceSettings

PROBES = frozenset({"/livez", "/healthz", "/readyz"})  # open to all: they reveal nothing about the model


@dataclass(frozen=True)
class AccessControl:
    """Allows requests that carry one of the keys; all requests when there is no key.

    There may be several keys while clients change from one to the next.
    """

    keys: tuple[bytes, ...] = ()

    @classmethod
    def from_settings(cls, settings: ServiceSettings) -> "AccessControl":
        """Return the access control that the settings configure."""
        return cls(tuple(key.encode() for key in settings.api_key))

    def allows(self, headers: Mapping[bytes, bytes]) -> bool:
        """Return whether a request with these headers (names in lower case) carries a key.

        The comparison takes the same time however much of a key is right.
        """
        if not self.keys:
            return True
        scheme, _, token = headers.get(b"authorization", b"").partition(b" ")
        key = token.strip() if scheme.lower() == b"bearer" else headers.get(b"x-api-key", b"")
        return bool(sum(hmac.compare_digest(key, allowed) for allowed in self.keys))


def check_exposure(host: str, environment: Mapping[str, str] | None = None) -> None:
    """Check that a service on this address needs a key, is explicitly open, or is out of reach of other machines.

    Args:
        host: the address that the service is to listen on.
        environment: of the service; None: that of this process.

    Raises:
        UsageError: anyone who reaches the address could use the service, and nobody chose that.
    """
    settings = ServiceSettings(environment=environment)
    if settings.api_key or settings.allow_anonymous or _is_loopback(host):
        return
    key, anonymous = ServiceSettings.api_key.variable, ServiceSettings.allow_anonymous.variable
    raise UsageError(
        f"{host} can be reached from other machines, and no key is set: anyone could use this service. "
        f"Set {key} to a secret that clients send as `Authorization: Bearer ...` or `X-API-Key: ...`, "
        f"or {anonymous}=1 to serve anyone, or listen on 127.0.0.1."
    )


def bound_host() -> str | None:
    """Return the address that BentoML's command binds in this process, or None outside such a command.

    BentoML passes the host to its supervisor and an open socket to its workers:
    https://docs.bentoml.com/en/latest/reference/bentoml/cli.html.
    """
    import click
    from bentoml._internal.configuration.containers import BentoMLContainer

    context = click.get_current_context(silent=True)
    options = context.params if context else {}
    if options.get("fd") is not None:
        with socket.socket(fileno=os.dup(options["fd"])) as listening:
            name = listening.getsockname()
            return str(name[0]) if isinstance(name, tuple) else None
    return str(options["host"] or BentoMLContainer.http.host.get()) if "host" in options else None


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
