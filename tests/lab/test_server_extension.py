"""JupyterLab as `mlnb lab` starts it: the handlers, and the extension in a browser."""

import importlib.util
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest
import toys
from chromium import open_browser
from waiting import wait_for

from mlnb.engine.project import Project
from mlnb.engine.runs import list_runs
from mlnb.lab.clean_notebook import clean_bytes

TOKEN = "the-token"
LAB = [
    "--allow-root",
    f"--IdentityProvider.token={TOKEN}",
    "--ServerApp.port_retries=0",
    "--LabApp.expose_app_in_browser=True",
]


@pytest.fixture(scope="module")
def root(lab_project, tmp_path_factory) -> Path:
    """A copy of the project, which the tests of this module change in turn."""
    return shutil.copytree(lab_project, tmp_path_factory.mktemp("jupyterlab") / "shop", symlinks=True)


@pytest.fixture(scope="module")
def address(root, tmp_path_factory):
    """The address of JupyterLab, started as a user starts it, with separate settings."""
    with socket.create_server(("127.0.0.1", 0)) as opened:
        port = opened.getsockname()[1]
    home = tmp_path_factory.mktemp("home")
    variables = {f"JUPYTER_{name}_DIR": str(home / name.lower()) for name in ("CONFIG", "DATA", "RUNTIME")}
    variables |= {f"JUPYTERLAB_{name}_DIR": str(home / name.lower()) for name in ("SETTINGS", "WORKSPACES")}
    command = [sys.executable, "-m", "mlnb.cli.main", "lab", "--no-browser", "--port", str(port), "--", *LAB]
    with (home / "log").open("wb") as log:
        server = subprocess.Popen(
            command, cwd=root, env=os.environ | variables, stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )
    url = f"http://127.0.0.1:{port}"
    try:
        wait_for(lambda: answers(f"{url}/api") or server.poll() is not None, 60, "JupyterLab answers", pause=0.2)
        assert server.poll() is None, (home / "log").read_text()
        yield url
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(20)
        toys.mlnb(root, "kernels", "stop", "--now")


def answers(url):
    try:
        return request(url)[0]
    except OSError:
        return 0


def request(url, body=None, token=TOKEN, **headers):
    """Return the status, the headers and the text of a response."""
    headers |= {"Authorization": f"token {token}"} if token else {}
    sent = urllib.request.Request(url, None if body is None else json.dumps(body).encode(), headers)
    try:
        with urllib.request.urlopen(sent, timeout=30) as response:
            return response.status, response.headers, response.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.headers, error.read().decode()


@pytest.fixture(scope="module")
def browser(address):
    with open_browser() as opened:
        opened.look(1280)
        opened.open(f"{address}/?token={TOKEN}")
        opened.wait("!!document.querySelector('.jp-LauncherCard[title^=\"Show the pipeline\"]')")
        assert opened.evaluate("location.pathname") == "/lab/tree/nbs/stages"
        opened.evaluate("document.querySelector('.jp-LauncherCard[title^=\"Show the pipeline\"]').click()")
        opened.wait("document.querySelectorAll('.mlnb-stage').length === 4")
        yield opened
        foreign = [one for one in opened.requests if not one.startswith((address, "data:", "about:", "blob:"))]
        assert foreign == [] and len(opened.requests) > 10


def text(browser, selector):
    return browser.evaluate(f"document.querySelector({selector!r})?.textContent")


def click(browser, selector):
    browser.evaluate(f"document.querySelector({selector!r}).click()")


def refresh(browser):
    """Have the panel request its state now, as when the user returns to the page."""
    browser.evaluate("document.dispatchEvent(new Event('visibilitychange'))")


def run(browser, command, **arguments):
    """Run a command of JupyterLab."""
    browser.evaluate(f"jupyterapp.commands.execute({command!r}, {json.dumps(arguments)}).then(() => 0)")


