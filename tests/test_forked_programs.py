import json
import os
import subprocess
import sys

import forked_programs
import pytest
from forked_programs import Forks, Program

PROGRAM = """
import atexit, inspect, json, os, sys
begun = "decimal" in sys.modules
import decimal
print(json.dumps({
    "arguments": sys.argv, "all": sys.orig_argv, "depth": len(inspect.stack()),
    "flags": str(sys.flags), "path": sys.path, "folder": os.getcwd(), "input": sys.stdin.read(),
    "environment": {name: value for name, value in os.environ.items() if name != "LINES"}, "name": __name__,
    "parent": os.getppid(), "leader": [os.getpgrp() == os.getpid(), os.getsid(0) == os.getpid()],
    "terminal": sys.stdout.isatty(), "buffered": not sys.stdout.line_buffering,
    "descriptors": os.listdir("/proc/self/fd"),
}))
print(begun, file=sys.stderr)
atexit.register(print, "end")
sys.exit(7)
"""
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="an orphaned fork gets another parent on Linux only")


@pytest.fixture
def forks(monkeypatch):
    """Forks with no process yet, instead of those of the session."""
    monkeypatch.setattr(subprocess, "_fork_exec", forked_programs.Forks(subprocess._fork_exec.start))
    yield subprocess._fork_exec
    subprocess._fork_exec.end()


@pytest.mark.parametrize("session", [True, False])
@pytest.mark.parametrize("option", ["-P", "-m"])
def test_a_fork_is_as_a_new_process(tmp_path, monkeypatch, forks: Forks, option, session):
    script = tmp_path / "program.py"
    script.write_text(PROGRAM)
    command = (option, "program" if option == "-m" else str(script))
    monkeypatch.setattr(forked_programs, "PROGRAMS", (Program(command, "import decimal", frozenset({"COLOR"})),))
    results = []
    for active, color in ((False, "red"), (True, "red"), (True, "blue"), (True, "red")):
        forks.active = active
        done = subprocess.run(
            [sys.executable, *command, "--number", "3"],
            cwd=tmp_path,
            env={**os.environ, "COLOR": color},
            input="a line",
            capture_output=True,
            text=True,
            start_new_session=session,
            check=False,
        )
        assert (done.returncode, done.stderr) == (7, f"{active}\n")
        printed, end = done.stdout.splitlines()
        results.append(json.loads(printed))
        assert end == "end" and results[-1]["environment"].pop("COLOR") == color
        assert results[-1]["parent"] == os.getpid()
    assert results[0] == results[1] == results[2] == results[3]


def test_what_imports_may_read_starts_another_process(tmp_path, monkeypatch, forks: Forks):
    """And what is not usual is no fork."""
    (tmp_path / "program.py").write_text("import os, sys\nprint('decimal' in sys.modules, os.environ['COLOR'])")
    command = ("-P", str(tmp_path / "program.py"))
    monkeypatch.setattr(forked_programs, "PROGRAMS", (Program(command, "import decimal, os; os.environ['COLOR']"),))
    for number in range(6):
        values = {"env": {**os.environ, "COLOR": str(number)}, "text": True}
        assert subprocess.check_output([sys.executable, *command], **values) == f"True {number}\n"
    assert len(forks._origins) == forked_programs.KEPT
    assert subprocess.check_output([sys.executable, *command], **values, umask=0o77) == "False 5\n"
    with pytest.raises(AssertionError, match="imports of"):
        subprocess.check_output([sys.executable, *command], env={}, stderr=subprocess.DEVNULL)
