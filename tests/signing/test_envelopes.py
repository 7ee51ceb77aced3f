"""DSSE envelopes: signed, unsigned, by another key, altered."""

import json
from base64 import b64decode
from pathlib import Path

import pytest

from mlnb.codec import replace
from mlnb.errors import SchemaError
from mlnb.signing.envelopes import (
    SignatureState,
    check_signatures,
    make_envelope,
    open_envelope,
    payload_digest,
    signed_bytes,
    signing_keys,
)
from mlnb.signing.signing_keys import SigningKey, create_key
from mlnb.signing.trusted_keys import TrustedKey, TrustedKeys

KIND = "application/example"
NOW = "2026-06-01"


@pytest.fixture
def key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SigningKey:
    monkeypatch.setenv("MLNB_CONFIG", str(tmp_path))
    return create_key()


def trusting(key: SigningKey) -> TrustedKeys:
    return TrustedKeys(keys=(TrustedKey(name="ann", role="ci", public=key.public, since="2026"),))


def test_the_signed_bytes_are_those_of_the_specification() -> None:
    expected = b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    assert signed_bytes("http://example.com/HelloWorld", b"hello world") == expected


def test_a_signature_is_checked_against_the_trusted_keys(key: SigningKey) -> None:
    payload, signatures = open_envelope(make_envelope(KIND, b"{}", key), KIND, "a file")
    assert check_signatures(signatures, KIND, payload, trusting(key), NOW) == (SignatureState.SIGNED, "ann (ci)")
    assert check_signatures(signatures, KIND, b"{ }", trusting(key), NOW).state == SignatureState.INVALID
    assert check_signatures(signatures, "other", payload, trusting(key), NOW).state == SignatureState.INVALID
    assert check_signatures(signatures, KIND, payload, TrustedKeys(), NOW).state == SignatureState.UNTRUSTED
    _, none = open_envelope(make_envelope(KIND, b"{}", None), KIND, "a file")
    assert check_signatures(none, KIND, payload, trusting(key), NOW).state == SignatureState.UNSIGNED


@pytest.mark.parametrize(("until", "revoked"), [("2026-05-01", ""), ("", "2026-05-01"), (NOW, NOW)])
def test_an_expired_or_revoked_key_does_not_count_from_then_on(key: SigningKey, until: str, revoked: str) -> None:
    payload, signatures = open_envelope(make_envelope(KIND, b"{}", key), KIND, "a file")
    (trusted,) = trusting(key).keys
    keys = TrustedKeys(keys=(replace(trusted, until=until, revoked=revoked),))
    check = check_signatures(signatures, KIND, payload, keys, NOW)
    assert check.state == SignatureState.LAPSED and ("revoked" if revoked else "expired") in check.who
    assert check_signatures(signatures, KIND, payload, keys, "2026-04-30").state == SignatureState.SIGNED
    assert check_signatures(signatures, KIND, b"{ }", keys, NOW).state == SignatureState.INVALID


def test_an_envelope_names_its_keys(key: SigningKey, tmp_path: Path) -> None:
    path = tmp_path / "file.json"
    assert signing_keys(path, KIND) == ()
    path.write_bytes(make_envelope(KIND, b"{}", key))
    assert signing_keys(path, KIND) == (key.keyid,) and signing_keys(path, "another/type") == ()


def test_a_third_party_reads_the_envelope(key: SigningKey) -> None:
    envelope = json.loads(make_envelope(KIND, b'{"a":1}', key))
    assert envelope.keys() == {"payload", "payloadType", "signatures"} and envelope["payloadType"] == KIND
    assert b64decode(envelope["payload"]) == b'{"a":1}' and envelope["signatures"][0]["keyid"] == key.keyid


def test_every_altered_byte_of_an_unsigned_envelope_is_noticed_or_changes_the_payload(tmp_path: Path) -> None:
    data = make_envelope(KIND, b'{"a":1}', None)
    path = tmp_path / "envelope.json"
    path.write_bytes(data)
    digest = payload_digest(path, KIND)
    assert len(digest) == 64
    for index in range(len(data)):
        path.write_bytes(data[:index] + bytes([data[index] ^ 1]) + data[index + 1 :])
        assert payload_digest(path, KIND) != digest


@pytest.mark.parametrize(
    "data", [b"", b"[]", b'{"payload":"?"}', make_envelope("other", b"", None), b" " + make_envelope(KIND, b"", None)]
)
def test_other_files_are_refused(data: bytes) -> None:
    with pytest.raises(SchemaError, match="a file"):
        open_envelope(data, KIND, "a file")
