"""The warm parent: what it imports ahead and what it leaves alone, when it renews itself, who may talk to it."""

import os
import re
import stat
import subprocess
import sys
import warnings
from pathlib import Path

import nbformat
import papermill
import pytest
from waiting import wait_for

from kernels.corpus import compare
from mlnb.cli.main import main
from mlnb.kernels.driver import notebook_imports, parent_client
from mlnb.kernels.protocol import parent_paths
from mlnb.kernels.server import preload


def run(folder: Path, *cells: object, **options: object) -> tuple[str, str]:
    document, said, _ = compare.execute("warm", compare.notebook(list(cells)), folder, **options)
    return str([cell.get("outputs") for cell in document.cells]), said


def status(folder: Path) -> dict[str, object]:
    start = parent_paths.settings(folder)
    found = [a for place in parent_paths.here(start.folder) if (a := parent_client.ask(place, {"verb": "status"}))]
    return found[0] if found else {}


def test_what_notebooks_import_is_ready_the_next_time(project: Path) -> None:
    shown, _ = run(project, "import sys\nready = 'numpy' in sys.modules\nimport numpy", "ready")
    assert "True" in shown  # imported before the fork already
    assert "numpy" in status(project)["imported"]


def test_what_the_project_imports_in_functions_is_learned_and_nothing_that_it_does_not_name(project: Path) -> None:
    (project / "helper.py").write_text("def late():\n    import joblib\n    return joblib\n")
    shown, _ = run(project, "import helper, sys\nbefore = 'joblib' in sys.modules\nhelper.late()\nbefore")
    assert "False" in shown
    run(project, "import numpy\n__import__('thread' + 'poolctl')")  # asked for after the other's last word
    wait_for(lambda: "joblib" in status(project)["imported"], 10, "the import of joblib ahead")
    shown, _ = run(project, "import sys\n'joblib' in sys.modules, 'threadpoolctl' in sys.modules")
    assert "True, False" in shown


def test_a_library_that_asks_or_speaks_or_fails_is_left_to_the_notebook(project: Path) -> None:
    _, said = run(project, "import tqdm.auto, tqdm.notebook\nprint(tqdm.auto.tqdm.__module__)")
    assert said == ""
    assert not any(name.startswith("tqdm.auto") for name in status(project)["imported"])


def test_refusals_have_reasons(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    warnings.simplefilter("default")
    sources = {
        "lib_fails": ("1 / 0", "fails to import: ZeroDivisionError"),
        "lib_warns": ("import warnings; warnings.warn('old')", "warns: old"),
        "lib_prints": ("print('hello')", "prints: hello"),
        "lib_thread": (
            "import threading, time; threading.Thread(target=time.sleep, args=(1,), daemon=True).start()",
            "starts",
        ),
        "lib_shell": ("getattr(get_ipython(), 'events', None)", "uses the notebook's shell"),
        "lib_exits": ("raise SystemExit", "fails to import"),
    }
    streams = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = preload.Standin("stdout"), preload.Standin("stderr")
    try:
        for name, (source, why) in sources.items():
            (tmp_path / f"{name}.py").write_text(source)
            never: dict[str, str] = {}
            assert preload.preload([name], set(), never, lambda trying: None) and why in never[name]
        (tmp_path / "lib_fine.py").write_text(
            "ip = get_ipython(); inside = hasattr(ip, 'kernel'), 'IPKernelApp' in ip.config"
        )
        done: set[str] = set()
        assert not preload.preload(["lib_fine"], done, {}, lambda trying: None) and done == {"lib_fine"}
        assert sys.modules["lib_fine"].inside == (True, True)
    finally:
        sys.stdout, sys.stderr = streams


def test_some_names_are_never_imported_ahead() -> None:
    assert preload.allowed("pandas.core.frame", ()) and not preload.allowed("pandas", ("pandas",))
    assert not preload.allowed("torch.nn", ()) and not preload.allowed(
        "sklearn.experimental.enable_iterative_imputer", ()
    )


def test_imports_are_read_through_the_project_s_modules(tmp_path: Path) -> None:
    (tmp_path / "helper.py").write_text("import numpy\nfrom other import x\ndef f():\n    import pandas\n")
    (tmp_path / "other.py").write_text("try:\n    from scipy import stats\nexcept ImportError:\n    stats = None\n")
    cells = ["%matplotlib inline\nimport helper, os", "!ls\nimport json", "%%bash\nimport nothing", "x = ="]
    assert notebook_imports.needed(cells, tmp_path) == ["numpy", "scipy", "scipy.stats"]


def test_a_changed_file_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "lib_signed.py").write_text("x = 1")
    __import__("lib_signed")
    signed = preload.signature()
    assert preload.changed(signed) is None
    (tmp_path / "lib_signed.py").write_text("x = 12")
    assert preload.changed(signed) == str(tmp_path / "lib_signed.py")


def test_the_folder_is_the_owner_s_alone(project: Path) -> None:
    run(project, "1")
    folder = parent_paths.settings(project).folder
    assert folder == project / ".mlnb" / "kernels"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    (socket,) = folder.glob("*.sock")
    assert stat.S_IMODE(socket.stat().st_mode) == 0o600


