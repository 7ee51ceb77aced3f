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
