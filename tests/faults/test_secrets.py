"""The value of a `${NAME}` parameter is in no file and no output, in none of twelve encodings; files are private."""

import base64
import html
import json
import os
import urllib.parse
from pathlib import Path

import nbformat
import pytest
import toys
from hypothesis import example, given, settings
from hypothesis import strategies as st
from in_process import mlnb_with_kernels

from mlnb.redaction import redact

SECRET = "p@ss w/ö\"rd'&1<%+\\"
PRINTS = """
import base64, html, json, urllib.parse
secret = stage.resolve(word)
data = secret.encode()
print("plain", secret)
print("repr", repr(secret), repr([secret]), ascii(secret), repr(data))
print("json", json.dumps(secret), json.dumps({"a": secret}, ensure_ascii=False), json.dumps(json.dumps(secret)))
print("url", urllib.parse.quote(secret), urllib.parse.quote(secret, safe=""), urllib.parse.quote_plus(secret))
print("html", html.escape(secret), html.escape(secret, quote=False))
print("base64", base64.b64encode(data).decode(), base64.urlsafe_b64encode(b"user:" + data + b"@host").decode())
print("hex", data.hex(), data.hex().upper(), data.hex(":"))
print("escapes", secret.encode("unicode_escape").decode(), "".join(f"\\\\x{byte:02x}" for byte in data))
print("lines", "\\n".join(secret.replace(" ", "_")).replace("_", " "))
print("colors", "\\x1b[31m".join(secret))
print("wrapped", base64.encodebytes(data * 1).decode().replace("=", "\\n="))
print("shell", "'" + secret.replace("'", "'\\\\\\\\''") + "'")
display({"text/html": "<b>" + html.escape(secret) + "</b>", "text/plain": secret}, raw=True)
stage.progress(1, 2, secret)
"""


