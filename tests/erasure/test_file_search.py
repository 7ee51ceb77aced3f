"""Figures of a run in W&B may show its rows: the folder of an affected run is deleted, that of another is not."""

from pathlib import Path

import pytest

from mlnb.engine.project import Project
from mlnb.erasure.conditions import Selection
from mlnb.erasure.file_contents import ContentSearch
from mlnb.erasure.file_search import _find_wandb
from mlnb.erasure.search_terms import SearchTerms
from mlnb.erasure.stored_rows import StoredRows

AFFECTED, OTHER = "20260314-091500-train-a1b2", "20260314-091500-train-c3d4"


@pytest.mark.parametrize(("kind", "deleted"), [("images", True), ("html", True), ("table", False)])
def test_figures_of_an_affected_run_are_deleted(tmp_path: Path, kind: str, deleted: bool) -> None:
    for run in (AFFECTED, OTHER):
        folder = tmp_path / "wandb" / f"offline-run-{run}" / "files" / "media" / kind
        folder.mkdir(parents=True)
        (folder / "plot").write_text("<svg></svg>")
    terms = SearchTerms([])
    terms.finish()
    stored = StoredRows({}, set(), set(), {}, {(AFFECTED, "explore")})
    locations = [*_find_wandb(Project(tmp_path, tmp_path), ContentSearch(Selection([]), terms), stored)]
    assert [where.path.name for where in locations] == [f"offline-run-{AFFECTED}"] * deleted
