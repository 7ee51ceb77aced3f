"""Verification of the store without changing it: objects, folders, results of stage keys, and test-set accesses."""

import json
from collections.abc import Iterator
from pathlib import Path

from mlnb.codec import decode, encode
from mlnb.engine.confined_names import is_confined, is_digest, is_plain_name
from mlnb.engine.digests import digest_bytes, digest_file
from mlnb.engine.project import Project
from mlnb.engine.row_hashes import row_hashes
from mlnb.engine.run_records import OutputRecord, StoredResult
from mlnb.engine.test_set_access import Access, access_path, record_rows, rows_path
from mlnb.engine.tombstones import erased_file, erased_object
from mlnb.errors import SchemaError
from mlnb.governance.checks import Check, CheckState, altered, compare_digest, erased, missing, ok


def find_digest(path: Path) -> str | None:
    """Return the digest of a file's bytes; None when there is no file, or a link in its place."""
    try:
        return None if path.is_symlink() else digest_file(path)
    except OSError:
        return None


def check_artifact(project: Project, subject: str, output: OutputRecord) -> Iterator[Check]:
    """Yield the result for an artifact, and for each file of a folder that is not as it was."""
    path = project.store.path(output.digest)
    check = _check_object(project, subject, output.digest)
    if output.format != "tree" or check.state != CheckState.OK:
        yield check
        return
    listing = json.loads(path.read_bytes())
    parts = [_check_object(project, f"{subject}/{name}", part) for name, part in listing.items() if is_digest(part)]
    yield check
    yield from (part for part in parts if part.state != CheckState.OK)
    folder = project.store_root / "trees" / output.digest
    if folder.exists():
        yield from _check_folder(folder, listing, project)


def _check_object(project: Project, subject: str, digest: str) -> Check:
    """Return the result for an object of the store; one that was not pulled yet is pulled."""
    if is_digest(digest):
        project.store.fetch([digest])
    check = compare_digest(subject, find_digest(project.store.path(digest)), digest)
    if check.state == CheckState.MISSING and (erasure := erased_object(project.store_root, digest)) is not None:
        return erased(subject, f"{digest[:12]}, {erasure.describe()}")
    return check


def check_file(project: Project, path: str, before: str) -> Check:
    """Return the result for a file of the project, by the digest that it had; `path` is relative to the project."""
    file = project.root / path
    now = find_digest(file)
    check = compare_digest(path, now, before)
    if not check.passed and not file.is_symlink():
        erasure = erased_file(project.store_root, path, before, now)
        return check if erasure is None else erased(path, erasure.describe())
    return check


def _check_folder(folder: Path, listing: dict[str, str], project: Project) -> Iterator[Check]:
    """Yield a result for each file of an unpacked folder that is not as in its listing."""
    where = folder.relative_to(project.root).as_posix()
    present = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_symlink() or path.is_file()}
    for name in sorted(listing.keys() | present):
        if name not in listing:
            yield altered(f"{where}/{name}", "not a file of the artifact")
        elif is_confined(name) and not (check := compare_digest("", find_digest(folder / name), listing[name])).passed:
            yield check._replace(subject=f"{where}/{name}")


def check_result(project: Project, key: str | None) -> Iterator[Check]:
    """Yield a result when the stored result of a stage key is damaged; one that was deleted is only computed again."""
    path = project.store_root / "keys" / f"{key}.json"
    if not is_plain_name(key) or not path.exists():
        return
    where = path.relative_to(project.root).as_posix()
    try:
        stored = decode(StoredResult, path.read_bytes(), where)
    except SchemaError as error:
        yield altered(where, str(error))
        return
    if stored.checksum != digest_bytes(encode(stored.result)) or encode(stored) != path.read_bytes():
        yield altered(where, "its checksum does not match")


def check_access(project: Project, access: Access) -> Iterator[Check]:
    """Yield the results for the counter of an access to a held-out artifact: the access itself, and its rows."""
    root = project.store_root
    path = access_path(root, access.digest, access.reader)
    where = path.relative_to(project.root).as_posix()
    if not path.is_file():
        yield missing(where, "the test-set access was deleted from the counter")
    elif access.purpose and path.read_bytes() != access.purpose.encode():
        yield altered(where, "it is not the access of that run's evaluation")
    else:
        yield ok(where)
    yield from _check_rows(project, access.digest)


def _check_rows(project: Project, digest: str) -> Iterator[Check]:
    """Yield the result for the hashes of a held-out artifact's rows, which are computed again from the artifact."""
    path = rows_path(project.store_root, digest)
    where, data = path.relative_to(project.root).as_posix(), project.store.path(digest)
    if find_digest(data) != digest:
        return  # the artifact has a separate result
    import pandas as pd

    try:
        hashes = row_hashes(table := pd.read_parquet(data))
    except (ValueError, OSError):
        return  # no table: it has no rows
    if project.store.remote is not None:  # another clone may have loaded it: then its rows are counted from now on
        record_rows(project.store_root, digest, table)
    if not path.is_file():
        yield missing(where, "the rows of the test set were deleted from the counter")
    elif hashes is not None and path.read_bytes() != hashes.astype("<u8").tobytes():
        yield Check(where, CheckState.ALTERED, "they are not the rows of that test set")
    else:
        yield ok(where)
