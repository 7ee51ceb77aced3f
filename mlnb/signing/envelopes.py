"""DSSE envelopes (Dead Simple Signing Envelope, version 1): a payload, its type, and signatures of both."""

from base64 import b64decode, b64encode
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

import msgspec

from mlnb.codec import Record
from mlnb.engine.digests import digest_bytes
from mlnb.errors import SchemaError
from mlnb.signing.canonical_json import canonical_json
from mlnb.signing.signing_keys import SigningKey, is_valid
from mlnb.signing.trusted_keys import TrustedKeys

IN_TOTO = "application/vnd.in-toto+json"  # media type of an in-toto statement
MANIFEST = "manifest.json"  # the manifest in the folder of a run


class Signature(Record, frozen=True, kw_only=True):
    """A signature as Base64, and the id of its key."""

    keyid: str
    sig: str


class Envelope(Record, frozen=True, kw_only=True, rename={"kind": "payloadType"}):
    """A payload as Base64, its media type, and its signatures; none: unsigned."""

    payload: str
    kind: str
    signatures: tuple[Signature, ...] = ()


class SignatureState(StrEnum):
    """Whether something is signed with a trusted key."""

    SIGNED = "signed"
    UNSIGNED = "unsigned"
    UNTRUSTED = "signed with a key that is not trusted"
    LAPSED = "signed with a key that no longer counts, of"
    INVALID = "the signature does not match"


class SignatureCheck(NamedTuple):
    """Whether something is signed, and by whom: the owner of a trusted key, or the id of another one.

    Args:
        state: Whether it is signed.
        who: Owner or id of the key; where nothing is signed, the reason.
    """

    state: SignatureState
    who: str = ""


def signed_bytes(kind: str, payload: bytes) -> bytes:
    """Return what is signed: the pre-authentication encoding of DSSE, which includes the media type."""
    return b"DSSEv1 %d %s %d %s" % (len(kind.encode()), kind.encode(), len(payload), payload)


def make_envelope(kind: str, payload: bytes, key: SigningKey | None) -> bytes:
    """Return the file of an envelope, signed when there is a key."""
    signatures = [{"keyid": key.keyid, "sig": key.sign(signed_bytes(kind, payload))}] if key else []
    envelope = {"payload": b64encode(payload).decode(), "payloadType": kind, "signatures": signatures}
    return canonical_json(envelope) + b"\n"


def open_envelope(data: bytes, kind: str, where: str) -> tuple[bytes, tuple[Signature, ...]]:
    """Return the payload of an envelope's file, and its signatures, which are not verified.

    Raises:
        SchemaError: The bytes are no envelope of that media type, or not those that `make_envelope` writes.
    """
    try:
        envelope = msgspec.json.decode(data, type=Envelope)
        payload = b64decode(envelope.payload, validate=True)
    except (msgspec.DecodeError, ValueError) as error:
        raise SchemaError(f"{where} is damaged: {error}; expected a DSSE envelope.") from None
    if envelope.kind != kind:
        raise SchemaError(f"{where} has a payload of type {envelope.kind[:80]!r}; expected {kind}.")
    if canonical_json(msgspec.to_builtins(envelope)) + b"\n" != data:
        raise SchemaError(f"{where} is no canonical JSON, as mlnb writes it: it was altered.")
    return payload, envelope.signatures


def payload_digest(path: Path, kind: str) -> str:
    """Return the SHA-256 of the payload in an envelope's file; empty when the file is missing or damaged."""
    try:
        return digest_bytes(open_envelope(path.read_bytes(), kind, str(path))[0])
    except (OSError, SchemaError):
        return ""


def signing_keys(path: Path, kind: str) -> tuple[str, ...]:
    """Return the ids of the keys that an envelope's file names; none when it is missing, damaged or unsigned."""
    try:
        return tuple(signature.keyid for signature in open_envelope(path.read_bytes(), kind, str(path))[1])
    except (OSError, SchemaError):
        return ()


def check_signatures(
    signatures: tuple[Signature, ...], kind: str, payload: bytes, trusted: TrustedKeys, when: str
) -> SignatureCheck:
    """Return whether a payload has a valid signature of a trusted key; an invalid one of such a key counts first.

    Args:
        signatures: The signatures.
        kind: Media type of the payload.
        payload: What is signed.
        trusted: The keys that the project trusts.
        when: When it was signed, ISO 8601 in UTC: a key must not have expired or been revoked by then.
    """
    owners, lapsed = list[str](), list[str]()
    for signature in signatures:
        key = trusted.find(signature.keyid)
        if key is None:
            continue
        if not is_valid(key.public, signed_bytes(kind, payload), signature.sig):
            return SignatureCheck(SignatureState.INVALID, key.name)
        reason = key.why_invalid(when)
        (lapsed if reason else owners).append(f"{key.name} ({reason or key.role})")
    if owners:
        return SignatureCheck(SignatureState.SIGNED, ", ".join(owners))
    if lapsed:
        return SignatureCheck(SignatureState.LAPSED, ", ".join(lapsed))
    if signatures:
        return SignatureCheck(SignatureState.UNTRUSTED, signatures[0].keyid[:12])
    return SignatureCheck(SignatureState.UNSIGNED)
