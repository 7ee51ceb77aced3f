"""Names from records and archives: only those that stay inside their folder are accepted."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlnb.engine.confined_names import confined_file, is_confined, is_digest, is_plain_name


@given(st.text(max_size=12) | st.text("./\\\\:aC\0", max_size=12))
def test_an_accepted_path_stays_inside_its_folder(name: str) -> None:
    if is_confined(name):
        inside = (Path("/folder") / name).resolve()
        assert inside.is_relative_to("/folder") and inside != Path("/folder")
    if is_plain_name(name):
        assert Path(name).name == name and is_confined(name)


@pytest.mark.parametrize(
    "name", ["", ".", "..", "a/..", "../a", "/a", "a//b", "a\\b", "C:a", "a\0", "a\n", None, 1, b"a"]
)
def test_other_names_are_refused(name: object) -> None:
    assert not is_confined(name) and not is_plain_name(name)


@pytest.mark.parametrize(("value", "expected"), [("a" * 64, True), ("A" * 64, False), ("a" * 63, False), (None, False)])
def test_a_digest_has_64_lower_case_digits(value: object, expected: bool) -> None:
    assert is_digest(value) is expected


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    outside, inside = tmp_path / "outside", tmp_path / "inside"
    for folder in (outside, inside / "real"):
        folder.mkdir(parents=True)
        (folder / "file").touch()
    (inside / "folder").symlink_to(outside)
    (inside / "link").symlink_to(outside / "file")
    assert confined_file(inside, "real/file") == inside / "real" / "file"
    for path in ("folder/file", "link", "real", "none", "../outside/file", None):
        assert confined_file(inside, path) is None
