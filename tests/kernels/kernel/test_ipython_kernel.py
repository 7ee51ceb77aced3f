"""The forked kernel: requests between cells, and a command line like that of ipykernel."""

import asyncio
import socket
from pathlib import Path

from kernels.projects import run
from mlnb.kernels.kernel.ipython_kernel import ForkedApp, OneThread, ShellStream
from mlnb.kernels.protocol.wire import SHELL, FrameSocket


def test_a_request_reaches_the_handler_and_a_reply_the_driver() -> None:
    ours, theirs = socket.socketpair()
    stream = ShellStream(FrameSocket(ours))
    handled: list[list[bytes]] = []

    async def handler(parts: list[object]) -> None:
        handled.append([bytes(part) for part in parts])

    async def use() -> None:
        stream.on_recv(handler)
        stream.handle([b"request"])
        assert len(stream.tasks) == 1
        await asyncio.gather(*stream.tasks)

    asyncio.run(use())
    stream.send_multipart([b"reply"])
    stream.flush()
    assert handled == [[b"request"]] and not stream.tasks
    assert FrameSocket(theirs).receive() == (SHELL, [b"reply"])
    ours.close()
    theirs.close()


def test_the_thread_substitute_starts_no_thread() -> None:
    assert not OneThread() and OneThread().parent_thread.is_alive()


def test_the_usual_arguments_need_no_parser() -> None:
    usual = ["-f", "connection.json", "--HistoryManager.hist_file=:memory:"]
    for arguments in (usual, [*usual, "--InteractiveShell.colors=NoColor"]):
        app = ForkedApp(connection=None)
        app.parse_command_line(arguments)
        assert app.config.HistoryManager.hist_file == ":memory:"
        assert ("InteractiveShell" in app.config) == (arguments is not usual)


def test_half_a_surrogate_pair_is_printed_as_a_question_mark(project: Path) -> None:
    cell = "print('a\\ud800')\nfrom IPython.display import HTML\nHTML('<b>\\udcff</b>')"
    outputs, error = run(project, cell)
    assert not error and "'a?\\n'" in outputs and "text/html" in outputs


def test_it_has_no_subshells_and_no_debugger(project: Path) -> None:
    cell = (
        "import sys, threading\nkernel = get_ipython().kernel\n"
        "print(kernel._supports_kernel_subshells, 'debugpy' in sys.modules)\n"
        "print(sorted(type(t).__name__ for t in threading.enumerate()))"
    )
    assert "False False" in run(project, cell)[0]
