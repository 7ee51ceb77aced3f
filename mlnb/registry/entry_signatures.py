"""Signatures of the entries of the audit log, in a separate table, which is made with the first signature."""

import sqlalchemy as sa

from mlnb.registry.database import METADATA
from mlnb.signing.envelopes import Signature, signed_bytes
from mlnb.signing.signing_keys import SigningKey

KIND = "application/vnd.mlnb.audit-entry+json"
SIGNATURES = sa.Table(
    "mlnb_signatures",
    METADATA,
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("keyid", sa.String(64), nullable=False),
    sa.Column("signature", sa.String(120), nullable=False),
)


def sign_entry(connection: sa.Connection, number: int, text: str, key: SigningKey) -> None:
    """Sign an entry inside of the transaction that adds it; it has the digest of the one before, so all are signed."""
    SIGNATURES.create(connection, checkfirst=True)  # a registry of an earlier version has none
    signature = key.sign(signed_bytes(KIND, text.encode()))
    connection.execute(SIGNATURES.insert().values(number=number, keyid=key.keyid, signature=signature))


def read_signatures(connection: sa.Connection) -> dict[int, Signature]:
    """Return the signature of each signed entry, by its number."""
    if not sa.inspect(connection).has_table(SIGNATURES.name):
        return {}
    lines = connection.execute(sa.select(SIGNATURES))
    return {line.number: Signature(keyid=line.keyid, sig=line.signature) for line in lines}
