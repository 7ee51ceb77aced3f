"""Leases in a database: a name that one process at a time holds; what a lost machine has held is free within seconds.

The holder renews its leases every `RENEW_SECONDS`; after `LEASE_SECONDS` without a renewal another process may take
them. Both are judged by the clock of the database, so the clocks of the machines do not matter. Trials of a study that
several machines share have leases, and stages and runs of projects with the setting `database`.

Why rows, and not the advisory locks of PostgreSQL: a session's lock belongs to a connection. A pooler (PgBouncer in
transaction mode) gives the connection to another client after each transaction, which then has the lock, or loses it.
And the connection of a machine that lost its power or network stays open until TCP gives up, by default after hours. A
lock of a transaction would keep one open as long as a stage runs, which a pooler forbids and which stops the cleaning
of dead rows in all tables. Each statement on a lease is a short transaction on any connection.
"""

import os
import secrets
import socket
import threading
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Self

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError, SQLAlchemyError

RENEW_SECONDS = 1.5  # between two renewals of a lease
LEASE_SECONDS = 6.0  # without a renewal, after which a lease has expired
OLD_DAYS = 1  # after which the row of an expired lease is deleted

METADATA = sa.MetaData()
LEASES = sa.Table(
    "mlnb_leases",
    METADATA,
    sa.Column("name", sa.String(300), primary_key=True),
    sa.Column("holder", sa.String(200), nullable=False),
    sa.Column("renewed", sa.DateTime(timezone=True), nullable=False),
)


class Leases:
    """The leases that this process holds in a database, renewed by a thread while there are any; used by threads.

    Attributes:
        holder: Name of this holder: host, process id and a random part, with colons between them.
    """

    def __init__(self, engine: sa.Engine) -> None:
        """Hold no lease yet.

        Args:
            engine: Of the database; it is used by several threads.
        """
        self.holder = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(8)}"
        self._engine = engine
        self._held: set[str] = set()
        self._ready = False
        self._ended = threading.Event()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def take(self, name: str) -> bool:
        """Take a lease that is free, expired or held by this object; return whether it is held now.

        Raises:
            SQLAlchemyError: The database cannot be used.
        """
        self._prepare()
        own = {"holder": self.holder, "renewed": sa.func.current_timestamp()}
        named = LEASES.c.name == name
        try:
            with self._engine.begin() as connection:
                free = sa.or_(LEASES.c.renewed < _oldest(connection), LEASES.c.holder == self.holder)
                if not connection.execute(sa.update(LEASES).where(named, free).values(own)).rowcount:
                    if connection.scalar(sa.select(LEASES.c.holder).where(named)) is not None:
                        return False
                    connection.execute(sa.insert(LEASES).values(name=name, **own))
        except IntegrityError:  # another process has inserted it first
            return False
        with self._lock:
            self._held.add(name)
            if self._thread is None:
                self._thread = threading.Thread(target=self._renew_all, name="leases", daemon=True)
                self._thread.start()
        return True

    def release(self, name: str) -> None:
        """Give a lease back; nothing happens when another process has taken it after it expired.

        Raises:
            SQLAlchemyError: The database cannot be used; the lease is not renewed, and expires.
        """
        with self._lock:
            self._held.discard(name)
        with self._engine.begin() as connection:
            own = sa.and_(LEASES.c.name == name, LEASES.c.holder == self.holder)
            connection.execute(sa.delete(LEASES).where(own))

    def living(self, prefix: str) -> dict[str, str]:
        """Return the holder of each lease that has not expired and whose name starts with a text.

        Raises:
            SQLAlchemyError: The database cannot be used.
        """
        self._prepare()
        with self._engine.connect() as connection:
            named = LEASES.c.name.startswith(prefix, autoescape=True)
            living = sa.select(LEASES.c.name, LEASES.c.holder).where(named, LEASES.c.renewed >= _oldest(connection))
            return {row.name: row.holder for row in connection.execute(living)}

    def close(self) -> None:
        """Renew no lease any more; those that were not released expire."""
        self._ended.set()
        if (thread := self._thread) is not None:
            thread.join()

    def _prepare(self) -> None:
        """Make the table, unless it is there; delete rows of machines that were lost days ago."""
        if self._ready:
            return
        create_tables(self._engine, METADATA)
        with self._engine.begin() as connection:
            old = _now(connection) - timedelta(days=OLD_DAYS)
            connection.execute(sa.delete(LEASES).where(LEASES.c.renewed < old))
        self._ready = True

    def _renew_all(self) -> None:
        while not self._ended.wait(RENEW_SECONDS):
            with self._lock:
                if not self._held:
                    self._thread = None
                    return
            with suppress(SQLAlchemyError), self._engine.begin() as connection:  # again at the next renewal
                own = sa.update(LEASES).where(LEASES.c.holder == self.holder)
                connection.execute(own.values(renewed=sa.func.current_timestamp()))


def create_tables(engine: sa.Engine, metadata: sa.MetaData) -> None:
    """Make the tables that are missing, also when several processes do so at once. Raises `SQLAlchemyError`."""
    try:
        metadata.create_all(engine)
    except SQLAlchemyError:  # another process made one between the check and the statement
        metadata.create_all(engine)


def _now(connection: sa.Connection) -> datetime:
    return connection.execute(sa.select(sa.func.current_timestamp())).scalar_one()


def _oldest(connection: sa.Connection) -> datetime:
    """Return the time of the database before which an unexpired lease cannot have been renewed."""
    return _now(connection) - timedelta(seconds=LEASE_SECONDS)
