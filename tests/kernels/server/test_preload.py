"""Which imports are preloaded, and why others are not."""

import sys
import warnings
from pathlib import Path

import pytest

from mlnb.kernels.server import preload

SIDE_EFFECTS = {
    "lib_fails": ("1 / 0", "fails to import: ZeroDivisionError"),
    "lib_warns": ("import warnings; warnings.warn('old')", "warns: old"),
    "lib_prints": ("print('hello')", "prints: hello"),
    "lib_thread": (
        "import threading, time; threading.Thread(target=time.sleep, args=(1,), daemon=True).start()",
        "starts",
    ),
    "lib_shell": ("getattr(get_ipython(), 'events', None)", "uses the notebook's shell"),
    "lib_changes": ("get_ipython().x = 1", "changes the notebook's shell"),
    "lib_exits": ("raise SystemExit", "fails to import"),
}


def import_ahead(name: str, preloaded: set[str], rejected: dict[str, str], importing: list[str]) -> bool:
    """Preload a module with standard streams as in a warm parent; return whether it was rejected."""
    streams = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = preload.StreamProxy("stdout"), preload.StreamProxy("stderr")
    try:
        return preload.preload([name], preloaded, rejected, importing.append)
    finally:
        sys.stdout, sys.stderr = streams


@pytest.mark.parametrize("name", SIDE_EFFECTS)
def test_an_import_with_side_effects_is_rejected_with_a_reason(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, reason = SIDE_EFFECTS[name]
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / f"{name}.py").write_text(source)
    rejected: dict[str, str] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        assert import_ahead(name, set(), rejected, [])
    assert reason in rejected[name]


def test_a_library_sees_a_notebook_and_is_imported_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "lib_fine.py").write_text(
        "ip = get_ipython(); inside = hasattr(ip, 'kernel'), 'IPKernelApp' in ip.config"
    )
    preloaded: set[str] = set()
    importing: list[str] = []
    assert not import_ahead("lib_fine", preloaded, {}, importing)
    assert preloaded == {"lib_fine"} and importing == ["lib_fine", ""]
    assert sys.modules["lib_fine"].inside == (True, True)
    assert not import_ahead("lib_fine", preloaded, {}, importing) and importing == ["lib_fine", ""]


def test_a_name_may_be_an_attribute_of_a_package() -> None:
    preloaded: set[str] = set()
    for name in ("json.loads", "json.decoder"):
        assert not import_ahead(name, preloaded, {}, [])
    assert preloaded == {"json.loads", "json.decoder"}


def test_a_proxy_writes_to_the_current_stream(capsys: pytest.CaptureFixture[str]) -> None:
    proxy = preload.StreamProxy("stdout")
    proxy.write("captured")
    proxy.preloading = False
    proxy.write("written\n")
    proxy.flush()
    assert capsys.readouterr().out == "written\n" and proxy.captured == ["captured"] and not proxy.isatty()


def test_some_names_are_never_preloaded() -> None:
    assert preload.may_preload("pandas.core.frame", ()) and not preload.may_preload("pandas", ("pandas",))
    assert not preload.may_preload("torch.nn", ())
    assert not preload.may_preload("matplotlib_inline.config", ())  # its package uses the shell: a restart, if tried
    assert not preload.may_preload("sklearn.experimental.enable_iterative_imputer", ())


def test_third_party_is_what_is_installed() -> None:
    assert preload.is_third_party("numpy.linalg")
    assert not preload.is_third_party("json.decoder") and not preload.is_third_party("kernels")
    assert not preload.is_third_party("no_such_package")


def test_packages_are_read_from_the_project_s_own_modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "helper_named.py").write_text("import os\ndef late():\n    from joblib.memory import Memory\n")
    __import__("helper_named")
    names = ("helper_named", "numpy")
    __import__("numpy")
    assert preload.imported_packages([(name, sys.modules[name]) for name in names]) == {"os", "joblib"}


def test_a_changed_file_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "lib_stamped.py").write_text("x = 1")
    __import__("lib_stamped")
    stamps = preload.file_stamps()
    assert preload.file_stamps(stamps).keys() < stamps.keys()
    assert preload.changed_file(stamps) is None
    (tmp_path / "lib_stamped.py").write_text("x = 12")
    assert preload.changed_file(stamps) == str(tmp_path / "lib_stamped.py")
    (tmp_path / "lib_stamped.py").unlink()
    assert preload.file_stamp(str(tmp_path / "lib_stamped.py")) == (0, 0)
