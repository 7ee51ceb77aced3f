"""Which exceptions are transient, and which are the same at the next attempt."""

import errno
from urllib.error import URLError

import pytest

from mlnb.engine.transient_errors import is_transient
from mlnb.errors import (
    AccessDenied,
    CellTimeout,
    DataError,
    DataSourceError,
    EmbeddingError,
    GateFailed,
    RemoteError,
    StoreCorrupted,
    StoreFull,
)


@pytest.mark.parametrize(
    "error",
    [
        ConnectionRefusedError("no"),
        ConnectionResetError("no"),
        TimeoutError("no"),
        RemoteError("no"),
        OSError(errno.ESTALE, "stale"),
        OSError(errno.ENETUNREACH, "no route"),
        URLError(TimeoutError("no")),
    ],
    ids=repr,
)
def test_errors_of_networks_are_transient(error):
    assert is_transient(error)


@pytest.mark.parametrize(
    "error",
    [
        None,
        AssertionError("no"),
        ValueError("no"),
        GateFailed("no"),
        DataError("no"),
        CellTimeout("no"),
        StoreFull("no"),
        StoreCorrupted("no"),
        AccessDenied("no"),
        EmbeddingError("no"),
        FileNotFoundError(errno.ENOENT, "no file"),
        PermissionError(errno.EACCES, "no"),
        OSError(errno.ENOSPC, "full"),
        URLError("unknown url type"),
        KeyboardInterrupt(),
    ],
    ids=repr,
)
def test_errors_that_stay_are_deterministic(error):
    assert not is_transient(error)


def test_the_exception_inside_decides():
    def raised(kind, inner, quiet):
        try:
            try:
                raise inner
            except Exception as error:
                raise kind("wrapped") from (None if quiet else error)
        except Exception as error:
            return error

    assert is_transient(raised(RuntimeError, ConnectionError("no"), quiet=False))
    assert not is_transient(raised(RuntimeError, ConnectionError("no"), quiet=True))
    assert is_transient(raised(DataSourceError, ConnectionError("no"), quiet=True))
    assert not is_transient(raised(DataSourceError, KeyError("no"), quiet=True))
    assert not is_transient(raised(DataError, ConnectionError("no"), quiet=False))
