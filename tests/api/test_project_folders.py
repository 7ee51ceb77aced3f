"""The project of a folder that a caller names."""

import pytest

from mlnb.api.project_folders import find_project
from mlnb.errors import ProjectError


def test_a_folder_below_a_project_names_it_and_a_missing_one_is_an_error(tmp_path, monkeypatch):
    (tmp_path / "settings.ini").write_text("[mlnb]\n")
    (tmp_path / "data").mkdir()
    assert find_project(tmp_path / "data").root == find_project(str(tmp_path)).root == tmp_path
    monkeypatch.chdir(tmp_path)
    assert find_project(None).root == tmp_path
    with pytest.raises(ProjectError, match="there is no folder 'nowhere'; expected that of a project"):
        find_project("nowhere")