def test_a_long_path_is_no_hindrance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / ("long" * 30)
    folder.mkdir()
    (folder / "settings.ini").write_text("[mlnb]\n")
    monkeypatch.chdir(folder)
    assert "'2'" in run(folder, "1 + 1")[0] and status(folder)["served"] == 1
    assert parent_client.ask(parent_paths.here(parent_paths.settings(folder).folder)[0], {"verb": "stop"})


def test_another_environment_has_another_parent(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(project, "1")
    before = len(parent_paths.here(parent_paths.settings(project).folder))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert "'1'" in run(project, "import os\nos.environ['OMP_NUM_THREADS']")[0]
    assert len(parent_paths.here(parent_paths.settings(project).folder)) == before + 1


def test_a_stale_socket_is_replaced(project: Path) -> None:
    run(project, "1")
    for place in parent_paths.here(parent_paths.settings(project).folder):
        parent_client.ask(place, {"verb": "stop", "now": True})
        wait_for(lambda place=place: not place.socket.exists(), 5, "the end of the parent")
        place.socket.touch()
    assert "'4'" in run(project, "2 + 2")[0]


def test_it_ends_when_idle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "settings.ini").write_text("[mlnb]\nkernels_idle = 1\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLNB_KERNELS_IDLE", raising=False)
    run(tmp_path, "1")
    assert status(tmp_path)
    # A request of its status would count as work.
    wait_for(lambda: not parent_paths.here(parent_paths.settings(tmp_path).folder), 10, "the end of the idle parent")
    assert not status(tmp_path)


def test_it_says_what_it_does_and_stops(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(project, "import numpy")
    assert main(["kernels", "status"]) == 0
    assert re.search(r"process \d+, Python .* notebooks served", capsys.readouterr().out)
    assert main(["kernels", "stop"]) == 0 and "stopped" in capsys.readouterr().out
    wait_for(lambda: not status(project), 5, "the end of the parent")
    assert main(["kernels"]) == 0 and "No warm parent" in capsys.readouterr().out


def test_notebooks_side_by_side(project: Path) -> None:
    nbformat.write(compare.notebook(["import time; time.sleep(0.5)\nimport os; os.getpid()"]), project / "side.ipynb")
    code = (
        "import sys; sys.modules['rfc3987_syntax'] = None\nimport papermill\n"
        "papermill.execute_notebook('side.ipynb', sys.argv[1], engine_name='mlnb', progress_bar=False)"
    )
    drivers = [subprocess.Popen([sys.executable, "-c", code, f"side{n}.ipynb"], cwd=project) for n in range(6)]
    assert [driver.wait(60) for driver in drivers] == [0] * 6
    pids = {nbformat.read(project / f"side{n}.ipynb", 4).cells[0].outputs[0]["data"]["text/plain"] for n in range(6)}
    assert len(pids) == 6


def test_a_notebook_may_run_a_notebook(project: Path) -> None:
    nbformat.write(compare.notebook(["6 * 7"]), project / "inner.ipynb")
    cell = (
        "import sys; sys.modules['rfc3987_syntax'] = None\nimport papermill\n"
        "papermill.execute_notebook('../inner.ipynb', 'x.ipynb', engine_name='mlnb').cells[0].outputs"
    )
    assert "42" in run(project / "outer", cell)[0]


@pytest.mark.parametrize("engine", ["standard", "warm"])
def test_a_read_only_folder_is_said(project: Path, engine: str) -> None:
    if os.getuid() == 0:
        pytest.skip("root may write anywhere")
    (project / "closed").mkdir(mode=0o500)
    nbformat.write(compare.notebook(["1"]), project / "one.ipynb")
    with pytest.raises(OSError, match="closed"):
        papermill.execute_notebook("one.ipynb", "closed/out.ipynb", engine_name=f"test-{engine}")


@pytest.mark.parametrize(
    ("spec", "says"), [({}, "No kernel name found"), ({"name": "julia", "language": "julia"}, "julia")]
)
def test_a_notebook_without_a_usable_kernel_fails_as_ever(project: Path, spec: dict[str, str], says: str) -> None:
    document = compare.notebook(["1"])
    document.metadata["kernelspec"] = spec
    if not spec:
        del document.metadata["kernelspec"]
    nbformat.write(document, project / "no.ipynb")
    for engine in ("standard", "warm"):
        with pytest.raises(Exception, match=says):
            papermill.execute_notebook("no.ipynb", "out.ipynb", engine_name=f"test-{engine}", progress_bar=False)


def test_the_papermill_command_knows_the_engine(project: Path) -> None:
    nbformat.write(compare.notebook([("a = 1", "parameters"), "a + 1"]), project / "command.ipynb")
    command = [sys.executable, "-m", "papermill", "--engine", "mlnb", "-p", "a", "41", "command.ipynb", "done.ipynb"]
    done = subprocess.run(command, cwd=project, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "42" in (project / "done.ipynb").read_text() and status(project)["served"]
