"""The PostgreSQL database that the machines of a project share: locks of stages, state of runs, test-set accesses.

The setting `database` names it. A database that cannot be reached is one warning; then this machine goes on with its
own locks and files, and tries the database again after a while.
"""

import threading
import time
import warnings
from collections.abc import Callable
from importlib.util import find_spec
from typing import TypeVar

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from mlnb.errors import DatabaseWarning, MissingExtra, SettingsError
from mlnb.leases import Leases, create_tables
from mlnb.url_passwords import expand_url, mask_passwords

CONNECT_SECONDS = 3  # of one attempt; there is a second one without encryption
RETRY_SECONDS = 60.0  # after which a database that could not be reached is tried again
METADATA = sa.MetaData()
T = TypeVar("T")

# A lost link is noticed within about ten seconds. Prepared statements belong to a connection, which a pooler changes.
CONNECTION = {
    "connect_timeout": CONNECT_SECONDS,
    "keepalives_idle": 4,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
    "prepare_threshold": None,
}


class SharedDatabase:
    """The database of one project; used by several threads.

    Each use opens a connection and closes it: a kernel forks for snapshots, and a child must not share one.

    Attributes:
        url: Its URL, without passwords.
    """

    def __init__(self, setting: str) -> None:
        """Connect nothing yet.

        Args:
            setting: SQLAlchemy URL of a PostgreSQL database, `${NAME}` taken from the environment.

        Raises:
            SettingsError: It is the URL of something else.
            MissingExtra: The driver is not installed.
        """
        url = expand_url(setting)
        self.url = mask_passwords(setting)
        kind, _, rest = url.partition("://")
        if kind not in ("postgresql", "postgresql+psycopg") or not rest:
            raise SettingsError(
                f"The setting `database` is {self.url!r}; expected postgresql://USER:${{PASSWORD}}@HOST/NAME."
            )
        if find_spec("psycopg") is None:
            raise MissingExtra("The setting `database` needs a driver: pip install 'mlnb[postgres]'.")
        try:
            self._engine = sa.create_engine(
                f"postgresql+psycopg://{rest}", poolclass=sa.NullPool, connect_args=CONNECTION
            )
        except ImportError as error:  # psycopg without its library
            raise MissingExtra(f"The driver of the setting `database` cannot be loaded: {error}.") from error
        except (SQLAlchemyError, ValueError) as error:
            raise SettingsError(f"The setting `database` is {self.url!r}, which is no URL: {error}.") from None
        self._leases = Leases(self._engine)
        self._lock = threading.Lock()
        self._tables = 0  # that are there
        self._retry_at = 0.0
        self._warned = False

    def use(self, action: Callable[[sa.Connection], T], otherwise: T) -> T:
        """Return what an action returns in one transaction; `otherwise` when the database cannot be used.

        Args:
            action: Gets a connection with all tables there.
            otherwise: What holds on this machine alone.
        """

        def prepared() -> T:
            if self._tables != len(METADATA.tables):  # modules that were imported since have added theirs
                create_tables(self._engine, METADATA)
                self._tables = len(METADATA.tables)
            with self._engine.begin() as connection:
                return action(connection)

        return self._attempt(prepared, otherwise)

    def take(self, name: str) -> bool | None:
        """Take a lease; return whether it is held now, or None when the database cannot be used."""
        return self._attempt(lambda: self._leases.take(name), None)

    def release(self, name: str) -> None:
        """Give a lease back; when the database cannot be used, it expires."""
        self._attempt(lambda: self._leases.release(name), None)

    def living(self, prefix: str) -> dict[str, str]:
        """Return the holder of each unexpired lease whose name starts with a text; none without the database."""
        return self._attempt(lambda: self._leases.living(prefix), {})

    def _attempt(self, action: Callable[[], T], otherwise: T) -> T:
        """Return what an action returns, or `otherwise` after a warning; one that fails is not repeated for a while."""
        if time.monotonic() < self._retry_at:
            return otherwise
        try:
            return action()
        except (SQLAlchemyError, OSError) as error:
            reason = " ".join(str(getattr(error, "orig", None) or error).split())[:200]
        with self._lock:
            self._retry_at = time.monotonic() + RETRY_SECONDS
            if not self._warned:
                self._warned = True
                text = (
                    f"The database {self.url} is not used: {mask_passwords(reason)}. Locks, the state of runs and "
                    "test-set accesses are those of this machine alone."
                )
                warnings.warn(text, DatabaseWarning, stacklevel=3)
        return otherwise
