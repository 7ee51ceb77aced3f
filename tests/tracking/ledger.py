"""Reads the file that `wandb sync` sends: a LevelDB log of protobuf records, each under its checksum."""

import struct
import zlib
from pathlib import Path
from typing import Any

from wandb.proto import wandb_internal_pb2

BLOCK = 32768
FULL, FIRST, MIDDLE, LAST = 1, 2, 3, 4


def read_ledger(path: Path) -> list[Any]:
    """Return the records of a .wandb file; raises AssertionError when a checksum or the order is wrong."""
    data = path.read_bytes()
    assert data[:4] == b":W&B"
    position, parts, records = 7, b"", []
    while position < len(data):
        if BLOCK - position % BLOCK < 7:  # a header does not fit: the rest of the block is padding
            position += BLOCK - position % BLOCK
            continue
        checksum, length, kind = struct.unpack("<IHB", data[position : position + 7])
        body = data[position + 7 : position + 7 + length]
        assert zlib.crc32(bytes([kind]) + body) == checksum and len(body) == length
        parts = body if kind in (FULL, FIRST) else parts + body
        if kind in (FULL, LAST):
            record = wandb_internal_pb2.Record()
            record.ParseFromString(parts)
            records.append(record)
        position += 7 + length
    return records


def find_run(folder: Path, run_id: str) -> Path:
    """Return the .wandb file of a run below `<root>/wandb`."""
    (path,) = folder.glob(f"*/run-{run_id}.wandb")
    return path
