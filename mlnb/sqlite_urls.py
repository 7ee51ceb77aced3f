"""SQLAlchemy URLs of SQLite files, in folders of any name: a question mark would end the path."""

from pathlib import Path


def sqlite_url(path: Path) -> str:
    """Return the SQLAlchemy URL of a SQLite file; SQLAlchemy decodes percent signs."""
    text = path.absolute().as_posix()
    return f"sqlite:///{text.replace('%', '%25').replace('?', '%3F')}"
