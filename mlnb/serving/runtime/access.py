"""Who may ask: an API key or bearer token from the environment, and no open door on an address of a network."""

import hmac
import ipaddress
import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mlnb.errors import UsageError

KEY = "MLNB_API_KEY"  # one key, or several separated by commas while clients change over
ANONYMOUS = "MLNB_ALLOW_ANONYMOUS"  # 1: answer anyone, on any address
PROBES = frozenset({"/livez", "/healthz", "/readyz"})  # open to all: they tell nothing of the model


@dataclass(frozen=True)
class Guard:
    """Lets requests in that carry one of the keys; all of them when there is none."""

    keys: tuple[bytes, ...] = ()

    @classmethod
    def read(cls, environment: Mapping[str, str] = os.environ) -> "Guard":
        """Return the guard that the environment asks for."""
        keys = (key.strip() for key in environment.get(KEY, "").split(","))
        return cls(tuple(key.encode() for key in keys if key))

    def admits(self, headers: Mapping[bytes, bytes]) -> bool:
        """Whether a request with these headers (names in small letters) may be answered.

        Keys are compared in a time that does not tell how much of one was right.
        """
        if not self.keys:
            return True
        scheme, _, token = headers.get(b"authorization", b"").partition(b" ")
        given = token.strip() if scheme.lower() == b"bearer" else headers.get(b"x-api-key", b"")
        return bool(sum(hmac.compare_digest(given, key) for key in self.keys))


def check_exposure(host: str, environment: Mapping[str, str] = os.environ) -> None:
    """Raise `UsageError` when a service would answer anyone who reaches an address of a network, unasked."""
    if Guard.read(environment).keys or environment.get(ANONYMOUS) == "1" or _is_loopback(host):
        return
    raise UsageError(
        f"{host} can be reached from other machines, and no key is set: anyone could ask this service. "
        f"Set {KEY} to a secret that clients send as `Authorization: Bearer ...` or `X-API-Key: ...`, "
        f"or {ANONYMOUS}=1 to answer anyone, or listen on 127.0.0.1."
    )


def bound_host() -> str | None:
    """Return the address that BentoML's command binds in this process, or None outside such a command.

    Its supervisor is told a host, its workers inherit a socket: https://docs.bentoml.com/en/latest/reference/bentoml/cli.html.
    """
    import click
    from bentoml._internal.configuration.containers import BentoMLContainer

    context = click.get_current_context(silent=True)
    values: dict[str, Any] = context.params if context else {}
    if values.get("fd") is not None:
        with socket.socket(fileno=os.dup(values["fd"])) as listening:
            name = listening.getsockname()
            return str(name[0]) if isinstance(name, tuple) else None
    return str(values["host"] or BentoMLContainer.http.host.get()) if "host" in values else None


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
