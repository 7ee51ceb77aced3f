"""The content-addressed store: bytes by digest, results of stages by stage key; every file is written atomically.

Nothing is deleted that does not match its digest: it is moved to `quarantine/`.
"""

import json
import os
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from io import BufferedReader
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from mlnb.codec import decode, encode
from mlnb.engine.confined_names import is_confined, is_digest, is_plain_name
from mlnb.engine.digests import StatCache, digest_bytes, digest_file, digest_stream
from mlnb.engine.files import (
    PRIVATE,
    copy_whole,
    delete_folder,
    flush_folder,
    full_disk_explained,
    make_folder,
    quarantine,
    temporary_path,
    try_lock,
    warn_damaged,
    write_whole,
)
from mlnb.engine.run_records import OutputRecord, Outputs, StageResult, StoredResult
from mlnb.engine.store_listings import checked_listing, matches_listing
from mlnb.engine.tombstones import erased_object, refuse_erased
from mlnb.errors import ContractBroken, SchemaError, StoreCorrupted

if TYPE_CHECKING:
    from mlnb.engine.remote_link import RemoteLink

READ_ONLY = 0o400
LINKED = 1 << 20  # bytes from which on a copy of an object is a hard link
THREADS = 8  # files of a folder that are written at a time: each write waits for the disk
T = TypeVar("T")
R = TypeVar("R")


