"""Pointers of DVC: contents in workspace and cache are verified, files and folders, of DVC 3 and before."""

import hashlib
import json

import pytest

from mlnb.methods.tables.data_sources import read_table
from mlnb.methods.tables.dvc_pointers import digest_contents, find_contents, read_pointer, write_pointer

ROWS = b"x,y\r\n1,2\r\n"


def md5(data):
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


def test_a_written_pointer_is_the_yaml_of_dvc(tmp_path):
    (tmp_path / "a.csv").write_bytes(ROWS)
    pointer = write_pointer(tmp_path / "a.csv")
    assert pointer.read_text() == f"outs:\n- md5: {md5(ROWS)}\n  size: 10\n  hash: md5\n  path: a.csv\n"
    assert not (tmp_path / ".dvc").exists() and find_contents(pointer) == tmp_path / "a.csv"


def test_a_repository_gets_the_contents_in_its_cache(tmp_path):
    (tmp_path / ".dvc").mkdir()
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.csv").write_bytes(ROWS)
    pointer = write_pointer(tmp_path / "in" / "a.csv")
    cached = tmp_path / ".dvc/cache/files/md5" / md5(ROWS)[:2] / md5(ROWS)[2:]
    assert cached.read_bytes() == ROWS and cached.stat().st_mode & 0o222 == 0
    (tmp_path / "in" / "a.csv").unlink()
    table, provenance = read_table(str(tmp_path / "in" / "a.csv"))
    assert table.shape == (1, 2) and provenance["digest"] == hashlib.sha256(ROWS).hexdigest()
    cached.chmod(0o600)
    cached.write_bytes(b"x,y\n1,3\n")
    with pytest.raises(ValueError, match="in the cache of DVC are damaged"):
        find_contents(pointer)


def test_line_ends_count_in_pointers_of_dvc_3_alone(tmp_path):
    (tmp_path / "a.csv").write_bytes(ROWS)
    digest = md5(ROWS.replace(b"\r\n", b"\n"))
    (tmp_path / "a.csv.dvc").write_text(f"outs:\n- md5: {digest}\n  path: a.csv\n")
    assert find_contents(tmp_path / "a.csv.dvc") == tmp_path / "a.csv"
    (tmp_path / "a.csv.dvc").write_text((tmp_path / "a.csv.dvc").read_text() + "  hash: md5\n")
    with pytest.raises(ValueError, match=r"dvc checkout --force a\.csv\.dvc"):
        find_contents(tmp_path / "a.csv.dvc")


def test_a_folder_has_the_digest_of_its_list(tmp_path):
    folder = tmp_path / "parts"
    (folder / "year=2024").mkdir(parents=True)
    (folder / "b.csv").write_bytes(b"x\n1\n")
    (folder / "year=2024" / "a.csv").write_bytes(b"x\n2\n")
    listing = [{"md5": md5(b"x\n1\n"), "relpath": "b.csv"}, {"md5": md5(b"x\n2\n"), "relpath": "year=2024/a.csv"}]
    assert digest_contents(folder) == md5(json.dumps(listing).encode()) + ".dir"
    (folder / "year=2024" / "a.csv").rename(folder / "a.csv")
    (folder / "year=2024").rmdir()
    (tmp_path / "p.dvc").write_text(f"outs:\n- md5: {digest_contents(folder)}\n  hash: md5\n  path: parts\n")
    assert len(read_table(str(tmp_path / "p.dvc"))[0]) == 2
    (folder / "c.csv").write_bytes(b"x\n3\n")
    with pytest.raises(ValueError, match="'parts' differs from its pointer"):
        read_table(str(tmp_path / "p.dvc"))


POINTER = f"outs:\n- md5: {'0a' * 16}\n  path: "


@pytest.mark.parametrize(
    "text",
    [
        *("", "outs: 3", "outs:\n- path: a\n", "a: [", "outs:\n- md5: abc\n  path: a\n", "\u0000", "outs: 2026-13-45"),
        *("[" * 3000, f"{POINTER}a\nwdir:\n", f"{POINTER}[1]\n", f'{POINTER}"a\\0b"\n'),
    ],
)
def test_other_files_are_no_pointers(tmp_path, text):
    (tmp_path / "a.dvc").write_text(text)
    with pytest.raises(ValueError, match=r"a\.dvc"):
        read_pointer(tmp_path / "a.dvc")
