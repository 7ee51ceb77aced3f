"""The registry's database: four tables, one writer at a time, and an append-only log."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from mlnb.engine.files import PRIVATE, make_folder
from mlnb.engine.project import Project
from mlnb.errors import AccessDenied, MissingExtra, RegistryError
from mlnb.methods.tables.sqlite_urls import sqlite_url
from mlnb.url_passwords import expand_url

PATIENCE = 30  # seconds to wait for another writer
INSUFFICIENT_PRIVILEGE = "42501"  # state of PostgreSQL
WRITERS = {  # table -> role that may write it
    "mlnb_log": "mlnb_registrar",
    "mlnb_versions": "mlnb_registrar",
    "mlnb_approvals": "mlnb_approver",
    "mlnb_aliases": "mlnb_promoter",
}

METADATA = sa.MetaData()
LOG = sa.Table(
    "mlnb_log",
    METADATA,
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("entry", sa.Text, nullable=False),  # JSON of everything but the digest
    sa.Column("digest", sa.String(64), nullable=False),
)
VERSIONS = sa.Table(
    "mlnb_versions",
    METADATA,
    sa.Column("model", sa.String(200), primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("service", sa.String(64), nullable=False),  # digest of what the bento is built from
    sa.Column("run", sa.String(200), nullable=False),
    sa.Column("metadata", sa.Text, nullable=False),  # JSON of `VersionMetadata`
    sa.UniqueConstraint("model", "service"),
)
ALIASES = sa.Table(
    "mlnb_aliases",
    METADATA,
    sa.Column("model", sa.String(200), primary_key=True),
    sa.Column("alias", sa.String(100), primary_key=True),
    sa.Column("number", sa.Integer, nullable=False),
)
APPROVALS = sa.Table(
    "mlnb_approvals",
    METADATA,
    sa.Column("model", sa.String(200), primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("who", sa.String(200), primary_key=True),
)

_SQLITE = """CREATE TRIGGER IF NOT EXISTS mlnb_log_{verb} BEFORE {verb} ON mlnb_log
BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END"""
_POSTGRESQL = (
    """CREATE OR REPLACE FUNCTION mlnb_refuse() RETURNS trigger LANGUAGE plpgsql
AS 'BEGIN RAISE EXCEPTION ''the audit log is append-only''; END'""",
    """CREATE OR REPLACE TRIGGER mlnb_log_only_grows BEFORE UPDATE OR DELETE OR TRUNCATE ON mlnb_log
