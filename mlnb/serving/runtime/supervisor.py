"""The supervisor of a service's workers: it takes commands from its own user only and replaces dead workers soon.

BentoML starts Circus, which takes commands (also to start programs) on TCP ports of loopback, without authentication:
any local user could run code as the user of the service. BentoML has no option for the ports or the interval of checks.
"""

import shutil
import tempfile
from typing import Any

from bentoml._internal.utils import circus

CHECK_SECONDS = 1.0  # between two checks of the workers; BentoML's 10 s would be an outage of 10 s


def make_supervisor(watchers: list[Any], *, threaded: bool = False, **options: Any) -> circus.Arbiter:
    """Return a supervisor whose sockets are in a folder that other users cannot enter.

    Args:
        watchers: of the workers.
        threaded: run it in a thread.
        options: of Circus.
    """
    folder = tempfile.mkdtemp(prefix="mlnb-service-")
    supervisor = (circus.ThreadedArbiter if threaded else circus.Arbiter)(
        watchers,
        endpoint=f"ipc://{folder}/commands",
        pubsub_endpoint=f"ipc://{folder}/events",
        check_delay=CHECK_SECONDS,
        **options,
    )
    supervisor.exit_stack.callback(shutil.rmtree, folder, ignore_errors=True)
    return supervisor


def install_supervisor() -> None:
    """Make BentoML use this supervisor."""
    circus.create_standalone_arbiter = make_supervisor
