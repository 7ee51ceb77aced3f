"""Pulls results and objects; every object is verified before it gets its name in the local store."""

import hashlib
import os
from io import BufferedRandom
from typing import BinaryIO, cast

from mlnb.codec import encode
from mlnb.engine.confined_names import is_digest
from mlnb.engine.files import flush_folder, full_disk_explained, make_folder, temporary_path
from mlnb.engine.remote_link import entry_path
from mlnb.engine.remote_messages import FindStages, SharedStage
from mlnb.engine.store import READ_ONLY
from mlnb.engine.tombstones import marker_path, read_erasures
from mlnb.errors import SchemaError
from mlnb.remote.entries import object_name, recipe_name, stage_name
from mlnb.remote.remote_session import RemoteSession


def find_stages(session: RemoteSession, request: FindStages) -> tuple[SharedStage, ...]:
    """Return the results of stage keys, and of those that recipes lead to; all are requested at once, in two rounds."""
    recipes = [(platform, recipe) for recipe in request.recipes for platform in session.platforms]
    wanted = [(platform, key) for key in request.keys for platform in session.platforms]
    names = [*(recipe_name(*one) for one in recipes), *(stage_name(*one) for one in wanted)]
    contents = session.read_all(names)
    pointers = [(platform, data) for (platform, _), data in zip(recipes, contents, strict=False) if data]
    linked = [(platform, data.decode(errors="replace")) for platform, data in pointers]
    linked = [one for one in dict.fromkeys(linked) if is_digest(one[1]) and one not in wanted]
    contained = list(zip(wanted, contents[len(recipes) :], strict=True))
    contained += zip(linked, session.read_all(stage_name(*one) for one in linked), strict=True)
    stages: dict[str, SharedStage] = {}
    for (platform, key), data in contained:
        if data is None or key in stages:
            continue
        try:
            stages[key] = session.entries.open_stage(data, key, platform)
        except SchemaError as error:
            session.warn(f"{str(error).rstrip('.')}. The stage runs here.")
        else:
            session.remember(entry_path(session.cache, key), encode(stages[key]))
    return tuple(stages.values())


def pull_objects(session: RemoteSession, digests: tuple[str, ...]) -> dict[str, str]:
    """Write objects into the local store; return the reason for each that cannot be used. Raises `RemoteError`."""
    erased = erased_digests(session, digests)
    wanted = [digest for digest in digests if digest not in erased]
    results = zip(wanted, session.transfer_all(lambda digest: _pull_object(session, digest), wanted), strict=True)
    failed = dict.fromkeys(erased, "was erased from this project")
    return failed | {digest: reason for digest, reason in results if reason}


def erased_digests(session: RemoteSession, digests: tuple[str, ...]) -> list[str]:
    """Return those of some objects that were erased from this project: they are never pulled again."""
    root = session.store.root
    deleted = {digest for stored in read_erasures(root) if stored.erasure for digest in stored.erasure.objects}
    return [digest for digest in digests if digest in deleted or marker_path(root, digest).exists()]


def _pull_object(session: RemoteSession, digest: str) -> str:
    """Write an object into the local store; return why it cannot be used, or nothing."""
    path = session.store.path(digest)
    if path.exists():
        return ""
    make_folder(path.parent)
    temporary, reason = temporary_path(path.parent), ""
    try:
        with full_disk_explained(path), temporary.open("x+b") as file:
            if not session.objects.download(object_name(digest), cast(BinaryIO, file)):
                reason = "is missing in the remote store"
            elif _digest(file) != digest:
                reason = "does not match its digest in the remote store"
        if not reason:
            os.chmod(temporary, READ_ONLY)
            os.replace(temporary, path)
            flush_folder(path.parent)
            return ""
    finally:
        temporary.unlink(missing_ok=True)
    session.damaged.add(digest)
    session.warn(f"Object {digest[:12]} {reason}. The stage that makes it runs here.")
    return reason


def _digest(file: BufferedRandom) -> str:
    file.flush()
    os.fsync(file.fileno())
    file.seek(0)
    return hashlib.file_digest(file, "sha256").hexdigest()
