"""The public keys that a project trusts, with the names and roles of their owners: `trusted_keys.json`."""

from datetime import UTC, datetime
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
SHORTEST_ID = 8  # characters of the id of a key that name it


class TrustedKey(Record, omit_defaults=True, frozen=True, kw_only=True):
    """A public key.

    Args:
        name: Its owner.
        role: author, approver or ci.
        public: The public key, 32 bytes as Base64.
        since: When it was trusted, ISO 8601 in UTC.
        until: When it expires; empty: never.
        revoked: Since when it no longer counts, as it was lost, stolen or withdrawn; empty: it counts.
    """

    name: str
    role: Role
    public: str
    since: str
    until: str = ""
    revoked: str = ""

    @property
    def keyid(self) -> str:
        """SHA-256 of the public key."""
        return key_id(self.public)

    def why_invalid(self, when: str) -> str:
        """Return why a signature of that time does not count: revoked or expired; empty when it counts."""
        if self.revoked and when >= self.revoked:
            return f"was revoked as of {self.revoked}"
        return f"expired on {self.until}" if self.until and when >= self.until else ""


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


def required_keys(path: Path) -> bytes:
    """Return the bytes of a file of keys that something must be signed with.

    Raises:
        SchemaError: The file is damaged.
        UsageError: There is no such file, or it has no key: nothing would have to be signed.
    """
    if not path.is_file():
        raise UsageError(f"There is no file {path}; expected the {FILE} of a project, which `mlnb keys trust` writes.")
    if not read_trusted_keys(path).keys:
        raise UsageError(f"{path} has no key, so that nothing would have to be signed; add one: `mlnb keys trust`.")
    return path.read_bytes()


def trust_key(project: Project, public: str, name: str, role: Role, until: str = "") -> TrustedKey:
    """Add a public key to those that a project trusts; return it.

    Raises:
        UsageError: It is no public key, it is trusted or was revoked already, its owner has no name, or `until` is no
            time.
        SchemaError: The file of the keys is damaged.
    """
    path = keys_path(project)
    trusted, keyid = read_trusted_keys(path), key_id(public)
    present = trusted.find(keyid)
    if present is not None and present.revoked:
        raise UsageError(f"The key {keyid[:12]} of {present.name} was revoked; `mlnb keys new` creates another one.")
    if present is not None:
        raise UsageError(f"The key {keyid[:12]} is trusted already, as {present.name} ({present.role}).")
    if not name.strip():
        raise UsageError("The key needs the name of its owner: --name ann")
    end = parse_time(until) if until else ""
    key = TrustedKey(name=name.strip(), role=role, public=public, since=now(), until=end)
    write_whole(path, encode(replace(trusted, keys=(*trusted.keys, key))))
    return key


def revoke_key(project: Project, reference: str, since: str = "") -> TrustedKey:
    """Revoke a trusted key; return it. What it signed before counts, what it signs after does not.

    Args:
        project: The project.
        reference: The id of the key or its first characters, the public key, or the name of an owner with one key.
        since: From when its signatures do not count, such as the day on which it was stolen; empty: now.

    Raises:
        UsageError: No key or several keys are called so, it was revoked earlier, or `since` is no time.
        SchemaError: The file of the keys is damaged.
    """
    path = keys_path(project)
    trusted = read_trusted_keys(path)
    matches = [
        key
        for key in trusted.keys
        if reference in (key.public, key.name) or (len(reference) >= SHORTEST_ID and key.keyid.startswith(reference))
    ]
    if len(matches) > 1:  # a revoked key of the same owner needs no other name
        matches = [key for key in matches if not key.revoked] or matches
    if len(matches) != 1:
        raise UsageError(
            f"{len(matches)} trusted keys are called {reference[:60]!r}; expected the id of one, see `mlnb keys`."
        )
    when = parse_time(since) if since else now()
    if matches[0].revoked and matches[0].revoked <= when:
        raise UsageError(f"The key {matches[0].keyid[:12]} was revoked as of {matches[0].revoked} already.")
    key = replace(matches[0], revoked=when)
    write_whole(path, encode(replace(trusted, keys=tuple(key if one is matches[0] else one for one in trusted.keys))))
    return key


def parse_time(text: str) -> str:
    """Return a date or time as `now` writes it; without a zone it is UTC. Raises `UsageError` when it is none."""
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(f"{text[:60]!r} is no date; expected one such as 2027-01-31.") from None
    time = time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
    return time.isoformat(timespec="milliseconds").replace("+00:00", "Z")
