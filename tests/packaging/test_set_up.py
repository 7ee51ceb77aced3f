"""The set-up by `make`: which Python, when it is repeated, and how it recovers."""

import ast
import ensurepip
import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

ROOT = Path(__file__).resolve().parents[2]
NEEDED = ("Makefile", "requirements-dev.txt", "setup.py", "settings.ini")
pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="no make here")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout whose set-up only prints that it was called, and creates its marker file."""
    for name in NEEDED:
        shutil.copy(ROOT / name, tmp_path)
    (tmp_path / "scripts").mkdir()
    (tmp_path / "scripts" / "environment.py").write_text(
        "import os, pathlib, sys\n"
        "print('set up by', sys.executable)\n"
        "bin = pathlib.Path('.venv/bin'); bin.mkdir(parents=True, exist_ok=True)\n"
        "python = bin / 'python'; python.exists() or python.symlink_to(sys.executable)\n"
        "mlnb = bin / 'mlnb'; mlnb.write_text('#!/bin/sh\\necho mlnb \"$@\"\\n'); mlnb.chmod(0o755)\n"
        "[old.unlink() for old in pathlib.Path('.venv').glob('.ready-*')]\n"
        "pathlib.Path(sys.argv[2]).touch()\n"
    )
    return tmp_path


def make(folder: Path, *arguments: str) -> tuple[int, str]:
    environment = {"PATH": f"{Path(sys.executable).parent}:{os.defpath}", "HOME": str(folder)}
    done = subprocess.run(["make", *arguments], cwd=folder, env=environment, capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


def test_help_is_the_default_and_needs_no_set_up(checkout: Path) -> None:
    code, text = make(checkout)
    assert code == 0
    assert "set up by" not in text
    for target in ("run", "test", "check", "lab", "serve", "bench", "constraints", "clean"):
        assert f"\n  {target} " in text


def test_the_first_command_sets_up_and_the_second_does_not(checkout: Path) -> None:
    code, text = make(checkout, "run", "ARGS=--upto split")
    assert (code, "set up by" in text, "mlnb run --upto split" in text) == (0, True, True), text
    assert make(checkout, "run") == (0, "mlnb run\n")


@pytest.mark.parametrize(
    ("name", "old", "new", "stale"),
    [
        ("requirements-dev.txt", "pandas==", "pandas==9.", True),
        ("setup.py", "setup(", "setup( ", True),
        ("settings.ini", "optuna>=", "optuna>=9.", True),
        ("settings.ini", "workers = 2", "workers = 3", False),
    ],
)
def test_only_changed_requirements_repeat_the_set_up(
    checkout: Path, name: str, old: str, new: str, stale: bool
) -> None:
    make(checkout, "run")
    text = (checkout / name).read_text(encoding="utf-8")
    assert old in text
    (checkout / name).write_text(text.replace(old, new, 1), encoding="utf-8")
    assert ("set up by" in make(checkout, "run")[1]) is stale


def test_a_deleted_python_is_replaced(checkout: Path) -> None:
    make(checkout, "run")
    (checkout / ".venv/bin/python").unlink()
    (checkout / ".venv/bin/python").symlink_to(checkout / "gone")
    code, text = make(checkout, "run", f"PYTHON={sys.executable}")
    assert "set up by" in text, (code, text)


def test_a_missing_or_old_python_is_reported(checkout: Path) -> None:
    code, text = make(checkout, "run", "PYTHON=/no/such/python")
    assert code == 2
    assert "No Python 3.11 or newer found, /no/such/python is not one" in text
    old = checkout / "old"
    old.write_text("#!/bin/sh\nexit 1\n")
    old.chmod(0o755)
    assert "No Python 3.11 or newer found" in make(checkout, "run", f"PYTHON={old}")[1]


@pytest.fixture
def environment(tmp_path: Path) -> ModuleType:
    """The set-up script, working in a temporary folder."""
    spec = importlib.util.spec_from_file_location("environment_script", ROOT / "scripts" / "environment.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.ROOT, module.VENV = tmp_path, tmp_path / ".venv"
    module.PYTHON, module.UNFINISHED = tmp_path / ".venv/bin/python", tmp_path / ".venv/.set-up-unfinished"
    module.UNPACKED = tmp_path / ".venv/.unpacked-pip"
    shutil.copy(ROOT / module.LOCKED, tmp_path)
    return module


def test_an_interrupted_set_up_is_repeated(environment: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    created = []
    monkeypatch.setattr(environment.venv, "create", lambda folder, **_: created.append(folder))
    monkeypatch.setattr(environment, "unpack_pip", lambda: False)
    (environment.VENV / "bin").mkdir(parents=True)
    environment.PYTHON.symlink_to(sys.executable)
    (environment.VENV / "half-written").touch()
    environment.UNFINISHED.touch()
    environment.create()
    assert created == [environment.VENV]
    assert not (environment.VENV / "half-written").exists()
    assert environment.UNFINISHED.exists()


def test_uv_is_installed_with_the_pip_of_python_while_pip_is_installed(
    environment: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    installing = environment.create()
    assert environment.pip("--version", quiet=True).stdout.startswith(
        f"pip {ensurepip.version()} from {environment.VENV}"
    )
    monkeypatch.setattr(environment, "install_with_uv", lambda *_: environment.UNPACKED.exists())
    environment.install(installing)
    assert installing.returncode == 0 and not environment.UNPACKED.exists()
    text = environment.pip("--version", quiet=True).stdout
    assert text.startswith(f"pip {ensurepip.version()}") and str(environment.VENV / "lib") in text


def test_a_pip_that_cannot_be_installed_ends_the_set_up(
    environment: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(environment, "install_with_uv", lambda *_: True)
    with pytest.raises(SystemExit, match="apt install python3-venv"):
        environment.install(SimpleNamespace(wait=lambda: 1))


@pytest.mark.parametrize("folder", ["nowhere", ""])
def test_a_python_without_files_of_pip_installs_it_first(
    environment: ModuleType, monkeypatch: pytest.MonkeyPatch, folder: str
) -> None:
    """As that of Debian, whose files are elsewhere or belong to another package."""
    options: list[dict[str, bool]] = []
    monkeypatch.setattr(environment.venv, "create", lambda _, **given: options.append(given))
    monkeypatch.setattr(environment.sysconfig, "get_config_var", lambda _: str(environment.ROOT / "nowhere"))
    if not folder:
        monkeypatch.setattr(environment.importlib.util, "find_spec", lambda _: None)
    assert environment.create() is None and [each["with_pip"] for each in options] == [True]


def test_an_environment_created_by_hand_is_kept(environment: ModuleType) -> None:
    (environment.VENV / "bin").mkdir(parents=True)
    environment.PYTHON.symlink_to(sys.executable)
    (environment.VENV / "mine").touch()
    environment.create()
    assert (environment.VENV / "mine").exists()


def test_metadata_of_an_earlier_build_is_removed(environment: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    old = environment.ROOT / "mlnb.egg-info"
    old.mkdir()
    (environment.VENV / "bin").mkdir(parents=True)
    environment.PYTHON.symlink_to(sys.executable)
    monkeypatch.setattr(sys, "argv", ["environment.py"])
    monkeypatch.setattr(environment, "install", lambda _: None)
    monkeypatch.setattr(environment, "compile_imports", lambda: None)
    environment.main()
    assert not old.exists() and not environment.UNFINISHED.exists()


def test_modules_that_a_run_imports_are_compiled(environment: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[list[str]] = []

    def start(command: list[str], **_: object) -> subprocess.Popen[bytes]:
        started.append(command)
        return subprocess.Popen([sys.executable, "-S", "-c", "raise SystemExit(1)"])

    monkeypatch.setattr(environment, "subprocess", SimpleNamespace(Popen=start, DEVNULL=subprocess.DEVNULL))
    environment.compile_imports()  # an import that fails is reported by the command that needs it
    assert [command[-1] for command in started] == list(environment.IMPORTS)
    names = [alias.name for code in environment.IMPORTS for node in ast.walk(ast.parse(code)) for alias in named(node)]
    assert "mlnb.cli.run" in names and all(importlib.util.find_spec(name) for name in names)
    assert [*(ROOT / "mlnb" / "stages").glob("[a-z]*.py")]


def named(node: ast.AST) -> list[ast.alias]:
    return node.names if isinstance(node, ast.Import) else []


@pytest.mark.parametrize(
    ("settings", "expected"), [({}, None), ({"index-url": "https://a.example/"}, "https://a.example/")]
)
def test_uv_uses_the_index_of_pip(
    environment: ModuleType, monkeypatch: pytest.MonkeyPatch, settings: dict[str, str], expected: str | None
) -> None:
    seen = {}

    def run(command: list[str], env: dict[str, str], **_: object) -> subprocess.CompletedProcess[str]:
        seen.update(env)
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.delenv("UV_DEFAULT_INDEX", raising=False)
    monkeypatch.setattr(environment, "pip_settings", lambda: settings)
    monkeypatch.setattr(environment, "pip", lambda *a, **k: subprocess.CompletedProcess(a, 0))
    monkeypatch.setattr(environment.subprocess, "run", run)
    environment.VENV.mkdir()
    assert environment.install_with_uv([])
    assert seen.get("UV_DEFAULT_INDEX") == expected


def test_only_files_with_listed_digests_are_installed(environment: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    commands: list[tuple[str, ...]] = []

    def pip(*arguments: str, **_: object) -> subprocess.CompletedProcess[str]:
        commands.append(arguments)
        return subprocess.CompletedProcess(arguments, 0)

    monkeypatch.setattr(environment, "pip_settings", dict)
    monkeypatch.setattr(environment, "pip", pip)
    monkeypatch.setattr(environment.subprocess, "run", lambda c, **_: subprocess.CompletedProcess(c, 1))
    environment.VENV.mkdir()
    environment.install()  # uv fails, pip does not
    pinned = (environment.VENV / "uv.txt").read_text(encoding="utf-8")
    assert pinned.startswith("uv==") and pinned.count("==") == 1 and "--hash=sha256:" in pinned
    for command in commands:
        assert "--require-hashes" in command or {"--no-deps", "--editable"} <= set(command), command


def test_pip_installs_when_the_index_may_not_be_queried(
    environment: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(environment, "pip_settings", lambda: {"no-index": "true"})
    assert not environment.install_with_uv([])
