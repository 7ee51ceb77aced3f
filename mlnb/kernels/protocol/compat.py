"""Every private or undocumented API of other libraries that the kernels use.

Each is listed in `DRIVER_APIS` or `KERNEL_APIS`, and `CHECKED` has the versions they were checked with. Other modules
of `mlnb.kernels` call the functions below; only the methods by which `ForkedApp` overrides ipykernel's are elsewhere.
`self_test` tries all of it before the first kernel.

Nothing is imported here before it is needed: the kernel process has no papermill, the driver no ipykernel.
"""

import asyncio
import atexit
import dis
import importlib
import importlib.metadata
import inspect
import io
import os
import selectors
import subprocess
import sys
import tempfile
import threading
import types
import weakref
from collections.abc import Collection
from typing import Any, NamedTuple, TypeVar

CHECKED = {"Python": "3.11 to 3.13", "ipykernel": "7.1 to 7.4", "nbclient": "0.10 to 0.11", "papermill": "2.7"}
C = TypeVar("C", bound=type)


class PrivateApi(NamedTuple):
    """An attribute `name` of `owner` (a module, or module:Class) that `library` does not document, and its use."""

    library: str
    owner: str
    name: str
    use: str


SELECTOR_LOOP = "asyncio.selector_events:BaseSelectorEventLoop"
STREAM, APP, KERNEL = "ipykernel.iostream:OutStream", "ipykernel.kernelapp:IPKernelApp", "ipykernel.kernelbase:Kernel"
CLIENT = "nbclient.client:NotebookClient"
APP_HOOKS = """
init_connection_file init_poller init_heartbeat init_sockets init_kernel write_connection_file log_connection_info
configure_tornado_logger displayhook_class parse_command_line
""".split()  # noqa: SIM905
DRIVER_APIS = (
    PrivateApi("Python", "subprocess", "_args_from_interpreter_flags", "start the parent with this process's options"),
    PrivateApi("papermill", "papermill.clientwrap", "PapermillNotebookClient", "execute cells as papermill does"),
    PrivateApi("papermill", "papermill.engines", "NBClientEngine", "fall back to the standard engine"),
    PrivateApi("nbclient", CLIENT, "_async_poll_kernel_alive", "notice at once that a kernel died"),
    PrivateApi("nbclient", CLIENT, "task_poll_for_reply", "stop waiting for the reply of a dead kernel"),
    PrivateApi("nbclient", CLIENT, "_update_display_id", "log outputs that a later cell changes"),
    PrivateApi("nbclient", CLIENT, "_display_id_map", "restore displays that a later cell updates"),
    PrivateApi("nbclient", CLIENT, "widget_state", "restore widgets"),
    PrivateApi("nbclient", CLIENT, "widget_buffers", "restore widgets"),
    PrivateApi("nbclient", CLIENT, "comm_objects", "see that a notebook talks with widgets"),
)
KERNEL_APIS = (
    PrivateApi("Python", "subprocess", "_args_from_interpreter_flags", "restart the parent with its options"),
    PrivateApi("Python", "threading", "_shutdown", "join threads before the process exits"),
    PrivateApi("Python", "atexit", "_run_exitfuncs", "run exit hooks before the process exits"),
    PrivateApi("Python", "weakref:finalize", "_registry", "find temporary folders"),
    PrivateApi("Python", "asyncio", "_set_running_loop", "continue a running event loop after a fork"),
    PrivateApi("Python", SELECTOR_LOOP, "_selector", "give a forked event loop new descriptors"),
    PrivateApi("Python", SELECTOR_LOOP, "_ssock", "give a forked event loop new descriptors"),
    PrivateApi("Python", SELECTOR_LOOP, "_csock", "give a forked event loop new descriptors"),
    PrivateApi("Python", SELECTOR_LOOP, "_internal_fds", "give a forked event loop new descriptors"),
    PrivateApi("Python", SELECTOR_LOOP, "_make_self_pipe", "give a forked event loop new descriptors"),
    PrivateApi("ipykernel", STREAM, "_fid", "give a forked output stream a new pipe"),
    PrivateApi("ipykernel", STREAM, "_watch_pipe_fd", "give a forked output stream a new thread"),
    PrivateApi("ipykernel", STREAM, "watch_fd_thread", "give a forked output stream a new thread"),
    PrivateApi("ipykernel", STREAM, "_master_pid", "make a forked process the owner of its output streams"),
    PrivateApi("ipykernel", STREAM, "_buffer_lock", "give a forked output stream a new lock"),
    PrivateApi("ipykernel", "ipykernel.iostream", "IOPubThread", "publish through the connection to the driver"),
    PrivateApi("ipykernel", "ipykernel.iostream", "BackgroundSocket", "publish through the connection to the driver"),
    PrivateApi("ipykernel", KERNEL, "shell_main", "know when a request is done"),
    PrivateApi("ipykernel", KERNEL, "_at_shutdown", "terminate child processes as ipykernel does"),
    PrivateApi("ipykernel", KERNEL, "_supports_kernel_subshells", "run without ipykernel's shell threads"),
    PrivateApi("ipykernel", KERNEL, "shell_channel_thread", "run without ipykernel's shell threads"),
    *(PrivateApi("ipykernel", APP, hook, "run on one connection instead of ZeroMQ's sockets") for hook in APP_HOOKS),
)


