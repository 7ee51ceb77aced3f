"""A kernel in the terminal: read, run, show, until the end of the input or `exit`."""

import contextlib
import readline
import sys
import tempfile
from pathlib import Path
from typing import Any

from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import KernelManager

from mlnb.kernels.driver import jupyter_kernel

READY = 60.0  # seconds in which the kernel must come
PROMPT = 10.0  # seconds for a question about unfinished code


def talk(folder: Path, **environment: str) -> int:
    """Start the kernel that `environment` describes in `folder`, and talk with it in this terminal; return 0."""
    with tempfile.TemporaryDirectory() as temporary:
        specs = jupyter_kernel.install(Path(temporary), "python3", "Python 3 (ipykernel)", **environment).parent
        manager = KernelManager(
            kernel_name="python3",
            kernel_spec_manager=KernelSpecManager(kernel_dirs=[str(specs)]),
            transport="ipc",
            ip=str(Path(temporary) / "kernel"),
        )
        manager.start_kernel(cwd=str(folder))
        client = manager.client()
        client.start_channels()
        try:
            client.wait_for_ready(timeout=READY)
            _converse(manager, client)
        finally:
            client.stop_channels()
            manager.shutdown_kernel(now=True)
    return 0


def _converse(manager: KernelManager, client: Any) -> None:
    readline.set_completer(Completer(client))
    readline.set_completer_delims(" \t\n`@#$%^&*()=+[{]}\\|;:'\",<>?")
    readline.parse_and_bind("tab: complete")
    number = int(client.execute("", store_history=False, reply=True)["content"]["execution_count"])
    while manager.is_alive():
        try:
            code = _read(client, f"In [{number}]: ")
        except EOFError:
            print()
            return
        except KeyboardInterrupt:
            print()
            continue
        if code.strip() in ("exit", "quit", "exit()", "quit()"):
            return
        if code.strip():
            reply = _run(manager, client, code)
            number = reply["content"].get("execution_count", number) + 1


def _read(client: Any, prompt: str) -> str:
    """Return the next piece of code, of as many lines as it takes."""
    lines = [input(prompt)]
    while True:
        text = "\n".join(lines)
        name = client.is_complete(text)
        state = client.get_shell_msg(timeout=PROMPT)
        while state["parent_header"].get("msg_id") != name:
            state = client.get_shell_msg(timeout=PROMPT)
        if state["content"]["status"] != "incomplete" or (len(lines) > 1 and not lines[-1].strip()):
            return text
        lines.append(input("...: ".rjust(len(prompt))))


def _run(manager: KernelManager, client: Any, code: str) -> dict[str, Any]:
    """Run code, showing what comes; Ctrl-C reaches the cell."""
    while True:
        with contextlib.suppress(KeyboardInterrupt):
            found: dict[str, Any] = client.execute_interactive(code, allow_stdin=sys.stdin.isatty(), output_hook=_show)
            return found
        manager.interrupt_kernel()
        code = ""  # its reply comes after that of the code that was interrupted


def _show(message: dict[str, Any]) -> None:
    """Print what a cell publishes."""
    kind, content = message["msg_type"], message["content"]
    if kind == "stream":
        print(content["text"], end="", file=getattr(sys, content["name"]), flush=True)
    elif kind in ("display_data", "execute_result", "update_display_data"):
        print(content["data"].get("text/plain", ""), flush=True)
    elif kind == "error":
        print("\n".join(content["traceback"]), file=sys.stderr, flush=True)


class Completer:
    """Asks the kernel for what may follow, as readline wants it: one candidate a call."""

    def __init__(self, client: Any) -> None:
        self.client = client
        self.found: list[str] = []

    def __call__(self, text: str, number: int) -> str | None:
        """Return the candidate of that number for the word before the cursor, None after the last."""
        if number == 0:
            reply = self.client.complete(readline.get_line_buffer(), readline.get_endidx(), reply=True, timeout=PROMPT)
            content = reply["content"]
            known = readline.get_line_buffer()[content["cursor_start"] : readline.get_endidx()]
            self.found = [text[: len(text) - len(known)] + match for match in content["matches"]]
        return self.found[number] if number < len(self.found) else None
