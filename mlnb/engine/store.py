"""The content-addressed store: bytes by their digest, results by their key. Nobody sees half, nobody pays twice."""

import json
import os
import shutil
import tempfile
from contextlib import AbstractContextManager
from io import BufferedReader
from pathlib import Path
from typing import Any

from mlnb.engine.digests import StatCache, digest_bytes, digest_file, digest_stream, digest_value
from mlnb.engine.files import copy_whole, full_disk_explained, read_json, try_lock, write_json, write_whole
from mlnb.errors import StoreCorrupted

READ_ONLY = 0o444


class Store:
    """Objects under `objects/`, finished stages under `keys/`, unpacked trees under `trees/`, locks under `locks/`."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.seen = StatCache(root / "cache" / "objects.json")

    def path(self, digest: str) -> Path:
        """Return where the object of that digest is, whether it is there or not."""
        return self.root / "objects" / digest[:2] / digest[2:]

    def put_bytes(self, data: bytes) -> str:
        """Keep `data`; return its digest."""
        digest = digest_bytes(data)
        if not self.intact(digest):
            write_whole(self.path(digest), data, READ_ONLY)
        return digest

    def put_file(self, source: Path) -> str:
        """Keep a copy of a file's bytes; return their digest."""
        digest = digest_file(source)
        if not self.intact(digest):
            copy_whole(source, self.path(digest), READ_ONLY)
        return digest

    def put_tree(self, folder: Path) -> str:
        """Keep every file of a folder; return the digest of the list of their names and digests."""
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        listing = {path.relative_to(folder).as_posix(): self.put_file(path) for path in files}
        return self.put_bytes(json.dumps(listing, sort_keys=True, ensure_ascii=False).encode())

    def read(self, digest: str) -> bytes:
        """Return an object's bytes. Raises `StoreCorrupted`, and drops the object, when they are not its digest's."""
        with self._opened(digest) as file:
            data = file.read()
        if digest_bytes(data) != digest:
            raise self._damaged(digest)
        return data

    def open(self, digest: str) -> BufferedReader:
        """Return an object to read from, verified block by block: a large one never fills memory. Raises as `read`."""
        file = self._opened(digest)
        if digest_stream(file) != digest:
            file.close()
            raise self._damaged(digest)
        file.seek(0)
        return file

    def _opened(self, digest: str) -> BufferedReader:
        try:
            return self.path(digest).open("rb")
        except FileNotFoundError as error:
            raise StoreCorrupted(f"The store has lost {digest[:12]}; `mlnb run` makes it again.") from error

    def _damaged(self, digest: str) -> StoreCorrupted:
        self.drop(digest)
        return StoreCorrupted(f"The store's {digest[:12]} is damaged and was dropped; `mlnb run` makes it again.")

    def unpack(self, digest: str) -> Path:
        """Return a folder with the files of a tree, read-only, verified and shared by all who ask."""
        listing: dict[str, str] = json.loads(self.read(digest))
        folder = self.root / "trees" / digest
        if folder.is_dir():
            if all((folder / name).is_file() and digest_file(folder / name) == d for name, d in listing.items()):
                return folder
            shutil.rmtree(folder)
        folder.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=".writing-", dir=folder.parent))
        try:
            with full_disk_explained(folder):
                for name, part in listing.items():
                    (temporary / name).parent.mkdir(parents=True, exist_ok=True)
                    (temporary / name).write_bytes(self.read(part))
                    (temporary / name).chmod(READ_ONLY)
                temporary.chmod(0o755)
            try:
                os.replace(temporary, folder)
            except OSError:  # another process was first
                if not folder.is_dir():
                    raise
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
        return folder

    def intact(self, digest: str, tree: bool = False) -> bool:
        """Return whether an object (and, of a tree, every file) is there and is what its digest says.

        Bytes are read again only when the file's size, time or inode has changed since they were last read.
        A damaged object is dropped.
        """
        path = self.path(digest)
        try:
            if self.seen.digest(path) != digest:
                self.drop(digest)
                return False
            return not tree or all(self.intact(part) for part in json.loads(path.read_bytes()).values())
        except (FileNotFoundError, ValueError):
            return False

    def drop(self, digest: str) -> None:
        """Remove an object."""
        self.path(digest).unlink(missing_ok=True)

    def result(self, key: str) -> dict[str, Any] | None:
        """Return what a stage of that key made, or None when it never finished or its record is damaged."""
        entry = read_json(self._key_path(key))
        if not isinstance(entry, dict) or entry.get("seal") != _seal(entry):
            return None
        return entry

    def put_result(self, key: str, entry: dict[str, Any]) -> None:
        """Keep what a stage of that key made."""
        write_json(self._key_path(key), {**entry, "seal": _seal(entry)})

    def whole(self, entry: dict[str, Any]) -> bool:
        """Return whether everything that a result names is in the store, intact."""
        outputs = entry["outputs"].values()
        return self.intact(entry["notebook"]) and all(
            self.intact(output["digest"], tree=output["format"] == "tree") for output in outputs
        )

    def lock(self, key: str) -> AbstractContextManager[bool]:
        """Return a context that holds the right to compute `key`; it yields False when another process has it."""
        return try_lock(self.root / "locks" / key[:32])

    def scratch(self, key: str) -> Path:
        """Return the folder that a stage of that key may use, the same in every attempt until it ends well."""
        folder = self.root / "scratch" / key[:32]
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def clear_scratch(self, key: str) -> None:
        """Remove the folder of a stage that has ended well."""
        shutil.rmtree(self.root / "scratch" / key[:32], ignore_errors=True)

    def _key_path(self, key: str) -> Path:
        return self.root / "keys" / f"{key}.json"


def _seal(entry: dict[str, Any]) -> str:
    return digest_value({name: value for name, value in entry.items() if name != "seal"})