def axe(browser, selector):
    """Return what axe finds in a part of the page."""
    package = importlib.util.find_spec("axe_core_python")
    if package is None or package.origin is None:
        pytest.skip("no axe here: pip install axe-core-python")
    if not browser.evaluate("'axe' in window"):
        browser.evaluate(Path(package.origin).with_name("axe.min.js").read_text(encoding="utf-8") + "; 0")
    browser.evaluate(f"axe.run({selector!r}).then(result => {{ window.result = result; return 0 }})")
    assert browser.evaluate("result.passes.length") > 8
    return browser.evaluate("result.violations.map(one => one.id + ': ' + one.nodes[0].html)")


@pytest.mark.parametrize("path", ["state", "notebook?path=a", "compare?run=latest", "runs/latest/report.html"])
def test_a_token_is_needed(address, path):
    assert request(f"{address}/mlnb/{path}", token="")[0] == 403
    assert request(f"{address}/mlnb/{path}", token="", Cookie="username-localhost=1")[0] == 403
    assert request(f"{address}/mlnb/{path}", Host="evil.example")[0] == 403


@pytest.mark.parametrize("path", ["start", "stop", "debug"])
def test_buttons_need_a_token_and_are_no_links(address, path):
    assert request(f"{address}/mlnb/{path}", {}, token="")[0] == 403
    assert request(f"{address}/mlnb/{path}")[0] == 405
    assert request(f"{address}/mlnb/{path}", {"other": 1})[0] in (400, 404)


def test_nothing_in_a_page_runs(address):
    for path in ("runs/latest/report.html", "runs/latest/notebooks/30_total.html"):
        status, headers, page = request(f"{address}/mlnb/{path}")
        assert status == 200 and "<html" in page and "<b>3</b>" not in page
        assert "default-src 'none'" in headers["Content-Security-Policy"]
        assert "frame-ancestors 'self'" in headers["Content-Security-Policy"]
    status, _, page = request(f"{address}/mlnb/runs/other/report.html")
    assert status == 404 and "`mlnb runs` lists them" in json.loads(page)["message"]


def test_the_panel_shows_stages_reasons_and_failures(browser):
    assert text(browser, "#mlnb-panel [role=status]") == "3 of 4 stages are up to date."
    assert text(browser, "[data-stage=total] .mlnb-error").endswith("found <b>3</b> & 4, expected 5")
    assert text(browser, "[data-stage=number] .mlnb-state") == "up to date"
    assert browser.evaluate("document.querySelector('#mlnb-stop').disabled")


@pytest.mark.parametrize("theme", ["Light", "Dark"])
def test_axe_finds_nothing(browser, theme):
    run(browser, "apputils:change-theme", theme=f"JupyterLab {theme}")
    browser.wait(f"document.body.dataset.jpThemeLight === '{str(theme == 'Light').lower()}'")
    assert axe(browser, "#mlnb-panel") == []


@pytest.mark.parametrize("width", [1280, 390])
def test_the_panel_fits_its_width(browser, width):
    browser.look(width)
    panel = "document.querySelector('#mlnb-panel')"
    assert browser.evaluate(f"{panel}.scrollWidth - {panel}.clientWidth") == 0
    assert browser.evaluate(f"{panel}.getBoundingClientRect().right") <= width
    browser.look(1280)
    browser.wait("innerWidth === 1280")


def test_the_graph_leads_to_the_stages_with_the_keyboard(browser):
    boxes = "[...document.querySelectorAll('.mlnb-box')]"
    names = browser.evaluate(f"{boxes}.map(one => one.dataset.state + ' ' + one.id)")
    listed = "[...document.querySelectorAll('.mlnb-stage')]"
    assert names == browser.evaluate(f"{listed}.map(one => one.dataset.state + ' mlnb-box-' + one.dataset.stage)")
    assert browser.evaluate("document.querySelectorAll('.mlnb-arrow').length") > 0
    label = browser.evaluate("document.querySelector('#mlnb-box-total').getAttribute('aria-label')")
    assert label.startswith("total: failed, after ") and "expected 5" in label
    browser.evaluate("document.querySelector('#mlnb-box-total').focus()")
    browser.press("Enter")
    assert browser.evaluate("document.activeElement.id") == "mlnb-open-total"


