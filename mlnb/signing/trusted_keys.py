"""The public keys that a project trusts, with the names and roles of their owners: `trusted_keys.json`."""

from pathlib import Path
from typing import ClassVar, Literal, get_args

from mlnb.codec import Record, decode, encode, replace
from mlnb.engine.files import write_whole
from mlnb.engine.project import Project
from mlnb.engine.runs import now
from mlnb.errors import UsageError
from mlnb.signing.signing_keys import key_id

FILE = "trusted_keys.json"
Role = Literal["author", "approver", "ci"]
ROLES: tuple[Role, ...] = get_args(Role)


class TrustedKey(Record, frozen=True, kw_only=True):
    """A public key.

    Args:
        name: Its owner.
        role: author, approver or ci.
        public: The public key, 32 bytes as Base64.
        since: When it was trusted, ISO 8601 in UTC.
    """

    name: str
    role: Role
    public: str
    since: str

    @property
    def keyid(self) -> str:
        """SHA-256 of the public key."""
        return key_id(self.public)


class TrustedKeys(Record, frozen=True, kw_only=True):
    """The public keys that a project trusts."""

    SCHEMA: ClassVar[str] = "trusted-keys"

    keys: tuple[TrustedKey, ...] = ()

    def find(self, keyid: str) -> TrustedKey | None:
        """Return the key with an id, or None."""
        return next((key for key in self.keys if key.keyid == keyid), None)

    def requires_signature(self, when: str) -> bool:
        """Return whether something of that time has to be signed: a key was trusted by then."""
        return any(key.since <= when for key in self.keys)


def keys_path(project: Project) -> Path:
    """Return the file of a project's trusted keys."""
    return project.root / FILE


def read_trusted_keys(path: Path) -> TrustedKeys:
    """Return the keys in a file; none when there is no file.

    Raises:
        SchemaError: The file is damaged.
        UsageError: A text in it is no public key.
    """
    try:
        trusted = decode(TrustedKeys, path.read_bytes(), str(path))
    except FileNotFoundError:
        return TrustedKeys()
    for key in trusted.keys:
        key_id(key.public)
    return trusted


def trust_key(project: Project, public: str, name: str, role: Role) -> TrustedKey:
    """Add a public key to those that a project trusts; return it.

    Raises:
        UsageError: It is no public key, it is trusted already, or its owner has no name.
        SchemaError: The file of the keys is damaged.
    """
    path = keys_path(project)
    trusted, keyid = read_trusted_keys(path), key_id(public)
    present = trusted.find(keyid)
    if present is not None:
        raise UsageError(f"The key {keyid[:12]} is trusted already, as {present.name} ({present.role}).")
    if not name.strip():
        raise UsageError("The key needs the name of its owner: --name ann")
    key = TrustedKey(name=name.strip(), role=role, public=public, since=now())
    write_whole(path, encode(replace(trusted, keys=(*trusted.keys, key))))
    return key