EXECUTE FUNCTION mlnb_refuse()""",
)


def database_url(project: Project) -> str:
    """Return where the registry is: the setting, `${NAME}` taken from the environment, or a file in the store."""
    return expand_url(project.settings.registry) or sqlite_url(project.store_root / "registry.db")


def open_database(url: str, create: bool = True) -> sa.Engine:
    """Return an engine on the registry at an SQLAlchemy URL.

    Args:
        url: the SQLAlchemy URL.
        create: whether its tables, and the file of an SQLite database, are made when they are missing.

    Raises:
        RegistryError: it cannot be opened, or it is missing and `create` is false.
        MissingExtra: its driver is not installed.
    """
    kind = url.partition(":")[0]
    sqlite = kind.startswith("sqlite")
    if kind == "postgresql":
        url = "postgresql+psycopg" + url[len(kind) :]
    try:
        options = (
            {"connect_args": {"timeout": PATIENCE, "isolation_level": None}} if sqlite else {"pool_pre_ping": True}
        )
        if sqlite and (path := sa.make_url(url).database):
            if not create and not Path(path).exists():
                raise RegistryError(lost_registry(url))
            make_folder(Path(path).parent)
            if not Path(path).exists():
                Path(path).touch(PRIVATE)
        engine = sa.create_engine(url, poolclass=sa.NullPool if sqlite else None, **options)
        with engine.connect() as connection:
            ready = sa.inspect(connection).has_table(LOG.name)
        if not ready and not create:
            raise RegistryError(lost_registry(url))
        if not ready:  # only then, as readers must not wait for a writer
            with writing(engine) as connection:
                _prepare(connection)
    except RegistryError:
        raise
    except ModuleNotFoundError as error:
        raise MissingExtra(
            f"The registry's database {kind} needs a driver: pip install 'mlnb[postgres]' ({error})."
        ) from error
    except (SQLAlchemyError, OSError, ValueError) as error:
        raise RegistryError(
            f"The registry {shown_url(url)} cannot be opened: {_short(error)}. Expected an SQLAlchemy URL such as "
            "sqlite:///registry.db or postgresql://user@host/name in settings.ini, [mlnb] registry."
        ) from error
    return engine


def _prepare(connection: sa.Connection) -> None:
    if sa.inspect(connection).has_table(LOG.name):
        return
    METADATA.create_all(connection)
    if connection.dialect.name == "sqlite":
        for verb in ("UPDATE", "DELETE"):
            connection.exec_driver_sql(_SQLITE.format(verb=verb))
    elif connection.dialect.name == "postgresql":
        for statement in _POSTGRESQL:
            connection.exec_driver_sql(statement)


@contextmanager
def writing(engine: sa.Engine) -> Iterator[sa.Connection]:
    """Yield the only connection that may write; all of its changes are committed, or none.

    Raises `RegistryError` when another writer holds the registry for longer than `PATIENCE`, `AccessDenied` when the
    user of the database may not write.
    """
    try:
        with engine.connect() as connection:
            if connection.dialect.name == "sqlite":
                connection.exec_driver_sql("BEGIN IMMEDIATE")
                try:
                    yield connection
                except BaseException:
                    connection.exec_driver_sql("ROLLBACK")
                    raise
                connection.exec_driver_sql("COMMIT")
            else:
                with connection.begin():
                    if connection.dialect.name == "postgresql":
                        connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{PATIENCE}s'")
                        connection.exec_driver_sql("SELECT pg_advisory_xact_lock(7236821)")
                    yield connection
    except DBAPIError as error:
        if _is_denied(error):
            raise _access_denied(engine, error) from error
        raise RegistryError(
            f"The registry could not be written: {_short(error)}. The change was rolled back; try it again."
        ) from error


@contextmanager
def reading(engine: sa.Engine) -> Iterator[sa.Connection]:
    """Yield a connection that sees one state of the registry. Raises `RegistryError` when it cannot be read."""
    try:
        with engine.connect() as connection:
            if connection.dialect.name == "sqlite":
                connection.exec_driver_sql("BEGIN")
                try:
                    yield connection
                finally:
                    connection.exec_driver_sql("ROLLBACK")
            else:
                yield connection.execution_options(isolation_level="REPEATABLE READ")
    except DBAPIError as error:
        if _is_denied(error):
            raise _access_denied(engine, error) from error
        raise RegistryError(f"The registry could not be read: {_short(error)}.") from error


def lost_registry(url: str) -> str:
    """Return the message for a registry that is missing or empty though its audit log had entries."""
    return (
        f"The registry {shown_url(url)} is missing or empty, though its audit log had entries when this project last "
        "used it. Restore it from a backup; to start a new registry, delete audit_head.json in the store."
    )


def shown_url(url: str) -> str:
    """Return a URL for a message, its password masked."""
    try:
        return sa.make_url(url).render_as_string(hide_password=True)
    except (sa.exc.ArgumentError, ValueError):
        return f"{url.partition(':')[0]}:…"


def _is_denied(error: DBAPIError) -> bool:
    return getattr(error.orig, "sqlstate", None) == INSUFFICIENT_PRIVILEGE


def _access_denied(engine: sa.Engine, error: DBAPIError) -> AccessDenied:
    """Return the error of a user without the right, which names the missing role."""
    user, text = engine.url.username or "this user", str(error.orig).splitlines()[0]
    statement = (error.statement or "").lstrip().upper()
    named = re.search(r"mlnb_(reader|registrar|approver|promoter)", text)
    table = re.search(r"for table (mlnb_\w+)", text)
    reads = statement.startswith("SELECT")
    role = named[0] if named else "mlnb_reader" if reads else WRITERS.get(table[1], "") if table else ""
    who = f"An administrator grants it: GRANT {role} TO {user}" if role else "`mlnb registry users` lists who has roles"
    needs = f" It needs the role {role}." if role else ""
    return AccessDenied(f"The database user {user} may not do this: {text}.{needs} {who}. Nothing was changed.")


def _short(error: Exception) -> str:
    cause = getattr(error, "orig", None) or error
    return " ".join(str(cause).split())[:200]
