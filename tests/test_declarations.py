"""A project's columns.toml from the plan to the run: an edit runs stages again, an error stops the first stage."""

import numpy as np
import pandas as pd
import toys
from in_process import mlnb_in_process

from mlnb.engine import runs
from mlnb.engine.project import Project
from mlnb.methods.contracts.declarations import Declarations
from mlnb.methods.contracts.problems import ProblemContract


def test_an_edited_declaration_runs_the_stages_again(tmp_path):
    root = toys.new_project(tmp_path)
    random = np.random.default_rng(0)
    visits = {"home": random.integers(0, 20, 120), "x": random.normal(size=120).round(3), "code": np.arange(120) % 5}
    table = pd.DataFrame(visits).assign(y=lambda t: np.where(t["x"] + t["home"] / 10 > 1, "ill", "well"))
    table.to_csv(root / "visits.csv", index=False)
    file, about = root / "columns.toml", ["run", "--data", "visits.csv", "--upto", "split", "--no-report"]
    file.write_text("[columns.y]\nrole = 'target'\n[columns.code]\nkind = 'category'\n")
    mlnb_in_process(root, *about)
    run = runs.open_run(Project.find(root))
    assert run.load("contract", ProblemContract).target == "y"
    assert list(run.load("declarations", Declarations).columns) == ["code", "y"]
    assert "declared category" in mlnb_in_process(root, "show", "--artifact", "findings")
    assert "unchanged" in mlnb_in_process(root, "plan", *about[1:-1])
    file.write_text(file.read_text() + "[columns.home]\nrole = 'group'\n")
    plan = mlnb_in_process(root, "plan", *about[1:-1])
    assert "declarations changed" in plan, plan
    mlnb_in_process(root, *about)
    run = runs.open_run(Project.find(root))
    training, test = run.load("training"), run.load("test")
    assert not set(training["home"]) & set(test["home"])
    file.write_text("[columns.hoem]\nrole = 'group'\n")
    message = mlnb_in_process(root, *about, code=3)
    assert "DeclarationError: columns.toml: column 'hoem' is not in the table; did you mean 'home'?" in message


def test_personal_data_of_the_source_is_stored_nowhere(tmp_path, monkeypatch):
    root = toys.new_project(tmp_path)
    random = np.random.default_rng(0)
    table = pd.DataFrame(
        {
            "mail": [f"person{number % 30}@mail.example" for number in range(90)],
            "name": [f"Ada Lovelace{number}" for number in range(90)],
            "birthday": "1990-04-01",
            "x": random.normal(size=90).round(3),
        }
    ).assign(y=lambda t: np.where(t["x"] > 0, "ill", "well"))
    outside = tmp_path / "outside"
    outside.mkdir()
    table.to_csv(outside / "people.csv", index=False)
    about = ["run", "--data", str(outside / "people.csv"), "--target", "y", "--upto", "split", "--no-report"]
    mlnb_in_process(root, *about)
    findings = mlnb_in_process(root, "show", "--artifact", "findings")
    for column, what in (("mail", "mail addresses"), ("birthday", "birth dates")):
        assert f"looks like personal data: {what}" in findings and f"[columns.{column}] personal" in findings
    (tmp_path / "second").mkdir()
    second = toys.new_project(tmp_path / "second")
    (second / "columns.toml").write_text(
        "[columns]\nmail = {personal = 'pseudonymize', role = 'group'}\nname = {role = 'personal'}\n"
        "birthday = {personal = 'mask'}\n"
    )
    monkeypatch.delenv("MLNB_PERSONAL_KEY", raising=False)
    assert "MLNB_PERSONAL_KEY is not set" in mlnb_in_process(second, *about, code=3)
    monkeypatch.setenv("MLNB_PERSONAL_KEY", "an example of a key")
    mlnb_in_process(second, *about)
    run = runs.open_run(Project.find(second))
    raw, training = run.load("raw"), run.load("training")
    assert raw["mail"].str.fullmatch("pn-[0-9a-f]{32}").all() and raw["mail"].nunique() == 30
    assert raw["name"].isna().all() and set(raw["birthday"]) == {"masked"}
    assert not set(training["mail"]) & set(run.load("test")["mail"])
    assert "looks like personal data" not in mlnb_in_process(second, "show", "--artifact", "findings")
    for path in [path for path in second.rglob("*") if path.is_file()]:
        data = path.read_bytes()
        assert not any(text in data for text in (b"@mail.example", b"Lovelace", b"1990-04-01", b"example of a key")), (
            path
        )