def find_missing(apis: Collection[PrivateApi]) -> str | None:
    """Return which private API is missing, in a sentence; None when all are there."""
    for api in apis:
        module, _, name = api.owner.partition(":")
        try:
            owner = importlib.import_module(module)
            owner = getattr(owner, name) if name else owner
        except (ImportError, AttributeError):
            owner = None
        if owner is None or not (hasattr(owner, api.name) or _assigns(owner, api.name)):
            return (
                f"{installed(api.library)} has no {api.owner}.{api.name}, needed to {api.use} ({checked(api.library)})"
            )
    return None


def _assigns(owner: Any, name: str) -> bool:
    """Return whether a method of a class assigns an attribute, which instances then have."""
    methods = [value for base in getattr(owner, "__mro__", ()) for value in vars(base).values()]
    codes = [value.__code__ for value in methods if isinstance(value, types.FunctionType)]
    stores = (step for code in codes if name in code.co_names for step in dis.get_instructions(code))
    return any(step.opname == "STORE_ATTR" and step.argval == name for step in stores)


def installed(library: str) -> str:
    """Return the name and version of a library."""
    version = sys.version.split()[0] if library == "Python" else importlib.metadata.version(library)
    return f"{library} {version}"


def checked(library: str) -> str:
    """Return with which versions of a library its APIs were checked."""
    return f"checked with {library} {CHECKED[library]}"


# Python: subprocess, threading, atexit, weakref


def interpreter_flags() -> list[str]:
    """Return the options that this interpreter was started with."""
    return list(subprocess._args_from_interpreter_flags())  # type: ignore[attr-defined]


def join_threads() -> None:
    """Wait for the threads that are not daemons, as the interpreter does at its end."""
    threading._shutdown()  # type: ignore[attr-defined]


def run_exit_hooks() -> None:
    """Call the functions registered with atexit."""
    atexit._run_exitfuncs()


def has_temporary_directory() -> bool:
    """Return whether a `tempfile.TemporaryDirectory` is alive."""
    finalizers = [finalizer.peek() for finalizer in list(weakref.finalize._registry)]  # type: ignore[attr-defined]
    return any(alive is not None and isinstance(alive[0], tempfile.TemporaryDirectory) for alive in finalizers)


# asyncio: a running event loop after a fork


def wakeup_descriptors(loop: Any) -> set[int]:
    """Return the descriptors by which an event loop wakes itself."""
    return {loop._ssock.fileno(), loop._csock.fileno()}


def watched_descriptors(loop: Any) -> set[int]:
    """Return the descriptors that an event loop waits for."""
    return {key.fd for key in loop._selector.get_map().values()}


def detach_event_loop(loop: Any) -> None:
    """In a fork: close the loop's descriptors, which it shares with the other process; it then waits for nothing."""
    loop._selector.close()  # only the descriptor: the other process goes on polling
    loop._ssock.close()
    loop._csock.close()
    loop._selector = selectors.SelectSelector()  # has no descriptor


