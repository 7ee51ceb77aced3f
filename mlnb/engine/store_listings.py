"""The list of files of a folder in the store: the digest of each file by its path."""

import json
from pathlib import Path

from mlnb.engine.confined_names import is_confined, is_digest
from mlnb.engine.digests import digest_file
from mlnb.errors import StoreCorrupted


def checked_listing(data: bytes, digest: str) -> dict[str, str]:
    """Return the listing of a tree. Raises `StoreCorrupted` when it is none, or a name would leave the folder."""
    try:
        listing = json.loads(data)
    except (ValueError, RecursionError):
        listing = None
    if not isinstance(listing, dict):
        raise StoreCorrupted(f"Object {digest[:12]} is no list of files; `mlnb run` makes it again.")
    for name, part in listing.items():
        above = name.split("/")[:-1]
        nested = any("/".join(above[: size + 1]) in listing for size in range(len(above)))
        if not is_confined(name) or nested or not is_digest(part):
            raise StoreCorrupted(
                f"The list of files {digest[:12]} has {name[:80]!r}; expected paths that stay inside its folder, "
                "each with a digest. It was not made by mlnb: do not use this run."
            )
    return listing


def matches_listing(folder: Path, listing: dict[str, str]) -> bool:
    """Return whether a folder has exactly the files of a listing, with their bytes, and no links."""
    if folder.is_symlink() or not folder.is_dir():
        return False
    present = [path for path in folder.rglob("*") if path.is_symlink() or not path.is_dir()]
    if any(path.is_symlink() for path in present):
        return False
    names = {path.relative_to(folder).as_posix() for path in present}
    return names == listing.keys() and all(digest_file(folder / name) == part for name, part in listing.items())
