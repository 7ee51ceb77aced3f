"""Heads of the audit log in a second place: a folder, or any file system of fsspec."""

import pytest

from mlnb.engine.project import Project
from mlnb.errors import RegistryError
from mlnb.registry.anchored_heads import AnchoredHead, anchor_head, missing_anchors, read_anchors

DIGESTS = ["a" * 64, "b" * 64]


@pytest.mark.parametrize("anchor", ["audit_heads", "memory://anchored/heads"])
def test_heads_are_read_as_they_were_written(tmp_path, anchor):
    project = Project(tmp_path, tmp_path).with_settings(audit_anchor=anchor)
    assert read_anchors(project) == ([], [])
    for number, digest in enumerate(DIGESTS, start=1):
        anchor_head(project, number, digest)
    heads, damaged = read_anchors(project)
    assert heads == [AnchoredHead(number=number, digest=digest) for number, digest in enumerate(DIGESTS, 1)]
    assert damaged == []
    lines = [(number, "", digest) for number, digest in enumerate(DIGESTS, 1)]
    assert missing_anchors(lines, heads) == []
    assert missing_anchors([lines[0], (2, "", "c" * 64)], heads) == [
        "entry 2 has not the digest bbbbbbbbbbbb… of the anchored head: the log was written again"
    ]
    assert len(missing_anchors([], heads)) == 2


def test_a_damaged_or_renamed_head_is_named(tmp_path):
    project = Project(tmp_path, tmp_path).with_settings(audit_anchor="heads")
    anchor_head(project, 1, DIGESTS[0])
    (path,) = (tmp_path / "heads").iterdir()
    path.rename(path.with_name("00000002-" + DIGESTS[0] + ".json"))
    (tmp_path / "heads" / "x.json").write_text("{")
    assert read_anchors(project) == ([], ["00000002-" + DIGESTS[0] + ".json", "x.json"])


def test_without_the_setting_nothing_is_anchored(tmp_path):
    project = Project(tmp_path, tmp_path)
    anchor_head(project, 1, DIGESTS[0])
    assert list(tmp_path.iterdir()) == [] and read_anchors(project) == ([], [])


def test_a_place_that_cannot_be_written_is_an_error_that_has_the_head(tmp_path):
    (tmp_path / "heads").write_text("a file")
    project = Project(tmp_path, tmp_path).with_settings(audit_anchor="heads")
    with pytest.raises(RegistryError, match=DIGESTS[0]):
        anchor_head(project, 1, DIGESTS[0])
