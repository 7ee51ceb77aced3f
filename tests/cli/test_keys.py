"""`mlnb keys`: create, list and trust keys."""

import json
from pathlib import Path
from typing import Any

import pytest

from mlnb.cli.main import main
from mlnb.signing.signing_keys import create_key, key_file


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project, and a user without a key."""
    monkeypatch.setenv("MLNB_CONFIG", str(tmp_path / "config"))
    monkeypatch.setenv("MLNB_ACTOR", "ann")
    monkeypatch.setenv("COLUMNS", "200")
    (tmp_path / "project").mkdir()
    monkeypatch.chdir(tmp_path / "project")
    return tmp_path / "project"


def test_a_new_key_is_trusted_and_listed(project: Path, capsys: Any) -> None:
    assert main(["keys"]) == 0
    assert "trusts no key" in (text := capsys.readouterr().out) and "`mlnb keys new` creates one" in text
    assert main(["keys", "new", "--role", "approver"]) == 0
    text = capsys.readouterr().out
    assert "the key of ann (approver)" in text and str(key_file()) in text
    public = text.split()[-1]
    assert public in (project / "trusted_keys.json").read_text()
    assert main(["keys", "list"]) == 0
    (line,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("ann")]
    assert "approver" in line and "yes" in line and public in line
    assert main(["keys", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["own"] is True


def test_the_key_of_another_person_is_trusted(project: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    public = create_key().public
    assert main(["keys"]) == 0 and f"mlnb keys trust {public}" in capsys.readouterr().out
    assert main(["keys", "trust", public, "--name", "bob", "--role", "ci"]) == 0
    (project / "bob.pub").write_text(public + "\n")
    assert main(["keys", "trust", "bob.pub", "--name", "bob"]) == 2
    assert "trusted already, as bob (ci)" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["trust"], "Found no public key"),
        (["trust", "abc", "--name", "bob"], "is no public key"),
        (["list", "abc"], "takes no public key"),
        (["new", "abc"], "takes no public key"),
        (["new", "--until", "soon"], "is no date"),
        (["revoke"], "Found no key"),
        (["revoke", "0123456789"], "0 trusted keys are called '0123456789'"),
        (["list", "--since", "2026-01-01"], "--since for `mlnb keys revoke`"),
    ],
)
def test_wrong_arguments_are_explained(arguments: list[str], message: str, capsys: Any) -> None:
    assert main(["keys", *arguments]) == 2
    assert message in capsys.readouterr().err


def test_a_key_expires_and_is_revoked(project: Path, capsys: Any) -> None:
    assert main(["keys", "new", "--until", "2999-01-31"]) == 0
    capsys.readouterr()
    assert main(["keys"]) == 0 and "valid until 2999-01-31" in capsys.readouterr().out
    assert main(["keys", "revoke", "ann", "--since", "2026-02-03"]) == 0
    assert "the key of ann, as of 2026-02-03" in capsys.readouterr().out
    assert main(["keys"]) == 0 and "was revoked as of 2026-02-03" in capsys.readouterr().out
