"""Commands to the supervisor of a service come from its own user only."""

import os
import stat
from pathlib import Path

import pytest
from bentoml._internal.utils import circus

from mlnb.serving.runtime import supervisor


@pytest.mark.parametrize("threaded", [False, True])
def test_sockets_are_in_a_private_folder_that_is_removed(threaded: bool) -> None:
    created = supervisor.make_supervisor([], threaded=threaded)
    assert isinstance(created, circus.ThreadedArbiter) == threaded
    endpoints = [created.endpoint, created.pubsub_endpoint]
    assert all(endpoint.startswith("ipc://") for endpoint in endpoints)
    (folder,) = {Path(endpoint.removeprefix("ipc://")).parent for endpoint in endpoints}
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert folder.stat().st_uid == os.getuid()
    created.exit_stack.close()
    assert not folder.exists()


def test_bentoml_starts_this_supervisor(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(circus, "create_standalone_arbiter", None)
    supervisor.install_supervisor()
    assert circus.create_standalone_arbiter is supervisor.make_supervisor
