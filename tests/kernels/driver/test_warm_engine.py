"""When the warm engine leaves a notebook to papermill's standard engine, and what it reports."""

import json
import sys
from pathlib import Path

import nbformat
import papermill
import pytest

from kernels.corpus import compare
from kernels.projects import run, status
from mlnb.kernels.driver import jupyter_kernel, parent_client, warm_engine
from mlnb.kernels.driver.execution import Execution
from mlnb.kernels.protocol import parent_paths

KERNEL = "type(get_ipython().kernel).__module__"


def reason(kernel_name: str = "python3", **options: object) -> str | None:
    return warm_engine.standard_reason(parent_paths.settings(Path.cwd()), kernel_name, options)


def test_an_ordinary_notebook_runs_on_a_forked_kernel(project: Path) -> None:
    execution = Execution()
    outputs, error = run(project, KERNEL, execution=execution)
    assert reason() is None and "mlnb.kernels" in outputs and error == "" and not execution.restored


def test_a_notebook_that_needs_another_kernel_gets_it(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert reason(kernel_manager_class="other") == "another kernel manager is requested"
    assert "there is no kernel 'nothing'" in reason("nothing")
    warm_engine.kernel_command.cache_clear()
    for name, command in (("another", ["/bin/other", *jupyter_kernel.ARGV]), ("julia", ["julia", "-f"])):
        monkeypatch.setattr(warm_engine, "kernel_command", lambda _, command=command: command)
        assert f"kernel {name!r}" in reason(name)
    monkeypatch.setattr(warm_engine, "kernel_command", lambda _: [sys.executable, *jupyter_kernel.ARGV])
    assert reason("mlnb-warm") is None


def test_a_kernel_spec_with_environment_variables_is_no_ipython_kernel(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    jupyter_kernel.install(tmp_path, "colored", COLOR="red")
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "share" / "jupyter"))
    warm_engine.kernel_command.cache_clear()
    assert "is not IPython's" in reason("colored")
    file = jupyter_kernel.install(tmp_path, "elsewhere") / "kernel.json"
    assert reason("Elsewhere") is None  # names have no case
    provisioner = {"kernel_provisioner": {"provisioner_name": "a-cluster"}}
    file.write_text(json.dumps(json.loads(file.read_text()) | {"metadata": provisioner}))
    warm_engine.kernel_command.cache_clear()
    assert "is not IPython's" in reason("elsewhere")
    warm_engine.kernel_command.cache_clear()


def test_the_settings_choose_the_standard_engine(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLNB_KERNELS", "standard")
    warnings: list[str] = []
    assert "ipykernel" in run(project, KERNEL, execution=Execution(on_fallback=warnings.append))[0]
    assert warnings == []  # as it was chosen


def test_a_system_that_cannot_fork_kernels_is_named(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    assert "Linux only, this is darwin" in parent_client.unsupported_reason()
    monkeypatch.setattr(parent_client, "unsupported_reason", lambda: "not here")
    assert reason() == "not here" and "ipykernel" in run(project, KERNEL)[0]


@pytest.mark.parametrize(
    ("spec", "message"), [({}, "No kernel name found"), ({"name": "julia", "language": "julia"}, "julia")]
)
def test_a_notebook_without_a_usable_kernel_fails_as_usual(project: Path, spec: dict[str, str], message: str) -> None:
    document = compare.notebook(["1"])
    document.metadata["kernelspec"] = spec
    if not spec:
        del document.metadata["kernelspec"]
    nbformat.write(document, project / "no.ipynb")
    for engine in ("standard", "warm"):
        with pytest.raises(Exception, match=message):
            papermill.execute_notebook("no.ipynb", "out.ipynb", engine_name=f"test-{engine}", progress_bar=False)


def test_the_standard_engine_ignores_snapshots(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLNB_KERNELS", "standard")
    execution = Execution(secrets={"A": "b"})
    assert run(project, "1", execution=execution)[1] == "" and not execution.restored
    assert status(project) is None or status(project).kernels == {}
