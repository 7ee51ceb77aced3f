"""Compressed files, unpacked up to a limit: a small file may otherwise fill memory."""

import bz2
import gzip
import io
import lzma
import zipfile
import zlib
from typing import IO

SMALL = 256 << 20  # bytes that any file may unpack to
RATIO = 200  # times its size that a larger one may unpack to; tables reach about 50, forged files 1,000 and more
BLOCK = 1 << 20

COMPRESSIONS = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}


def decompress(data: bytes, suffix: str, name: str) -> bytes:
    """Return the contents of a file compressed by gzip, bzip2 or xz.

    Args:
        data: the compressed bytes.
        suffix: .gz, .bz2 or .xz.
        name: of the file, for the message.

    Raises:
        ValueError: they are larger than the limit.
        OSError: the file is damaged; also `EOFError` and `lzma.LZMAError`.
    """
    with COMPRESSIONS[suffix](io.BytesIO(data)) as file:  # type: ignore[operator]
        return _read(file, len(data), name)


def extract(archive: zipfile.ZipFile, member: str, size: int, name: str) -> bytes:
    """Return a member of a zip archive.

    Args:
        archive: the open archive.
        member: name of the member.
        size: bytes of the whole archive.
        name: of the archive, for the message.

    Raises:
        ValueError: it is larger than the limit.
    """
    try:
        with archive.open(member) as file:
            return _read(file, size, name)
    except (RuntimeError, NotImplementedError) as error:  # encrypted, or an unknown compression
        raise OSError(str(error)) from error


def _read(file: IO[bytes], size: int, name: str) -> bytes:
    limit = max(SMALL, RATIO * size)
    parts, total = [], 0
    try:
        while block := file.read(BLOCK):
            total += len(block)
            if total > limit:
                raise ValueError(
                    f"{name!r} has {size:,} bytes and unpacks to more than {limit:,}; if that is right, unpack it and "
                    "use the unpacked file"
                )
            parts.append(block)
    except (zlib.error, RuntimeError) as error:  # damaged, encrypted, or an unknown compression
        raise OSError(str(error)) from error
    return b"".join(parts)
