"""The parts of the script that does what a newcomer does: its commands are those of the pages."""

import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import newcomer
import pytest
from newcomer import FIRST_HOUR, ROOT, Newcomer, Result, StepFailed

PAGE = "# Title\n\n```sh\nmake run      # set up\n\nmlnb run -g 'a=#1'\n```\n\n```python\nx = 1\n```\n"


@pytest.fixture
def visitor(tmp_path):
    (tmp_path / "clone").mkdir()
    (tmp_path / "clone" / "README.md").write_text(PAGE)
    return Newcomer(tmp_path)


def test_commands_of_a_page_and_of_a_notebook(tmp_path, visitor):
    expected = ["make run", "mlnb run -g 'a=#1'"]
    assert newcomer.page_commands(tmp_path / "clone" / "README.md") == expected
    notebook = tmp_path / "guide.ipynb"
    notebook.write_text(json.dumps({"cells": [{"cell_type": "markdown", "source": PAGE.splitlines(keepends=True)}]}))
    assert newcomer.page_commands(notebook) == expected


def test_the_pages_have_the_commands_of_all_steps():
    readme, hour = newcomer.page_commands(ROOT / "README.md"), newcomer.page_commands(ROOT / FIRST_HOUR)
    assert {"make run", "make serve", "make docs"} <= set(readme)
    assert {"mlnb new churn_project --data churn.csv --target Churn", "cd churn_project", "mlnb lab"} <= set(hour)
    assert {"mlnb run --profile quick", "mlnb report", "mlnb serve"} <= set(hour)
    assert newcomer.readme_request(ROOT / "README.md", 4321).startswith("curl -s http://127.0.0.1:4321/predict")


def test_a_step_fails_where_the_page_has_no_such_command(visitor):
    with pytest.raises(StepFailed, match="does not have the command 'make all'; it has make run"):
        visitor.taken("README.md", "make all")
    assert not visitor.step("run", "make all", lambda command: visitor.taken("README.md", command))
    assert visitor.results[0].outcome.startswith("failed: README.md does not have")
    with pytest.raises(StepFailed, match="no request with curl"):
        newcomer.readme_request(visitor.clone / "README.md", 1)


def test_a_command_that_fails_ends_its_step_and_a_skipped_one_does_not(visitor, capsys):
    assert visitor.run("echo $0 && echo done", visitor.folder).endswith("done\n")
    with pytest.raises(StepFailed, match="exit code 3"):
        visitor.run("exit 3", visitor.folder)
    assert newcomer.container(visitor, "echo SKIPPED: no Debian; exit 77").startswith("skipped")
    table = "echo image MB ready memory; echo numpy 170 1.15 103; echo fine"
    assert newcomer.container(visitor, table) == "170 MB, ready after 1.15 s, 103 MB of memory"
    capsys.readouterr()
    newcomer.print_table([Result("run", "a", 1.25, "a|b")])
    assert capsys.readouterr().out.splitlines()[-1] == "| run | `a` | 1.2 | a\\|b |"


def test_a_server_is_stopped_and_one_that_ends_is_reported(visitor):
    program = "python3 -S -c 'import time; time.sleep(60)'"
    with (
        pytest.raises(StepFailed, match="no response: broken"),
        visitor.server("sh -c 'echo broken'", visitor.folder, "http://127.0.0.1:9"),
    ):
        pass

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.end_headers()

        def log_message(self, format, *args):
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as other:
        thread = threading.Thread(target=other.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        with visitor.server(program, visitor.folder, f"http://127.0.0.1:{other.server_port}/"):
            pass
        other.shutdown()
        thread.join()


def test_the_table_of_the_newcomer_has_both_classes_and_missing_values(tmp_path):
    newcomer.write_table(tmp_path / "churn.csv")
    lines = (tmp_path / "churn.csv").read_text().splitlines()
    assert len(lines) == 1001
    assert {line.rpartition(",")[2] for line in lines[1:]} == {"yes", "no"}
    assert any(",," in line for line in lines)
    rows = [line.split(",") for line in lines[1:]]
    left = {name: [row[3] == "yes" for row in rows if row[1] == name] for name in ("monthly", "yearly")}
    assert sum(left["monthly"]) / len(left["monthly"]) > 0.6 > 0.2 > sum(left["yearly"]) / len(left["yearly"])
