"""Test-set accesses of all machines: those of this one are added to the shared database, those of others come from it.

The files of the store (`mlnb.engine.test_set_access`) stay what is counted; the database makes them equal everywhere.
"""

import sys
from typing import TYPE_CHECKING

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from mlnb.engine.confined_names import is_plain_name
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
SIZE = sa.func.octet_length(ROWS.c.hashes).label("size")


def exchange_accesses(database: "SharedDatabase", root: "Path") -> None:
    """Make the accesses of this machine and those in the database the same; each side gets what it lacks.

    Args:
        database: The database.
        root: Folder of the store.
    """
    own = set(read_accesses(root))

    def exchange(connection: sa.Connection) -> set[Access]:
        rows = connection.execute(sa.select(ACCESSES))
        shared = {Access(*row) for row in rows if is_plain_name(row.digest) and is_plain_name(row.reader)}
        if missing := [access._asdict() for access in sorted(own - shared)]:
            connection.execute(insert(ACCESSES).on_conflict_do_nothing(), missing)
        return shared

    add_accesses(root, database.use(exchange, set()))


def exchange_rows(database: "SharedDatabase", root: "Path") -> bool:
    """Do the same with the hashes of the rows of each test set that was accessed; return whether they were exchanged.

    Hashes are only ever removed, when rows are erased: where both sides have some, the shorter ones replace the others.

    Args:
        database: The database.
        root: Folder of the store.
    """
    paths = {access.digest: rows_path(root, access.digest) for access in read_accesses(root)}
    sizes = {digest: path.stat().st_size for digest, path in paths.items() if path.exists()}

    def exchange(connection: sa.Connection) -> dict[str, bytes] | None:
        shared = {row.digest: row.size for row in connection.execute(sa.select(ROWS.c.digest, SIZE))}
        for digest, size in sizes.items():
            if size < shared.get(digest, ROWS_BYTES + 1):
                hashes = paths[digest].read_bytes()
                statement = insert(ROWS).values(digest=digest, hashes=hashes)
                update = statement.on_conflict_do_update(index_elements=["digest"], set_={"hashes": hashes})
                connection.execute(update)
        lacking = [digest for digest in paths if digest in shared and shared[digest] < sizes.get(digest, sys.maxsize)]
        pulled = connection.execute(sa.select(ROWS).where(ROWS.c.digest.in_(lacking))) if lacking else ()
        return {row.digest: bytes(row.hashes) for row in pulled}

    received = database.use(exchange, None)
    for digest, hashes in (received or {}).items():
        write_whole(paths[digest], hashes, PRIVATE)
    return received is not None
