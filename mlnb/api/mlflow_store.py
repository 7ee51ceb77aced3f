"""Whether a tracking store of MLflow can be used: MLflow itself tries again for minutes."""

import http.client
import socket
import sqlite3
import ssl
import urllib.error
import urllib.request
from contextlib import closing
from urllib.parse import urlsplit, urlunsplit

from mlnb.errors import UsageError
from mlnb.url_passwords import mask_passwords

LOCK_SECONDS = 10.0  # that another process may hold the lock of a SQLite file
ANSWER_SECONDS = 5.0  # that a server may take to accept a connection, and to respond
EXPECTED = "--uri as sqlite:///mlflow.db or http://127.0.0.1:5000"
PORTS = {"postgresql": 5432, "mysql": 3306, "mssql": 1433}  # of databases that MLflow uses


def check_store(uri: str) -> None:
    """Check within seconds that a tracking store responds; other kinds of stores than the three below are not checked.

    Args:
        uri: Of a SQLite file that can be written, of a database that accepts connections, or of an HTTP server.

    Raises:
        UsageError: The store cannot be used.
    """
    _, separator, path = uri.partition(":///")
    scheme = uri.partition(":")[0].partition("+")[0].lower()
    try:
        if scheme == "sqlite":
            path = path.partition("?")[0]
            if separator and path not in ("", ":memory:"):
                _check_file(path)
        elif scheme in ("http", "https"):
            _check_server(uri)
        elif scheme in PORTS and (parts := urlsplit(uri)).hostname:
            socket.create_connection((parts.hostname, parts.port or PORTS[scheme]), ANSWER_SECONDS).close()
    except (OSError, ValueError, http.client.HTTPException) as error:  # the latter two: a port that is no number
        reason = getattr(error, "reason", None) or error
        raise UsageError(
            f"The tracking store cannot be used: {mask_passwords(uri)}: {reason}; "
            f"expected a server that runs: {EXPECTED}."
        ) from error


def _check_file(path: str) -> None:
    """Raise `UsageError` for a SQLite file that cannot be written."""
    try:
        with closing(sqlite3.connect(path, timeout=LOCK_SECONDS)) as connection:
            connection.execute("BEGIN IMMEDIATE")
    except sqlite3.Error as error:
        raise UsageError(
            f"The tracking store cannot be used: {path}: {error}; expected --uri sqlite:///FILE in a folder that "
            "exists, and that you may write."
        ) from error


def _check_server(uri: str) -> None:
    """Raise `OSError` for a server that does not respond, or is in error; MLflow reports what else is wrong at once."""
    parts = urlsplit(uri)
    host = parts.netloc.rpartition("@")[2]  # without a user and password, which this request does not need
    url = urlunsplit((parts.scheme, host, f"{parts.path.rstrip('/')}/version", "", ""))
    try:
        urllib.request.urlopen(url, timeout=ANSWER_SECONDS).close()
    except urllib.error.HTTPError as error:
        error.close()
        if error.code >= 500:
            raise
    except urllib.error.URLError as error:
        if not isinstance(error.reason, ssl.SSLError):  # settings of MLflow accept other certificates
            raise