def spellings(secret: str) -> dict[str, list[bytes]]:
    """Return what must not be found in a file, by encoding."""
    data = secret.encode()
    inside = [base64.b64encode(bytes(n) + data)[-(-n * 8 // 6) : (n + len(data)) * 8 // 6] for n in range(3)]
    return {
        "plain": [data],
        "repr": [repr(secret)[1:-1].encode(), ascii(secret)[1:-1].encode(), repr(data)[2:-1].encode()],
        "json": [json.dumps(secret)[1:-1].encode(), json.dumps(secret, ensure_ascii=False)[1:-1].encode()],
        "json in json": [json.dumps(json.dumps(secret))[3:-3].encode()],
        "url": [urllib.parse.quote(secret).encode(), urllib.parse.quote(secret, safe="").encode()],
        "form": [urllib.parse.quote_plus(secret).encode()],
        "html": [html.escape(secret).encode(), html.escape(secret, quote=False).encode()],
        "base64": inside,
        "url-safe base64": [text.translate(bytes.maketrans(b"+/", b"-_")) for text in inside],
        "hex": [data.hex().encode(), data.hex().upper().encode(), data.hex(":").encode()],
        "escapes": ["".join(f"\\x{byte:02x}" for byte in data).encode()],
        "lines": [b"\n".join(secret[i : i + 1].encode() for i in range(len(secret)))],
    }


def leaks(root: Path, secret: str = SECRET) -> list[str]:
    """Return each file below a folder that has the secret, with the encoding; also as strings in a notebook's JSON."""
    matches = []
    for path in root.rglob("*"):
        if path.is_file():
            data = path.read_bytes()
            for kind, texts in spellings(secret).items():
                for text in texts:
                    escaped = json.dumps(text.decode(errors="replace"), ensure_ascii=False)[1:-1].encode()
                    if text in data or escaped in data:
                        matches.append(f"{path.relative_to(root)}: {kind}")
    return sorted(set(matches))


@pytest.mark.parametrize(
    "ending", ["", "raise ValueError(f'cannot open {secret} or {secret!r}')", "1 / len(secret[:0])"]
)
def test_no_file_and_no_output_has_a_secret(tmp_path: Path, ending: str) -> None:
    root = toys.chain(tmp_path / "project")
    settings_file = root / "settings.ini"
    settings_file.write_text(settings_file.read_text().replace("tracker = local", "tracker = wandb"))
    toys.edit(root, "25_note", 'word: str = "number"  # the first word [number|nombre]', 'word: str = "x"  # a word')
    toys.edit(root, "25_note", "stage.save(", f"{PRINTS}\n{ending}\nstage.save(")
    toys.edit(root, "25_note", 'f"{word}', 'f"word')
    variables = {"PASSWORD": SECRET, "WANDB_MODE": "offline"}
    text = toys.mlnb(root, "run", "-p", "note.word", "${PASSWORD}", env=variables, code=3 if ending else 0)
    text += mlnb_with_kernels(root, "show", env=variables) + mlnb_with_kernels(root, "report", env=variables)
    mlnb_with_kernels(root, "kernels", "stop")
    (tmp_path / "output.txt").write_text(text)
    assert leaks(tmp_path) == []
    notebook = (root / "runs" / toys.record(root)["id"] / "notebooks" / "25_note.ipynb").read_text()
    assert notebook.count("${PASSWORD}") > 15
    public = [path for name in (".mlnb", "runs", "wandb") for path in private_below(root / name)]
    assert public == [], "others may read these"


LITERAL = "pw-7'_\u00fc<%(&"  # as a user writes it; SQLAlchemy decodes what is quoted


@pytest.mark.parametrize(
    ("where", "ending"),
    [
        ("option", ""),
        ("profile", "raise ValueError(f'cannot open {secret} or {secret!r}')"),
        ("default", ""),
    ],
)
def test_a_password_in_a_url_is_masked_everywhere_and_reported_once(tmp_path: Path, where: str, ending: str) -> None:
    root = toys.chain(tmp_path / "project")
    url = f"mysql://ann:{LITERAL}@host:1/shop?sslmode=off::select 1"
    settings_file = root / "settings.ini"
    profile = f"note.word = {url}".replace("%", "%%") if where == "profile" else "number.number = 3"
    text = settings_file.read_text().replace("tracker = local", "tracker = wandb")
    settings_file.write_text(text.replace("double.factor = 5", profile))
    default = url if where == "default" else "x"
    toys.edit(root, "25_note", 'word: str = "number"  # the first word [number|nombre]', f'word: str = "{default}"')
    whole = PRINTS.replace("secret = stage.resolve(word)", "whole = stage.resolve(word)\nprint(whole, repr(whole))")
    prints = whole.replace("secret", "password").replace("password = ", "")
    prints += (
        "\nimport psutil\n"
        "lines = [each.info['cmdline'] or [] for each in psutil.process_iter(['cmdline'])]\n"
        "assert not any(password in word for line in lines for word in line)\n"
    )
    body = f"{prints}\nsecret = whole\n{ending}\n".replace("data = ", "password = whole[12:-32]\ndata = ", 1)
    toys.edit(root, "25_note", "stage.save(", f"{body}stage.save(")
    toys.edit(root, "25_note", 'f"{word}', 'f"word')
    options = {"option": ["-p", "note.word", url], "profile": ["--profile", "quick"], "default": []}[where]
    variables = {"WANDB_MODE": "offline", "PYTHONIOENCODING": "utf-8"}
    text = toys.mlnb(root, "run", *options, env=variables, code=3 if ending else 0)
    assert text.count("a URL has a password") == 1, text
    text += mlnb_with_kernels(root, "show", env=variables) + mlnb_with_kernels(root, "report", env=variables)
    text += toys.mlnb(root, "stages", "note", env=variables) + toys.mlnb(root, "plan", *options, env=variables)
    mlnb_with_kernels(root, "kernels", "stop")
    (tmp_path / "output.txt").write_text(text)
    written = {f"{path}: {leak}" for path, leak in (line.split(": ") for line in leaks(tmp_path, LITERAL))}
    # the user's own, and the private cache of its cells
    sources = {"project/settings.ini", "project/nbs/stages/25_note.ipynb", "project/.mlnb/cache/sources.json"}
    assert {line for line in written if line.partition(":")[0] not in sources} == set()
    notebook = (root / "runs" / toys.record(root)["id"] / "notebooks" / "25_note.ipynb").read_text()
    assert notebook.count("${URL_PASSWORD_1}") > 15


def test_words_as_passwords_leave_messages_and_notebooks_valid(tmp_path: Path) -> None:
    words = ("output", "data", "p", "text", "name", "cell")
    urls = " ".join(f"http://ann:{word}@host" for word in words)
    root = toys.chain(tmp_path / "project")
    toys.edit(root, "25_note", 'word: str = "number"  # the first word [number|nombre]', 'word: str = "x"  # a word')
    prints = """
url = stage.resolve(word)
print("output", url, repr(url))
display({"text/html": f"<table class='data'><tr><td>{url}</td></tr></table>", "text/plain": url}, raw=True)
stage.progress(1, 2, url)
"""
    toys.edit(root, "25_note", "stage.save(", f"{prints}stage.save(")
    toys.edit(root, "25_note", 'f"{word}', 'f"word')
    text = toys.mlnb(root, "run", "-p", "note.word", urls)
    mlnb_with_kernels(root, "kernels", "stop")
    assert text.count("a URL has a password") == len(words), text
    written = {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}
    assert [path for path, data in written.items() for word in words if f"ann:{word}@".encode() in data] == []
    for path in (root / "runs").glob("*/notebooks/*.ipynb"):
        nbformat.validate(nbformat.read(path, as_version=4))
    shown = (root / "runs" / toys.record(root)["id"] / "notebooks" / "25_note.ipynb").read_text()
    assert shown.count("class='data'") == 2 and shown.count("@host") >= 4 * len(words)


def private_below(folder: Path) -> list[str]:
    """Return the entries of a folder that others may use: not those of W&B, which are below a private folder."""
    if folder.name == "wandb":
        return [str(folder)] if folder.stat().st_mode & 0o077 else []
    paths = [folder, *folder.rglob("*")]
    return [str(path) for path in paths if not path.is_symlink() and path.stat().st_mode & 0o077]


@settings(max_examples=100)
@given(st.text(min_size=8, max_size=40).filter(lambda text: len(text.strip()) >= 8), st.text(max_size=30), st.data())
@example("0" * 8, "", None)
def test_any_secret_is_found_in_any_encoding(secret: str, around: str, data: st.DataObject | None) -> None:
    try:
        texts = spellings(secret)
    except UnicodeEncodeError:  # half of a surrogate pair, which no environment variable has
        return
    for kind, variants in texts.items():
        for variant in variants:
            text = variant.decode()
            if kind.endswith("base64") and len(text) < 6:
                continue
            assert text not in redact({"a": [f"{around}\n{text}\n{around}"]}, {"KEY": secret})["a"][0] or text in around


def test_lines_of_a_traceback_and_colors_hide_no_secret() -> None:
    colored = "\x1b[31m".join("correct horse battery")
    secrets = {"KEY": "correct horse battery"}
    assert redact(["a correct", "  horse battery b"], secrets) == ["a ${KEY} b"]
    assert redact(["a\n", "b correct horse\n", "battery\n"], secrets) == ["a\n", "b ${KEY}\n"]
    assert redact(f"x{colored}y", secrets) == "x${KEY}y"
    assert redact("the correct horse ran", secrets) == "the correct horse ran"


def test_the_mode_of_this_process_does_not_matter(tmp_path: Path) -> None:
    root = toys.chain(tmp_path)
    before = os.umask(0)
    try:
        toys.mlnb(root, "run")
    finally:
        os.umask(before)
    mlnb_with_kernels(root, "kernels", "stop")
    assert [path for name in (".mlnb", "runs") for path in private_below(root / name)] == []
