"""When a kernel that was prepared for one request can serve another."""

import msgspec
import pytest

from kernels.protocol.test_messages import CONTEXT, START
from mlnb.kernels.protocol.messages import StartKernel
from mlnb.kernels.protocol.process_context import ProcessContext
from mlnb.kernels.server.forked_process import KernelEntry

ENTRY = KernelEntry(lambda: None, lambda: None, [], frozenset({"IPython"}))  # type: ignore[arg-type]
PREPARED = msgspec.structs.replace(START, notebook_imports=["IPython.display"])


def request(**changes: object) -> StartKernel:
    """Return the prepared request with changes, those of its context among them."""
    context = {name: changes.pop(name) for name in list(changes) if name in ProcessContext.__struct_fields__}
    changed = msgspec.structs.replace(CONTEXT, **context)
    return msgspec.structs.replace(PREPARED, context=changed, **changes)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"notebook": "another.ipynb", "session_key": "another", "driver_pid": 13},
        {"environment": {**CONTEXT.environment, "MLNB_RUN": "set when the notebook arrives"}},
        {"notebook_imports": []},
    ],
)
def test_it_serves_what_differs_in_what_arrives_with_the_notebook(changes: dict[str, object]) -> None:
    assert ENTRY.fits(PREPARED, request(**changes))


@pytest.mark.parametrize(
    "changes",
    [
        {"cwd": "/elsewhere"},
        {"umask": 0},
        {"processors": [0]},
        {"limits": {"RLIMIT_CORE": (0, 0)}},
        {"environment": {"COLOR": "red"}},
        {"connection_file": "another.json"},
        {"arguments": ["--more"]},
        {"jupyter_sockets": True},
        {"notebook_imports": ["numpy"]},
        {"notebook_imports": None},
    ],
)
def test_it_does_not_serve_what_differs_in_what_was_prepared(changes: dict[str, object]) -> None:
    assert not ENTRY.fits(PREPARED, request(**changes))
