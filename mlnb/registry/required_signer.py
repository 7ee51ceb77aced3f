"""The key with which an approval or promotion has to be signed, where the project trusts keys."""

from collections.abc import Container

from mlnb.engine.project import Project
from mlnb.engine.runs import now
from mlnb.errors import AccessDenied
from mlnb.machine import user_name
from mlnb.signing.signing_keys import find_key
from mlnb.signing.trusted_keys import FILE, ROLES, TrustedKey, keys_path, read_trusted_keys

APPROVER = "approver"  # role of a key whose approvals count


def acting_person(project: Project, who: str) -> str:
    """Return who acts: where nobody is stated, the owner of this user's key, if the project trusts it.

    Args:
        project: The project.
        who: Who is stated, or the name of this machine's user.
    """
    own = find_key() if who == user_name() else None
    key = read_trusted_keys(keys_path(project)).find(own.keyid) if own else None
    return key.name if key else who


def find_signer(project: Project, who: str, what: str, roles: Container[str] = ROLES) -> TrustedKey | None:
    """Return the trusted key of this user, who is thereby known; None where the project trusts no key.

    Args:
        project: The project.
        who: Who acts, as MLNB_ACTOR states; the name of this machine's user is replaced by that of the key's owner.
        what: What the key is needed for, for messages: "An approval".
        roles: Roles that the key may have.

    Raises:
        AccessDenied: There is no key, it is not trusted, expired or revoked, has another role, or is that of somebody
            else than `who`.
        SettingsError, MissingExtra: The private key cannot be used.
        SchemaError: The file of the trusted keys is damaged.
    """
    trusted = read_trusted_keys(keys_path(project))
    if not trusted.keys:
        return None
    own = find_key()
    if own is None:
        raise AccessDenied(
            f"{what} has to be signed, as {FILE} trusts keys, but you have no key. `mlnb keys new` creates one, which "
            "the project then has to trust."
        )
    key = trusted.find(own.keyid)
    if key is None:
        raise AccessDenied(
            f"{what} has to be signed with a trusted key, but {FILE} does not have yours, {own.keyid[:12]}. Ask its "
            f"reviewers for: mlnb keys trust {own.public} --name NAME --role ROLE"
        )
    if reason := key.why_invalid(now()):
        raise AccessDenied(f"{what} has to be signed with a valid key, but that of {key.name} {reason}.")
    if key.role not in roles:
        raise AccessDenied(
            f"{what} needs a key with the role {APPROVER}, but that of {key.name} has the role {key.role}."
        )
    if who not in (key.name, user_name()):
        raise AccessDenied(
            f"The actor is stated as {who!r}, but your key is that of {key.name}. Unset MLNB_ACTOR: the key decides."
        )
    return key
