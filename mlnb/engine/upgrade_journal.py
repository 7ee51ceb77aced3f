"""Several files written as one change: prepared in a folder, then moved into place; a kill in between loses nothing.

`<store>/upgrade/pending` holds the new and the previous files from the moment when all of them are on the disk. Whoever
finds it completes the change. Afterwards it is `<store>/upgrade/last`, so that the previous files can be restored.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from mlnb.codec import convert
from mlnb.engine.confined_names import is_confined
from mlnb.engine.files import delete_folder, read_json, try_lock, write_json, write_whole
from mlnb.engine.text_merge import conflict_lines
from mlnb.errors import ProjectError, SchemaError

CHANGES = "changes.json"


def pending_folder(store: Path) -> Path:
    """Return the folder of a change that was prepared; it exists when the change was interrupted."""
    return store / "upgrade" / "pending"


def previous_files(store: Path) -> Path:
    """Return the folder with the files that the last change has replaced."""
    return store / "upgrade" / "last" / "previous"


@contextmanager
def upgrade_lock(store: Path) -> Iterator[None]:
    """Hold the lock of upgrades while inside. Raises `ProjectError` when another process holds it."""
    with try_lock(store / "upgrade.lock") as held:
        if not held:
            raise ProjectError("Another `mlnb upgrade` runs in this project; wait for its end.")
        yield


def apply_changes(root: Path, store: Path, contents: Mapping[Path, bytes], deletes: Iterable[Path]) -> None:
    """Write and delete files of a project, all of them or none.

    Args:
        root: the project.
        store: its store.
        contents: bytes by path relative to `root`.
        deletes: paths relative to `root`.
    """
    folder = pending_folder(store)
    folder.parent.mkdir(parents=True, exist_ok=True)
    deletes = list(deletes)
    import tempfile  # here, as every `mlnb run` imports this module

    with tempfile.TemporaryDirectory(prefix=".preparing-", dir=folder.parent) as temporary:
        prepared = Path(temporary, "change")
        for path, data in contents.items():
            write_whole(prepared / "new" / path, data)
        for path in [*contents, *deletes]:
            if (root / path).is_file():
                write_whole(prepared / "previous" / path, (root / path).read_bytes())
        changes = {"write": [path.as_posix() for path in contents], "delete": [path.as_posix() for path in deletes]}
        write_json(prepared / CHANGES, changes)
        prepared.rename(folder)
    complete_changes(root, store)


def complete_changes(root: Path, store: Path) -> bool:
    """Complete a change that was prepared; return whether there was one.

    Raises:
        ProjectError: one of its files was edited since; nothing else is written.
    """
    folder = pending_folder(store)
    if not folder.is_dir():
        return False
    try:
        names = convert(read_json(folder / CHANGES), dict[str, list[str]], str(folder / CHANGES))
    except SchemaError as error:
        raise ProjectError(f"{error} An upgrade was interrupted; its files are in {folder}: move it away.") from None
    for name in [*names.get("write", []), *names.get("delete", [])]:
        if not is_confined(name):
            raise ProjectError(f"{folder / CHANGES} names {name!r}, which leaves the project; move {folder} away.")
    writes, deletes = ([Path(name) for name in names.get(kind, [])] for kind in ("write", "delete"))
    for path in [*writes, *deletes]:
        versions = [side / path for side in (folder / "new", folder / "previous") if (side / path).is_file()]
        if (root / path).is_file() and (root / path).read_bytes() not in [side.read_bytes() for side in versions]:
            raise ProjectError(
                f"{path} was edited after an upgrade was interrupted. Its new and previous version are in {folder}: "
                f"make the file equal to one of them, then give the command again."
            )
    for path in writes:
        target = (root / path).resolve()
        mode = target.stat().st_mode & 0o777 if target.is_file() else 0o644
        write_whole(target, (folder / "new" / path).read_bytes(), mode)
    for path in deletes:
        (root / path).unlink(missing_ok=True)
    last = previous_files(store).parent
    delete_folder(last)
    folder.rename(last)
    return True


def unfinished(root: Path, store: Path) -> list[str]:
    """Return one message for each part of an upgrade that a person has to finish before the project can run."""
    if pending_folder(store).is_dir():
        return ["An upgrade was interrupted; `mlnb upgrade` completes it."]
    paths = [path for path in (root / "bentos").glob("*/*") if path.suffix in (".py", ".yaml")]
    paths += (root / ".github" / "workflows").glob("*.yml")
    texts = {path: path.read_text(encoding="utf-8", errors="replace") for path in paths}
    return [
        f"{path.relative_to(root)}, line {line}: an unresolved conflict of `mlnb upgrade`; "
        "keep what you want and delete the marker lines."
        for path, text in sorted(texts.items())
        for line in conflict_lines(text)
    ]
