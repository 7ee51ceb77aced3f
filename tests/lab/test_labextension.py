"""The files of the prebuilt extension."""

import json
import re
import shutil
import subprocess

import pytest

from mlnb.lab import labextension
from mlnb.lab.labextension import SOURCES, labextension_files


def entry(files):
    return json.loads(files["package.json"])["jupyterlab"]["_build"]["load"]


def test_every_change_changes_every_address(tmp_path, monkeypatch):
    before = labextension_files("1")
    assert entry(before) in before and entry(labextension_files("2")) == entry(before)
    for path in SOURCES.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    monkeypatch.setattr(labextension, "SOURCES", tmp_path)
    assert labextension_files("1") == before
    (tmp_path / "dom.js").write_text("// another")
    after = labextension_files("1")
    assert before.keys() & after.keys() == {"package.json"} and entry(after) in after


@pytest.mark.parametrize("path", sorted(SOURCES.glob("*.js")), ids=lambda path: path.name)
def test_modules_are_short_load_no_other_host_and_write_no_html(path):
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) < 300
    assert not re.search(r"innerHTML|insertAdjacentHTML|eval\(|https?://(?!www\.w3\.org/2000/svg)", text)
    imported = set(re.findall(r"from \"\./([a-z_]+\.js)\"", text))
    assert imported <= {other.name for other in SOURCES.iterdir()}
    if program := shutil.which("node"):
        kind = "commonjs" if path.name == labextension.ENTRY else "module"
        subprocess.run([program, f"--input-type={kind}", "--check"], input=text, text=True, check=True)
