"""People with keys, for tests of approvals."""

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519

from mlnb.engine.project import Project
from mlnb.settings import ProcessSettings
from mlnb.signing.signing_keys import SigningKey
from mlnb.signing.trusted_keys import Role, TrustedKey, trust_key


class People:
    """The people of a project; one of them acts at a time."""

    def __init__(self, project: Project, patch: pytest.MonkeyPatch) -> None:
        self.project, self.patch = project, patch
        self.keys: dict[str, ed25519.Ed25519PrivateKey] = {}

    def create(self, name: str) -> str:
        """Create the key of a person; return the public key."""
        self.keys[name] = ed25519.Ed25519PrivateKey.generate()
        return SigningKey(self.keys[name]).public

    def trust(self, name: str, role: Role, until: str = "") -> TrustedKey:
        """Create the key of a person, which the project trusts."""
        return trust_key(self.project, self.create(name), name, role, until)

    def act(self, name: str, actor: str = "") -> None:
        """Let a person act: with the key of that name, if there is one, and what MLNB_ACTOR states."""
        private = self.keys.get(name)
        pem = ""
        if private is not None:
            form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            pem = private.private_bytes(*form).decode()
        self.patch.setenv(str(ProcessSettings.signing_key.variable), pem)
        self.patch.setenv(str(ProcessSettings.actor.variable), actor)