def test_two_runs_are_compared_with_the_keyboard(browser, root):
    newest = [run.id for run in list_runs(Project.find(root))]
    browser.evaluate("document.querySelector('#mlnb-run-summary').focus()")
    for key in ("Tab", " ", "Tab", "Tab", " "):  # past the report of the first run
        browser.press(key)
    browser.wait("document.querySelector('#mlnb-checked').textContent === '2 checked'")
    browser.wait("getComputedStyle(document.activeElement).outlineStyle === 'solid'")
    browser.evaluate("document.querySelector('#mlnb-compare').focus()")
    browser.press("Enter")
    page = "document.querySelector('iframe.mlnb-page').contentDocument"
    browser.wait(f"{page}?.readyState === 'complete' && {page}.title === 'Comparison of 2 runs'")
    assert (
        browser.evaluate(f"[...{page}.querySelector('table').querySelectorAll('td.mono')].map(one => one.textContent)")
        == newest[1::-1]
    )
    browser.evaluate("jupyterapp.shell.currentWidget.dispose()")


def test_the_draft_and_the_failed_cell_are_marked_and_debugged(browser, root):
    last = list_runs(Project.find(root))[0].id
    click(browser, "#mlnb-open-total")
    browser.wait("!!document.querySelector('.mlnb-banner') && !!document.querySelector('.mlnb-failure')")
    assert text(browser, ".mlnb-banner") == f"Draft reads double, note from run {last}"
    assert text(browser, ".mlnb-failed-cell .mlnb-failure .mlnb-error").startswith(f"Failed in run {last}: ValueError")
    assert axe(browser, ".mlnb-banner") == [] and axe(browser, ".mlnb-failure") == []
    assert not browser.evaluate("document.querySelector('.mlnb-failed-cell').classList.contains('jp-mod-active')")
    click(browser, "#mlnb-debug-total")
    browser.wait("document.querySelector('.mlnb-failed-cell').classList.contains('jp-mod-active')")
    browser.wait("document.querySelector('.mlnb-failed-cell .jp-OutputArea').textContent.includes('ValueError')")
    browser.wait("document.body.textContent.includes('has no snapshot')")


def test_a_run_is_started_and_followed_without_a_reload(browser, root):
    toys.edit(root, "10_number", "number: int = 3", "number: int = 8")
    browser.evaluate("window.samePage = true; document.querySelector('#mlnb-profile').focus()")
    refresh(browser)
    browser.wait("document.querySelector('[data-stage=number] .mlnb-reason').textContent === 'number changed: 3 -> 8'")
    click(browser, "#mlnb-upto-number")
    browser.wait("document.querySelector('#mlnb-run').disabled && !document.querySelector('#mlnb-stop').disabled")
    browser.wait("document.querySelector('#mlnb-panel [role=status]').textContent === '1 of 4 stages are up to date.'")
    assert browser.evaluate("samePage && document.activeElement.id") == "mlnb-profile"
    runs = list_runs(Project.find(root))
    assert len(runs) == 4 and runs[0].state == "finished"
    assert runs[0].record.command == ("mlnb", "run", "--upto=number")
    assert text(browser, "[data-stage=double] .mlnb-reason") == "input number changed"
    browser.wait("!document.querySelector('.mlnb-failure')")
    assert text(browser, ".mlnb-run .mlnb-name") == runs[0].id


def test_an_error_is_a_sentence(browser, root):
    settings = (root / "settings.ini").read_text()
    (root / "settings.ini").write_text(settings + "\n[pipeline train\n")
    refresh(browser)
    browser.wait("document.querySelector('#mlnb-panel [role=alert]').textContent.includes('settings.ini')")
    (root / "settings.ini").write_text(settings)
    refresh(browser)
    browser.wait("document.querySelector('#mlnb-panel [role=alert]').hidden")


