"""Access to the dashboard: with its token, from this machine; and the security headers of every page.

The token comes once, in the address that `mlnb ui` prints, and is exchanged for a cookie that scripts cannot read and
that is not sent with what pages of other sites embed. A request whose Host header names another machine is refused, so
that a page of another site whose name resolves to 127.0.0.1 reads nothing (DNS rebinding).
"""

import secrets
from collections.abc import Mapping
from urllib.parse import urlencode, urlsplit

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LOCAL = ("127.0.0.1", "localhost", "::1")
PARAMETER = "token"
HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'unsafe-inline'; img-src data:; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cache-Control": "no-store",
}
# Of reports and executed notebooks: in addition nothing runs, whatever they contain. Same origin, so that the cookie
# is sent when a link in them is followed; without scripts no page makes use of it.
DOCUMENT_POLICY = (
    "sandbox allow-same-origin; default-src 'none'; style-src 'unsafe-inline'; img-src data:; form-action 'none'; "
    "base-uri 'none'; frame-ancestors 'none'"
)


class AccessControl:
    """ASGI middleware that refuses every request without token, from another host, or that could change something."""

    def __init__(self, app: ASGIApp, token: str) -> None:
        """Guard an application.

        Args:
            app: The application.
            token: The secret in the address that `mlnb ui` prints.
        """
        self.app = app
        self.token = token
        self.session = secrets.token_urlsafe(32)  # value of the cookie: one that leaks does not reveal the token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or pass it on to the application."""
        if scope["type"] != "http":
            return

        async def send_secured(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        answer = self._answer(Request(scope)) or self.app
        await answer(scope, receive, send_secured)

    def _answer(self, request: Request) -> Response | None:
        """Return the response to a request that is not passed on; None for one that is."""
        if not is_local(request.headers.get("host", "")):
            return _refuse(
                400, "The Host header is not 127.0.0.1 or localhost; open the address that `mlnb ui` printed."
            )
        if request.method not in ("GET", "HEAD"):
            return _refuse(405, "The dashboard is read-only: it accepts GET and HEAD.")
        port = urlsplit(f"//{request.headers['host']}").port or 80
        cookie = f"mlnb-ui-{port}"  # cookies are sent to every port of a host
        if PARAMETER in request.query_params:
            if not _equal(request.query_params[PARAMETER], self.token):
                return _refuse(403, "The token is wrong; open the address that this `mlnb ui` printed.")
            others = [(name, value) for name, value in request.query_params.multi_items() if name != PARAMETER]
            address = "/" + request.url.path.lstrip("/") + (f"?{urlencode(others)}" if others else "")
            response = RedirectResponse(address, 303)
            response.set_cookie(cookie, self.session, path="/", httponly=True, samesite="lax")
            return response
        if not _equal(request.cookies.get(cookie, ""), self.session):
            return _refuse(401, "A token is needed; open the address that `mlnb ui` printed.")
        return None


def is_local(host: str) -> bool:
    """Return whether a Host header names this machine."""
    try:
        parts = urlsplit(f"//{host}")
        return parts.hostname in LOCAL and parts.username is None and (parts.port is None or parts.port > 0)
    except ValueError:
        return False


def _equal(value: str, secret: str) -> bool:
    return secrets.compare_digest(value.encode(), secret.encode())


def _refuse(status: int, text: str) -> Response:
    return PlainTextResponse(text + "\n", status)
