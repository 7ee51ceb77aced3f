"""A long output is stored once, however many runs and pages show it."""

from pathlib import Path
from zipfile import is_zipfile

import toys
from in_process import mlnb_with_kernels

SIZE = 20_000_000


def test_a_long_output_is_stored_once(tmp_path: Path) -> None:
    root = toys.chain(tmp_path)
    toys.edit(root, "10_number", "stage.log(", f'print(("x" * 999 + "\\n") * {SIZE // 1000})\nstage.log(')
    mlnb_with_kernels(root, "run")
    mlnb_with_kernels(root, "run", "-p", "factor", "5")
    mlnb_with_kernels(root, "kernels", "stop")
    notebooks = list((root / "runs").glob("*/notebooks/10_number.ipynb"))
    assert len(notebooks) == 2 and all(path.stat().st_size > SIZE for path in notebooks)
    assert all(path.stat().st_mode & 0o777 == 0o400 for path in notebooks)
    # without the archive of mlnb's sources, which every project has
    paths = [path for path in root.rglob("*") if path.is_file() and not is_zipfile(path)]
    files = {path.stat().st_ino: path.stat().st_blocks * 512 for path in paths}
    assert sum(files.values()) < 1.1 * SIZE
    page = next((root / "runs").glob("*/notebooks/10_number.html"))
    assert page.stat().st_size < 1_000_000 and "characters are left out here" in page.read_text()
