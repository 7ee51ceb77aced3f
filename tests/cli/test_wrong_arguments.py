"""Wrong arguments of every command: a short message with a remedy, exit code 2, and no traceback."""

import shlex
import signal
import sys

import pytest

from mlnb.cli import main as command
from mlnb.cli.main import COMMANDS, main

NO_RUN = (
    "show nope", "show latest nope", "show --artifact nope", "report nope", "build nope", "serve nope", "debug nope",
    "runs compare latest nope", "schema nope", "export --to onnx nope", "score x.csv y.csv --run nope",
)  # fmt: skip
WRONG = (
    *NO_RUN, "nosuch", "run nope", "run --data tabel.csv", "run --profile nope", "run -p tune.trials abc",
    "run -p tune.trials -5", "run -p tune.trails 3", "run -p nope 1", "run -f missing.yaml", "run -f table.csv",
    "run -g tune.sampler", "run --upto nope", "run --only nope", "run --force nope", "run --workers 0",
    "plan --upto nope", "stages nope", "runs --sort nope", "runs --filter xyz", "runs --last 0", "runs --last -3",
    "runs other", "serve --workers 0", "serve --port 99999", "serve --share 3", "serve --tls-key nope", "models nope",
    "promote 9", "rollback", "approve nope", "compare a b", "labels add", "labels add missing.csv", "monitor nope",
    "retrain nope", "loop --every nope", "schedule --to cron --when nope", "schedule --to kubernetes",
    "simulate --url nope", "simulate --data missing.csv --time t", "schema --check missing.csv",
    "containerize --opt =x", "deploy kubernetes --name A_B", "deploy kubernetes --replicas 5 --max-replicas 2",
    "score missing.csv out.csv", "score table.csv out.xyz", "score noise.csv out.csv", "score zero.csv out.csv",
    "score empty.csv out.csv", "score table.csv out.csv --keep nope", "score table.csv out.csv --workers 0", "new .",
    "new table.csv", "new fresh --data tabel.csv", "upgrade", "ui --port 99999", "ui --project nope",
    "report --compare latest", "report --compare latest nope", "clean --runs -1",
    "plan --each ''", "plan --each a --least-rows -3", "run --each ''", "run --each a --least-rows 0",
    "run --with-global", "run --least-rows 5", "run --most 5", "run --each a --each b", "plan --each a --each b",
    "run --each a --most 0", "serve --name ''", "serve --segment ''", "monitor --name ''", "data diff latest nope",
    f"data restore latest --to {'x' * 300}.csv",
)  # fmt: skip


def ended(line, capsys):
    """Return the exit code and what a command printed."""
    try:
        code = main(shlex.split(line))
    except SystemExit as error:  # of argparse
        code = error.code
    printed = capsys.readouterr()
    return code, printed.out + printed.err


@pytest.fixture(scope="module")
def folder(example, tmp_path_factory):
    """A folder with a run and files that are no data."""
    root = tmp_path_factory.mktemp("wrong") / "shop"
    example.make_run(example.make_project(root))
    (root / "table.csv").write_text("a,b\n1,2\n3,4\n")
    (root / "empty.csv").write_text("a,b\n")
    (root / "zero.csv").touch()
    (root / "noise.csv").write_bytes(b"a\rb,\xff\x00\n" * 30)
    return root


@pytest.fixture(autouse=True)
def here(folder, monkeypatch):
    monkeypatch.chdir(folder)
    monkeypatch.delenv("MLNB_ROOT", raising=False)


@pytest.mark.parametrize("command", COMMANDS)
def test_unknown_options_are_reported_in_a_line(command, capsys):
    code, text = ended(f"{command} --bogus", capsys)
    assert code == 2 and text.startswith(f"mlnb {command}: ") and len(text.strip().splitlines()) == 1
    assert f"`mlnb {command} --help` shows options and examples." in text


def test_the_closest_option_is_named(capsys):
    assert "Did you mean '--data'?" in ended("run --dta x", capsys)[1]
    assert "Did you mean '--tls-certificate'?" in ended("serve --tls-certifcate=x", capsys)[1]


@pytest.mark.parametrize("line", WRONG)
def test_wrong_arguments_end_with_a_message(line, capsys, folder):
    before = sorted(folder.glob("[!.]*"))
    code, text = ended(line, capsys)
    assert code == 2 and "Traceback" not in text, text
    last = text.strip().splitlines()[-1]
    assert text.startswith(("mlnb", "As in the last run")) and len(last) > 20, text
    assert sorted(folder.glob("[!.]*")) == before, "nothing is written"


def test_ctrl_c_while_a_command_is_imported(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.getsignal(signal.SIGTERM), sys.excepthook
    try:
        monkeypatch.setattr(command, "_import_command", interrupt)
        assert main(["runs"]) == command.INTERRUPTED and capsys.readouterr().err == "mlnb runs: interrupted.\n"
        monkeypatch.setattr(command, "_run_command", interrupt)
        assert main(["runs"]) == command.INTERRUPTED
    finally:
        signal.signal(signal.SIGTERM, before[0])
        sys.excepthook = before[1]
