"""A model's files with a signature in the form of OpenSSF Model Signing (https://github.com/sigstore/model-transparency).

The signature is a Sigstore bundle about the digest of every file, which `model_signing verify key` of that project
verifies. Its keys are elliptic curves; the Ed25519 keys of `mlnb keys` are not among them.
"""

import importlib
import shutil
from pathlib import Path
from typing import Any

from mlnb.errors import MissingExtra, UsageError

MODEL, SIGNATURE = "model", "model.sig"
CREATE = "openssl ecparam -name prime256v1 -genkey -noout -out model_key.pem"


def export_signed(model: Path, out: Path, key: Path) -> Path:
    """Copy a model's files and sign them; return the file of the signature, next to the copy.

    Args:
        model: Folder of the model.
        out: Folder to write, which has no model yet.
        key: PEM file of a private key on the curve P-256, P-384 or P-521, without a password.

    Raises:
        UsageError: There is no such key or another kind, or the folder has a model already.
        MissingExtra: The library is not installed.
    """
    signing = _library()
    if not key.is_file():
        raise UsageError(f"{key} is no file; expected a private key on an elliptic curve, as of: {CREATE}")
    if (out / MODEL).exists():
        raise UsageError(f"{out / MODEL} exists; delete it, or name another folder: --out")
    try:
        config = signing.Config().use_elliptic_key_signer(private_key=key)
    except (ValueError, TypeError, AttributeError) as error:  # AttributeError: a key of another kind
        raise UsageError(
            f"{key} cannot sign ({error}); expected a private key on P-256, P-384 or P-521 without a password: {CREATE}"
        ) from error
    shutil.copytree(model, out / MODEL)
    config.sign(out / MODEL, out / SIGNATURE)
    return out / SIGNATURE


def _library() -> Any:
    """Return the module that signs. Raises `MissingExtra`."""
    try:
        return importlib.import_module("model_signing.signing")
    except ImportError as error:
        raise MissingExtra(
            f"Signed models need model-signing and pyOpenSSL ({error}): pip install 'mlnb[model-signing]'"
        ) from error
