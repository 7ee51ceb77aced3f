"""A kernel in the terminal: reads, runs and prints until the end of the input or `exit`."""

import contextlib
import readline
import sys
import tempfile
from pathlib import Path
from typing import Any

from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import KernelManager

from mlnb.kernels.driver import jupyter_kernel
from mlnb.kernels.protocol.messages import JupyterMessage

START_SECONDS = 60.0  # in which the kernel must be ready
REPLY_SECONDS = 10.0  # in which it replies about completions and unfinished code


def run_console(folder: Path, **environment: str) -> int:
    """Start a kernel with these variables in its environment in `folder`, and use it in this terminal; return 0."""
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
            client.wait_for_ready(timeout=START_SECONDS)
            _loop(manager, client)
        finally:
            client.stop_channels()
            manager.shutdown_kernel(now=True)
    return 0


def _loop(manager: KernelManager, client: Any) -> None:
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
    """Read one statement, of as many lines as it takes."""
    lines = [input(prompt)]
    while True:
        text = "\n".join(lines)
        request = client.is_complete(text)
        state = client.get_shell_msg(timeout=REPLY_SECONDS)
        while state["parent_header"].get("msg_id") != request:
            state = client.get_shell_msg(timeout=REPLY_SECONDS)
        if state["content"]["status"] != "incomplete" or (len(lines) > 1 and not lines[-1].strip()):
            return text
        lines.append(input("...: ".rjust(len(prompt))))


def _run(manager: KernelManager, client: Any, code: str) -> JupyterMessage:
    """Run code, printing its output; Ctrl-C interrupts it. Return the reply."""
    while True:
        with contextlib.suppress(KeyboardInterrupt):
            allow_stdin = sys.stdin.isatty()
            reply: JupyterMessage = client.execute_interactive(code, allow_stdin=allow_stdin, output_hook=_print)
            return reply
        manager.interrupt_kernel()
        code = ""  # its reply comes after that of the interrupted code


def _print(message: JupyterMessage) -> None:
    """Print what code publishes."""
    kind, content = message["msg_type"], message["content"]
    if kind == "stream":
        print(content["text"], end="", file=getattr(sys, content["name"]), flush=True)
    elif kind in ("display_data", "execute_result", "update_display_data"):
        print(content["data"].get("text/plain", ""), flush=True)
    elif kind == "error":
        print("\n".join(content["traceback"]), file=sys.stderr, flush=True)


class Completer:
    """Completes names with the kernel's help; readline calls it for one candidate after another."""

    def __init__(self, client: Any) -> None:
        self.client = client
        self.matches: list[str] = []

    def __call__(self, text: str, number: int) -> str | None:
        """Return the candidate with this number for the word before the cursor, None after the last."""
        if number == 0:
            line, end = readline.get_line_buffer(), readline.get_endidx()
            content = self.client.complete(line, end, reply=True, timeout=REPLY_SECONDS)["content"]
            typed = line[content["cursor_start"] : end]
            self.matches = [text[: len(text) - len(typed)] + match for match in content["matches"]]
        return self.matches[number] if number < len(self.matches) else None
