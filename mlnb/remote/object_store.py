"""The client of an object store: every request has time limits, and is repeated when its connection was cut."""

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, BinaryIO, TypeVar
from urllib.parse import unquote, urlsplit

import obstore
from obstore import exceptions
from obstore.store import LocalStore, from_url

from mlnb.errors import RemoteError

ATTEMPTS = 14  # of one request whose connection is cut
FIRST, LATER = 1.7, 5.0  # times the time limit: for the first response of a store, and for a later one
WAIT, LONGEST_WAIT = 0.02, 1.0  # seconds between two attempts
BLOCK = 4 << 20  # bytes of a download that are in memory at a time
PART = 8 << 20  # bytes of a part of an upload
LARGE = 2 * PART  # bytes from which on an object is uploaded in parts
PARTS_AT_ONCE = 3
REFUSED = (exceptions.PermissionDeniedError, exceptions.UnauthenticatedError)
T = TypeVar("T")


class ObjectStore:
    """Objects by name, below a prefix of a bucket or a folder; used by several threads.

    Attributes:
        down: Why the store cannot be used any more; empty: it can.
    """

    def __init__(self, url: str, seconds: float) -> None:
        """Connect nothing yet.

        Args:
            url: s3://, gs://, az:// or file:///.
            seconds: Without a response, after which a request fails.
        """
        self.down = ""
        self._seconds = seconds
        self._responded = threading.Event()
        parts = urlsplit(url)
        self._client: Any
        self._uploads: Any  # whose parts are repeated one by one
        if parts.scheme == "file":
            self._client = self._uploads = LocalStore(unquote(parts.path), mkdir=True)
            return
        limit = timedelta(seconds=seconds)
        options: dict[str, Any] = {
            "connect_timeout": limit,
            "read_timeout": limit,
            "timeout": timedelta(hours=1),
            "allow_http": is_plain_http(),
        }
        longer = {**options, "read_timeout": 10 * limit}  # the response comes after the last byte
        again = {"max_retries": ATTEMPTS, "retry_timeout": timedelta(minutes=10)}
        backoff = {"init_backoff": timedelta(seconds=WAIT), "max_backoff": timedelta(seconds=LONGEST_WAIT), "base": 2}
        client: Any = from_url
        self._client = client(url, client_options=options, retry_config={"max_retries": 0})
        self._uploads = client(url, client_options=longer, retry_config={**again, "backoff": backoff})

    def read(self, name: str) -> bytes | None:
        """Return the bytes of a small object; None when there is none. Raises `RemoteError`."""
        with suppress(FileNotFoundError):
            return self._repeat(lambda: bytes(obstore.get(self._client, name).bytes()))
        return None

    def download(self, name: str, file: BinaryIO) -> bool:
        """Write an object to an empty file in blocks; return whether there is one. Raises `RemoteError`."""
        with suppress(FileNotFoundError):
            while not self._repeat(lambda: self._continue(name, file)):
                pass
            return True
        return False

    def _continue(self, name: str, file: BinaryIO) -> bool:
        """Write the rest of an object; return whether it is complete. A cut after progress is no failed attempt."""
        start = file.tell()
        options: Any = {"range": {"offset": start}} if start else None
        try:
            for block in obstore.get(self._client, name, options=options).stream(BLOCK):
                file.write(block)
        except exceptions.GenericError:
            if file.tell() == start:
                raise
            return False
        return True

    def create(self, name: str, data: bytes) -> bool:
        """Create a small object; return False when there is one, which stays as it is. Raises `RemoteError`."""
        try:
            self._repeat(lambda: obstore.put(self._client, name, data, mode="create", use_multipart=False))
        except exceptions.AlreadyExistsError:
            return False
        return True

    def replace(self, name: str, data: bytes) -> None:
        """Create or replace a small object. Raises `RemoteError`."""
        self._repeat(lambda: obstore.put(self._client, name, data, use_multipart=False))

    def upload(self, name: str, path: Path, again: bool = False) -> bool:
        """Upload a file whose name determines its bytes; return False when it is there.

        Args:
            name: Name of the object.
            path: The file.
            again: Whether to replace an object that is there, as it is damaged.

        Raises:
            RemoteError: The store cannot be used.
            OSError: The file cannot be read.
        """
        if path.stat().st_size < LARGE:
            data = path.read_bytes()
            if not again:
                return self.create(name, data)
            self.replace(name, data)
            return True
        if not again and self.modified(name) is not None:
            return False

        def put() -> None:
            with path.open("rb") as file:
                obstore.put(
                    self._uploads, name, file, use_multipart=True, chunk_size=PART, max_concurrency=PARTS_AT_ONCE
                )

        self._repeat(put)
        return True

    def modified(self, name: str) -> datetime | None:
        """Return when an object was written, by the clock of the store; None when there is none."""
        with suppress(FileNotFoundError):
            return self._repeat(lambda: obstore.head(self._client, name)["last_modified"])
        return None

    def delete(self, name: str) -> None:
        """Delete an object, if there is one. Raises `RemoteError`."""
        with suppress(FileNotFoundError):
            self._repeat(lambda: obstore.delete(self._client, name))

    def names(self, folder: str) -> Iterator[str]:
        """Yield the names of the objects in a folder, without it, sorted. Raises `RemoteError`."""
        listing = self._repeat(lambda: list(obstore.list(self._client, folder)))
        yield from sorted(item["path"].removeprefix(f"{folder}/") for page in listing for item in page)

    def _repeat(self, request: Callable[[], T]) -> T:
        """Return what a request returns; repeat it while its connection is cut.

        Raises:
            FileNotFoundError: There is no such object.
            AlreadyExistsError: There is one.
            RemoteError: It was refused, or the store does not respond; then it is not used again.
        """
        begin, wait = time.monotonic(), WAIT
        for attempt in range(1, ATTEMPTS + 1):
            if self.down:
                raise RemoteError(self.down)
            try:
                value = request()
            except FileNotFoundError:
                self._responded.set()
                raise
            except exceptions.AlreadyExistsError:
                self._responded.set()
                raise
            except REFUSED as error:
                raise self._stop(f"access was refused ({_first_line(error)})") from error
            except exceptions.BaseError as error:
                limit = (LATER if self._responded.is_set() else FIRST) * self._seconds
                if attempt == ATTEMPTS or time.monotonic() - begin > limit:
                    raise self._stop(_first_line(error)) from error
                time.sleep(wait)
                wait = min(2 * wait, LONGEST_WAIT)
            else:
                self._responded.set()
                return value
        raise AssertionError("the last attempt returns or raises")

    def _stop(self, reason: str) -> RemoteError:
        self.down = self.down or reason
        return RemoteError(self.down)


def is_plain_http() -> bool:
    """Return whether the endpoint that the environment states is unencrypted, as one on this machine may be."""
    names = ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AZURE_STORAGE_ENDPOINT", "GOOGLE_BASE_URL")
    return any(os.environ.get(name, "").startswith("http://") for name in names)


def _first_line(error: Exception) -> str:
    """Return what an error of the client is about, without its internals."""
    text = str(error).partition("\n\nDebug source")[0]
    return " ".join(text.split())[:200].rstrip(".") or type(error).__name__
