"""When a private API is gone or behaves differently, the standard engine runs notebooks and one warning names it."""

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from nbclient.client import NotebookClient

from kernels import projects
from kernels.protocol.test_compat import remove
from mlnb.kernels.driver.execution import Execution
from mlnb.kernels.protocol import compat, self_test
from mlnb.kernels.protocol.compat import DRIVER_APIS, KERNEL_APIS, PrivateApi
from mlnb.kernels.protocol.self_test import KernelSelfTest

ENGINE = "type(get_ipython().kernel).__module__"
# Removes an attribute from a library, or from the table if only instances have it, in a warm parent alone.
SITE = """
import sys
if "mlnb.kernels.server.warm_parent" in sys.orig_argv:
    import importlib
    from mlnb.kernels.protocol import compat
    owner = importlib.import_module({module!r})
    owner = getattr(owner, {cls!r}) if {cls!r} else owner
    for base in getattr(owner, "__mro__", [owner]):
        if {name!r} in vars(base):
            delattr(base, {name!r})
    assigns = compat._assigns
    compat._assigns = lambda owner, attribute: attribute != {name!r} and assigns(owner, attribute)
"""


def api_id(api: PrivateApi) -> str:
    return f"{api.owner}.{api.name}"


def run_and_warn(project: Path, caplog: pytest.LogCaptureFixture) -> tuple[str, list[str]]:
    """Run a notebook; return the module of its kernel's class, and the warnings."""
    caplog.set_level("WARNING", logger="papermill")
    caplog.clear()
    reported: list[str] = []
    outputs, error = projects.run(project / "here", ENGINE, execution=Execution(on_fallback=reported.append))
    warnings = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert error == "" and warnings == reported
    return outputs, warnings


def test_the_self_test_passes(project: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert self_test.driver_problem() is None and KernelSelfTest().problem() is None
    outputs, warnings = run_and_warn(project, caplog)
    assert "mlnb.kernels.kernel" in outputs and warnings == []


@pytest.fixture
def untested() -> Iterator[None]:
    """Test the driver again, now and after the test."""
    self_test.driver_problem.cache_clear()
    yield
    self_test.driver_problem.cache_clear()


def runs_on_the_standard_engine_without(
    api: PrivateApi, project: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Check a run whose driver, or whose warm parent, lacks an API."""
    module, _, cls = api.owner.partition(":")
    if api in DRIVER_APIS:
        if api.library == "Python":
            remove(api, monkeypatch)
        else:  # nbclient itself needs it: it has another name now
            monkeypatch.setattr(compat, "DRIVER_APIS", [api._replace(name="renamed_" + api.name)])
    else:
        folder = project / "site" / api.name
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "sitecustomize.py").write_text(SITE.format(module=module, cls=cls, name=api.name))
        monkeypatch.setenv("PYTHONPATH", str(folder), prepend=":")
    outputs, warnings = run_and_warn(project, caplog)
    assert "ipykernel" in outputs and len(warnings) == 1
    assert warnings[0].startswith("The standard engine executes notebooks") and api.name in warnings[0]
    assert f"{api.library} " in warnings[0]


EXAMPLES = [
    *(next(api for api in DRIVER_APIS if api.library == library) for library in ("Python", "papermill", "nbclient")),
    *(api for api in KERNEL_APIS if api.name in ("_run_exitfuncs", "_selector", "_fid", "init_sockets")),
]


# Each API is removed in a fork of one process that has imported the libraries, and none of the kernels' modules.
REMOVED = """
import ipykernel.kernelapp, json, os, sys, traceback
for module, cls, name in json.loads(sys.argv[1]):
    reader, writer = os.pipe()
    if not os.fork():
        try:
            sys.orig_argv.append("mlnb.kernels.server.warm_parent")
            exec(SITE.format(module=module, cls=cls, name=name))
            import mlnb.kernels.server.warm_parent
            from mlnb.kernels.protocol.self_test import KernelSelfTest
            text = KernelSelfTest().problem() or "no problem"
        except BaseException:
            text = traceback.format_exc()
        os.write(writer, text.encode())
        os._exit(0)
    os.close(writer)
    with open(reader, encoding="utf-8") as file:
        print(json.dumps(file.read()), flush=True)
    os.wait()
"""


@pytest.mark.usefixtures("untested")
@pytest.mark.parametrize("api", EXAMPLES, ids=api_id)
def test_without_a_private_api_the_standard_engine_runs(
    api: PrivateApi, project: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    runs_on_the_standard_engine_without(api, project, monkeypatch, caplog)


def test_a_warm_parent_is_imported_without_any_private_api_and_names_it() -> None:
    owners = [(*api.owner.partition(":")[::2], api.name) for api in KERNEL_APIS]
    code = f"SITE = {SITE!r}\n{REMOVED}"
    done = subprocess.run([sys.executable, "-c", code, json.dumps(owners)], capture_output=True, text=True, check=False)
    problems = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(problems) == len(KERNEL_APIS), done.stderr
    for api, problem in zip(KERNEL_APIS, problems, strict=True):
        assert f"has no {api.owner}.{api.name}, needed to" in problem, f"{api_id(api)}: {problem}"


@pytest.mark.usefixtures("untested")
def test_a_driver_that_behaves_differently_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(NotebookClient, "_update_display_id", lambda self, one, two, three: None)
    problem = self_test.driver_problem()
    assert problem is not None and "nbclient" in problem and "behaves differently: notebook client" in problem


@pytest.mark.parametrize(
    ("owner", "name", "check"),
    [
        ("asyncio.selector_events:BaseSelectorEventLoop", "_make_self_pipe", "event loop"),
        ("ipykernel.iostream:OutStream", "_watch_pipe_fd", "output streams"),
        ("ipykernel.iostream:OutStream", "write", "output streams"),
        ("ipykernel.kernelbase:Kernel", "start", "requests"),
    ],
)
def test_a_kernel_that_behaves_differently_is_noticed(
    owner: str, name: str, check: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(self_test, "SECONDS", 2.0)
    module, _, cls = owner.partition(":")
    monkeypatch.setattr(getattr(__import__(module, fromlist=[cls]), cls), name, lambda self, *values: 0)
    problem = KernelSelfTest().problem()
    assert problem is not None and f"behaves differently: {check}" in problem


def test_a_self_test_that_hangs_has_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(self_test, "SECONDS", 0.2)
    monkeypatch.setattr(asyncio.SelectorEventLoop, "run_forever", lambda self: __import__("time").sleep(60))
    assert KernelSelfTest().problem() == "the self-test of the kernels ended without a result"


def test_it_changes_nothing_in_this_process() -> None:
    streams = sys.stdout, sys.stderr
    assert KernelSelfTest().problem() is None
    assert (sys.stdout, sys.stderr) == streams
