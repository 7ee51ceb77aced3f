"""The keys that a project trusts."""

from pathlib import Path

import pytest
import toys

from mlnb.engine.project import Project
from mlnb.errors import SchemaError, UsageError
from mlnb.signing.signing_keys import create_key
from mlnb.signing.trusted_keys import TrustedKeys, keys_path, read_trusted_keys, trust_key


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.setenv("MLNB_CONFIG", str(tmp_path / "config"))
    return Project.find(toys.chain(tmp_path))


def test_a_trusted_key_is_found_by_its_id(project: Project) -> None:
    assert read_trusted_keys(keys_path(project)) == TrustedKeys()
    key = create_key()
    added = trust_key(project, key.public, " ann ", "approver")
    trusted = read_trusted_keys(keys_path(project))
    assert trusted.find(key.keyid) == added and (added.name, added.role) == ("ann", "approver")
    assert trusted.find("0" * 64) is None
    assert trusted.requires_signature("9999") and not trusted.requires_signature("2000")


def test_what_is_no_key_or_trusted_already_is_refused(project: Project) -> None:
    key = create_key()
    with pytest.raises(UsageError, match="is no public key"):
        trust_key(project, "AAAA", "ann", "author")
    with pytest.raises(UsageError, match="--name"):
        trust_key(project, key.public, " ", "author")
    trust_key(project, key.public, "ann", "author")
    with pytest.raises(UsageError, match="trusted already, as ann"):
        trust_key(project, key.public, "bob", "author")
    keys_path(project).write_text("{}")
    with pytest.raises(SchemaError, match=r"trusted_keys\.json"):
        read_trusted_keys(keys_path(project))
