"""The dashboard in a browser: accessible, usable with the keyboard and on phones, live, and without other hosts."""

import importlib.util
import threading
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from chromium import open_browser
from dashboard_clients import TOKEN, A, B
from many_models import add_models

from mlnb.dashboard.application import create_application
from mlnb.dashboard.dashboard_server import create_server, forwarding_file, listen, serve
from mlnb.engine.run_records import RunState, StageState
from mlnb.errors import UsageError

COMPARISON, RUNS, STUDIES = f"/p/shop-b/compare?run={A}&run={B}", "/p/shop-b/runs", "/p/shop-b/studies"


@pytest.fixture(scope="module")
def live(tmp_path_factory, example):
    """A run that goes on, in a project with three models."""
    run = example.make_run(example.make_project(tmp_path_factory.mktemp("served") / "live"), A)
    add_models(run, ["first", "customers-who-leave-west", "third"], "watch")
    run.update(state=RunState.RUNNING)
    run.update_stage("document", state=StageState.RUNNING)
    run.save()
    return run


@pytest.fixture(scope="module")
def address(shop, live):
    """The address of a server in a thread of this process."""
    with listen(0) as opened:
        server = create_server(create_application([shop, live.project], TOKEN))
        thread = threading.Thread(target=server.run, args=([opened],), daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{opened.getsockname()[1]}"
        server.should_exit = True
        thread.join(10)


@pytest.fixture(scope="module")
def browser(address):
    with open_browser() as opened:
        opened.look(1280)
        opened.open(f"{address}/?token={TOKEN}")
        yield opened
        foreign = [one for one in opened.requests if not one.startswith((address, "data:", "about:"))]
        assert foreign == [] and len(opened.requests) > 10


@pytest.fixture(autouse=True)
def wide(request):
    if "browser" in request.fixturenames:
        request.getfixturevalue("browser").look(1280)


@pytest.mark.parametrize(
    ("path", "dark"),
    [
        ("/", False),
        ("/", True),
        (COMPARISON, False),
        (COMPARISON, True),
        (RUNS, False),
        (f"{RUNS}/{A}", True),
        (STUDIES, True),
    ],
)
def test_axe_finds_nothing(browser, address, path, dark):
    package = importlib.util.find_spec("axe_core_python")
    if package is None or package.origin is None:
        pytest.skip("no axe here: pip install axe-core-python")
    browser.look(1280, dark)
    browser.open(address + path)
    browser.evaluate(Path(package.origin).with_name("axe.min.js").read_text(encoding="utf-8") + "; 0")
    browser.evaluate("axe.run().then(result => { window.result = result; return 0 })")
    assert browser.evaluate("result.violations.map(one => one.id + ': ' + one.nodes[0].html)") == []
    assert browser.evaluate("result.passes.length") > 15


@pytest.mark.parametrize("path", ["/", COMPARISON, RUNS, f"{RUNS}/{A}", "/p/shop-b/registry", "/p/shop-b/studies"])
def test_pages_fit_a_phone(browser, address, path):
    browser.look(390)
    browser.open(address + path)
    assert browser.evaluate("document.documentElement.scrollWidth") <= 390


def test_dark_mode_follows_the_system(browser, address):
    colors = []
    for dark in (False, True):
        browser.look(1280, dark)
        browser.open(address + COMPARISON)
        colors.append(browser.evaluate("getComputedStyle(document.body).backgroundColor"))
    assert colors == ["rgb(255, 255, 255)", "rgb(20, 24, 28)"]


def test_runs_are_compared_with_the_keyboard(browser, address):
    browser.open(f"{address}{RUNS}?q=profile%3Dsmoke&state=finished")
    browser.press("Tab")
    assert browser.evaluate("document.activeElement.textContent") == "Skip to content"
    browser.press("Enter")
    checked = 0
    for _ in range(60):
        browser.press("Tab")
        if browser.evaluate("document.activeElement.name") == "run" and checked < 2:
            browser.press(" ")
            checked += 1
        if browser.evaluate("document.activeElement.textContent") == "Compare the checked runs":
            assert browser.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
            break
    assert checked == 2
    browser.press("Enter")
    browser.wait("location.pathname === '/p/shop-b/compare' && document.title === 'Comparison of 2 runs'")


KEY = "(key) => holder.dispatchEvent(new KeyboardEvent('keydown', {key}))"
READ = f"(() => {{ const holder = document.querySelector('.plotted'); const press = {KEY}; holder.focus(); "


def test_charts_are_read_with_the_arrow_keys_and_lead_to_runs(browser, address):
    browser.open(address + STUDIES)
    first = browser.evaluate(READ + "press('ArrowRight'); return document.querySelector('output').textContent })()")
    assert first.startswith("trial 0: 0.") and "LightGBM" in first
    browser.open(f"{address}{RUNS}?q=profile%3Dsmoke")
    keys = "press('Home'); press('ArrowRight'); "
    second = browser.evaluate(READ + keys + "return document.querySelector('output').textContent })()")
    assert second.startswith(f"{B}; ROC AUC 0.9100")
    assert browser.evaluate("document.activeElement.getAttribute('aria-label')").startswith("ROC AUC of 3 runs")
    browser.evaluate(READ + keys + "press('Enter'); return 0 })()")
    browser.wait(f"location.pathname.endsWith('/runs/{B}')")


def test_two_runs_are_compared_in_one_chart_with_both_values(browser, address):
    browser.open(address + COMPARISON)
    read = browser.evaluate(
        READ + "press('End'); press('ArrowLeft'); return document.querySelector('output').textContent })()"
    )
    assert read.startswith("predicted probability of 1 0.8500; A ") and "; B " in read
    browser.look(390, dark=True)
    browser.wait("document.querySelector('.plotted canvas').getBoundingClientRect().width <= 390")


def test_without_scripts_charts_are_drawn_on_the_page(browser, address):
    browser.call("Emulation.setScriptExecutionDisabled", value=True)
    try:
        browser.open(address + STUDIES)
        assert browser.evaluate("document.querySelector('figure.chart svg').getBoundingClientRect().width") > 300
        assert browser.evaluate("document.querySelector('.plotted')") is None
    finally:
        browser.call("Emulation.setScriptExecutionDisabled", value=False)


def test_the_table_of_models_fits_a_laptop(browser, address):
    browser.open(f"{address}/")
    region = "document.querySelector('main .wide')"
    assert browser.evaluate(f"{region}.scrollWidth <= {region}.clientWidth")
    assert browser.evaluate("document.querySelectorAll('table.models tbody tr').length") == 5


@pytest.mark.parametrize("width", [1280, 390])
def test_no_table_of_runs_models_or_versions_scrolls_sideways(browser, address, width):
    browser.look(width)
    for path in (RUNS, "/", "/p/shop-b/registry"):
        browser.open(f"{address}{path}")
        wider = "[...document.querySelectorAll('.wide')].filter(one => one.scrollWidth > one.clientWidth + 1).length"
        assert browser.evaluate("document.querySelectorAll('.wide').length") > 0 and browser.evaluate(wider) == 0, path


def test_runs_of_two_projects_are_compared_from_the_overview(browser, address):
    browser.open(f"{address}/")
    browser.evaluate(
        "for (const one of document.querySelectorAll('input'))"
        f"  if (['shop-b/{A}', 'live/{A}'].includes(one.value)) one.click();"
        "document.querySelector('form button').click(); 0"
    )
    browser.wait("location.pathname === '/compare' && document.title === 'Comparison of 2 runs'")
    links = browser.evaluate("[...document.querySelectorAll('main table a')].slice(0, 2).map(one => one.pathname)")
    assert sorted(links) == [f"/p/live/runs/{A}", f"{RUNS}/{A}"]
    browser.wait("document.querySelectorAll('#curves figure.interactive').length === 3")


def test_a_run_is_updated_without_a_reload(browser, address, live):
    browser.open(f"{address}/p/live/runs/{A}")
    browser.evaluate("window.samePage = true; document.querySelector('#notebook-tune').focus()")
    browser.look(390)
    browser.evaluate("document.querySelector('#graph').scrollLeft = 40")
    assert "running" in browser.evaluate("document.querySelector('#live-status').textContent")
    live.update_stage("document", state=StageState.FINISHED)
    live.update(state=RunState.FINISHED, seconds=75.0)
    live.save()
    browser.wait("document.querySelector('#live-status').textContent.startsWith('finished, 11 of 11')")
    assert browser.evaluate("samePage && document.activeElement.id === 'notebook-tune'")
    assert browser.evaluate("document.querySelector('#graph').scrollLeft") == 40
    assert "1 min 15 s" in browser.evaluate("document.querySelector('#live-head').textContent")


def test_links_in_a_report_lead_to_its_notebooks(browser, address):
    browser.open(f"{address}{RUNS}/{A}/report.html")
    browser.call("Emulation.setDeviceMetricsOverride", width=1280, height=9000, deviceScaleFactor=1, mobile=False)
    link = browser.evaluate(
        "document.querySelector('a[href=\"notebooks/50_tune.html\"]').getBoundingClientRect().toJSON()"
    )
    at = {"x": link["x"] + 5, "y": link["y"] + 5, "button": "left", "clickCount": 1}
    for kind in ("mousePressed", "mouseReleased"):
        browser.call("Input.dispatchMouseEvent", type=kind, **at)
    browser.wait("location.pathname.endsWith('/notebooks/50_tune.html') && document.title.startsWith('tune')")


def test_a_port_that_cannot_be_used_is_a_usage_error():
    with listen(None) as first, listen(None) as second:
        assert first.getsockname()[0] == "127.0.0.1" and first.getsockname()[1] != second.getsockname()[1]
        with pytest.raises(UsageError, match="in use"):
            listen(first.getsockname()[1])
    with pytest.raises(UsageError, match="expected 1 to 65535"):
        listen(70_000)


def test_the_address_is_reported_when_the_server_answers(empty, monkeypatch):
    results = []

    def started(address: str) -> None:
        with pytest.raises(urllib.error.HTTPError, match="401"):
            urllib.request.urlopen(address.partition("?")[0], timeout=10)
        results.append(address)
        servers[0].should_exit = True

    servers = []
    monkeypatch.setattr(
        "mlnb.dashboard.dashboard_server.create_server",
        lambda application: servers.append(create_server(application)) or servers[0],
    )
    serve([empty], 0, started)
    assert len(results) == 1 and len(results[0].partition("?token=")[2]) > 40


def test_the_page_that_leads_to_the_address_is_private_and_deleted():
    with forwarding_file() as write_page:
        path = write_page("http://127.0.0.1:1/?token=a&b")
        assert path.stat().st_mode & 0o077 == 0 and path.parent.stat().st_mode & 0o077 == 0
        assert "url=http://127.0.0.1:1/?token=a&amp;b" in path.read_text()
    assert not path.parent.exists()
