"""The private key of a user: where it is, who can read it, what it signs."""

from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from mlnb.errors import SettingsError, UsageError
from mlnb.signing.signing_keys import create_key, find_key, is_valid, key_file, key_id


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MLNB_CONFIG", str(tmp_path / "config"))
    return tmp_path / "config"


def test_a_new_key_is_found_and_readable_by_its_owner_alone(folder: Path) -> None:
    assert find_key() is None
    key = create_key()
    assert key_file() == folder / "signing_key.pem"
    assert key_file().stat().st_mode & 0o777 == 0o600 and folder.stat().st_mode & 0o777 == 0o700
    own = find_key()
    assert own is not None and own.keyid == key.keyid == key_id(key.public)
    with pytest.raises(UsageError, match="There is a key in"):
        create_key()


def test_signatures_are_valid_for_these_bytes_and_this_key_alone() -> None:
    key = create_key()
    signature = key.sign(b"text")
    assert is_valid(key.public, b"text", signature)
    assert not is_valid(key.public, b"texT", signature)
    assert not is_valid(key.public, b"text", signature[:-4] + "AAA=") and not is_valid(key.public, b"text", "?")


def test_a_key_in_the_environment_comes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    key = create_key()
    text = key_file().read_text()
    key_file().unlink()
    monkeypatch.setenv("MLNB_SIGNING_KEY", text)
    own = find_key()
    assert own is not None and own.keyid == key.keyid
    monkeypatch.setenv("MLNB_SIGNING_KEY", text.replace("\n", "\\n"))  # as CI systems pass it
    assert find_key() is not None
    monkeypatch.setenv("MLNB_SIGNING_KEY", "nonsense")
    with pytest.raises(SettingsError, match="MLNB_SIGNING_KEY has no private key") as caught:
        find_key()
    assert "nonsense" not in str(caught.value)


def test_a_key_that_others_can_read_is_refused() -> None:
    create_key()
    key_file().chmod(0o644)
    with pytest.raises(SettingsError, match="chmod 600"):
        find_key()


def test_a_key_of_another_kind_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    other = ec.generate_private_key(ec.SECP256R1())
    pem = other.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    monkeypatch.setenv("MLNB_SIGNING_KEY", pem.decode())
    with pytest.raises(SettingsError, match="expected Ed25519"):
        find_key()


@pytest.mark.parametrize("text", ["", "abc", "AAAA", "é"])
def test_a_text_that_is_no_public_key_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="is no public key"):
        key_id(text)