class Store:
    """Objects in `objects/`, results of stage keys in `keys/`, unpacked folders in `trees/`, locks in `locks/`.

    Attributes:
        root: Its folder.
        digests: Digests of files that have not changed since they were read.
        remote: The remote store, from which objects that are missing here are pulled; None: there is none.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.remote: RemoteLink | None = None
        self.digests = StatCache(root / "cache" / "objects.json")

    def path(self, digest: str) -> Path:
        """Return the path of the object with that digest, whether it exists or not.

        Raises:
            StoreCorrupted: The text is no digest: from a record that is damaged or forged.
        """
        if not is_digest(digest):
            raise StoreCorrupted(f"Found {str(digest)[:80]!r} as the digest of an artifact, expected a SHA-256.")
        return self.root / "objects" / digest[:2] / digest[2:]

    def fetch(self, digests: Iterable[str]) -> bool:
        """Pull the objects that are missing here from the remote store, if there is one; return whether all are here.

        Raises:
            StoreCorrupted: A text is no digest.
        """
        missing = [digest for digest in digests if not self.path(digest).exists()]
        return not missing or (self.remote is not None and self.remote.pull(missing))

    def fetch_outputs(self, outputs: Outputs) -> bool:
        """Pull artifacts with all files of folders, as `fetch`; return whether all are here."""
        if not self.fetch(output.digest for output in outputs.values()):
            return False
        for tree in [output.digest for output in outputs.values() if output.format == "tree"]:
            if not self.fetch(self.read_listing(tree).values()):
                if self.remote is not None:
                    self.remote.give_up(tree)
                return False
        return True

    def is_usable(self, output: OutputRecord) -> bool:
        """Return whether an artifact is intact, or can be pulled."""
        promised = self.remote is not None and self.remote.promises(output.digest)
        return promised or self.intact(output.digest, tree=output.format == "tree")

    def put_bytes(self, data: bytes | memoryview) -> str:
        """Store `data`; return its digest. Raises `DataError` for an object that was erased."""
        digest = digest_bytes(data)
        if not self.intact(digest):
            refuse_erased(self.root, digest)
            write_whole(self.path(digest), data, READ_ONLY)
        return digest

    def put_file(self, source: Path) -> str:
        """Store a copy of a file's bytes; return their digest. Raises `DataError` for one that was erased."""
        digest = digest_file(source)
        if not self.intact(digest):
            refuse_erased(self.root, digest)
            copy_whole(source, self.path(digest), READ_ONLY)
        return digest

    def copy_to(self, digest: str, target: Path) -> None:
        """Make `target` a copy of an object; a large one is a read-only hard link, so that its bytes are stored once.

        Raises:
            OSError: The object is missing.
            StoreFull: The disk is full.
        """
        self.fetch([digest])
        source = self.path(digest)
        if source.stat().st_size >= LINKED:
            temporary = temporary_path(target.parent)
            try:
                os.link(source, temporary)
                os.replace(temporary, target)
                temporary.unlink(missing_ok=True)  # left when both were the same file
                return
            except OSError:  # the file system has no hard links, or the store is on another one
                temporary.unlink(missing_ok=True)
        copy_whole(source, target, PRIVATE)

    def put_tree(self, folder: Path) -> str:
        """Store every file of a folder; return the digest of the list of their names and digests.

        Raises:
            ContractBroken: A file has a name that not every operating system accepts.
        """
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        names = {path: path.relative_to(folder).as_posix() for path in files}
        for name in names.values():
            if not is_confined(name):
                raise ContractBroken(
                    f"{folder} has a file {name!r}; expected a name of printable characters without \\."
                )
        listing = dict(zip(names.values(), _in_threads(self.put_file, files), strict=True))
        return self.put_bytes(json.dumps(listing, sort_keys=True, ensure_ascii=False).encode())

    def read(self, digest: str) -> bytes:
        """Return an object's bytes.

        Raises:
            StoreCorrupted: The object is missing, or its bytes do not match the digest; it is then quarantined.
        """
        with self._open(digest) as file:
            data = file.read()
        if digest_bytes(data) != digest:
            raise self._damaged(digest)
        return data

    def open(self, digest: str) -> BufferedReader:
        """Return an object as an open file, verified in blocks, so that a large one never fills memory.

        Raises:
            StoreCorrupted: As `read`.
        """
        file = self._open(digest)
        if digest_stream(file) != digest:
            file.close()
            raise self._damaged(digest)
        file.seek(0)
        return file

    def _open(self, digest: str) -> BufferedReader:
        path = self.path(digest)
        self.fetch([digest])
        try:
            return path.open("rb")
        except FileNotFoundError as error:
            why = "is missing in the store; `mlnb run` makes it again"
            if (erasure := erased_object(self.root, digest)) is not None:
                why = f"was erased on {erasure.describe()}; `mlnb run` trains without the erased rows"
            raise StoreCorrupted(f"Object {digest[:12]} {why}.") from error
        except OSError as error:
            raise StoreCorrupted(f"{path} cannot be read: {error.strerror}; make it readable.") from error

    def _damaged(self, digest: str) -> StoreCorrupted:
        where = quarantine(self.root, self.path(digest))
        return StoreCorrupted(f"Object {digest[:12]} of the store was damaged ({where}); `mlnb run` makes it again.")

    def read_listing(self, digest: str) -> dict[str, str]:
        """Return the digest of each file of a tree, by its path in the tree. Raises `StoreCorrupted`."""
        return checked_listing(self.read(digest), digest)

    def unpack(self, digest: str) -> Path:
        """Return a folder with the verified files of a tree, read-only and shared by all. Raises `StoreCorrupted`."""
        listing = self.read_listing(digest)
        folder = self.root / "trees" / digest
        if os.path.lexists(folder):
            if matches_listing(folder, listing):
                return folder
            where = quarantine(self.root, folder)
            if folder.exists():
                raise StoreCorrupted(f"{folder} is damaged and cannot be moved; move it away, then run again.")
            warn_damaged(f"{folder} was damaged ({where}) and is made again.")
        self.fetch(listing.values())
        make_folder(folder.parent)
        temporary = temporary_path(folder.parent)
        temporary.mkdir(0o700)
        try:
            with full_disk_explained(folder):
                _in_threads(lambda name: write_whole(temporary / name, self.read(listing[name]), READ_ONLY), listing)
            try:
                os.replace(temporary, folder)
            except OSError:  # another process unpacked it first
                if not folder.is_dir():
                    raise
            flush_folder(folder.parent)
        finally:
            delete_folder(temporary)
        return folder

    def intact(self, digest: str, tree: bool = False) -> bool:
        """Return whether an object (of a tree, also every file) exists and matches its digest.

        Bytes are read again only when the file's size, times or inode have changed since they were last read.
        A damaged object is quarantined.
        """
        if not is_digest(digest):
            return False
        path = self.path(digest)
        try:
            if self.digests.digest(path) != digest and digest_file(path) != digest:  # the cache may be damaged
                warn_damaged(str(self._damaged(digest)))
                return False
            return not tree or all(map(self.intact, checked_listing(path.read_bytes(), digest).values()))
        except OSError:  # missing, unreadable, or a tree whose listing is forged
            return False

    def result(self, key: str) -> StageResult | None:
        """Return the result of a stage key; None when there is none, or it is damaged: it is then quarantined."""
        if not is_plain_name(key):  # of a forged record
            return None
        path = self._key_path(key)
        try:
            stored = decode(StoredResult, path.read_bytes(), str(path))
        except (FileNotFoundError, NotADirectoryError):
            return None
        except SchemaError as error:
            problem = str(error)
        else:
            if stored.checksum == _checksum(stored.result):
                return stored.result
            problem = f"{path} is damaged: its checksum does not match."
        warn_damaged(f"{problem} The result is not used ({quarantine(self.root, path)}).")
        return None

    def put_result(self, key: str, result: StageResult) -> None:
        """Store the result of a stage key."""
        write_whole(self._key_path(key), encode(StoredResult(result=result, checksum=_checksum(result))), PRIVATE)

    def is_complete(self, result: StageResult) -> bool:
        """Return whether the notebook and all outputs of a result are in the store, intact."""
        return self.intact(result.notebook) and all(
            self.intact(output.digest, tree=output.format == "tree") for output in result.outputs.values()
        )

    def lock(self, key: str) -> AbstractContextManager[bool]:
        """Return a context that holds the lock of a stage key; it yields False when another process holds it."""
        return try_lock(self._folder("locks", key))

    def scratch(self, key: str) -> Path:
        """Return the scratch folder of a stage key: the same in every attempt until one succeeds."""
        folder = self._folder("scratch", key)
        make_folder(folder)
        return folder

    def clear_scratch(self, key: str) -> None:
        """Delete the scratch folder of a stage key."""
        delete_folder(self._folder("scratch", key))

    def _key_path(self, key: str) -> Path:
        return self._folder("keys", key, len(key)).with_name(f"{key}.json")

    def _folder(self, kind: str, key: str, size: int = 32) -> Path:
        """Return the path of a stage key below a folder. Raises `StoreCorrupted` for a key that leaves the folder."""
        if not is_plain_name(key[:size]):
            raise StoreCorrupted(f"Found {key[:80]!r} as a stage key, expected a SHA-256.")
        return self.root / kind / key[:size]


def _in_threads(function: Callable[[T], R], items: Iterable[T]) -> list[R]:
    """Return what a function returns for each item; threads wait for the disk at the same time."""
    from concurrent.futures import ThreadPoolExecutor  # here, as a run with nothing to do needs none

    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(function, items))


def _checksum(result: StageResult) -> str:
    return digest_bytes(encode(result))
