"""The private key of this user or CI job, outside of the project; Ed25519."""

import os
from base64 import b64decode, b64encode
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlnb.engine.digests import digest_bytes
from mlnb.engine.files import PRIVATE, make_folder
from mlnb.errors import MissingExtra, SettingsError, UsageError
from mlnb.machine import config_folder
from mlnb.settings import ProcessSettings

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

FILE = "signing_key.pem"
SIZE = 32  # bytes of a public key


class SigningKey:
    """A private key.

    Attributes:
        public: The public key, 32 bytes as Base64.
        keyid: SHA-256 of the public key.
    """

    def __init__(self, private: "Ed25519PrivateKey") -> None:
        self._private = private
        self.public = b64encode(private.public_key().public_bytes_raw()).decode()
        self.keyid = key_id(self.public)

    def sign(self, data: bytes) -> str:
        """Return the signature of some bytes as Base64."""
        return b64encode(self._private.sign(data)).decode()


def key_id(public: str) -> str:
    """Return the id of a public key. Raises `UsageError` when the text is none."""
    try:
        raw = b64decode(public, validate=True)
    except ValueError:
        raw = b""
    if len(raw) != SIZE:
        raise UsageError(
            f"{public[:60]!r} is no public key; expected the {SIZE} bytes that `mlnb keys` prints as Base64."
        )
    return digest_bytes(raw)


def is_valid(public: str, data: bytes, signature: str) -> bool:
    """Return whether a signature of some bytes was made with the private key of a public key."""
    ed25519, _ = _library()
    from cryptography.exceptions import InvalidSignature

    try:
        key = ed25519.Ed25519PublicKey.from_public_bytes(b64decode(public, validate=True))
        key.verify(b64decode(signature, validate=True), data)
    except (InvalidSignature, ValueError):
        return False
    return True


def key_file() -> Path:
    """Return the file of this user's private key: in MLNB_CONFIG, else in mlnb's folder of the user's configuration."""
    folder = ProcessSettings().config
    if folder:
        return Path(folder).expanduser() / FILE
    return config_folder() / FILE


def find_key() -> SigningKey | None:
    """Return the private key in MLNB_SIGNING_KEY, else in the file of this user; None where there is none.

    Raises:
        SettingsError: It cannot be read, is no Ed25519 key, or other users can read its file.
        MissingExtra: The library for signatures is not installed.
    """
    text, path = ProcessSettings().signing_key, key_file()
    if text:
        return _read(text.encode(), "MLNB_SIGNING_KEY")
    try:
        mode, data = path.stat().st_mode, path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise SettingsError(f"{path} cannot be read: {error.strerror}.") from error
    if os.name == "posix" and mode & 0o077:
        raise SettingsError(f"{path} can be read by other users (mode {mode & 0o777:o}); chmod 600 {path}")
    return _read(data, str(path))


def create_key() -> SigningKey:
    """Create the private key of this user, in a file of mode 0600. Raises `UsageError` when there is one already."""
    ed25519, serialization = _library()
    path = key_file()
    if path.exists():
        raise UsageError(f"There is a key in {path} already; move it away to create another one.")
    private = ed25519.Ed25519PrivateKey.generate()
    data = private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    make_folder(path.parent)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE), "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    return SigningKey(private)


def _read(data: bytes, where: str) -> SigningKey:
    ed25519, serialization = _library()
    try:
        private = serialization.load_pem_private_key(data.replace(b"\\n", b"\n"), password=None)
    except (ValueError, TypeError) as error:
        raise SettingsError(
            f"{where} has no private key; expected the PEM text that `mlnb keys new` writes."
        ) from error
    if not isinstance(private, ed25519.Ed25519PrivateKey):
        raise SettingsError(f"{where} has a key of another kind; expected Ed25519, as `mlnb keys new` makes it.")
    return SigningKey(private)


def _library() -> tuple[Any, Any]:
    """Return the modules of cryptography, which few commands need. Raises `MissingExtra`."""
    try:
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric import ed25519
    except ImportError as error:
        raise MissingExtra("Signatures need cryptography: pip install 'mlnb[signing]'.") from error
    return ed25519, serialization
