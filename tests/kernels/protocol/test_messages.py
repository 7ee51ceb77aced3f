"""Messages come back as they were sent, also text that is not UTF-8 and NaN; other bytes are refused."""

import math

import msgspec
import pytest

from mlnb.kernels.protocol import messages
from mlnb.kernels.protocol.messages import MessageError, PreloadRecord, RestoreSnapshot, StartKernel, decode, encode
from mlnb.kernels.protocol.process_context import ProcessContext

CONTEXT = ProcessContext(
    cwd="/somewhere/\udcff",  # a path that is not UTF-8
    environment={"NAME": "value", "RAW": "\udce9t\udce9"},
    umask=0o22,
    processors=[0, 1],
    limits={"RLIMIT_CORE": (0, -1)},
    driver_pid=12,
)
START = StartKernel(
    context=CONTEXT,
    connection_file="connection.json",
    session_key="key",
    notebook="a.ipynb",
    imports=["numpy"],
    max_kernels=2,
    restore=RestoreSnapshot(id="s", environment={}, variables={"nothing": math.nan, "all": [math.inf, None, "x"]}),
)


def test_a_request_comes_back_as_it_was_sent() -> None:
    again = messages.decode_request(encode(START))
    assert isinstance(again, StartKernel) and again.restore is not None
    assert math.isnan(again.restore.variables.pop("nothing"))
    assert again.restore.variables == {"all": [math.inf, None, "x"]}
    assert msgspec.structs.replace(again, restore=None) == msgspec.structs.replace(START, restore=None)


def test_numbers_may_be_keys() -> None:
    status = messages.ParentStatus(
        pid=1,
        started=0.5,
        executable="python",
        python_version="3",
        preloaded=[],
        rejected={},
        snapshots=[],
        snapshot_memory=0,
        kernels={12: "a.ipynb"},
        queued=0,
        served=1,
        idle_seconds=1.0,
        memory=1,
    )
    assert messages.decode_response(encode(status)) == status


def test_messages_are_frozen() -> None:
    with pytest.raises(AttributeError):
        START.notebook = "other"  # type: ignore[misc]


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b'{"type": "Nobody"}', b'{"type": "Stopped", "pid": "one"}'])
def test_other_bytes_are_refused_with_a_reason(data: bytes) -> None:
    with pytest.raises(MessageError, match="expected"):
        messages.decode_response(data)


def test_an_empty_record_is_complete() -> None:
    assert decode(b"{}", PreloadRecord) == PreloadRecord()
