"""Heads of the audit log in a second place: a folder under version control, or a bucket that only accepts new objects.

Each head is one small file, so that a store that only accepts new objects suffices. A log that was written again, with
valid digests throughout, lacks the anchored heads.
"""

from collections.abc import Iterable
from typing import Any, ClassVar

from mlnb.codec import Record, decode, encode
from mlnb.engine.files import make_folder, write_whole
from mlnb.engine.project import Project
from mlnb.errors import RegistryError, SchemaError
from mlnb.url_passwords import expand_url


class AnchoredHead(Record, frozen=True, kw_only=True):
    """The head of the log after an entry: the entry's number and digest."""

    SCHEMA: ClassVar[str] = "audit-head"

    number: int
    digest: str


def anchor_head(project: Project, number: int, digest: str) -> None:
    """Write a head to the folder that the setting `audit_anchor` names; do nothing when it is empty.

    Raises:
        RegistryError: It cannot be written.
    """
    anchor = project.settings.audit_anchor
    if not anchor:
        return
    name, data = _name(number, digest), encode(AnchoredHead(number=number, digest=digest))
    try:
        if "://" not in anchor:
            make_folder(project.root / anchor, 0o755)
            write_whole(project.root / anchor / name, data)
            return
        system, folder = _open(anchor)
        system.makedirs(folder, exist_ok=True)
        system.pipe_file(f"{folder}/{name}", data)
    except Exception as error:  # each file system raises other errors
        raise RegistryError(
            f"The change is in the audit log, but its head {digest} could not be anchored: {error}. Check the setting "
            "audit_anchor."
        ) from error


def read_anchors(project: Project) -> tuple[list[AnchoredHead], list[str]]:
    """Return the anchored heads, and the names of files that are damaged.

    Raises:
        RegistryError: The folder cannot be read.
    """
    anchor = project.settings.audit_anchor
    heads, damaged = [], []
    for name, data in _read_files(project, anchor) if anchor else ():
        try:
            head = decode(AnchoredHead, data, name)
            expected = _name(head.number, head.digest)
        except SchemaError:
            damaged.append(name)
            continue
        heads.append(head) if name == expected and encode(head) == data else damaged.append(name)
    return sorted(heads, key=lambda head: head.number), damaged


def missing_anchors(lines: Iterable[tuple[int, str, str]], heads: Iterable[AnchoredHead]) -> list[str]:
    """Return a fault for each anchored head that is not in the lines of a log."""
    digests = {number: digest for number, _, digest in lines}
    return [
        f"entry {head.number} has not the digest {head.digest[:12]}… of the anchored head: the log was written again"
        for head in heads
        if digests.get(head.number) != head.digest
    ]


def _name(number: int, digest: str) -> str:
    return f"{number:08d}-{digest}.json"


def _read_files(project: Project, anchor: str) -> list[tuple[str, bytes]]:
    try:
        if "://" not in anchor:
            return [(path.name, path.read_bytes()) for path in sorted((project.root / anchor).glob("*.json"))]
        system, folder = _open(anchor)
        paths = sorted(system.glob(f"{folder}/*.json"))
        return [(path.rpartition("/")[2], system.cat_file(path)) for path in paths]
    except Exception as error:  # each file system raises other errors
        raise RegistryError(f"The anchored heads in {anchor} cannot be read: {error}.") from error


def _open(anchor: str) -> tuple[Any, str]:
    import fsspec

    system, folder = fsspec.core.url_to_fs(expand_url(anchor))
    return system, folder.rstrip("/")
