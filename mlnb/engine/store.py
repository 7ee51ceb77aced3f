"""The content-addressed store: bytes by digest, results of stages by stage key; every file is written atomically."""

import json
import os
from contextlib import AbstractContextManager
from io import BufferedReader
from pathlib import Path

from mlnb.codec import decode, encode
from mlnb.engine.digests import StatCache, digest_bytes, digest_file, digest_stream
from mlnb.engine.files import copy_whole, delete_folder, full_disk_explained, temporary_path, try_lock, write_whole
from mlnb.engine.run_records import StageResult, StoredResult
from mlnb.errors import SchemaError, StoreCorrupted

READ_ONLY = 0o444


class Store:
    """Objects in `objects/`, results of stage keys in `keys/`, unpacked folders in `trees/`, locks in `locks/`."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.digests = StatCache(root / "cache" / "objects.json")

    def path(self, digest: str) -> Path:
        """Return the path of the object with that digest, whether it exists or not."""
        return self.root / "objects" / digest[:2] / digest[2:]

    def put_bytes(self, data: bytes) -> str:
        """Store `data`; return its digest."""
        digest = digest_bytes(data)
        if not self.intact(digest):
            write_whole(self.path(digest), data, READ_ONLY)
        return digest

    def put_file(self, source: Path) -> str:
        """Store a copy of a file's bytes; return their digest."""
        digest = digest_file(source)
        if not self.intact(digest):
            copy_whole(source, self.path(digest), READ_ONLY)
        return digest

    def put_tree(self, folder: Path) -> str:
        """Store every file of a folder; return the digest of the list of their names and digests."""
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        listing = {path.relative_to(folder).as_posix(): self.put_file(path) for path in files}
        return self.put_bytes(json.dumps(listing, sort_keys=True, ensure_ascii=False).encode())

    def read(self, digest: str) -> bytes:
        """Return an object's bytes.

        Raises:
            StoreCorrupted: The object is missing, or its bytes do not match the digest; it is then deleted.
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
        try:
            return self.path(digest).open("rb")
        except FileNotFoundError as error:
            raise StoreCorrupted(f"Object {digest[:12]} is missing in the store; `mlnb run` makes it again.") from error

    def _damaged(self, digest: str) -> StoreCorrupted:
        self.drop(digest)
        return StoreCorrupted(
            f"Object {digest[:12]} of the store was damaged and is deleted; `mlnb run` makes it again."
        )

    def unpack(self, digest: str) -> Path:
        """Return a folder with the verified files of a tree, read-only and shared by all. Raises `StoreCorrupted`."""
        listing: dict[str, str] = json.loads(self.read(digest))
        folder = self.root / "trees" / digest
        if folder.is_dir():
            if all((folder / name).is_file() and digest_file(folder / name) == d for name, d in listing.items()):
                return folder
            delete_folder(folder)
            if folder.exists():
                raise StoreCorrupted(f"{folder} is damaged and cannot be deleted; delete it, then run again.")
        folder.parent.mkdir(parents=True, exist_ok=True)
        temporary = temporary_path(folder.parent)
        temporary.mkdir(0o700)
        try:
            with full_disk_explained(folder):
                for name, part in listing.items():
                    (temporary / name).parent.mkdir(parents=True, exist_ok=True)
                    (temporary / name).write_bytes(self.read(part))
                    (temporary / name).chmod(READ_ONLY)
                temporary.chmod(0o755)
            try:
                os.replace(temporary, folder)
            except OSError:  # another process unpacked it first
                if not folder.is_dir():
                    raise
        finally:
            delete_folder(temporary)
        return folder

    def intact(self, digest: str, tree: bool = False) -> bool:
        """Return whether an object (of a tree, also every file) exists and matches its digest.

        Bytes are read again only when the file's size, time or inode has changed since they were last read.
        A damaged object is deleted.
        """
        path = self.path(digest)
        try:
            if self.digests.digest(path) != digest:
                self.drop(digest)
                return False
            return not tree or all(self.intact(part) for part in json.loads(path.read_bytes()).values())
        except (FileNotFoundError, ValueError):
            return False

    def drop(self, digest: str) -> None:
        """Delete an object."""
        self.path(digest).unlink(missing_ok=True)

    def result(self, key: str) -> StageResult | None:
        """Return the result of a stage key; None when there is none, or it is damaged or of another schema."""
        path = self._key_path(key)
        try:
            stored = decode(StoredResult, path.read_bytes(), str(path))
        except (FileNotFoundError, SchemaError):
            return None
        return stored.result if stored.checksum == _checksum(stored.result) else None

    def put_result(self, key: str, result: StageResult) -> None:
        """Store the result of a stage key."""
        write_whole(self._key_path(key), encode(StoredResult(result=result, checksum=_checksum(result))))

    def is_complete(self, result: StageResult) -> bool:
        """Return whether the notebook and all outputs of a result are in the store, intact."""
        return self.intact(result.notebook) and all(
            self.intact(output.digest, tree=output.format == "tree") for output in result.outputs.values()
        )

    def lock(self, key: str) -> AbstractContextManager[bool]:
        """Return a context that holds the lock of a stage key; it yields False when another process holds it."""
        return try_lock(self.root / "locks" / key[:32])

    def scratch(self, key: str) -> Path:
        """Return the scratch folder of a stage key: the same in every attempt until one succeeds."""
        folder = self.root / "scratch" / key[:32]
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def clear_scratch(self, key: str) -> None:
        """Delete the scratch folder of a stage key."""
        delete_folder(self.root / "scratch" / key[:32])

    def _key_path(self, key: str) -> Path:
        return self.root / "keys" / f"{key}.json"


def _checksum(result: StageResult) -> str:
    return digest_bytes(encode(result))
