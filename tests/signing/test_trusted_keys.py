"""The keys that a project trusts."""

from pathlib import Path

import pytest
import toys

from mlnb.engine.project import Project
from mlnb.errors import SchemaError, UsageError
from mlnb.signing.signing_keys import create_key
from mlnb.signing.trusted_keys import (
    TrustedKeys,
    keys_path,
    parse_time,
    read_trusted_keys,
    revoke_key,
    trust_key,
)


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


def test_a_revoked_key_counts_for_earlier_times_and_is_not_trusted_again(project: Project) -> None:
    key = create_key()
    trust_key(project, key.public, "ann", "approver", "2999-01-31")
    with pytest.raises(UsageError, match="0 trusted keys are called 'bob'"):
        revoke_key(project, "bob")
    revoked = revoke_key(project, key.keyid[:12], "2026-03-01T02:00:00+02:00")
    assert revoked.revoked == "2026-03-01T00:00:00.000Z"
    assert read_trusted_keys(keys_path(project)).find(key.keyid) == revoked
    assert revoked.why_invalid("2026-02-28T23:59:59.999Z") == ""
    assert "was revoked as of 2026-03-01" in revoked.why_invalid("2026-03-01T00:00:00.000Z")
    with pytest.raises(UsageError, match=r"was revoked as of .* already"):
        revoke_key(project, "ann")
    assert revoke_key(project, "ann", "2026-01-01").revoked < revoked.revoked  # it was stolen earlier
    with pytest.raises(UsageError, match="was revoked; `mlnb keys new`"):
        trust_key(project, key.public, "ann", "approver")


def test_a_key_expires(project: Project) -> None:
    key = trust_key(project, create_key().public, "ann", "approver", "2026-03-01")
    assert "expired on 2026-03-01" in key.why_invalid("2026-03-01T00:00:00.000Z")
    assert key.why_invalid("2026-02-28T23:00:00.000Z") == ""
    with pytest.raises(UsageError, match="is no date"):
        parse_time("soon")
