"""Environments of reproductions: what is installed is what was recorded, and what is missing is named."""

import base64
import hashlib
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from mlnb.codec import replace
from mlnb.engine.digests import StatCache
from mlnb.errors import NotReproducible
from mlnb.governance.fresh_environment import build_environment, check_wheels, differences, verify_packages
from mlnb.governance.run_environment import Package, RunEnvironment, contents_digest, installed_packages, wheel_files


def install(folder: Path, name: str, source: str, installer: str = "pip") -> None:
    """Write an installed package with a script and the notes of an installer, as pip and uv do."""
    (folder / name).mkdir(parents=True)
    (folder / name / "__init__.py").write_text(source)
    digest = base64.urlsafe_b64encode(hashlib.sha256(source.encode()).digest()).decode().rstrip("=")
    info = folder / f"{name}-1.0.dist-info"
    info.mkdir()
    lines = [
        f"../../../bin/{name},sha256={installer},300",
        f"{name}/__init__.py,sha256={digest},{len(source)}",
        f"{name}/__pycache__/__init__.cpython-311.pyc,,",
        f"{name}-1.0.dist-info/INSTALLER,sha256={installer},4",
        f"{name}-1.0.dist-info/RECORD,,",
    ]
    (info / "RECORD").write_text("\n".join(lines if installer == "pip" else reversed(lines)) + "\n")


def packages(folder: Path) -> dict[str, Package]:
    return installed_packages([str(folder)], StatCache(folder / "cache.json"))


def environment(**fields: Any) -> RunEnvironment:
    default: dict[str, Any] = dict.fromkeys(("implementation", "system", "machine", "processor", "blas"), "")
    python = ".".join(map(str, sys.version_info[:3]))
    return RunEnvironment(**{**default, "python": python, "cores": 2, "threads": {}, "packages": {}, **fields})


def test_contents_are_equal_for_every_installer(tmp_path: Path) -> None:
    install(tmp_path / "a", "box", "x = 1\n")
    install(tmp_path / "b", "box", "x = 1\n", installer="uv")
    first, second = packages(tmp_path / "a")["box"], packages(tmp_path / "b")["box"]
    assert first.contents == second.contents and first.record != second.record
    install(tmp_path / "c", "box", "x = 2\n")
    assert packages(tmp_path / "c")["box"].contents != first.contents
    (tmp_path / "a" / "box-1.0.dist-info" / "direct_url.json").write_text('{"dir_info": {"editable": true}}')
    assert packages(tmp_path / "a")["box"].contents is None


def test_the_files_of_a_wheel_include_its_data_and_paths_with_commas() -> None:
    record = '../../../share/k.json,sha256=aa,1\n"box/a,b.txt",sha256=bb,1\nbox-1.0.dist-info/METADATA,sha256=c,1\n'
    assert [file.path for file in wheel_files(record)] == [
        "../../../share/k.json",
        "box/a,b.txt",
        "box-1.0.dist-info/METADATA",
    ]
    assert contents_digest(record) == contents_digest("".join(reversed(record.splitlines(keepends=True))))


def test_packages_with_other_files_are_named(tmp_path: Path) -> None:
    install(tmp_path, "box", "x = 1\n")
    recorded = packages(tmp_path)
    verify_packages(recorded, tmp_path)
    (tmp_path / "box" / "__init__.py").write_text("x = 2\n")
    with pytest.raises(NotReproducible, match=r"box/__init__\.py"):
        verify_packages(recorded, tmp_path)
    for other in ({"box": replace(recorded["box"], contents="0" * 64)}, {"Other_Box": recorded["box"]}):
        with pytest.raises(NotReproducible, match=f"{next(iter(other))}==1.0"):
            verify_packages(other, tmp_path)


def test_missing_wheels_are_named_all_at_once(tmp_path: Path) -> None:
    for file in ("my_box-1.0-py3-none-any.whl", "other-2.0-py3-none-any.whl", "no wheel.whl"):
        (tmp_path / file).touch()
    package = Package(version="1.0", record=None)
    check_wheels({"My.Box": package}, tmp_path)
    with pytest.raises(NotReproducible, match=r"other==1\.0, third==1\.0"):
        check_wheels({"My.Box": package, "other": package, "third": package}, tmp_path)


def test_what_pip_does_not_find_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    commands: list[list[str]] = []

    def run(command: list[str], **options: Any) -> subprocess.CompletedProcess[str]:
        commands.append(command)
        error = "ERROR: No matching distribution found for box==1.0" if "install" in command else ""
        return subprocess.CompletedProcess(command, int(bool(error)), "", error)

    monkeypatch.setattr(subprocess, "run", run)
    lines: list[str] = []
    package = Package(version="1.0", record="", contents="0" * 64)
    recorded = environment(packages={"box": package, "mlnb": package, "system": replace(package, contents=None)})
    (tmp_path / "environment").mkdir()
    with pytest.raises(NotReproducible, match=r"the wheels of box==1\.0: pip finds none"):
        build_environment(recorded, tmp_path / "environment", None, True, lines.append)
    assert lines == ["installs 1 packages with pip as it is configured, which may download them"]
    assert "--no-deps" in commands[-1] and "--no-index" not in commands[-1]
    assert (tmp_path / "environment" / "requirements.txt").read_text() == "box==1.0\n"


def test_a_record_without_wheels_or_with_another_python_is_refused(tmp_path: Path, monkeypatch: Any) -> None:
    old = Package(version="1.0", record="")
    for names, text in (("box",), "earlier version"), (("box", "mlnb"), "earlier version"):
        with pytest.raises(NotReproducible, match=text):
            build_environment(environment(packages=dict.fromkeys(names, old)), tmp_path, None, False, print)
    recorded = environment(packages={"mlnb": old, "box": replace(old, contents="0" * 64)})
    with pytest.raises(NotReproducible, match="editable"):
        build_environment(recorded, tmp_path, None, False, print)
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(NotReproducible, match=r"python3\.8 on the PATH"):
        build_environment(replace(recorded, python="3.8.1"), tmp_path, None, True, print)


def test_differences_between_environments() -> None:
    package = Package(version="1.0", record="", contents="0")
    first = environment(processor="A", packages={"box": package, "gone": package, "same": package, "files": package})
    changed = {"box": replace(package, version="2.0"), "files": replace(package, contents="1"), "new": package}
    second = replace(first, processor="B", packages={"same": package, **changed})
    assert differences(first, second) == [
        "processor: A -> B",
        "box: 1.0 -> 2.0",
        "files: 1.0, with other files",
        "gone: 1.0 -> not installed",
        "new: not installed -> 1.0",
    ]
    assert differences(first, first) == []
