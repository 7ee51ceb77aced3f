"""A second Ctrl-C ends a run at once; the record and the command to continue with stay."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import toys

STUBBORN = """import time
while True:
    try:
        time.sleep(60)
    except KeyboardInterrupt:
        pass
"""


@pytest.mark.parametrize(
    "pauses", [(0.2,), (0.2, 0.2), (0.5, 0.05, 0.1)]
)  # after each Ctrl-C; the report takes a moment
def test_ctrl_c_keeps_the_record_and_the_command(tmp_path: Path, pauses: tuple[float, ...]) -> None:
    root = toys.chain(tmp_path)
    toys.edit(root, "20_double", 'stage.save("double"', f'{STUBBORN}stage.save("double"')
    command = [sys.executable, "-m", "mlnb.cli.main", "run"]
    with subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        assert process.stdout is not None
        next(line for line in process.stdout if "double" in line)
        time.sleep(1)
        started = time.monotonic()
        for pause in pauses:
            process.send_signal(signal.SIGINT)
            time.sleep(pause)
        text = process.stdout.read()
        process.wait()
    assert time.monotonic() - started < 10
    assert process.returncode in (130, -signal.SIGINT)
    assert "continue  mlnb run" in text and "Traceback" not in text
    assert toys.record(root)["state"] == "interrupted"
    assert toys.states(root)["double"] == "interrupted"
    assert toys.kernels(root) == []
    toys.mlnb(root, "kernels", "stop", "--now")