def test_other_notebooks_have_no_form(browser, root):
    (root / "mine.ipynb").write_bytes((root / "nbs/stages/10_number.ipynb").read_bytes())
    run(browser, "docmanager:open", path="mine.ipynb")
    browser.wait("jupyterapp.shell.currentWidget?.context?.path === 'mine.ipynb'")
    browser.wait("document.querySelector('.mlnb-parameters').hidden")
    browser.evaluate("jupyterapp.shell.currentWidget.dispose()")


def test_a_parameter_is_written_into_its_cell(browser, root):
    change = "(field, value) => { field.value = value; field.dispatchEvent(new Event('change')); }"
    click(browser, "#mlnb-open-double")
    browser.wait("!!document.querySelector('#mlnb-parameter-factor')")
    assert text(browser, ".mlnb-parameters summary") == "Parameters of 20_double.ipynb"
    assert axe(browser, ".mlnb-parameters") == []
    for value in ("-1", "2.5"):
        browser.evaluate(f"({change})(document.querySelector('#mlnb-parameter-factor'), '{value}')")
        browser.wait(
            f"!!document.querySelector('#mlnb-parameter-factor[aria-invalid]') === {str(value == '-1').lower()}"
        )
    wait_for(
        lambda: "factor: float = 2.5  # times what" in (root / "nbs/stages/20_double.ipynb").read_text(), 20, "saved"
    )
    browser.wait("document.querySelector('[data-stage=double] .mlnb-reason').textContent.includes('2.0 -> 2.5')")
    browser.evaluate("jupyterapp.shell.currentWidget.dispose()")


def test_a_saved_notebook_has_no_traces_of_the_editor(browser, root):
    path = root / "nbs/stages/25_note.ipynb"
    path.write_bytes(clean_bytes(path.read_bytes(), path.parent))
    before = path.read_bytes()
    click(browser, "#mlnb-open-note")
    browser.wait("jupyterapp.shell.currentWidget?.context?.path === 'nbs/stages/25_note.ipynb'")
    notebook = "jupyterapp.shell.currentWidget"
    browser.wait(f"{notebook}.sessionContext.kernelDisplayName === 'Python 3 (mlnb, warm)' && !!{notebook}.model")
    browser.wait(f"!!{notebook}.model.sharedModel.getMetadata('language_info')")
    browser.evaluate(f"{notebook}.context.save().then(() => 0)")
    assert path.read_bytes() == before
    source = '{"execution_count": 3, "outputs": [{"output_type": "stream", "name": "stdout", "text": "kept"}]}'
    cell = f"{notebook}.content.widgets[1].model"
    browser.evaluate(f"{cell}.outputs.fromJSON({source}.outputs); {cell}.executionCount = 3; 0")
    browser.evaluate(f"{notebook}.context.save().then(() => 0)")
    assert '"kept"' in path.read_text() and '"execution_count": 3' not in path.read_text()
    assert clean_bytes(path.read_bytes(), path.parent) == before
    browser.evaluate("jupyterapp.shell.currentWidget.dispose()")


def test_mlnb_is_on_the_path_of_terminals(browser, address):
    script = """new Promise((resolve, reject) => {
      const terminals = jupyterapp.serviceManager.terminals;
      terminals.startNew().then(session => {
        let text = "";
        session.messageReceived.connect((_, message) => {
          if (message.type === "stdout") text += message.content.join("");
          if (/FOUND.*END/s.test(text)) { session.shutdown(); resolve(text); }
        });
        session.send({ type: "stdin", content: ["echo FOUN''D :$PATH: EN''D\\n"] });
      }).catch(reject);
    })"""
    assert f":{Path(sys.executable).parent}:" in browser.evaluate(script).rpartition("FOUND")[2]