def reattach_event_loop(loop: Any, running: bool = True) -> None:
    """In a fork: give a detached loop new descriptors, and have it count as running."""
    loop._selector = selectors.DefaultSelector()
    loop._internal_fds -= 1
    loop._make_self_pipe()
    if running:
        asyncio._set_running_loop(loop)


# ipykernel: streams that a snapshot takes along, the shutdown of child processes, no subshells


def watches_descriptor(stream: Any) -> bool:
    """Return whether an output stream has replaced descriptor 1 or 2 by a pipe that it reads."""
    try:
        stream.fileno()
    except (AttributeError, io.UnsupportedOperation):
        return False
    return True


def stream_thread(stream: Any) -> threading.Thread:
    """Return the thread that reads the pipe of an output stream that watches a descriptor."""
    thread: threading.Thread = stream.watch_fd_thread
    return thread


def close_stream_pipe(stream: Any) -> None:
    """In a fork: close both ends of the pipe that an output stream reads, wherever they are, but not 1 and 2."""
    pipe = os.readlink(f"/proc/self/fd/{stream._fid}")
    for name in os.listdir("/proc/self/fd"):
        try:
            if os.readlink(f"/proc/self/fd/{name}") == pipe and int(name) > 2:
                os.close(int(name))
        except OSError:
            continue


def reopen_stream(stream: Any, number: int) -> None:
    """In a fork: make an output stream this process's own, with a lock, pipe and thread; `number` is 1 or 2."""
    stream._master_pid = os.getpid()
    stream._buffer_lock = threading.RLock()
    if watches_descriptor(stream):
        stream._fid, end = os.pipe()
        os.dup2(end, number)
        os.close(end)
        stream.watch_fd_thread = threading.Thread(target=stream._watch_pipe_fd, daemon=True)
        stream.watch_fd_thread.start()


async def terminate_children(kernel: Any) -> None:
    """Terminate the child processes of a kernel as ipykernel does at its end: interrupted first, killed last."""
    await kernel._at_shutdown()


def handles_requests_directly(kernel_class: Any) -> bool:
    """Return whether a kernel's request is done when its handler returns, and not put into a queue (ipykernel 7.0)."""
    names = kernel_class.start.__code__.co_names
    return "shell_main" in names and "dispatch_queue" not in names


def without_subshells(cls: C) -> C:
    """Decorate an ipykernel kernel class: it has no threads for subshells, whatever its `shell_channel_thread` is."""
    cls._supports_kernel_subshells = property(lambda self: False)  # type: ignore[attr-defined]
    return cls


# nbclient: how it notices that a kernel died, and what it knows of displays and widgets


def nbclient_hooks(cls: C) -> C:
    """Decorate a notebook client: nbclient calls its `wait_for_kernel_exit` and `before_display_update`.

    The first is a coroutine that returns when the kernel is gone; nbclient then stops waiting for its reply. The second
    gets a display id before the outputs with this id change.
    """
    update = getattr(cls, "_update_display_id", None)

    async def poll_kernel_alive(client: Any) -> None:
        await client.wait_for_kernel_exit()
        client.log.error("Kernel died while waiting for execute reply.")
        if client.task_poll_for_reply is not None:
            client.task_poll_for_reply.cancel()

    def update_display_id(client: Any, display_id: str, message: Any) -> None:
        client.before_display_update(display_id)
        assert update is not None
        update(client, display_id, message)

    cls._async_poll_kernel_alive = poll_kernel_alive  # type: ignore[attr-defined]
    cls._update_display_id = update_display_id  # type: ignore[attr-defined]
    return cls


def calls_hooks(client: Any) -> bool:
    """Return whether nbclient calls what `nbclient_hooks` overrides, with the arguments that are expected."""
    calls = {*client.async_execute_cell.__func__.__code__.co_names, *client.process_message.__func__.__code__.co_names}
    arguments = len(inspect.signature(client._update_display_id).parameters)
    return {"_async_poll_kernel_alive", "_update_display_id"} <= calls and arguments == 2


def displays(client: Any) -> dict[str, dict[int, list[int]]]:
    """Return display id -> cell index -> indices of the outputs with that id; changes of it reach nbclient."""
    by_display_id: dict[str, dict[int, list[int]]] = client._display_id_map
    return by_display_id
