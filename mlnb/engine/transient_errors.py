"""Which exceptions are transient: the same code may succeed a moment later, with nothing changed.

Everything else is deterministic: an assertion, a gate, wrong data, a missing file, a refused password.
"""

import errno

from mlnb.errors import CellTimeout, DataSourceError, MlnbError, RemoteError

CLASSES: tuple[type[BaseException], ...] = (ConnectionError, TimeoutError, RemoteError)
NUMBERS = frozenset(  # of `OSError`: networks and file systems that are mounted over one
    {
        errno.EAGAIN,
        errno.EHOSTDOWN,
        errno.EHOSTUNREACH,
        errno.ENETDOWN,
        errno.ENETRESET,
        errno.ENETUNREACH,
        errno.ESTALE,
        errno.ETIMEDOUT,
    }
)
WRAPPERS = (DataSourceError,)  # raised for what code of the project raises; the exception inside decides
DEPTH = 5  # exceptions that wrap each other


def is_transient(error: BaseException | None) -> bool:
    """Return whether an exception, or the one that it wraps, is transient."""
    for _ in range(DEPTH):
        if error is None or isinstance(error, CellTimeout):  # a limit of the settings, which holds again
            return False
        if isinstance(error, CLASSES):
            return True
        if isinstance(error, MlnbError) and not isinstance(error, WRAPPERS):
            return False
        if isinstance(error, OSError) and error.errno in NUMBERS:
            return True
        inner = error.__cause__ or (error.__context__ if isinstance(error, WRAPPERS) else None)
        error = getattr(error, "reason", None) if inner is None and _has_reason(error) else inner
    return False


def _has_reason(error: BaseException) -> bool:
    """Return whether an exception names the one that it wraps, as `urllib.error.URLError` does."""
    return isinstance(error, OSError) and isinstance(getattr(error, "reason", None), OSError)
