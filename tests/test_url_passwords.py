"""Passwords in URLs become variables."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
import toys
from hypothesis import given, settings
from hypothesis import strategies as st

from mlnb.engine.project import Project
from mlnb.errors import PasswordWarning, SettingsError
from mlnb.registry.database import database_url
from mlnb.url_passwords import (
    MASK,
    expand_url,
    has_password,
    hidden_passwords,
    hide_passwords,
    mask_passwords,
    reveal_passwords,
)


@pytest.fixture(autouse=True)
def own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "environ", dict(os.environ))


@pytest.mark.parametrize(
    ("url", "hidden"),
    [
        ("postgresql://ann:pw@host/db", "postgresql://ann:${URL_PASSWORD_1}@host/db"),
        ("postgresql+psycopg://:p@w@host:1/db::select", "postgresql+psycopg://:${URL_PASSWORD_1}@host:1/db::select"),
        ("HTTPS://ann:p%40:w?@host", "HTTPS://ann:${URL_PASSWORD_1}@host"),
        ("-p ingest.data=mysql://a:b@c", "-p ingest.data=mysql://a:${URL_PASSWORD_1}@c"),
        ("s3://bucket?key=1&secret=x&y=2", "s3://bucket?key=1&secret=${URL_PASSWORD_1}&y=2"),
        ("az://b/c?sv=1&sig=a%2Fb", "az://b/c?sv=1&sig=${URL_PASSWORD_1}"),
    ],
)
def test_a_password_becomes_a_variable(url: str, hidden: str) -> None:
    with pytest.warns(PasswordWarning, match=r"URL_PASSWORD_1.*Keep it in the environment"):
        assert hide_passwords(url) == hidden
    assert reveal_passwords(hidden) == url
    assert mask_passwords(url) == hidden.replace("${URL_PASSWORD_1}", MASK)
    assert hide_passwords(hidden) == hidden and not has_password(hidden)


@pytest.mark.parametrize(
    "text",
    [
        "postgresql://ann:${PW}@host/db",
        "postgresql://ann@host/db",
        "https://host:80/a@b",
        "sqlite:///a:b@c.db",
        "http://host/?q=a:b@c",
        "10:30@noon",
        "sklearn:iris",
        "https://host?tokens=3",
    ],
)
def test_other_text_stays(text: str) -> None:
    assert hide_passwords(text) == mask_passwords(text) == text


def test_each_password_is_reported_once_and_has_one_variable() -> None:
    with pytest.warns(PasswordWarning) as caught:
        texts = [hide_passwords(f"a://u:{password}@h") for password in ("one", "two", "one")]
    assert texts == [f"a://u:${{URL_PASSWORD_{number}}}@h" for number in (1, 2, 1)]
    assert len(caught) == 2
    assert hidden_passwords() == {"URL_PASSWORD_1": "one", "URL_PASSWORD_2": "two"}


@pytest.mark.filterwarnings("ignore::mlnb.errors.PasswordWarning")
@settings(max_examples=200)
@given(st.text(st.characters(exclude_categories=["Cs", "Cc", "Zs", "Zl", "Zp"], exclude_characters="/\\0"), min_size=1))
def test_no_password_is_left_in_a_url(password: str) -> None:
    if password.startswith(("${", "***")):
        return
    url = f"mysql://ann:{password}@host/db"
    hidden = hide_passwords(url)
    assert hidden == f"mysql://ann:${{{next(n for n, v in hidden_passwords().items() if v == password)}}}@host/db"
    assert reveal_passwords(hidden) == url


def test_the_registry_s_password_is_reported_and_redacted(tmp_path: Path) -> None:
    root = toys.chain(tmp_path, "registry = nosuch://ann:hidden-pw@host/db")
    text = toys.mlnb(root, "models", code=None)
    assert "hidden-pw" not in text and text.count("a URL has a password") == 1, text
    project = Project.find(root)
    with pytest.warns(PasswordWarning):
        assert database_url(project) == "nosuch://ann:hidden-pw@host/db"


def test_an_unexpected_error_and_the_command_line_have_no_password(tmp_path: Path) -> None:
    script = tmp_path / "command.py"
    script.write_text(
        "import psutil, mlnb.cli.main as m\n"
        "class Failing:\n"
        "    parser = staticmethod(lambda p: p.add_argument('x'))\n"
        "    def main(args):\n"
        "        assert 'hidden-pw' not in str(psutil.Process().cmdline())\n"
        "        raise KeyError(repr(args.x) + ascii(args.x.encode()))\n"
        "m._import_command = lambda name: Failing\n"
        "m.main()\n"
    )
    command = [sys.executable, str(script), "score", "s3://ann:hidden-pw@host/x"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert "KeyError" in done.stderr, done.stderr
    assert done.stderr.replace("'hidden-pw' not in", "").count("hidden-pw") == 0, done.stderr
    assert done.stderr.count("a URL has a password") == 1
    assert "s3://ann:${URL_PASSWORD_1}@host/x" in done.stderr


def test_a_variable_that_is_not_set_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_SUCH", raising=False)
    with pytest.raises(SettingsError, match=r"'postgresql://u:.*': the environment variable NO_SUCH is not set"):
        expand_url("postgresql://u:${NO_SUCH}@h/x")
    monkeypatch.setenv("NO_SUCH", "pw")
    assert expand_url("postgresql://u:${NO_SUCH}@h/x") == "postgresql://u:pw@h/x"


def test_a_long_text_with_points_is_scanned_once():
    started = time.process_time()
    assert mask_passwords("a." * 30_000 + " s3://u:secret@h") == "a." * 30_000 + f" s3://u:{MASK}@h"
    assert time.process_time() - started < 2
