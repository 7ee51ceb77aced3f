"""The memory that is available: the least of machine, control groups and setting."""

from pathlib import Path

import psutil
import pytest

from mlnb.available_memory import MB, available_memory


def write(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n")


V2 = {
    "proc/self/cgroup": "0::/pod/box",
    "sys/fs/cgroup/pod/memory.max": str(900 * MB),
    "sys/fs/cgroup/pod/memory.current": str(500 * MB),
    "sys/fs/cgroup/pod/memory.stat": f"anon 1\ninactive_file {50 * MB}",
    "sys/fs/cgroup/pod/box/memory.max": "max",
    "sys/fs/cgroup/pod/box/memory.current": str(400 * MB),
    "sys/fs/cgroup/pod/box/memory.stat": "inactive_file 0",
}
V1 = {
    "proc/self/cgroup": "5:cpu,cpuacct:/box\n4:memory:/box\n0::/",
    "sys/fs/cgroup/memory/box/memory.limit_in_bytes": str(300 * MB),
    "sys/fs/cgroup/memory/box/memory.usage_in_bytes": str(100 * MB),
    "sys/fs/cgroup/memory/box/memory.stat": f"inactive_file 7\ntotal_inactive_file {10 * MB}",
    "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712",
}


@pytest.fixture(autouse=True)
def machine(monkeypatch: pytest.MonkeyPatch) -> None:
    class Memory:
        available = 2000 * MB

    monkeypatch.setattr(psutil, "virtual_memory", Memory)


@pytest.mark.parametrize(
    ("files", "expected"), [(V2, 450), (V1, 210), ({}, 2000), ({"proc/self/cgroup": "0::/"}, 2000)]
)
def test_control_groups_limit_the_memory(tmp_path: Path, files: dict[str, str], expected: int) -> None:
    write(tmp_path, files)
    assert available_memory(root=tmp_path) == expected * MB


def test_the_setting_lowers_it_and_never_raises_it(tmp_path: Path) -> None:
    write(tmp_path, V1)
    assert available_memory(100, tmp_path) == 100 * MB and available_memory(5000, tmp_path) == 210 * MB


def test_an_exhausted_group_has_none_left(tmp_path: Path) -> None:
    write(tmp_path, V1 | {"sys/fs/cgroup/memory/box/memory.usage_in_bytes": str(400 * MB)})
    assert available_memory(root=tmp_path) == 0


def test_a_group_that_cannot_be_read_counts_as_unlimited(tmp_path: Path) -> None:
    write(tmp_path, V1 | {"sys/fs/cgroup/memory/box/memory.stat": "broken"})
    assert available_memory(root=tmp_path) == 2000 * MB
