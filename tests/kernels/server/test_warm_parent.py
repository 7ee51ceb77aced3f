"""The warm parent: what it preloads, when it restarts, who may connect, and how many kernels it runs."""

import os
import re
import stat
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import nbformat
import papermill
import pytest
from waiting import wait_for

from kernels.corpus import compare
from kernels.projects import find_parents, run, status
from mlnb.cli.main import main
from mlnb.kernels.driver import parent_client
from mlnb.kernels.protocol import parent_paths
from mlnb.kernels.server import warm_parent
from mlnb.kernels.server.kernel_processes import KernelProcesses


def test_what_notebooks_import_is_ready_the_next_time(project: Path) -> None:
    outputs, _ = run(project, "import sys\nready = 'numpy' in sys.modules\nimport numpy", "ready")
    assert "True" in outputs  # imported before the fork
    assert "numpy" in status(project).preloaded


def test_what_the_project_imports_in_functions_is_preloaded_and_nothing_that_it_does_not_name(project: Path) -> None:
    (project / "helper.py").write_text("def late():\n    import joblib\n    return joblib\n")
    outputs, _ = run(project, "import helper, sys\nbefore = 'joblib' in sys.modules\nhelper.late()\nbefore")
    assert "False" in outputs
    run(project, "import numpy\n__import__('thread' + 'poolctl')")  # requested after the other kernel's report
    wait_for(lambda: "joblib" in status(project).preloaded, 30, "preloaded joblib")
    outputs, _ = run(project, "import sys\n'joblib' in sys.modules, 'threadpoolctl' in sys.modules")
    assert "True, False" in outputs


def test_a_library_that_checks_for_a_notebook_is_left_to_the_notebook(project: Path) -> None:
    _, error = run(project, "import tqdm.auto, tqdm.notebook\nprint(tqdm.auto.tqdm.__module__)")
    assert error == ""
    assert not any(name.startswith("tqdm.auto") for name in status(project).preloaded)


def test_an_import_with_side_effects_restarts_the_parent_in_the_same_process(project: Path) -> None:
    run(project, "1")
    before = status(project)
    _, error = run(project, "try:\n    import tqdm.keras\nexcept ImportError:\n    pass")  # there is no Keras
    after = status(project)
    assert error == "" and after.pid == before.pid and after.started > before.started
    assert "fails to import" in after.rejected["tqdm.keras"]


def test_only_the_owner_can_access_the_folder(project: Path) -> None:
    run(project, "1")
    folder = parent_paths.settings(project).folder
    assert folder == project / ".mlnb" / "kernels"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    (socket,) = folder.glob("*.sock")
    assert stat.S_IMODE(socket.stat().st_mode) == 0o600


def test_a_long_path_is_supported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / ("long" * 30)
    folder.mkdir()
    (folder / "settings.ini").write_text("[mlnb]\n")
    monkeypatch.chdir(folder)
    assert "'2'" in run(folder, "1 + 1")[0] and status(folder).served == 1
    assert parent_client.stop(find_parents(folder)[0])


def test_another_environment_has_another_parent(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(project, "1")
    before = len(find_parents(project))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert "'1'" in run(project, "import os\nos.environ['OMP_NUM_THREADS']")[0]
    assert len(find_parents(project)) == before + 1


def test_a_stale_socket_is_replaced(project: Path) -> None:
    run(project, "1")
    for paths in find_parents(project):
        parent_client.stop(paths, kill_kernels=True)
        wait_for(lambda paths=paths: not paths.socket_path.exists(), 30, "the end of the parent")
        paths.socket_path.touch()
    assert "'4'" in run(project, "2 + 2")[0]


def test_it_ends_when_idle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "settings.ini").write_text("[mlnb]\nkernels_idle = 1\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLNB_KERNELS_IDLE", raising=False)
    run(tmp_path, "1")
    assert status(tmp_path)
    # A request of its status would count as activity.
    wait_for(lambda: not find_parents(tmp_path), 30, "the end of the idle parent")
    assert not status(tmp_path)


def test_the_command_shows_and_stops_it(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(project, "import numpy")
    assert main(["kernels", "status"]) == 0
    assert re.search(r"process \d+, Python .* notebooks served", capsys.readouterr().out)
    assert main(["kernels", "stop"]) == 0 and "stopped" in capsys.readouterr().out
    wait_for(lambda: not status(project), 30, "the end of the parent")
    assert main(["kernels"]) == 0 and "No warm parent" in capsys.readouterr().out


def test_notebooks_run_in_parallel(project: Path) -> None:
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
def test_a_read_only_folder_is_reported(project: Path, engine: str) -> None:
    if os.getuid() == 0:
        pytest.skip("root may write anywhere")
    (project / "closed").mkdir(mode=0o500)
    nbformat.write(compare.notebook(["1"]), project / "one.ipynb")
    with pytest.raises(OSError, match="closed"):
        papermill.execute_notebook("one.ipynb", "closed/out.ipynb", engine_name=f"test-{engine}")


def test_a_kernel_waits_for_memory_that_its_container_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    kernels = KernelProcesses()
    kernels.add(1, "a kernel", pausing=True)
    kernels.max_memory = 1 << 20
    parent = SimpleNamespace(kernels=kernels)
    request = SimpleNamespace(nested=False, jupyter_sockets=None, max_kernels=4)
    monkeypatch.setattr(warm_parent, "available_memory", lambda: 0)
    assert warm_parent.WarmParent._has_capacity(parent, request)  # for which the only kernel may wait
    kernels.resume(1)
    for available, enough in ((warm_parent.FREE_MEMORY, False), (2 * warm_parent.FREE_MEMORY, True)):
        monkeypatch.setattr(warm_parent, "available_memory", lambda available=available: available)
        assert warm_parent.WarmParent._has_capacity(parent, request) is enough
