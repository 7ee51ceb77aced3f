"""Test-set accesses of all machines: those of this one are added to the shared database, those of others come from it.

The files of the store (`mlnb.engine.test_set_access`) stay what is counted; the database makes them equal everywhere.
"""

from typing import TYPE_CHECKING

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from mlnb.engine.files import PRIVATE, write_whole
from mlnb.engine.shared_database import METADATA
from mlnb.engine.test_set_access import Access, add_accesses, read_accesses, rows_path

if TYPE_CHECKING:
    from pathlib import Path

    from mlnb.engine.shared_database import SharedDatabase

ROWS_BYTES = 64 << 20  # hashes of a test set that are shared at most: eight million rows
ACCESSES = sa.Table(
    "mlnb_test_set_accesses",
    METADATA,
    sa.Column("digest", sa.String(64), primary_key=True),
    sa.Column("reader", sa.String(200), primary_key=True),
    sa.Column("purpose", sa.String(64), nullable=False),
)
ROWS = sa.Table(
    "mlnb_test_set_rows",
    METADATA,
    sa.Column("digest", sa.String(64), primary_key=True),
    sa.Column("hashes", sa.LargeBinary, nullable=False),  # little-endian, 8 bytes a row
)


def exchange_accesses(database: "SharedDatabase", root: "Path") -> None:
    """Make the accesses of this machine and those in the database the same; each side gets what it lacks.

    Args:
        database: The database.
        root: Folder of the store.
    """
    own = set(read_accesses(root))

    def exchange(connection: sa.Connection) -> set[Access]:
        shared = {Access(*row) for row in connection.execute(sa.select(ACCESSES))}
        if missing := [access._asdict() for access in sorted(own - shared)]:
            connection.execute(insert(ACCESSES).on_conflict_do_nothing(), missing)
        return shared

    add_accesses(root, database.use(exchange, set()))


def exchange_rows(database: "SharedDatabase", root: "Path") -> None:
    """Do the same with the hashes of the rows of each test set that was accessed.

    Args:
        database: The database.
        root: Folder of the store.
    """
    here = {access.digest: rows_path(root, access.digest) for access in read_accesses(root)}
    missing = [digest for digest, path in here.items() if not path.exists()]

    def exchange(connection: sa.Connection) -> dict[str, bytes]:
        shared = set(connection.scalars(sa.select(ROWS.c.digest)))
        for digest, path in here.items():
            if digest not in shared and digest not in missing and path.stat().st_size <= ROWS_BYTES:
                row = {"digest": digest, "hashes": path.read_bytes()}
                connection.execute(insert(ROWS).on_conflict_do_nothing(), row)
        pulled = sa.select(ROWS).where(ROWS.c.digest.in_(missing))
        return {digest: bytes(hashes) for digest, hashes in connection.execute(pulled)} if missing else {}

    nothing: dict[str, bytes] = {}
    for digest, hashes in database.use(exchange, nothing).items():
        write_whole(here[digest], hashes, PRIVATE)
