"""What the operating system reports about this process."""

import subprocess
import sys

from mlnb.kernels.protocol import os_helpers


def test_a_process_keeps_its_identity_and_shares_it_with_none() -> None:
    assert os_helpers.process_identity() == os_helpers.process_identity()
    code = "from mlnb.kernels.protocol.os_helpers import process_identity as i; print(i())"
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
    assert other and other != os_helpers.process_identity()


def test_children_are_seen() -> None:
    code = (
        "import subprocess\nfrom mlnb.kernels.protocol.os_helpers import has_children\nbefore = has_children()\n"
        "p = subprocess.Popen(['sleep', '30'])\nprint(before, has_children())\np.kill(); p.wait()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False True\n"


def test_a_subreaper_waits_for_its_orphans() -> None:
    code = (
        "import os\nfrom mlnb.kernels.protocol.os_helpers import become_subreaper\nbecome_subreaper()\n"
        "child = os.fork()\nif not child:\n    grandchild = os.fork()\n    if not grandchild:\n"
        "        import time; time.sleep(0.2)\n    os._exit(0)\n"
        "os.waitpid(child, 0)\nprint(os.wait()[0] > 0)"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "True\n"
